package runner

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
)

// node is a process of ours that runs a Runner.
type node struct {
	*testing.T
	cmd   *exec.Cmd
	lines chan string
}

// startNode runs the test binary as a node with commands as children, through
// the shell command wrap, in which $0 and $@ are what to run.
func startNode(t *testing.T, dir, wrap string, commands ...string) *node {
	t.Helper()
	args := append([]string{"-c", wrap, os.Args[0]}, commands...)
	n := &node{T: t, cmd: exec.Command("sh", args...), lines: make(chan string, 100)}
	n.cmd.Env = append(os.Environ(), "RUNNER_TEST_MODE=node", "RUNNER_TEST_DIR="+dir)
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go n.read(out)
	t.Cleanup(n.kill)
	return n
}

func (n *node) read(out io.Reader) {
	defer close(n.lines)
	for s := bufio.NewScanner(out); s.Scan(); {
		n.lines <- s.Text()
	}
}

func (n *node) kill() {
	n.cmd.Process.Kill()
	n.cmd.Wait()
}

// line waits for a line that starts with word, and returns the number after it.
func (n *node) line(word string) int {
	n.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-n.lines:
			if !ok {
				n.Fatalf("the node ended without %q", word)
			}
			if rest, found := strings.CutPrefix(line, word+" "); found {
				pid, _ := strconv.Atoi(rest)
				return pid
			}
			if strings.HasPrefix(line, "cannot") {
				n.Fatal(line)
			}
		case <-late:
			n.Fatalf("the node never says %q", word)
		}
	}
}

const direct = `exec "$0" "$@"`

func TestChildrenDieWithTheNode(t *testing.T) {
	n := startNode(t, t.TempDir(), direct, "sleep 1000", "sh -c \"trap '' TERM; while :; do sleep 0.01; done\"")
	pids := []int{n.line("up"), n.line("up")}
	for _, pid := range pids {
		if !running(pid) {
			t.Fatalf("%d does not run", pid)
		}
	}
	n.kill()
	for _, pid := range pids {
		eventually(t, "child is gone", func() bool { return !running(pid) })
	}
}

// numbers waits until the file holds n numbers.
func numbers(t *testing.T, path string, n int) []int {
	t.Helper()
	var list []int
	eventually(t, fmt.Sprint(n, " numbers in ", path), func() bool {
		b, _ := os.ReadFile(path)
		if !strings.HasSuffix(string(b), "\n") {
			return false
		}
		list = pids(t, string(b))
		return len(list) == n
	})
	return list
}

// TestLeftoversAreKilled starts helpers that the death signal does not reach:
// one in the group, one in the group without the marker in its environment, and
// one that left group and session.
func TestLeftoversAreKilled(t *testing.T) {
	needProgram(t, "setsid")
	dir := t.TempDir()
	n := startNode(t, dir, direct,
		"sh -c 'sleep 1000 & echo $!; env -i /bin/sleep 1000 & echo $!; setsid sh -c \"echo \\$\\$; exec sleep 1000\" & wait'")
	leader := n.line("up")
	helpers := numbers(t, filepath.Join(dir, "logs/child0/stdout.log"), 3)
	n.kill()
	eventually(t, "leader is gone", func() bool { return !running(leader) })
	for _, pid := range helpers {
		if !running(pid) {
			t.Fatalf("helper %d is gone already, so there is nothing to test", pid)
		}
	}
	r, err := newRunner(t, Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if r.Leftovers() != len(helpers) {
		t.Errorf("%d leftovers, want %d", r.Leftovers(), len(helpers))
	}
	for _, pid := range helpers {
		if running(pid) {
			t.Errorf("helper %d still runs", pid)
		}
	}
}

// TestLeftoversAreNeverKilledByPidAlone leaves a record behind that names a
// process of somebody else: only the exact start time and boot may kill it.
func TestLeftoversAreNeverKilledByPidAlone(t *testing.T) {
	t.Run("nomad24265-pid-reuse", pidReuse)
}

func pidReuse(t *testing.T) {
	boot, err := leftover.BootID()
	if err != nil {
		t.Fatal(err)
	}
	session, _ := unix.Getsid(0)
	cases := []struct {
		name  string
		boot  string
		shift int
		dead  bool
	}{
		{"same", boot, 0, true},
		{"other boot", "another-boot", 0, false},
		{"started later", boot, -1, false},
		{"started before", boot, 1, false},
	}
	for _, c := range cases {
		other := exec.Command("sleep", "1000")
		other.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		pid := other.Process.Pid
		stat, err := leftover.ReadStat(pid)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "run", "lives"),
			fmt.Sprintf("selfware-lives 1 %s TOKEN %d\n+ %d %d\n+ 1 1", c.boot, session, pid, int(stat.Start)+c.shift), 0o600)
		r, err := newRunner(t, Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if running(pid) == c.dead || (r.Leftovers() > 0) != c.dead {
			t.Errorf("%s: running %t, leftovers %d", c.name, running(pid), r.Leftovers())
		}
		r.close()
		other.Process.Kill()
		other.Wait()
	}
}

