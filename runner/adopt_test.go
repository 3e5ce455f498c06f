package runner

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/keepertest"
	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
)

// heirs are runners on one keeper, one after the other.
type heirs struct {
	*testing.T
	dir    string
	keeper *exec.Cmd
	conns  []int
}

func newHeirs(t *testing.T, n int) *heirs {
	t.Helper()
	h := &heirs{T: t, dir: t.TempDir()}
	h.keeper, h.conns = keepertest.Start(t, h.dir, n, keepertest.Options{})
	t.Cleanup(func() { closeAll(h.conns) })
	return h
}

// next begins the next runner.
func (h *heirs) next() *rig {
	h.Helper()
	return startRig(h, h.attach())
}

// attach makes the next runner, which does not run.
func (h *heirs) attach() *Runner {
	h.Helper()
	k, err := Attach(h.conns[0])
	if err != nil {
		h.Fatal(err)
	}
	h.conns = h.conns[1:]
	r, err := New(Config{Dir: h.dir, Keeper: k})
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// crash ends a runner as the death of its process would: nothing more is said.
func (h *heirs) crash(g *rig) {
	h.Helper()
	g.keeper.conn.Shut()
	<-g.lost
	if err := g.stop(); err == nil || !strings.Contains(err.Error(), "the keeper has ended") {
		h.Fatalf("Run: %v", err)
	}
}

func TestAdoption(t *testing.T) {
	h := newHeirs(t, 4)
	g := h.next()
	g.start(Spec{Key: "up", Name: "shop/up", Argv: []string{"sh", "-c", "trap 'echo bye; exit 3' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"}})
	g.start(Spec{Key: "dies", Argv: []string{"sleep", "1000"}})
	g.output("shop/up", "stdout", nil)
	pid := g.wait("up", Up).PID
	dies := g.wait("dies", Up).PID
	before, err := leftover.ReadStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	h.crash(g)
	if err := unix.Kill(dies, unix.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is dead", func() bool { return !running(dies) })

	r := h.attach()
	live := r.Live()
	if len(live) != 2 || live[0].Key != "dies" || live[1].PID != pid || live[1].StartTime != before.Start || !live[1].Up ||
		live[1].Name != "shop/up" || time.Since(live[1].Since) > patience || live[1].Stopping {
		t.Fatalf("adopted %+v", live)
	}
	g = startRig(t, r)
	if e := g.wait("dies", Exited); e.Signal != "SIGSEGV" || e.Requested || e.BeforeUp || e.PID != dies {
		t.Errorf("got %+v", e)
	}
	last := strings.Count(g.output("shop/up", "stdout", nil), "\n")
	text := g.output("shop/up", "stdout", func(s string) bool { return strings.Count(s, "\n") > last+5 })
	for i, line := range strings.Fields(text) {
		if line != strconv.Itoa(i+1) {
			t.Fatalf("line %d of the log is %s: output was lost", i+1, line)
		}
	}
	if err := g.Start(Spec{Key: "up", Name: "up", Argv: []string{"true"}}); err == nil {
		t.Error("the key of an adopted life is free")
	}
	g.Stop("up", "test")
	if e := g.wait("up", Exited); e.Code != 3 || !e.Requested || e.BeforeUp {
		t.Errorf("got %+v", e)
	}
	g.output("shop/up", "stdout", func(s string) bool { return strings.HasSuffix(s, "bye\n") })
	g.Settle("dies")
	g.Settle("nobody")
	h.crash(g)
	g = h.next()
	if e := g.wait("up", Exited); e.Code != 3 || !e.Requested || e.BeforeUp || e.PID != pid {
		t.Errorf("an end that is not settled: %+v", e)
	}
	g.start(Spec{Key: "up", Argv: []string{"sleep", "1000"}}) // the same life again settles it
	again := g.wait("up", Up).PID
	h.crash(g)
	if live := h.next().Live(); len(live) != 1 || live[0].PID != again {
		t.Errorf("adopted again what was settled: %+v", live)
	}
}

// TestNoLifeIsUnknown: runners that end while they start children leave none that
// the next one does not know.
func TestNoLifeIsUnknown(t *testing.T) {
	const rounds, each = 8, 12
	h := newHeirs(t, rounds+1)
	for round := range rounds {
		g := h.next()
		for i := range each {
			g.start(Spec{Key: strconv.Itoa(round*each + i), Name: "c", Argv: []string{"sleep", "1000"}})
		}
		if round > 0 { // the first ends before anything is forked, perhaps
			g.wait(strconv.Itoa(round*each+round), Spawned)
		}
		h.crash(g)
	}
	g := h.next()
	known := make(map[int]bool)
	for _, p := range g.Live() {
		known[p.PID] = true
	}
	if len(known) < rounds*(rounds-1)/2 {
		t.Errorf("only %d lives are left, so little is shown", len(known))
	}
	// What the keeper forks now would be too late to be known.
	g.start(Spec{Key: "last", Argv: []string{"true"}})
	g.wait("last", Exited)
	g.Settle("last")
	children, err := os.ReadFile("/proc/" + strconv.Itoa(h.keeper.Process.Pid) + "/task/" + strconv.Itoa(h.keeper.Process.Pid) + "/children")
	if err != nil {
		t.Skip("this kernel does not list children")
	}
	for _, pid := range pids(t, string(children)) {
		if !known[pid] && running(pid) {
			t.Errorf("nobody knows of process %d", pid)
		}
	}
}

// TestAdoptedClocksGoOn: what was under way when a runner ended goes on: min_uptime,
// a probe, a grace, a kill for a probe that never passed.
func TestAdoptedClocksGoOn(t *testing.T) {
	h := newHeirs(t, 2)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	lis.Close() // it opens later
	stubborn := []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"}
	g := h.next()
	g.start(Spec{Key: "min", Argv: []string{"sleep", "1000"}, MinUptime: 300 * time.Millisecond})
	g.start(Spec{Key: "tcp", Argv: []string{"sleep", "1000"}, Probe: &Probe{TCP: address, Interval: 5 * time.Millisecond}})
	g.start(Spec{Key: "exec", Argv: []string{"sleep", "1000"}, Probe: &Probe{Exec: []string{"sleep", "1000"}, Timeout: time.Hour}})
	g.start(Spec{Key: "never", Argv: []string{"sleep", "1000"}, Probe: &Probe{TCP: address, StartTimeout: 200 * time.Millisecond}})
	g.start(Spec{Key: "grace", Argv: stubborn, Grace: 300 * time.Millisecond})
	g.output("grace", "stdout", nil)
	g.wait("min", Spawned)
	for _, key := range []string{"tcp", "exec", "never"} {
		g.wait(key, Spawned)
	}
	asking := func(r *Runner) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		p := r.byKey[probeMark+"exec"]
		return p != nil && p.pid != 0
	}
	eventually(t, "the probe runs", func() bool { return asking(g.Runner) })
	asked := time.Now()
	g.Stop("grace", "test")
	h.crash(g)

	r := h.attach()
	if !asking(r) {
		t.Error("the probe is gone, so there is nothing to test")
	}
	var born time.Time // of min, as the keeper has it
	for _, p := range r.Live() {
		if p.Key == "min" {
			born = p.Since
		}
		if p.Up != (p.Key == "grace") || p.Stopping != (p.Key == "grace") {
			t.Errorf("adopted %+v", p)
		}
	}
	g = startRig(t, r)
	if e := g.wait("min", Up); e.At.Sub(born) < 300*time.Millisecond {
		t.Errorf("up after %s", e.At.Sub(born))
	}
	if e := g.wait("grace", Exited); e.Signal != "SIGKILL" || !e.Requested || e.At.Sub(asked) < 300*time.Millisecond {
		t.Errorf("got %s after %s", e, e.At.Sub(asked))
	}
	if e := g.wait("never", Failed); !strings.Contains(e.Err, "not ready within 200ms") {
		t.Errorf("got %s", e)
	}
	if lis, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	g.wait("tcp", Up)
	eventually(t, "the probe is asked anew", func() bool { return asking(g.Runner) })
}

// TestDetach: a runner that is to be replaced leaves the children, but says so.
func TestDetach(t *testing.T) {
	h := newHeirs(t, 2)
	g := h.next()
	g.start(Spec{Argv: []string{"sleep", "1000"}})
	pid := g.wait("c", Up).PID
	g.Detach()
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if live := h.next().Live(); len(live) != 1 || live[0].PID != pid || !running(pid) {
		t.Fatalf("adopted %+v", live)
	}
}

// TestStored: descriptors survive as well, and the newest of a name counts.
func TestStored(t *testing.T) {
	h := newHeirs(t, 2)
	k, err := Attach(h.conns[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"old", "new"} {
		path := filepath.Join(h.dir, text)
		writeFile(t, path, text, 0o600)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Store("file", int(f.Fd())); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if err := k.Store("dropped", 1); err != nil {
		t.Fatal(err)
	}
	if err := k.Drop("dropped"); err != nil {
		t.Fatal(err)
	}
	k.Close()
	if k, err = Attach(h.conns[1]); err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	var b [3]byte
	f := k.Stored("file")
	if _, err := f.ReadAt(b[:], 0); err != nil || string(b[:]) != "new" {
		t.Errorf("got %q, %v", b, err)
	}
	f.Close()
	if k.Stored("file") != nil || k.Stored("other") != nil || k.Stored("dropped") != nil {
		t.Error("given out twice, or what was never there")
	}
}

func exclusive(key string) Spec {
	return Spec{Key: key, Argv: []string{"sleep", "1000"}, Exclusive: true}
}

// TestExclusive: it begins only under a Hold, and ends at its moment, alone.
func TestExclusive(t *testing.T) {
	g := newRig(t, Config{})
	g.start(exclusive("early"))
	if e := g.wait("early", Failed); !e.Fenced || e.Requested || !strings.Contains(e.Err, "exclusive") {
		t.Fatalf("before any Hold: %+v", e)
	}
	g.start(Spec{Key: "other", Argv: []string{"sleep", "1000"}})
	g.wait("other", Up)
	g.Hold(BootTime() + time.Hour)
	g.start(exclusive("x"))
	g.start(exclusive("y"))
	g.wait("x", Up)
	g.wait("y", Up)
	until := BootTime() + 150*time.Millisecond
	g.Hold(until) // the latest counts, be it earlier
	for _, key := range []string{"x", "y"} {
		if e := g.wait(key, Exited); !e.Fenced || e.Signal != "SIGKILL" || e.Requested || BootTime() < until {
			t.Errorf("got %+v", e)
		}
	}
	g.start(exclusive("late"))
	if e := g.wait("late", Failed); !e.Fenced {
		t.Errorf("got %+v", e)
	}
	g.Hold(BootTime() + time.Hour)
	g.start(exclusive("x"))
	g.wait("x", Up)
	g.Hold(BootTime() - time.Hour) // at once
	if e := g.wait("x", Exited); !e.Fenced {
		t.Errorf("got %+v", e)
	}
	g.Kill("other")
	if e := g.wait("other", Exited); e.Fenced || !e.Requested {
		t.Errorf("got %+v", e)
	}
}

// TestExclusiveWithoutAgent: the moment is kept though nobody speaks to the keeper,
// and the next runner learns why.
func TestExclusiveWithoutAgent(t *testing.T) {
	h := newHeirs(t, 2)
	g := h.next()
	g.Hold(BootTime() + time.Hour)
	g.start(exclusive("x"))
	g.start(Spec{Key: "other", Argv: []string{"sleep", "1000"}})
	pid, other := g.wait("x", Up).PID, g.wait("other", Up).PID
	until := BootTime() + 200*time.Millisecond
	g.Hold(until)
	h.crash(g)
	if !running(pid) && BootTime() < until {
		t.Fatal("it died with the runner")
	}
	eventually(t, "it is killed", func() bool { return !running(pid) })
	if late := BootTime() - until; late < 0 || late > 500*time.Millisecond {
		t.Errorf("killed %s after its moment", late)
	}
	g = h.next()
	if e := g.wait("x", Exited); !e.Fenced {
		t.Errorf("got %+v", e)
	}
	if !running(other) {
		t.Error("another child was killed too")
	}
}

// TestRegressionStoppedKeeper: jepsen-lite stopped the keeper of a node and cut its
// network, and for four seconds children ran twice. The moment is kept by the runner
// if the keeper stands still, also for lives that it found, with all of their group.
func TestRegressionStoppedKeeper(t *testing.T) {
	h := newHeirs(t, 2)
	g := h.next()
	g.Hold(BootTime() + time.Hour)
	note := filepath.Join(t.TempDir(), "pids")
	g.start(Spec{Key: "x", Argv: []string{"sh", "-c", "trap '' TERM; sleep 1000 & echo $$ $! > " + note + "; wait"}, Exclusive: true})
	g.start(Spec{Key: "other", Argv: []string{"sleep", "1000"}})
	g.wait("x", Up)
	other := g.wait("other", Up).PID
	h.crash(g)
	g = h.next()
	g.start(exclusive("y"))
	group := append(numbers(t, note, 2), g.wait("y", Up).PID)

	keeper := h.keeper.Process.Pid
	if err := unix.Kill(keeper, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(keeper, unix.SIGCONT)
	until := BootTime() + 200*time.Millisecond
	g.Hold(until)
	for _, pid := range group {
		eventually(t, "it is killed", func() bool { return !running(pid) })
	}
	if late := BootTime() - until; late < 0 || late > 500*time.Millisecond {
		t.Errorf("killed %s after their moment", late)
	}
	unix.Kill(keeper, unix.SIGCONT)
	for _, key := range []string{"x", "y"} {
		if e := g.wait(key, Exited); !e.Fenced || e.Signal != "SIGKILL" {
			t.Errorf("got %+v", e)
		}
	}
	if !running(other) {
		t.Error("another child was killed too")
	}
}

// TestRegressionProbeOutlivesTheMoment: an exec probe acts for its child, and ended
// with it only if there was a runner to end it.
func TestRegressionProbeOutlivesTheMoment(t *testing.T) {
	h := newHeirs(t, 2)
	g := h.next()
	g.Hold(BootTime() + time.Hour)
	x, note := exclusive("x"), filepath.Join(t.TempDir(), "pid")
	x.Probe = &Probe{Exec: []string{"sh", "-c", "echo $$ > " + note + ".new; mv " + note + ".new " + note + "; exec sleep 1000"}, Timeout: time.Hour, StartTimeout: time.Hour}
	g.start(x)
	var pid int
	eventually(t, "it is probed", func() bool {
		text, err := os.ReadFile(note)
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	g.Hold(BootTime() + 200*time.Millisecond)
	h.crash(g)
	eventually(t, "the probe is killed", func() bool { return !running(pid) })
	if e := h.next().wait("x", Exited); !e.Fenced {
		t.Errorf("got %+v", e)
	}
}

// TestSleepingKeeperKillsFirst: a keeper that stood still kills what is overdue
// before it takes any order, be it one that came in time.
func TestSleepingKeeperKillsFirst(t *testing.T) {
	h := newHeirs(t, 1)
	g := h.next()
	g.Hold(BootTime() + time.Hour)
	g.start(exclusive("x"))
	pid := g.wait("x", Up).PID
	g.Hold(BootTime() + 400*time.Millisecond)
	if err := h.keeper.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the keeper stands still", func() bool {
		stat, err := leftover.ReadStat(h.keeper.Process.Pid)
		return err == nil && stat.State == 'T'
	})
	overdue := time.NewTimer(500 * time.Millisecond)
	g.start(exclusive("y"))
	g.Hold(BootTime() + time.Hour)
	g.start(exclusive("z"))
	<-overdue.C
	if !running(pid) {
		t.Fatal("somebody else has killed it")
	}
	if err := h.keeper.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if e := g.wait("x", Exited); !e.Fenced {
		t.Errorf("got %+v", e)
	}
	g.wait("z", Up)
}

// TestKeeperRefuses: what a sane agent never asks for is refused and harms nothing.
func TestKeeperRefuses(t *testing.T) {
	h := newHeirs(t, 1)
	g := h.next()
	g.start(Spec{Key: "c", Argv: []string{"sleep", "1000"}})
	g.wait("c", Up)
	refused := func(what string, m *wire.Message) {
		t.Helper()
		g.mu.Lock()
		p := &life{key: m.Key, status: -1, launch: &launch{path: "p", argv: []string{"p"}}}
		g.byKey[m.Key] = p
		g.mu.Unlock()
		g.send(m)
		if e := g.wait(m.Key, Failed); e.Err == "" {
			t.Errorf("%s: %+v", what, e)
		}
	}
	spec := func() *wire.Spec { return &wire.Spec{Path: "/bin/true", Argv: []string{"true"}, Umask: -1} }
	refused("no spec", &wire.Message{Op: wire.Spawn, Key: "1"})
	s := spec()
	s.Files = []int{0}
	refused("a descriptor that is not there", &wire.Message{Op: wire.Spawn, Key: "2", Spec: s})
	s = spec()
	s.Keep = 3
	refused("keeps what is not there", &wire.Message{Op: wire.Spawn, Key: "3", Spec: s})
	g.send(&wire.Message{Op: wire.Forget, Key: "c"}) // it lives
	g.send(&wire.Message{Op: wire.Signal, Key: "nobody", Number: 9})
	g.send(&wire.Message{Op: 200})
	g.Stop("c", "test")
	g.wait("c", Exited)
}

// TestEndsAreToldOnceAtAttach: the keeper speaks to the next agent as soon as the one before
// is gone, and says all again when that attaches. An end that comes in between came twice,
// and the runner took the second for one that nobody knew: it had the keeper forget it.
func TestEndsAreToldOnceAtAttach(t *testing.T) {
	const children = 50
	h := newHeirs(t, 3)
	g := h.next()
	var pids []int
	for i := range children {
		key := strconv.Itoa(i)
		g.start(Spec{Key: key, Argv: []string{"sleep", "1000"}})
		pids = append(pids, g.wait(key, Up).PID)
	}
	h.crash(g)
	killed := 0
	eventually(t, "the keeper tells of an end that nobody has asked for", func() bool {
		if killed < children {
			unix.Kill(pids[killed], unix.SIGKILL)
			killed++
		}
		fds := []unix.PollFd{{Fd: int32(h.conns[0]), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 1)
		return n == 1 && err == nil
	})
	for range 2 {
		g = h.next()
		for i := range killed {
			if e := g.wait(strconv.Itoa(i), Exited); e.Signal != "SIGKILL" {
				t.Errorf("got %+v", e)
			}
		}
		if len(h.conns) > 0 {
			h.crash(g)
		}
	}
}
