package simproc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/simtest/simproc"
)

func exclusive(path string, epoch uint64) agent.Launch {
	l := launch(path, epoch)
	l.Exclusive = true
	return l
}

// machineOf is a table on a machine whose clock runs at a rate, and whose keeper is late.
func machineOf(w *simproc.World, node string, rate float64, lag time.Duration) *simproc.Table {
	began := time.Now()
	return w.TableOn(node, simproc.Machine{
		Clock: func() time.Duration { return time.Hour + time.Duration(rate*float64(time.Since(began))) },
		Rate:  rate, Lag: func() time.Duration { return lag },
	})
}

// TestHold: exclusive lives, and no others, end at the deadline by the machine's own
// clock; later ones are refused.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		tab := machineOf(w, "n1", 1.25, 100*time.Millisecond)
		tab.Start(exclusive("early", 1)) // no Hold yet
		tab.Hold(time.Hour + 10*time.Second)
		tab.Start(exclusive("a", 1))
		tab.Start(launch("b", 1))
		time.Sleep(4 * time.Second)
		tab.Hold(time.Hour + 15*time.Second)
		time.Sleep(time.Minute)
		tab.Start(exclusive("late", 1))
		ran := make(map[string]time.Duration)
		for _, l := range w.Lives() {
			ran[l.Path] = l.End.Sub(l.Start)
			if l.Start.IsZero() {
				ran[l.Path] = 0
			}
		}
		if ran["a"] != 12*time.Second+100*time.Millisecond || ran["early"] != 0 || ran["late"] != 0 || len(w.Running()) != 1 {
			t.Errorf("they ran for %v", ran)
		}
		if c := w.Counts(); c.Fenced != 1 {
			t.Errorf("counted %+v", c)
		}
	})
}

// TestKeeperOutlivesAgent: the next agent finds the lives, and hears of the ends that
// none has settled, again and again; the deadline holds while there is no agent.
func TestKeeperOutlivesAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		w.Script("slow", simproc.Script{Latency: time.Minute})
		tab := machineOf(w, "n1", 1, 0)
		tab.Hold(time.Hour + 5*time.Second)
		tab.Start(exclusive("a", 1))
		tab.Start(launch("b", 1))
		tab.Start(launch("c", 1))
		tab.Start(launch("slow", 1))
		tab.Detach()
		if tab.Start(launch("d", 1)) == nil {
			t.Error("a life began without an agent")
		}
		time.Sleep(time.Second)
		tab.Kill("b", "SIGSEGV")
		time.Sleep(10 * time.Second)
		tab.Attach()
		finds(t, tab, " c b a", " exited:SIGSEGV0 exited:SIGKILL0", " c")
		tab.Detach()
		tab.Attach()
		finds(t, tab, " c b a", " exited:SIGSEGV0 exited:SIGKILL0", " c")
		tab.Settle(launch("b", 1).Ref)
		tab.Settle(launch("nobody", 1).Ref)
		tab.Detach()
		tab.Attach()
		finds(t, tab, " c a", " exited:SIGKILL0", " c")
		tab.Start(launch("a", 1)) // the same life again settles it
		tab.Detach()
		tab.Attach()
		finds(t, tab, " a c", "", " a c")
		if c := w.Counts(); c.Retold != 5 {
			t.Errorf("counted %+v", c)
		}
		tab.Kill("c", "SIGKILL")
		tab.KillAll()
		if c, _ := w.Life(launch("c", 1).Ref); len(tab.Unsettled()) != 0 || !c.Forgotten {
			t.Errorf("a dead keeper remembers %v, %+v", tab.Unsettled(), c)
		}
	})
}

// finds checks what an agent that begins finds, is told of ends, and finds left then.
func finds(t *testing.T, tab *simproc.Table, want, tells, left string) {
	t.Helper()
	paths := func() (out string) {
		for _, l := range tab.Live() {
			out += " " + l.Path
		}
		return out
	}
	if got := paths(); got != want {
		t.Errorf("it finds%s, want%s", got, want)
	}
	if got := told(tab); got != tells {
		t.Errorf("it is told%s, want%s", got, tells)
	}
	if got := paths(); got != left {
		t.Errorf("it has%s left, want%s", got, left)
	}
}

// TestStopOutlivesAgent: a stop under way when an agent dies goes on with the next one:
// nobody kills meanwhile, and the grace has not begun anew.
func TestStopOutlivesAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		w.Script("a", simproc.Script{Hang: true})
		tab := w.Table("n1")
		tab.Start(launch("a", 1)) // a grace of 5 s
		tab.Stop(launch("a", 1).Ref, "test")
		time.Sleep(3 * time.Second)
		tab.Detach()
		time.Sleep(time.Second)
		tab.Attach()
		told(tab)
		time.Sleep(2 * time.Second)
		if l := w.Lives()[0]; l.How != "SIGKILL" || l.End.Sub(l.Asked) != 5*time.Second {
			t.Errorf("ended after %v: %s", l.End.Sub(l.Asked), l.How)
		}
	})
}

// TestDoubles: lives of an exclusive child that ran side by side are found; the time in
// which a machine stood still does not count, and what follows it is told apart.
func TestDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := simproc.NewWorld()
		one, two := machineOf(w, "n1", 1, 0), machineOf(w, "n2", 1, 0)
		for _, tab := range []*simproc.Table{one, two} {
			tab.Hold(time.Hour + 10*time.Second)
		}
		one.Start(exclusive("a", 1))
		time.Sleep(time.Second)
		one.Freeze()
		time.Sleep(30 * time.Second) // the deadline passes
		two.Hold(time.Hour + time.Hour)
		two.Start(exclusive("a", 2))
		time.Sleep(time.Second)
		if found := w.Doubles(); len(found) != 0 {
			t.Errorf("a life that stands still overlaps: %v", found)
		}
		one.Thaw(40 * time.Millisecond)
		time.Sleep(time.Second)
		if found := w.Doubles(); len(found) != 1 || found[0].For != 40*time.Millisecond || !found[0].Thawed {
			t.Errorf("after the thaw: %v", found)
		}
		one.Hold(time.Hour + time.Hour)
		one.Start(exclusive("a", 3))
		time.Sleep(time.Second)
		if found := w.Doubles(); len(found) != 2 || found[1].For != time.Second || found[1].Thawed {
			t.Errorf("two at once: %v", found)
		}
	})
}

// TestDoublesOfAThaw: the new life may begin just after the thaw, before the old
// machine's keeper gets to run; what runs on for longer was not ended by a late keeper.
func TestDoublesOfAThaw(t *testing.T) {
	for _, late := range []time.Duration{40 * time.Millisecond, 120 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := simproc.NewWorld()
			one, two := machineOf(w, "n1", 1, 0), machineOf(w, "n2", 1, 0)
			one.Hold(time.Hour + 10*time.Second)
			two.Hold(time.Hour + time.Hour)
			one.Start(exclusive("a", 1))
			time.Sleep(time.Second)
			one.Freeze()
			time.Sleep(30 * time.Second) // the deadline passes
			one.Thaw(late)
			time.Sleep(30 * time.Millisecond)
			two.Start(exclusive("a", 2))
			time.Sleep(time.Second)
			found := w.Doubles()
			if len(found) != 1 || found[0].For != late-30*time.Millisecond || found[0].Thawed != (late < simproc.Thaw) {
				t.Errorf("a keeper %v late: %v", late, found)
			}
		})
	}
}
