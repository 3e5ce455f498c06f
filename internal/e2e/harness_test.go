package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// binary builds selfware-node once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "selfware-e2e-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "selfware-node")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/selfware-node")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build: %v\n%s", err, out)
	}
	return bin, nil
})

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

func needBinary(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("real processes: not in -short")
	}
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// proc is one node process.
type proc struct {
	name, dir, ip string
	bin           string   // empty is that of the cluster
	env           []string // besides the test's
	cmd           *exec.Cmd
	done          chan struct{}
	log           *os.File
}

// cluster is three real nodes on loopback addresses of their own.
type cluster struct {
	t     *testing.T
	bin   string
	base  string
	mark  string // environment mark of this cluster's children
	nodes []*proc
}

// startCluster starts n nodes on 127.0.block.1 … and waits until all are alive
// and vote.
func startCluster(t *testing.T, block, n int, profile string) *cluster {
	t.Helper()
	c := &cluster{t: t, bin: needBinary(t), mark: fmt.Sprintf("E2E_MARK=%d-%d-%d", os.Getpid(), block, time.Now().UnixNano())}
	c.base = t.TempDir()
	t.Cleanup(c.stop)
	for i := range n {
		c.nodes = append(c.nodes, &proc{
			name: fmt.Sprintf("n%d", i+1), dir: filepath.Join(c.base, fmt.Sprintf("n%d", i+1)), ip: fmt.Sprintf("127.0.%d.%d", block, i+1),
		})
	}
	first := c.nodes[0]
	c.cli("init", "--data", first.dir, "--name", first.name, "--bind", first.ip, "--profile", profile, "--no-run")
	token := strings.TrimSpace(c.cli("token", "--data", first.dir))
	c.start(first)
	for _, p := range c.nodes[1:] {
		c.cli("join", first.ip, "--token", token, "--data", p.dir, "--name", p.name, "--bind", p.ip, "--profile", profile, "--no-run")
		c.start(p)
	}
	c.until(30*time.Second, "all nodes alive and voting", func(s api.Status) string {
		return c.allVote(s, n)
	})
	return c
}

func (c *cluster) allVote(s api.Status, n int) string {
	alive, voters := 0, 0
	for _, node := range s.Nodes {
		if node.Status == "alive" {
			alive++
		}
		if node.Voter {
			voters++
		}
	}
	if alive != n || voters != n || s.Cluster.Leader == "" {
		return fmt.Sprintf("%d alive, %d voters, leader %q", alive, voters, s.Cluster.Leader)
	}
	return ""
}

