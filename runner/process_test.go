package runner

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/keeper/leftover"
)

func TestExitCodeIsReported(t *testing.T) {
	g := newRig(t, Config{})
	g.sh("c", "exit 7")
	if e := g.wait("c", Spawned); e.PID == 0 {
		t.Fatalf("spawned without a pid: %s", e)
	}
	e := g.wait("c", Up, Exited)
	if e.Kind == Up {
		e = g.wait("c", Exited)
	}
	if e.Code != 7 || e.Signal != "" || e.Requested || e.BeforeUp {
		t.Fatalf("want code 7 and nothing else, got %+v", e)
	}
	if live := g.Live(); len(live) != 0 {
		t.Fatalf("still live after its end: %v", live)
	}
}

func TestSignalIsReported(t *testing.T) {
	g := newRig(t, Config{})
	g.sh("c", "kill -SEGV $$")
	if e := g.wait("c", Exited); e.Signal != "SIGSEGV" || e.Code != -1 || e.Requested {
		t.Fatalf("want SIGSEGV, got %+v", e)
	}
}

func TestStopSendsStopSignal(t *testing.T) {
	for _, c := range []struct{ signal, trap string }{{"", "TERM"}, {"SIGINT", "INT"}, {"USR1", "USR1"}} {
		g := newRig(t, Config{})
		g.start(Spec{Argv: []string{"sh", "-c", "trap 'exit 3' " + c.trap + "; echo ready; while :; do sleep 0.01; done"}, StopSignal: c.signal})
		g.output("c", "stdout", nil)
		g.Stop("c", "test")
		g.Stop("c", "again: must not matter")
		if e := g.wait("c", Exited); e.Code != 3 || !e.Requested {
			t.Fatalf("stop signal %q: got %s", c.signal, e)
		}
	}
}

func TestGraceThenKill(t *testing.T) {
	g := newRig(t, Config{})
	const grace = 50 * time.Millisecond
	g.start(Spec{Argv: []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}, Grace: grace})
	g.output("c", "stdout", nil)
	before := time.Now()
	g.Stop("c", "test")
	e := g.wait("c", Exited)
	if e.Signal != "SIGKILL" || !e.Requested || e.At.Sub(before) < grace {
		t.Fatalf("want SIGKILL after %s, got %s after %s", grace, e, e.At.Sub(before))
	}
}

func TestKillDoesNotWaitForGrace(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Argv: []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}, Grace: time.Hour})
	g.output("c", "stdout", nil)
	g.Stop("c", "test")
	g.Kill("c")
	if e := g.wait("c", Exited); e.Signal != "SIGKILL" || !e.Requested {
		t.Fatalf("want SIGKILL, got %s", e)
	}
}

func TestStopSignalKill(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Argv: []string{"sleep", "1000"}, StopSignal: "SIGKILL", Grace: time.Hour})
	g.wait("c", Up)
	g.Stop("c", "test")
	if e := g.wait("c", Exited); e.Signal != "SIGKILL" {
		t.Fatalf("want SIGKILL, got %s", e)
	}
}

// pids reads one number per line.
func pids(t *testing.T, text string) []int {
	t.Helper()
	var list []int
	for _, f := range strings.Fields(text) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

func TestGroupDiesWithItsLeader(t *testing.T) {
	for name, end := range map[string]string{"exit": "exit 0", "crash": "kill -KILL $$", "stop": "wait"} {
		g := newRig(t, Config{})
		g.sh("c", "sleep 1000 & echo $!; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.01; done' & sleep 0.05; "+end)
		helpers := pids(t, g.output("c", "stdout", func(s string) bool { return strings.Count(s, "\n") == 2 }))
		if name == "stop" {
			g.Stop("c", "test")
		}
		g.wait("c", Exited)
		for _, pid := range helpers {
			if running(pid) {
				t.Errorf("%s: helper %d outlives Exited", name, pid)
			}
		}
	}
}

func TestKeyInUse(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Argv: []string{"sleep", "1000"}})
	if err := g.Start(Spec{Key: "c", Name: "c", Argv: []string{"true"}}); !errors.Is(err, ErrKeyInUse) {
		t.Fatalf("want ErrKeyInUse, got %v", err)
	}
	g.Kill("c")
	g.wait("c", Exited, Failed)
	g.start(Spec{Argv: []string{"true"}})
	g.wait("c", Exited)
}

