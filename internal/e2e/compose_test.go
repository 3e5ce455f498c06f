package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestCompose runs what the README says about docker-compose: three nodes from
// the Dockerfile, a tree, the chaos scripts, a restart of all, and new addresses.
func TestCompose(t *testing.T) {
	d := newCompose(t)
	d.must(5*time.Minute, "scripts/build-base-images.sh")
	d.must(15*time.Minute, d.compose("build", "node1")...) // the others have the same image

	if os.Getuid() == 0 { // it enters the networks of its containers
		t.Logf("chaos-disk-full:\n%s", d.must(5*time.Minute, "scripts/chaos-disk-full.sh", "--no-build", "--seed", "1"))
	}

	began := time.Now()
	d.must(time.Minute, d.compose("up", "-d")...)
	d.healthy()
	t.Logf("three nodes are healthy after %v", time.Since(began).Round(time.Millisecond))
	d.must(time.Minute, d.compose("exec", "-T", "node1", "selfware-node", "apply", "/examples/compose.yaml", "--wait")...)
	first := d.settled()

	for _, script := range []string{"kill-child", "kill-node", "kill-leader", "rolling"} {
		table := d.must(3*time.Minute, "scripts/chaos-"+script+".sh")
		t.Logf("chaos-%s:\n%s", script, table)
		checkTable(t, script, table)
	}
	broken := d.settled()
	checkHistory(t, first, broken)

	d.must(2*time.Minute, d.compose("restart")...)
	d.healthy()
	checkHistory(t, broken, d.settled())

	before := d.addresses()
	d.must(time.Minute, d.compose("down")...)
	// Started in another order, every node but the second gets another address.
	for _, node := range []string{"node3", "node2", "node1"} {
		d.must(time.Minute, d.compose("up", "-d", "--no-deps", node)...)
	}
	if after := d.addresses(); maps.Equal(before, after) {
		t.Errorf("the addresses are the same, so nothing is shown: %v", after)
	}
	d.healthy()
	checkHistory(t, broken, d.settled())
	checkPublished(t, d)
}

// checkTable: the script has measured something, and says that all is well.
func checkTable(t *testing.T, script, table string) {
	t.Helper()
	rows := strings.Count(table, " ms  ")
	if rows == 0 || !strings.Contains(table, "nothing was lost") || strings.Contains(table, "LOST") {
		t.Errorf("chaos-%s.sh has %d rows with a time to recover:\n%s", script, rows, table)
	}
}

// checkHistory: it is the same cluster, and has forgotten no child and no restart.
func checkHistory(t *testing.T, before, after api.Status) {
	t.Helper()
	if before.Cluster.ID != after.Cluster.ID || before.Cluster.Index > after.Cluster.Index {
		t.Errorf("the cluster was %+v and is %+v", before.Cluster, after.Cluster)
	}
	now := workers(after)
	for path, was := range workers(before) {
		is, ok := now[path]
		if !ok || is.Restarts < was.Restarts || is.Moves < was.Moves || is.Epoch < was.Epoch {
			t.Errorf("%s was %+v and is %+v", path, was, is)
		}
	}
}

func workers(s api.Status) map[string]api.ChildStatus {
	all := make(map[string]api.ChildStatus)
	for _, tree := range s.Trees {
		for _, c := range tree.Children {
			if !c.Supervisor {
				all[c.Path] = c
			}
		}
	}
	return all
}

// checkPublished: every node's API answers on its loopback port.
func checkPublished(t *testing.T, d *composed) {
	t.Helper()
	for _, port := range d.ports {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), 5*time.Second)
		if err != nil {
			t.Errorf("API on %d: %v", port, err)
			continue
		}
		conn.Close()
	}
}

// composed is a project of docker-compose that ends with the test.
type composed struct {
	t     *testing.T
	tool  []string // docker-compose, or docker compose
	env   []string
	ports []int
}

var composeNodes = []string{"node1", "node2", "node3"}