func TestBrokenLivesFileIsNoObstacle(t *testing.T) {
	for _, text := range []string{"", "x", "selfware-lives 2 a b 3\n", "selfware-lives 1 a b", "selfware-lives 1 a b 3\n+ 1\n+\n- x\n\xff"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "run", "lives"), text, 0o600)
		r, err := newRunner(t, Config{Dir: dir})
		if err != nil || r.Leftovers() != 0 {
			t.Fatalf("%q: %v", text, err)
		}
		r.close()
	}
}

func TestTwoRunnersDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	g := newRig(t, Config{Dir: dir})
	g.start(Spec{Argv: []string{"sleep", "1000"}})
	pid := g.wait("c", Up).PID
	if _, err := newRunner(t, Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another node process uses it") {
		t.Fatalf("got %v", err)
	}
	if !running(pid) {
		t.Fatal("the second runner killed the first one's child")
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	newRig(t, Config{Dir: dir})
}

// pid1Main is the agent of a keeper that is pid 1 of a namespace of its own. It
// makes orphans, and runs commands the ordinary way at the same time.
func pid1Main(dir string, fd int) {
	err := func() error {
		k, err := Attach(fd)
		if err != nil {
			return err
		}
		r, err := New(Config{Dir: dir, Keeper: k})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		var run sync.WaitGroup
		run.Go(func() { r.Run(ctx) })
		defer run.Wait()
		defer cancel()
		for i := range 20 {
			r.Start(Spec{Key: fmt.Sprint(i), Name: "c", Argv: []string{"sh", "-c", "for i in 1 2 3; do setsid sh -c 'sleep 0.02' & done; exit 5"}})
			if err := exec.Command("sh", "-c", "exit 0").Run(); err != nil {
				return fmt.Errorf("os/exec lost its child: %v", err)
			}
		}
		for ended := 0; ended < 20; {
			if e := <-r.Events(); e.Kind == Exited {
				ended++
				if e.Code != 5 || e.Err != "" {
					return fmt.Errorf("lost the status of a child: %s", e)
				}
			}
		}
		return onlyUs()
	}()
	fmt.Println("child of pid", os.Getppid(), "says", err)
}

// onlyUs waits until no other process is left in this namespace, dead or alive.
func onlyUs() error {
	var left []int
	for deadline := time.Now().Add(patience / 2); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		left, _ = leftover.AllPIDs()
		if slices.Equal(left, []int{1, os.Getpid()}) {
			return nil
		}
	}
	return fmt.Errorf("processes are left: %v", left)
}

func TestOrphansAreReapedByPid1(t *testing.T) {
	needRoot(t)
	needProgram(t, "unshare")
	needProgram(t, "setsid")
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0])
	cmd.Env = append(os.Environ(), "RUNNER_TEST_MODE=pid1", "RUNNER_TEST_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "unshare failed") {
		t.Skipf("no pid namespaces here: %s", out)
	}
	if err != nil || string(out) != "child of pid 1 says <nil>\n" {
		t.Fatalf("%s, %v", out, err)
	}
}
