package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

const goodTree = `name: good
restart_policy: {backoff: {fixed: 0s}}
children:
  - {id: a, run: [sleep, "100000"], env: MARK}
  - {id: b, run: [sleep, "100000"], env: MARK}
`

// bad is one piece of bad input: what is done, and what the error must say.
type bad struct {
	name string
	do   func(t *testing.T, c *cluster) (stdout, stderr string, code int)
	code int
	says []string
}

// file applies a tree file of this text.
func file(text string) func(*testing.T, *cluster) (string, string, int) {
	return func(t *testing.T, c *cluster) (string, string, int) {
		path := filepath.Join(t.TempDir(), "tree.yaml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return run(t, c.bin, "apply", path, "--data", c.nodes[0].dir)
	}
}

// cmd runs the binary; DIR is the first node's data dir, IP its address, FRESH
// an empty folder.
func cmd(args ...string) func(*testing.T, *cluster) (string, string, int) {
	return func(t *testing.T, c *cluster) (string, string, int) {
		r := strings.NewReplacer("DIR", c.nodes[0].dir, "IP", c.nodes[0].ip, "FRESH", filepath.Join(t.TempDir(), "new"))
		mine := make([]string, len(args))
		for i, a := range args {
			mine[i] = r.Replace(a)
		}
		return run(t, c.bin, mine...)
	}
}

func badInput() []bad {
	deep := "name: deep\nchildren:\n"
	for i := range 10_000 {
		pad := strings.Repeat(" ", 2*i+2)
		deep += pad + "- id: x\n" + pad + "  supervisor: {strategy: one_for_one}\n" + pad + "  children:\n"
		if len(deep) > 3<<20 {
			break
		}
	}
	flow := "name: deep\nchildren: " + strings.Repeat("[{id: x, supervisor: {strategy: one_for_one}, children: ", 10_000) + strings.Repeat("}]", 10_000)
	return []bad{
		{"malformed file", file("name: x\nchildren: [\n"), 1, []string{"tree.yaml:"}},
		{"no yaml at all", file("\x00\x01\x02"), 1, []string{"tree.yaml"}},
		{"empty file", file(""), 1, []string{"tree.yaml"}},
		{"unknown key", file("name: x\nchildren:\n  - id: a\n    run: sleep 1\n    restart_typ: permanent\n"), 1,
			[]string{"tree.yaml:5:5", `"restart_typ"`, `"restart_type"`}},
		{"duplicate id", file("name: x\nchildren:\n  - {id: a, run: sleep 1}\n  - {id: a, run: sleep 1}\n"), 1, []string{"tree.yaml:4", `"a"`}},
		{"cycle of aliases", file("name: x\nchildren: &c\n  - {id: a, supervisor: {strategy: one_for_one}, children: *c}\n"), 1, []string{"tree.yaml:"}},
		{"10,000 deep", file(deep), 1, []string{"deep"}},
		{"10,000 deep, in flow style", file(flow), 1, []string{"deep"}},
		{"window that can never trip", file("name: x\nrestart_policy: {max_restarts: 5, max_seconds: 60, backoff: {fixed: 30s}}\nchildren: [{id: a, run: sleep 1}]\n"), 1,
			[]string{"5 × 30s", "60"}},
		{"missing file", cmd("apply", "/no/such/file.yaml", "--data", "DIR"), 1, []string{"/no/such/file.yaml", "no such file"}},
		{"unknown flag", cmd("status", "--data", "DIR", "--jsn"), 2, []string{"jsn"}},
		{"unknown command", cmd("statsu", "--data", "DIR"), 2, []string{"statsu", "status"}},
		{"unknown child", cmd("why", "good/zzz", "--data", "DIR"), 1, []string{"good/zzz"}},
		{"unknown tree", cmd("stop", "nope", "--data", "DIR"), 1, []string{"nope"}},
		{"unknown node", cmd("drain", "n9", "--data", "DIR"), 1, []string{"n9"}},
		{"move to an unknown node", cmd("move", "good/a", "--to", "n9", "--data", "DIR"), 1, []string{"n9"}},
		{"no data dir", cmd("status", "--data", "FRESH"), 1, []string{"new"}},
		{"damaged token", cmd("join", "IP", "--token", "sw1-abcdef", "--data", "FRESH", "--bind", "127.0.23.9", "--no-run"), 1, []string{"token"}},
		{"init of a dir that joined", func(t *testing.T, c *cluster) (string, string, int) {
			return run(t, c.bin, "init", "--data", c.nodes[1].dir, "--no-run")
		}, 1, []string{"cannot init", "joined"}},
		{"settings that conflict", cmd("init", "--data", "DIR", "--name", "other", "--no-run"), 1, []string{"--name", "n1", "other"}},
		{"data dir in use", cmd("run", "--data", "DIR"), 1, []string{"another node process uses it"}},
		{"wrong cluster", wrongCluster, 1, []string{"cluster"}},
		{"wrong token", wrongKey, 1, []string{"token"}},
		{"port in use", portInUse, 1, []string{"already in use", "127.0.23.1"}},
		{"data dir of another version", otherVersion, 1, []string{"format 99"}},
		{"data dir of another node", otherNode, 1, []string{"belongs to node"}},
		{"copied data dir", copied, 1, []string{"was its data dir copied", "127.0.23.2"}},
		{"copied data dir, same address", copiedWhole, 1, []string{"already in use", "127.0.23.2"}},
		{"wiped raft log", wiped, 1, []string{"new node"}},
	}
}

// otherToken gives a token of a cluster of its own.
func otherToken(t *testing.T, c *cluster) string {
	dir := filepath.Join(t.TempDir(), "other")
	c.cli("init", "--data", dir, "--name", "o1", "--bind", "127.0.23.8", "--no-run")
	return strings.TrimSpace(c.cli("token", "--data", dir))
}

func wrongCluster(t *testing.T, c *cluster) (string, string, int) {
	return joinNothing(t, c, otherToken(t, c))
}

// wrongKey joins with the right cluster's id and another key.
func wrongKey(t *testing.T, c *cluster) (string, string, int) {
	right := strings.TrimSpace(c.cli("token", "--data", c.nodes[0].dir))
	return joinNothing(t, c, forge(t, right))
}

// joinNothing tries a token and checks that nothing was written.
func joinNothing(t *testing.T, c *cluster, token string) (string, string, int) {
	dir := filepath.Join(t.TempDir(), "joiner")
	out, errOut, code := run(t, c.bin, "join", c.nodes[0].ip, "--token", token, "--data", dir, "--bind", "127.0.23.9", "--no-run")
	if _, err := os.Stat(filepath.Join(dir, "node.json")); err == nil {
		t.Error("a data dir was prepared though joining failed")
	}
	return out, errOut, code
}

func portInUse(t *testing.T, c *cluster) (string, string, int) {
	dir := filepath.Join(t.TempDir(), "clash")
	c.cli("init", "--data", dir, "--name", "clash", "--bind", c.nodes[0].ip, "--no-run")
	return run(t, c.bin, "run", "--data", dir)
}

// edited prepares a data dir and then damages it.
func edited(t *testing.T, c *cluster, damage func(dir string) error) (string, string, int) {
	dir := filepath.Join(t.TempDir(), "edited")
	c.cli("init", "--data", dir, "--name", "e1", "--bind", "127.0.23.7", "--no-run")
	if err := damage(dir); err != nil {
		t.Fatal(err)
	}
	return run(t, c.bin, "run", "--data", dir)
}

func otherVersion(t *testing.T, c *cluster) (string, string, int) {
	return edited(t, c, func(dir string) error {
		path := filepath.Join(dir, "node.json")
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.Replace(string(data), `"format": 1`, `"format": 99`, 1)), 0o644)
	})
}