func newCompose(t *testing.T) *composed {
	t.Helper()
	if testing.Short() {
		t.Skip("docker-compose: not in -short")
	}
	d := &composed{t: t, tool: []string{"docker-compose"}, env: os.Environ()}
	if exec.Command("docker", "compose", "version").Run() == nil {
		d.tool = []string{"docker", "compose"}
	}
	if err := errorsOf(exec.Command("docker", "info"), exec.Command(d.tool[0], "version"), exec.Command("jq", "--version")); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("no docker here (scripts/test-deps.sh installs it): %v", err)
		}
		t.Fatalf("no docker here: %v", err)
	}
	d.env = append(d.env, fmt.Sprintf("COMPOSE_PROJECT_NAME=selfware-e2e-%d", os.Getpid()), "SELFWARE_IMAGE=selfware-e2e")
	for i := range composeNodes {
		port := freePort(t)
		d.ports = append(d.ports, port)
		d.env = append(d.env, fmt.Sprintf("API_PORT%d=%d", i+1, port))
	}
	t.Cleanup(d.end)
	return d
}

func errorsOf(commands ...*exec.Cmd) error {
	for _, c := range commands {
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", c.Args, err, out)
		}
	}
	return nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (d *composed) end() {
	if d.t.Failed() {
		out, _, err := d.run(time.Minute, d.compose("logs", "--no-color", "--tail=80")...)
		d.t.Logf("logs of all nodes (%v):\n%s", err, out)
	}
	if _, stderr, err := d.run(2*time.Minute, d.compose("down", "-v", "--remove-orphans")...); err != nil {
		d.t.Errorf("cannot clean up: %v\n%s", err, stderr)
	}
}

func (d *composed) compose(args ...string) []string { return slices.Concat(d.tool, args) }

// run runs a command in the root of the checkout, and kills it after so long. It
// does not hang on the test's context, which has ended when tests clean up.
func (d *composed) run(limit time.Duration, args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = root(), d.env, 5*time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err = cmd.Run(); ctx.Err() != nil {
		err = fmt.Errorf("not done within %v", limit)
	}
	return out.String(), errOut.String(), err
}

func (d *composed) must(limit time.Duration, args ...string) string {
	d.t.Helper()
	stdout, stderr, err := d.run(limit, args...)
	if err != nil {
		d.t.Fatalf("%s: %v\n%s\n%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// until asks again and again until check has nothing to say.
func (d *composed) until(limit time.Duration, what string, check func() string) {
	d.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("%s: not within %v: %s", what, limit, wrong)
		}
	}
}

func (d *composed) container(node string) string {
	d.t.Helper()
	return strings.TrimSpace(d.must(30*time.Second, d.compose("ps", "-q", node)...))
}

// healthy waits until docker calls every container healthy.
func (d *composed) healthy() {
	d.t.Helper()
	for _, node := range composeNodes {
		id := d.container(node)
		d.until(90*time.Second, node+" healthy", func() string {
			out, _, err := d.run(10*time.Second, "docker", "inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", id)
			if err == nil && strings.TrimSpace(out) == "running healthy" {
				return ""
			}
			return fmt.Sprint(out, err)
		})
	}
}

// settled waits until all nodes are alive and all workers run, and gives the
// status.
func (d *composed) settled() (s api.Status) {
	d.t.Helper()
	id := d.container("node1")
	d.until(time.Minute, "everything runs", func() string {
		out, stderr, err := d.run(20*time.Second, "docker", "exec", id, "selfware-node", "status", "--json")
		if err != nil {
			return fmt.Sprint(err, stderr)
		}
		s = api.Status{}
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			return err.Error()
		}
		return unsettled(s)
	})
	return s
}

func unsettled(s api.Status) string {
	if len(s.Nodes) != len(composeNodes) || len(workers(s)) == 0 {
		return fmt.Sprintf("%d nodes, %d workers", len(s.Nodes), len(workers(s)))
	}
	for _, n := range s.Nodes {
		if n.Status != "alive" {
			return n.Name + " is " + n.Status
		}
	}
	for path, c := range workers(s) {
		if c.Status != "running" {
			return fmt.Sprintf("%s is %s: %s", path, c.Status, c.Reason)
		}
	}
	return ""
}

func (d *composed) addresses() map[string]string {
	d.t.Helper()
	all := make(map[string]string)
	for _, node := range composeNodes {
		out := d.must(10*time.Second, "docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", d.container(node))
		all[node] = strings.TrimSpace(out)
	}
	return all
}