// cli runs the binary and fails the test if it fails.
func (c *cluster) cli(args ...string) string {
	c.t.Helper()
	out, errOut, code := run(c.t, c.bin, args...)
	if code != 0 {
		c.t.Fatalf("selfware-node %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errOut)
	}
	return out
}

// run runs a command to its end.
func run(t *testing.T, bin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // clean-ups run it too
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Dir = root()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", bin, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func (c *cluster) logFile(p *proc) string { return filepath.Join(c.base, p.name+".log") }

func (c *cluster) start(p *proc) {
	c.t.Helper()
	log, err := os.OpenFile(c.logFile(p), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	p.log = log
	p.cmd = exec.Command(cmp.Or(p.bin, c.bin), "run", "--data", p.dir, "--log-level", "debug")
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Dir = root()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

// agentOf is the pid of a node's agent; that of its keeper is p.cmd.Process.Pid.
func (c *cluster) agentOf(p *proc) int {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "run", "agent.pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		c.t.Fatal(err)
	}
	return pid
}

// kill9 ends a node as a power cut of its machine would: its keeper, with which the
// agent and all children end.
func (c *cluster) kill9(p *proc) {
	c.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-p.done
	p.log.Close()
	p.cmd = nil
}

func (c *cluster) stop() {
	for _, p := range c.nodes {
		if p.cmd == nil {
			continue
		}
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(20 * time.Second):
			c.t.Errorf("node %s did not stop within 20 s of SIGTERM", p.name)
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		p.log.Close()
	}
	if c.t.Failed() {
		c.logs()
	}
	for _, life := range c.lives() {
		c.t.Errorf("orphan after all nodes stopped: %+v", life)
		_ = syscall.Kill(life.pid, syscall.SIGKILL)
	}
}

func (c *cluster) logs() {
	for _, p := range c.nodes {
		data, _ := os.ReadFile(c.logFile(p))
		if len(data) > 12<<10 {
			data = data[len(data)-12<<10:]
		}
		c.t.Logf("--- log of %s\n%s", p.name, data)
	}
}

// status asks any node that runs.
func (c *cluster) status() (api.Status, error) {
	var last error
	for _, p := range c.nodes {
		if p.cmd == nil {
			continue
		}
		var s api.Status
		if last = get("http://"+p.ip+":7402/v1/status", &s); last == nil {
			return s, nil
		}
	}
	return api.Status{}, last
}

var httpClient = &http.Client{Timeout: 15 * time.Second}

func get(url string, into any) error {
	resp, err := httpClient.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// until polls the status until check finds nothing missing.
func (c *cluster) until(limit time.Duration, what string, check func(api.Status) string) api.Status {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	missing := "no answer"
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		s, err := c.status()
		if err != nil {
			missing = err.Error()
		} else if missing = check(s); missing == "" {
			return s
		}
		<-tick.C
	}
	c.logs()
	c.t.Fatalf("%s: not within %v: %s", what, limit, missing)
	return api.Status{}
}

// life is one process of a child, found in /proc by the cluster's mark.
type life struct {
	pid   int
	path  string
	node  string
	epoch string
}

// lives lists every process of this cluster's children on the machine, whatever
// the nodes say. Only group leaders count: helpers are the runner's own affair.
func (c *cluster) lives() []life {
	var all []life
	dirs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range dirs {
		data, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(data, []byte(c.mark)) {
			continue
		}
		l := life{}
		l.pid, _ = strconv.Atoi(strings.Split(file, "/")[2])
		for _, kv := range strings.Split(string(data), "\x00") {
			switch k, v, _ := strings.Cut(kv, "="); k {
			case "SELFWARE_CHILD":
				l.path = v
			case "SELFWARE_NODE":
				l.node = v
			case "SELFWARE_EPOCH":
				l.epoch = v
			}
		}
		if l.path != "" {
			all = append(all, l)
		}
	}
	return all
}

// apply writes a tree file and applies it with --wait.
func (c *cluster) apply(text string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "tree.yaml")
	k, v, _ := strings.Cut(c.mark, "=")
	text = strings.ReplaceAll(text, "MARK", fmt.Sprintf("{%s: %q}", k, v))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	for _, p := range c.nodes {
		if p.cmd != nil {
			c.cli("apply", file, "--data", p.dir, "--wait", "--timeout", "60s")
			return
		}
	}
}

// everyChildRuns says which of the paths does not run, as the cluster sees it and
// as /proc does: exactly one process each, of the epoch in force.
func (c *cluster) everyChildRuns(s api.Status, paths []string) string {
	status := make(map[string]api.ChildStatus)
	for _, t := range s.Trees {
		for _, child := range t.Children {
			status[child.Path] = child
		}
	}
	for _, path := range paths {
		if child := status[path]; child.Status != "running" {
			return fmt.Sprintf("%s is %q (%s)", path, child.Status, child.Reason)
		}
	}
	seen := make(map[string]life)
	for _, l := range c.lives() {
		if other, twice := seen[l.path]; twice {
			return fmt.Sprintf("%s runs twice: %+v and %+v", l.path, other, l)
		}
		seen[l.path] = l
	}
	for _, path := range paths {
		if l, ok := seen[path]; !ok || l.epoch != strconv.FormatUint(status[path].Epoch, 10) || l.pid != status[path].PID {
			return fmt.Sprintf("%s: the cluster says epoch %d pid %d, the machine %+v", path, status[path].Epoch, status[path].PID, l)
		}
	}
	return ""
}

func (c *cluster) leader(s api.Status) *proc {
	for _, p := range c.nodes {
		if p.name == s.Cluster.Leader {
			return p
		}
	}
	c.t.Fatalf("unknown leader %q", s.Cluster.Leader)
	return nil
}

func kill9(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}
