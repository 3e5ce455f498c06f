package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// keptTree has twenty children, some of them exclusive.
func keptTree() (text string, paths []string) {
	var b strings.Builder
	b.WriteString("name: kept\nrestart_policy: {backoff: {fixed: 0s}}\nchildren:\n")
	for i := range 20 {
		fmt.Fprintf(&b, "  - {id: c%02d, run: [sleep, \"100000\"], env: MARK, exclusive: %v}\n", i, i%4 == 0)
		paths = append(paths, fmt.Sprintf("kept/c%02d", i))
	}
	return b.String(), paths
}

// processes are all lives, in order, with what must not change of them.
func (c *cluster) processes() []string {
	var all []string
	for _, l := range c.lives() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		all = append(all, fmt.Sprintf("%s epoch %s on %s: pid %d, started at %s", l.path, l.epoch, l.node, l.pid, strings.Fields(rest)[19]))
	}
	slices.Sort(all)
	return all
}

// settledOn waits until all nodes are alive and vote and the children run, and says
// which processes they are.
func (c *cluster) settledOn(what string, paths []string) []string {
	c.t.Helper()
	c.until(30*time.Second, what, func(s api.Status) string {
		return cmp.Or(c.allVote(s, len(c.nodes)), c.everyChildRuns(s, paths))
	})
	return c.processes()
}