func otherNode(t *testing.T, c *cluster) (string, string, int) {
	return edited(t, c, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "raft", "node-id"), []byte("somebody-else\n"), 0o600)
	})
}

// copiedWhole starts a copy of a running node's data dir as it is.
func copiedWhole(t *testing.T, c *cluster) (string, string, int) {
	return run(t, c.bin, "run", "--data", copyOf(t, c.nodes[1]))
}

func copyOf(t *testing.T, p *proc) string {
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, onlyFiles{os.DirFS(p.dir)}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// copied starts a copy of a running node's data dir at another address.
func copied(t *testing.T, c *cluster) (string, string, int) {
	dir := copyOf(t, c.nodes[1])
	path := filepath.Join(dir, "node.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = []byte(strings.Replace(string(data), c.nodes[1].ip, "127.0.23.6", 1))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return run(t, c.bin, "run", "--data", dir)
}

// onlyFiles hides sockets, which cannot be copied.
type onlyFiles struct{ fs.FS }

func (f onlyFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Type()&fs.ModeSocket != 0 }), err
}

func wiped(t *testing.T, c *cluster) (string, string, int) {
	return edited(t, c, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "boot"), []byte("3\n"), 0o600)
	})
}

// TestBadInput: each gets a clear error and a non-zero exit, and the children
// that run notice nothing.
func TestBadInput(t *testing.T) {
	c := startCluster(t, 23, 3, "fast")
	c.apply(goodTree)
	before := c.lives()
	if len(before) != 2 {
		t.Fatalf("want two lives, got %+v", before)
	}
	for _, b := range badInput() {
		t.Run(b.name, func(t *testing.T) {
			out, errOut, code := b.do(t, c)
			if code != b.code {
				t.Errorf("exit code %d, want %d", code, b.code)
			}
			if strings.Contains(errOut, "goroutine ") || strings.Contains(errOut, "panic") {
				t.Errorf("a stack trace is no error message:\n%s", errOut)
			}
			for _, want := range b.says {
				if !strings.Contains(errOut, want) {
					t.Errorf("the error should say %q:\n%s%s", want, out, errOut)
				}
			}
			if t.Failed() {
				return
			}
			t.Logf("%s", strings.TrimSpace(errOut))
		})
	}
	if after := c.lives(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the children were disturbed: %+v, then %+v", before, after)
	}
}

