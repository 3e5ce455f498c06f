package agent_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

func TestStartsAndReports(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("shop/api", simproc.Script{Latency: time.Millisecond, Exit: true, ExitAfter: time.Second, Code: 3})
		p := n.run().connect(1, 10, run("shop/api", 7))
		e := p.event()
		is(t, e, started, "shop/api", 7)
		if e.PID == 0 {
			t.Error("no pid")
		}
		begun := time.Now()
		e = p.event()
		is(t, e, exited, "shop/api", 7)
		if e.Reason != supervisor.ExitError || e.Code != 3 || e.Detail != "exit code 3" {
			t.Errorf("exit: %+v", e)
		}
		if late := time.Since(begun) - time.Second; late != 0 {
			t.Errorf("the exit was told %v late", late)
		}
		p.quiet(time.Second)
		env := n.world.Lives()[0].Env
		for _, want := range []string{"SELFWARE_CHILD=shop/api", "SELFWARE_EPOCH=7", "SELFWARE_NODE=n1", "SELFWARE_START_REASON=initial", "SELFWARE_ATTEMPT=0"} {
			if !slices.Contains(env, want) {
				t.Errorf("environment %v lacks %s", env, want)
			}
		}
	})
}

// TestInstanceIsTold: an instance learns which of its kind it is, another child does not.
func TestInstanceIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		one, alone := run("shop/web/2", 7), run("shop/api", 7)
		one.Instance = "2"
		p := n.run().connect(1, 10, one, alone)
		p.event()
		p.event()
		for _, l := range n.world.Lives() {
			at := slices.IndexFunc(l.Env, func(v string) bool { return strings.HasPrefix(v, "SELFWARE_INSTANCE=") })
			if is := at >= 0 && l.Env[at] == "SELFWARE_INSTANCE=2"; is != (l.Path == "shop/web/2") || at >= 0 && !is {
				t.Errorf("%s has the environment %v", l.Path, l.Env)
			}
		}
	})
}

func TestSpawnedOnlyWhereUpComesLater(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		slow, plain := run("a", 1), run("b", 1)
		slow.Program.MinUptime = time.Second
		p := n.run().connect(1, 1, slow, plain)
		is(t, p.event(), spawned, "a", 1)
		is(t, p.event(), started, "b", 1)
		is(t, p.event(), started, "a", 1)
	})
}

func TestFailedStart(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("a", simproc.Script{Fail: "no such program\xff"})
		empty, none := run("b", 1), run("c", 1)
		empty.Program = &supervisor.Program{}
		none.Program = nil
		p := n.run().connect(1, 1, run("a", 1), empty, none)
		details := map[string]string{}
		for range 3 {
			e := p.event()
			is(t, e, crashed, e.Path, 1)
			details[e.Path] = e.Detail
		}
		want := map[string]string{
			"a": "no such program?", "b": "cannot start: no command is given", "c": "cannot start: the order has no program",
		}
		for path, detail := range want {
			if details[path] != detail {
				t.Errorf("%s: %q, want %q", path, details[path], detail)
			}
		}
	})
}

func TestStopsWhatIsHaltedOrDroppedOrNotNamed(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, run("a", 1), run("b", 1), run("c", 1))
		n.running(ref("a", 1), ref("b", 1), ref("c", 1))
		for range 3 {
			p.event()
		}
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{halt("a", 1)}})
		e := p.event()
		is(t, e, exited, "a", 1)
		if e.Reason != supervisor.ExitKilled || e.Signal != "SIGTERM" {
			t.Errorf("exit: %+v", e)
		}
		n.running(ref("b", 1), ref("c", 1))
		p.send(link.Down{Term: 1, Index: 3, Drop: []supervisor.Ref{ref("b", 1)}})
		is(t, p.event(), exited, "b", 1)
		p.send(link.Down{Term: 1, Index: 4, Full: true})
		is(t, p.event(), exited, "c", 1)
		n.running()
	})
}

func TestHaltOfUnknownLifeIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, halt("a", 5), delayed("b", 6, time.Hour))
		e := p.event()
		is(t, e, exited, "a", 5)
		if e.Reason != supervisor.ExitKilled || e.Detail != "was not running" {
			t.Errorf("exit: %+v", e)
		}
		// A life that waits out its back-off is as unknown.
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{halt("b", 6)}})
		is(t, p.event(), exited, "b", 6)
		// A start of what was disowned is disowned too, whatever became of the order.
		p.send(link.Down{Term: 1, Index: 3, Ack: 2, Full: true})
		p.send(link.Down{Term: 1, Index: 4, Full: true, Orders: []link.Order{run("a", 5), run("b", 5)}})
		is(t, p.event(), exited, "a", 5)
		is(t, p.event(), exited, "b", 5)
		if lives := n.world.Lives(); len(lives) > 0 {
			t.Errorf("begun: %v", lives)
		}
	})
}

func TestBackoffRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		begun := time.Now()
		n.run()
		p := n.connect(1, 1, delayed("a", 1, 3*time.Second))
		for i := range 4 { // repeats, also by a new leader in a new session
			time.Sleep(500 * time.Millisecond)
			p.send(link.Down{Term: 1, Index: 2 + uint64(i), Orders: []link.Order{delayed("a", 1, 3*time.Second)}})
		}
		p.Close()
		p = n.connect(2, 1, delayed("a", 1, 3*time.Second))
		is(t, p.event(), started, "a", 1)
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("started after %v", d)
		}
		// A shorter wait than known is taken over.
		p.send(link.Down{Term: 2, Index: 2, Orders: []link.Order{delayed("b", 1, time.Hour)}})
		p.send(link.Down{Term: 2, Index: 3, Orders: []link.Order{delayed("b", 1, time.Second)}})
		begun = time.Now()
		is(t, p.event(), started, "b", 1)
		if d := time.Since(begun); d != time.Second {
			t.Errorf("started after %v", d)
		}
	})
}

func TestBackoffGoesOnWithoutSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, delayed("a", 1, 3*time.Second), run("b", 1))
		n.down.Store(true)
		p.Close()
		time.Sleep(2 * time.Second)
		n.running(ref("b", 1))
		time.Sleep(time.Second)
		n.running(ref("b", 1), ref("a", 1))
	})
}

func TestNewEpochWaitsForTheOld(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("a", simproc.Script{StopTime: 2 * time.Second})
		p := n.run().connect(1, 1, run("a", 1))
		is(t, p.event(), started, "a", 1)
		// The old order is still there: the new one replaces it all the same.
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{run("a", 2)}})
		begun := time.Now()
		is(t, p.event(), exited, "a", 1)
		is(t, p.event(), started, "a", 2)
		if d := time.Since(begun); d != 2*time.Second {
			t.Errorf("replaced after %v", d)
		}
		p.quiet(time.Minute)
		n.running(ref("a", 2))
		n.oracle()
	})
}

func TestHangingLifeIsReplacedAfterItsGrace(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("a", simproc.Script{Hang: true})
		old := run("a", 1)
		old.Program.Grace = 5 * time.Second
		p := n.run().connect(1, 1, old)
		is(t, p.event(), started, "a", 1)
		p.send(link.Down{Term: 1, Index: 2, Drop: []supervisor.Ref{ref("a", 1)}, Orders: []link.Order{run("a", 2)}})
		begun := time.Now()
		e := p.event()
		if is(t, e, exited, "a", 1); e.Signal != "SIGKILL" || time.Since(begun) != 5*time.Second {
			t.Errorf("after %v: %+v", time.Since(begun), e)
		}
		is(t, p.event(), started, "a", 2)
		n.oracle()
	})
}

func TestEndedLifeIsReportedAgainNotStartedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("a", simproc.Script{Exit: true, ExitAfter: time.Second, Code: 4})
		p := n.run().connect(1, 1, run("a", 1))
		is(t, p.event(), started, "a", 1)
		is(t, p.event(), exited, "a", 1)
		// As long as the exit is not committed it is on its way, and repeats mean nothing.
		p.send(link.Down{Term: 1, Index: 2, Ack: 1})
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{run("a", 1)}})
		p.quiet(time.Minute)
		// Once it is, a leader that still orders the life has not understood.
		p.send(link.Down{Term: 1, Index: 3, Ack: 2})
		p.quiet(time.Minute)
		for i := range uint64(3) {
			p.send(link.Down{Term: 1, Index: 4 + i, Ack: 2 + i, Orders: []link.Order{run("a", 1)}})
			e := p.event()
			if is(t, e, exited, "a", 1); e.Code != 4 {
				t.Errorf("exit: %+v", e)
			}
			p.quiet(time.Minute)
		}
		// Even after the order was dropped, and came back.
		p.send(link.Down{Term: 1, Index: 8, Ack: 5, Drop: []supervisor.Ref{ref("a", 1)}})
		p.send(link.Down{Term: 1, Index: 9, Orders: []link.Order{run("a", 1)}})
		is(t, p.event(), exited, "a", 1)
		n.oracle()
	})
}

func TestStaleAndRepeatedDownsAreIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(5, 10, run("a", 1))
		is(t, p.event(), started, "a", 1)
		for _, d := range []link.Down{
			{Term: 5, Index: 9, Full: true},
			{Term: 4, Index: 99, Drop: []supervisor.Ref{ref("a", 1)}},
			{Term: 5, Index: 9, Orders: []link.Order{halt("a", 1), run("b", 1)}},
			{Term: 0, Index: 0, Orders: []link.Order{run("b", 1)}},
		} {
			p.send(d)
		}
		p.quiet(time.Minute)
		n.running(ref("a", 1))
		for range 3 { // the same message again and again
			p.send(link.Down{Term: 5, Index: 11, Drop: []supervisor.Ref{ref("a", 1)}, Orders: []link.Order{run("b", 2)}})
		}
		is(t, p.event(), exited, "a", 1)
		is(t, p.event(), started, "b", 2)
		p.quiet(time.Minute)
		n.running(ref("b", 2))
		n.oracle()
	})
}

func TestOrdersBeforeTheFullOneAreIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().accept()
		p.hello()
		p.send(link.Down{Term: 9, Index: 9, Orders: []link.Order{run("a", 1)}})
		n.running()
		p.send(link.Down{Term: 1, Index: 1, Full: true, Orders: []link.Order{run("b", 1)}})
		n.running(ref("b", 1))
	})
}

func TestManyOrdersDoNotHoldUpAnExit(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Otherwise(simproc.Script{Latency: time.Millisecond})
		var orders []link.Order
		for i := range 500 {
			orders = append(orders, run("t/"+string(rune('a'+i%26))+string(rune('a'+i/26)), 1))
		}
		begun := time.Now()
		p := n.run().connect(1, 1, orders...)
		seen := map[string]bool{}
		for range 500 {
			e := p.event()
			is(t, e, started, e.Path, 1)
			seen[e.Path] = true
		}
		if len(seen) != 500 || time.Since(begun) > 10*time.Millisecond {
			t.Errorf("%d children up after %v", len(seen), time.Since(begun))
		}
		// In the order they were given, and all gone again at once.
		for i, l := range n.world.Lives() {
			if l.Path != orders[i].Path {
				t.Fatalf("life %d is %s, want %s", i, l.Path, orders[i].Path)
			}
		}
		p.send(link.Down{Term: 1, Index: 2, Ack: 500, Full: true})
		for range 500 {
			e := p.event()
			is(t, e, exited, e.Path, 1)
		}
		synctest.Wait()
		n.running()
	})
}

// TestWhatChildrenSay: an ask is told at once, a word with the end that it is of; to a child
// that is being stopped nobody listens any more.
func TestWhatChildrenSay(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("asks", simproc.Script{Asks: time.Second})
		n.world.Script("done", simproc.Script{Exit: true, ExitAfter: 2 * time.Second, Code: 4, Word: "finish"})
		n.world.Script("late", simproc.Script{Asks: time.Second, StopTime: 3 * time.Second})
		p := n.run().connect(1, 1, run("asks", 1), run("done", 1), run("late", 1))
		for range 3 {
			e := p.event()
			is(t, e, started, e.Path, 1)
		}
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{halt("late", 1)}})
		e := p.event()
		is(t, e, supervisor.EventAsked, "asks", 1)
		if e.Word != supervisor.VerdictMove {
			t.Errorf("asked: %+v", e)
		}
		e = p.event()
		is(t, e, exited, "done", 1)
		if e.Word != supervisor.VerdictFinish || e.Code != 4 || e.Ordered {
			t.Errorf("ended: %+v", e)
		}
		e = p.event()
		is(t, e, exited, "late", 1)
		if e.Word != "" || !e.Ordered {
			t.Errorf("stopped: %+v", e)
		}
	})
}
