package witness

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// The test binary is the witness too, as the tester's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "witness" {
		os.Exit(Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func start(t *testing.T, s Script, child, epoch string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], s.Args()...)
	cmd.Env = []string{"SELFWARE_CHILD=" + child, "SELFWARE_EPOCH=" + epoch, "SELFWARE_NODE=n1", "SELFWARE_START_REASON=initial"}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never came: %s", what)
		}
	}
}

func collect(t *testing.T) (c *Collector, socket, dir string) {
	t.Helper()
	dir = t.TempDir()
	place, err := os.MkdirTemp("", "w") // short: the path of a socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	if c, err = Collect(place, "s", dir); err != nil {
		t.Fatal(err)
	}
	return c, filepath.Join(place, "s"), dir
}

// A life is told whole: born, here, asked to stop, ending, gone, in this order,
// by the clock that all share.
func TestLife(t *testing.T) {
	c, socket, dir := collect(t)
	before := history.Now()
	cmd := start(t, Script{Socket: socket, Linger: 30 * time.Millisecond}, "w/a", "2.7.1")
	await(t, "a life", func() bool { return c.Running()["w/a"] == 1 })
	await(t, "a beat", func() bool { return c.beats.Len() >= 2 })
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("asked to stop, it ended with %v", err)
	}
	await(t, "the end", func() bool { return len(c.Running()) == 0 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	beats, err := history.Load[history.Beat](dir, history.FileBeats)
	if err != nil {
		t.Fatal(err)
	}
	born := beats[0]
	if born.Type != history.Born || born.Child != "w/a" || born.Generation != 2 || born.Epoch != 7<<16|1 || born.Node != "n1" || born.PID != cmd.Process.Pid {
		t.Errorf("born as %+v", born)
	}
	last, seen := before, map[history.BeatType]bool{}
	for _, b := range beats {
		if b.Time < last || b.Time > history.Now() || b.Life != 1 {
			t.Errorf("%+v comes after %d", b, last)
		}
		last = b.Time
		seen[b.Type] = true
	}
	for _, want := range []history.BeatType{history.Born, history.Here, history.Term, history.Ends, history.Gone} {
		if !seen[want] {
			t.Errorf("no %s among %+v", want, beats)
		}
	}
}

// A crash by script has its exit code; once calm, there is none.
func TestCrashAndCalm(t *testing.T) {
	c, socket, _ := collect(t)
	defer c.Close()
	cmd := start(t, Script{Socket: socket, Crash: 30 * time.Millisecond, Exit: 42}, "w/a", "1")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 42 {
		t.Errorf("it crashed with code %d", code)
	}
	c.Calm()
	calm := start(t, Script{Socket: socket, Crash: 400 * time.Millisecond}, "w/a", "2")
	ended := make(chan error, 1)
	go func() { ended <- calm.Wait() }()
	await(t, "the second life", func() bool { return c.Running()["w/a"] == 1 })
	select {
	case err := <-ended:
		t.Errorf("a calm witness ended: %v", err)
	case <-time.After(time.Second): // real: it is a process that must not end
	}
}

// A deaf witness outlives SIGTERM, and SIGKILL is seen as gone.
func TestDeaf(t *testing.T) {
	c, socket, dir := collect(t)
	cmd := start(t, Script{Socket: socket, Deaf: true}, "w/a", "1")
	await(t, "a life", func() bool { return c.Running()["w/a"] == 1 })
	_ = cmd.Process.Signal(syscall.SIGTERM)
	n := c.beats.Len()
	await(t, "beats after SIGTERM", func() bool { return c.beats.Len() > n+1 })
	_ = cmd.Process.Kill()
	await(t, "the end", func() bool { return len(c.Running()) == 0 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	beats, _ := history.Load[history.Beat](dir, history.FileBeats)
	if last := beats[len(beats)-1]; last.Type != history.Gone {
		t.Errorf("the last beat is %+v", last)
	}
}

// The register takes no epoch that is older than one it has seen.
func TestRegister(t *testing.T) {
	c, socket, dir := collect(t)
	start(t, Script{Socket: socket, Count: 5 * time.Millisecond}, "w/a", "1:9")
	await(t, "counts of the old life", func() bool { return c.attempts.Len() > 3 })
	start(t, Script{Socket: socket, Count: 5 * time.Millisecond}, "w/a", "2:1")
	await(t, "both lives", func() bool { return c.Running()["w/a"] == 2 })
	n := c.attempts.Len()
	await(t, "more counts", func() bool { return c.attempts.Len() > n+20 })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := history.Load[history.Attempt](dir, history.FileAttempts)
	if err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, 0
	for _, a := range all {
		if a.Accepted {
			accepted++
		} else if refused++; a.Generation != 1 {
			t.Errorf("refused the newer life: %+v", a)
		}
	}
	if last := all[len(all)-1]; refused == 0 || uint64(accepted) != last.Value {
		t.Errorf("%d accepted, %d refused, value %d", accepted, refused, last.Value)
	}
}

func TestEpochs(t *testing.T) {
	for text, want := range map[string][2]uint64{"": {}, "7": {0, 7}, "3:7": {3, 7}, "3.7.1": {3, 7<<16 | 1}} {
		if g, e := epoch(text); g != want[0] || e != want[1] {
			t.Errorf("%q is %d, %d; want %v", text, g, e, want)
		}
	}
}