// TestAgentsKilledUnderTheirChildren: kill -9 of agents, the leader's every other
// time, disturbs no child, exclusive ones included.
func TestAgentsKilledUnderTheirChildren(t *testing.T) {
	c := startCluster(t, 27, 3, "lan")
	text, paths := keptTree()
	c.apply(text)
	before := c.settledOn("first start", paths)
	for round := range 6 {
		s, err := c.status()
		if err != nil {
			t.Fatal(err)
		}
		victim := c.nodes[round%3]
		if round%2 == 0 {
			victim = c.leader(s)
		}
		old := c.agentOf(victim)
		kill9(t, old)
		c.until(20*time.Second, "another agent", func(api.Status) string {
			if c.agentOf(victim) == old {
				return "it is the same"
			}
			return ""
		})
		after := c.settledOn(fmt.Sprintf("round %d", round), paths)
		if !slices.Equal(before, after) {
			t.Fatalf("round %d, agent of %s: the children were\n%s\nand are\n%s", round, victim.name, strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
}

// TestUpgradeOfAllNodes: another binary takes over on node after node, the leader
// last, and no child is restarted, moved or signalled.
func TestUpgradeOfAllNodes(t *testing.T) {
	c := startCluster(t, 28, 3, "lan")
	text, paths := keptTree()
	c.apply(text)
	before := c.settledOn("first start", paths)
	s, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(c.bin)
	if err != nil {
		t.Fatal(err)
	}
	order := slices.Clone(c.nodes)
	last := c.leader(s)
	slices.SortFunc(order, func(a, b *proc) int { return cmp.Compare(b2i(a == last), b2i(b == last)) })
	for _, p := range order {
		next := filepath.Join(t.TempDir(), "selfware-node-next")
		if err := os.WriteFile(next, program, 0o755); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.cli("upgrade", "--data", p.dir, "--binary", next)
		t.Logf("%s was upgraded within %v", p.name, time.Since(began).Round(time.Millisecond))
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.cmd.Process.Pid)); err != nil || exe != next {
			t.Errorf("the keeper of %s runs %s, %v", p.name, exe, err)
		}
		after := c.settledOn("upgrade of "+p.name, paths)
		if !slices.Equal(before, after) {
			t.Fatalf("the children were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
	s, err = c.status()
	if err != nil {
		t.Fatal(err)
	}
	for path, child := range workers(s) {
		if child.Restarts != 0 || child.Moves != 0 {
			t.Errorf("%s: %d restarts, %d moves", path, child.Restarts, child.Moves)
		}
	}
	_, errOut, code := run(t, c.bin, "upgrade", "--data", order[0].dir, "--binary", "/bin/true")
	if code != 1 || !strings.Contains(errOut, "cannot upgrade") {
		t.Errorf("a binary that is none: exit %d, %s", code, errOut)
	}
	if after := c.settledOn("after a refusal", paths); !slices.Equal(before, after) {
		t.Errorf("a refused upgrade has changed something")
	}
}

// ofAnotherFormat builds a later version of the program, as it were, which takes over
// and whose agent then refuses the data dir.
func ofAnotherFormat(t *testing.T) string {
	t.Helper()
	dir, source := t.TempDir(), filepath.Join(root(), "node", "settings.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(string(text), "const Format = 1\n", "const Format = 2\n", 1)
	if later == string(text) {
		t.Fatal("the format is elsewhere by now")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "settings.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"settings.go": later, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "selfware-node-later")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./cmd/selfware-node")
	build.Dir = root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	return bin
}

// TestUpgradeThatFails: the agent of the new binary does not start. The node goes back
// by itself, on a follower and on the leader, and no child notices, exclusive ones
// included.
func TestUpgradeThatFails(t *testing.T) {
	c := startCluster(t, 37, 3, "lan")
	later := ofAnotherFormat(t)
	text, paths := keptTree()
	c.apply(text)
	before := c.settledOn("first start", paths)
	s, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	leader := c.leader(s)
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[1]
	}
	for _, p := range []*proc{follower, leader} {
		agent, began := c.agentOf(p), time.Now()
		_, errOut, code := run(t, c.bin, "upgrade", "--data", p.dir, "--binary", later)
		t.Logf("%s went back within %v: %s", p.name, time.Since(began).Round(time.Millisecond), errOut)
		for _, want := range []string{"cannot upgrade: the new agent does not stay: exit code 1", "it has format 1, this build knows 2", "the node runs the former binary again (unknown)"} {
			if code != 1 || !strings.Contains(errOut, want) {
				t.Errorf("exit %d, and not %q", code, want)
			}
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.cmd.Process.Pid)); err != nil || exe != c.bin {
			t.Errorf("the keeper of %s runs %s, %v", p.name, exe, err)
		}
		if c.agentOf(p) == agent {
			t.Error("it is the same agent, so nothing was tried")
		}
		after := c.settledOn("the return of "+p.name, paths)
		if !slices.Equal(before, after) {
			t.Fatalf("the children were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
		}
	}
	if s, err = c.status(); err != nil {
		t.Fatal(err)
	}
	for path, child := range workers(s) {
		if child.Restarts != 0 || child.Moves != 0 {
			t.Errorf("%s: %d restarts, %d moves", path, child.Restarts, child.Moves)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestPausedAgent: an agent that stands still loses its exclusive children, which its
// keeper ends, to other nodes, and never do two of one run; when it goes on, all is
// in order again.
func TestPausedAgent(t *testing.T) {
	c := startCluster(t, 29, 3, "fast")
	text, paths := keptTree()
	c.apply(text)
	c.settledOn("first start", paths)
	s, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	victim := c.nodes[0]
	if victim == c.leader(s) {
		victim = c.nodes[1]
	}
	agent := c.agentOf(victim)
	if err := syscall.Kill(agent, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(agent, syscall.SIGCONT) }()
	exclusive := func(path string) bool {
		var i int
		_, err := fmt.Sscanf(path, "kept/c%d", &i)
		return err == nil && i%4 == 0
	}
	moved := 0
	c.until(20*time.Second, "exclusive children elsewhere", func(s api.Status) string {
		seen := make(map[string]int)
		for _, l := range c.lives() {
			if exclusive(l.path) {
				seen[l.path]++
			}
		}
		moved = 0
		for path, child := range workers(s) {
			switch {
			case !exclusive(path):
			case seen[path] > 1:
				t.Errorf("%s runs twice", path)
			case child.Status != "running" || child.Node == victim.name || seen[path] != 1:
				return fmt.Sprintf("%s is %s on %s", path, child.Status, child.Node)
			default:
				moved++
			}
		}
		return ""
	})
	if moved == 0 {
		t.Error("there was no exclusive child")
	}
	if err := syscall.Kill(agent, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.settledOn("the agent goes on", paths)
}