func TestStopBeforeForkCancels(t *testing.T) {
	r, err := newRunner(t, Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := r.Start(Spec{Key: "c", Name: "c", Argv: []string{"sleep", "1000"}}); err != nil {
		t.Fatal(err)
	}
	if live := r.Live(); len(live) != 1 || live[0].PID != 0 {
		t.Fatalf("a queued start is live without pid, got %v", live)
	}
	r.Stop("c", "test") // nothing runs yet, so it cannot have been forked
	select {
	case e := <-r.Events():
		if e.Kind != Failed || !e.Requested || e.PID != 0 || !e.BeforeUp {
			t.Fatalf("want a requested Failed, got %+v", e)
		}
	default:
		t.Fatal("no event")
	}
	if live := r.Live(); len(live) != 0 {
		t.Fatalf("still live: %v", live)
	}
}

func TestEndOfRunKillsAll(t *testing.T) {
	g := newRig(t, Config{})
	g.sh("a", "trap '' TERM; sleep 1000 & echo $!; wait")
	g.start(Spec{Key: "b", Argv: []string{"sleep", "1000"}})
	helpers := pids(t, g.output("a", "stdout", nil))
	a, b := g.wait("a", Up), g.wait("b", Up)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(helpers, a.PID, b.PID) {
		if running(pid) {
			t.Errorf("pid %d outlives Run", pid)
		}
	}
	g.wait("a", Exited)
	g.wait("b", Exited)
	if _, ok := <-g.Events(); ok {
		t.Error("events go on after Run")
	}
	if err := g.Start(Spec{Key: "late", Argv: []string{"true"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("start after the end: want ErrClosed, got %v", err)
	}
}

func TestMinUptime(t *testing.T) {
	g := newRig(t, Config{})
	const least = 60 * time.Millisecond
	g.start(Spec{Key: "stays", Argv: []string{"sleep", "1000"}, MinUptime: least})
	spawned := g.wait("stays", Spawned)
	if up := g.wait("stays", Up); up.At.Sub(spawned.At) < least {
		t.Errorf("up after %s, before %s are over", up.At.Sub(spawned.At), least)
	}
	g.start(Spec{Key: "dies", Argv: []string{"true"}, MinUptime: time.Hour})
	g.wait("dies", Spawned)
	if e := g.wait("dies", Up, Exited); e.Kind != Exited || !e.BeforeUp {
		t.Errorf("want an end before up, got %+v", e)
	}
}

func TestLiveTellsStartTime(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Key: "k", Name: "shop/web", Argv: []string{"sleep", "1000"}})
	pid := g.wait("k", Up).PID
	live := g.Live()
	stat, err := leftover.ReadStat(pid)
	if err != nil || len(live) != 1 {
		t.Fatal(err, live)
	}
	p := live[0]
	if p.Key != "k" || p.Name != "shop/web" || p.PID != pid || p.StartTime != stat.Start || !p.Up || p.Stopping || p.Since.IsZero() {
		t.Fatalf("got %+v", p)
	}
}

func TestEventsWaitForASlowReader(t *testing.T) {
	g := newRig(t, Config{})
	const lives = 200 // three events each: more than the channel holds
	for i := range lives {
		g.start(Spec{Key: strconv.Itoa(i), Name: "c", Argv: []string{"true"}})
	}
	eventually(t, "all have ended", func() bool { return len(g.Live()) == 0 })
	for i := range lives {
		g.wait(strconv.Itoa(i), Spawned)
		g.wait(strconv.Itoa(i), Up)
		g.wait(strconv.Itoa(i), Exited)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []Config{{}, {Dir: "x", LogMaxBytes: -1}, {Dir: "x", LogKeep: -1}, {Dir: "x", LogKeep: 101}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: file}); err == nil {
		t.Error("a file as data dir is accepted")
	}
}
