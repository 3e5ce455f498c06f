package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"
)

// docker speaks to the Docker engine over its socket: a program started for each
// question would take longer than many a fault.
type docker struct{ http *http.Client }

func newDocker() (*docker, error) {
	path := "/var/run/docker.sock"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		var ok bool
		if path, ok = strings.CutPrefix(host, "unix://"); !ok {
			return nil, unable("Docker must run on this machine, and DOCKER_HOST is %s", host)
		}
	}
	d := &docker{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", path)
		},
	}}}
	if err := d.call(http.MethodGet, "/version", nil); err != nil {
		return nil, unable("Docker does not answer: %v", err)
	}
	return d, nil
}

// dockerTime bounds one request: a stop may take the whole grace.
const dockerTime = 60 * time.Second

// call does a request; into gets the answer if it is not nil.
func (d *docker) call(method, path string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), dockerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return fmt.Errorf("docker: %s %s: %s", method, path, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// container is what we use of an inspection.
type container struct {
	State struct {
		PID     int `json:"Pid"`
		Paused  bool
		Running bool
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
	Mounts []struct{ Source, Destination string }
}

func (d *docker) inspect(id string) (c container, err error) {
	return c, d.call(http.MethodGet, "/containers/"+url.PathEscape(id)+"/json", &c)
}

// do does a verb to a container: start, stop, kill, pause, unpause.
func (d *docker) do(id, verb string) error {
	return d.call(http.MethodPost, "/containers/"+url.PathEscape(id)+"/"+verb, nil)
}

// project is one compose project, worked by docker-compose 1.29 or by docker
// compose v2, whichever is there.
type project struct {
	tool  []string
	root  string // of the module, where docker-compose.yml is
	env   []string
	files []string
}

func newProject(name, root string, files ...string) (*project, error) {
	p := &project{root: root, files: files, env: os.Environ()}
	switch {
	case exec.Command("docker", "compose", "version").Run() == nil:
		p.tool = []string{"docker", "compose"}
	case exec.Command("docker-compose", "version").Run() == nil:
		p.tool = []string{"docker-compose"}
	default:
		return nil, unable("docker-compose is missing")
	}
	p.env = append(p.env, "COMPOSE_PROJECT_NAME="+name)
	return p, nil
}

// run runs docker-compose.
func (p *project) run(ctx context.Context, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	line := append([]string(nil), p.tool...)
	for _, f := range p.files {
		line = append(line, "-f", f)
	}
	line = append(line, args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.root, p.env, &out, &errOut, 5*time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(line, " "), err, lastLines(errOut.String(), 5))
	}
	return out.String(), nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