// TestMissingBinary: a program that is not there is a failed start, charged and
// given up in the end; apply --wait says which and why. Others run on.
func TestMissingBinary(t *testing.T) {
	c := startCluster(t, 24, 3, "fast")
	c.apply(goodTree)
	path := filepath.Join(t.TempDir(), "missing.yaml")
	text := "name: missing\nrestart_policy: {max_restarts: 2, backoff: {fixed: 0s}}\nchildren:\n  - {id: x, run: [no-such-program-here]}\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	_, errOut, code := run(t, c.bin, "apply", path, "--data", c.nodes[0].dir, "--wait", "--timeout", "30s")
	if code != 1 || !strings.Contains(errOut, "missing/x") || !strings.Contains(errOut, "no-such-program-here") {
		t.Errorf("exit %d:\n%s", code, errOut)
	}
	c.until(5*time.Second, "the good tree", func(s api.Status) string { return c.everyChildRuns(s, []string{"good/a", "good/b"}) })
}

// TestFullDisk fills a node's disk: its agent stops and says why, and so does each
// that its keeper starts. Its children run elsewhere, nothing acknowledged is lost;
// with room again the node comes back by itself, and gives up what it still ran.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	needBinary(t)
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	c := startCluster(t, 25, 3, "fast")
	c.apply(goodTree)
	small := &proc{name: "n4", dir: filepath.Join(disk, "n4"), ip: "127.0.25.4"}
	// n3 makes room for the node on the small disk, which then votes.
	c.cli("leave", "n3", "--data", c.nodes[0].dir)
	c.kill9(c.nodes[2])
	token := strings.TrimSpace(c.cli("token", "--data", c.nodes[0].dir))
	c.cli("join", c.nodes[0].ip, "--token", token, "--data", small.dir, "--name", small.name, "--bind", small.ip, "--profile", "fast", "--no-run")
	c.nodes[2] = small
	c.start(small)
	c.until(20*time.Second, "n4 to vote", func(s api.Status) string {
		for _, n := range s.Nodes {
			if n.Name == "n4" && n.Voter && n.Status == "alive" {
				return ""
			}
		}
		return fmt.Sprintf("%+v", s.Nodes)
	})
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	c.untilAgentEnds(small, func(i int) {
		c.cli("restart", "good/a", "--data", c.nodes[0].dir)
	})
	if log, _ := os.ReadFile(c.logFile(small)); !strings.Contains(string(log), "no space left") {
		t.Errorf("the full node should say so; its log ends:\n%s", log[max(0, len(log)-2000):])
	}
	c.until(20*time.Second, "children elsewhere", func(s api.Status) string {
		for path, child := range workers(s) {
			if child.Status != "running" || child.Node == "n4" {
				return fmt.Sprintf("%s is %s on %s", path, child.Status, child.Node)
			}
		}
		return ""
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.until(20*time.Second, "n4 back", func(s api.Status) string {
		for _, n := range s.Nodes {
			if n.Name == "n4" && n.Status == "alive" {
				return c.everyChildRuns(s, []string{"good/a", "good/b"})
			}
		}
		return "n4 is not alive"
	})
}

// fill takes all the room that is left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// untilAgentEnds gives the node work until its agent has ended by itself.
func (c *cluster) untilAgentEnds(p *proc, work func(i int)) {
	c.t.Helper()
	first := c.agentOf(p)
	for i := range 200 {
		if now := c.agentOf(p); now != first || syscall.Kill(first, 0) != nil {
			return
		}
		work(i)
	}
	c.t.Fatalf("the agent of %s still runs on its full disk", p.name)
}
