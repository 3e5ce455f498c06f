package agent_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

const (
	restarted = supervisor.EventRestarted
	solo      = 3 * time.Second
)

// runAlone starts an agent that restarts alone after solo.
func (n *node) runAlone() *node { return n.run(func(c *agent.Config) { c.Alone = solo }) }

// lent is an order with a budget of two restarts a minute.
func lent(path string, epoch uint64) link.Order {
	o := run(path, epoch)
	o.Attempt = 4
	o.Local = &supervisor.LocalBudget{Left: 2, Share: 2, Period: time.Minute, Backoff: supervisor.Backoff{Base: time.Second}}
	return o
}

// cutOff ends the session and lets no other begin.
func (n *node) cutOff(p *peer) {
	n.down.Store(true)
	p.Close()
}

// kill ends a process and gives the time of its next beginning, or zero if there is
// none within d.
func (n *node) kill(path string, d time.Duration) time.Duration {
	n.t.Helper()
	begun, before := time.Now(), len(n.world.Lives())
	if !n.procs.Kill(path, "SIGSEGV") {
		n.t.Fatalf("%s does not run", path)
	}
	for time.Since(begun) < d {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if lives := n.world.Lives(); len(lives) > before {
			return lives[before].Begun.Sub(begun)
		}
	}
	return 0
}

// restarts takes events until one of them tells of restarts alone.
func (p *peer) restarts(path string, epoch uint64) supervisor.ChildEvent {
	p.t.Helper()
	e := p.event()
	is(p.t, e, restarted, path, epoch)
	return e
}

func TestRestartsAlone(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.runAlone().connect(1, 1, lent("a", 1), run("b", 1))
		is(t, p.event(), started, "a", 1)
		is(t, p.event(), started, "b", 1)
		n.cutOff(p)
		cut := time.Now()
		n.procs.Kill("b", "SIGSEGV") // of this nothing is lent
		if d := n.kill("a", time.Minute); d != solo {
			t.Errorf("restarted %v after the cut, not when the node was alone", d)
		}
		time.Sleep(10 * time.Second)
		if d := n.kill("a", time.Minute); d != time.Second { // its back-off
			t.Errorf("restarted after %v", d)
		}
		env := n.world.Lives()[3].Env
		for _, want := range []string{"SELFWARE_EPOCH=1", "SELFWARE_START_REASON=autonomy", "SELFWARE_ATTEMPT=6"} {
			if !slices.Contains(env, want) {
				t.Errorf("no %s in %v", want, env)
			}
		}
		time.Sleep(time.Second)
		// Both are used: the next comes when the first has left the window.
		if d := n.kill("a", 2*time.Minute); time.Since(cut) < solo+time.Minute || d == 0 {
			t.Errorf("restarted a third time after %v, %v after the cut", d, time.Since(cut))
		}
		n.oracle()
	})
}

func TestAloneIsToldOnReturn(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.runAlone().connect(1, 1, lent("a", 1))
		is(t, p.event(), started, "a", 1)
		n.cutOff(p)
		time.Sleep(solo)
		n.kill("a", time.Minute)
		time.Sleep(5 * time.Second)
		n.kill("a", time.Minute)
		time.Sleep(time.Second)
		n.down.Store(false)
		p = n.accept()
		if h := p.hello(); len(h.Lives) != 1 || h.Lives[0].Ref != ref("a", 1) {
			t.Errorf("hello: %+v", h)
		}
		p.quiet(2 * time.Second) // nothing is told before the orders are known
		p.send(link.Down{Term: 2, Index: 5, Full: true, Orders: []link.Order{lent("a", 1)}})
		e := p.restarts("a", 1)
		first := e
		if e.Restarts != 2 || len(e.Ages) != 2 || e.Ages[0]-e.Ages[1] < 6*time.Second || e.Ages[1] < 3*time.Second {
			t.Errorf("told: %+v", e)
		}
		if e = p.event(); e.Restarts != 2 || e.PID == 0 {
			t.Errorf("told: %+v", e)
		}
		is(t, e, started, "a", 1)
		p.Close() // unacknowledged: told again, and older by then
		time.Sleep(time.Second)
		p = n.connect(2, 5, lent("a", 1))
		if again := p.restarts("a", 1); again.Restarts != 2 || again.Ages[1] <= first.Ages[1] {
			t.Errorf("told again: %+v", again)
		}
		is(t, p.event(), started, "a", 1)
		// A crash in touch with the leader is the leader's.
		if d := n.kill("a", 5*time.Second); d != 0 {
			t.Errorf("restarted after %v, with a leader", d)
		}
		if e := p.event(); e.Restarts != 2 {
			t.Errorf("told: %+v", e)
		} else {
			is(t, e, exited, "a", 1)
		}
		n.oracle()
	})
}

// TestLeaderHadDecided: the end was told before the node was cut off, and it restarted
// alone meanwhile. If the leader has begun another life, that one counts: there are
// never two.
func TestLeaderHadDecided(t *testing.T) {
	for name, orders := range map[string][]link.Order{
		"not": {lent("a", 1)}, "restarted here": {lent("a", 2)}, "moved": nil, "stopped": {halt("a", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *node) {
				p := n.runAlone().connect(1, 1, lent("a", 1))
				is(t, p.event(), started, "a", 1)
				n.procs.Kill("a", "SIGSEGV")
				is(t, p.event(), exited, "a", 1) // and no acknowledgement
				n.cutOff(p)
				time.Sleep(10 * time.Second)
				n.running(ref("a", 1))
				n.down.Store(false)
				p = n.connect(1, 9, orders...)
				if e := p.restarts("a", 1); e.Restarts != 1 {
					t.Errorf("told: %+v", e)
				}
				time.Sleep(time.Second)
				var want []supervisor.Ref
				if len(orders) > 0 && orders[0].Action == supervisor.Run {
					want = append(want, orders[0].Ref)
				}
				n.running(want...)
				n.oracle()
			})
		})
	}
}

// TestAcknowledgedEndIsTheLeaders: what the leader has committed it answers itself.
func TestAcknowledgedEndIsTheLeaders(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.runAlone().connect(1, 1, lent("a", 1))
		is(t, p.event(), started, "a", 1)
		n.procs.Kill("a", "SIGSEGV")
		is(t, p.event(), exited, "a", 1)
		p.send(link.Down{Term: 1, Index: 2, Ack: p.seq})
		n.cutOff(p)
		time.Sleep(time.Hour)
		n.running()
	})
}

func TestWhatIsNotRestartedAlone(t *testing.T) {
	transient := lent("a", 1)
	transient.Local.Transient = true
	hasty := lent("a", 1)
	hasty.Local.MoveAfter = 1
	spent := lent("a", 1)
	spent.Local.Left = 0
	for name, tt := range map[string]struct {
		order link.Order
		code  int
		want  bool // within half a minute
	}{
		"one that ended as it should": {transient, 0, false},
		"one that failed":             {transient, 1, true},
		"one that would move":         {hasty, 1, false},
		"one whose budget is spent":   {spent, 1, false},
		"one that is lent nothing":    {run("a", 1), 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *node) {
				p := n.runAlone().connect(1, 1, tt.order)
				is(t, p.event(), started, "a", 1)
				n.world.Script("a", simproc.Script{})
				n.cutOff(p)
				time.Sleep(solo)
				n.procs.Exit("a", tt.code)
				time.Sleep(30 * time.Second)
				if got := len(n.world.Running()) == 1; got != tt.want {
					t.Errorf("it runs: %v", got)
				}
				n.oracle()
			})
		})
	}
}

// TestAloneForHours: what is told stays bounded, and a start that fails is an end too.
func TestAloneForHours(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.runAlone().connect(1, 1, lent("a", 1))
		is(t, p.event(), started, "a", 1)
		n.world.Script("a", simproc.Script{Fail: "no such file"})
		n.cutOff(p)
		n.procs.Kill("a", "SIGKILL")
		time.Sleep(4 * time.Hour)
		n.down.Store(false)
		p = n.connect(2, 2, lent("a", 1))
		e := p.restarts("a", 1)
		if e.Restarts < 400 || e.Restarts > 2*4*60 || len(e.Ages) > 2 {
			t.Errorf("told: %d restarts, ages %v", e.Restarts, e.Ages)
		}
		if last := p.event(); last.Restarts != e.Restarts {
			t.Errorf("told: %+v", last)
		} else {
			is(t, last, crashed, "a", 1)
		}
		p.quiet(time.Second)
		n.oracle()
	})
}

// TestElectionIsNotAlone: a leader that is found in time answers everything.
func TestElectionIsNotAlone(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.runAlone().connect(1, 1, lent("a", 1))
		is(t, p.event(), started, "a", 1)
		n.cutOff(p)
		if d := n.kill("a", solo-time.Second); d != 0 {
			t.Errorf("restarted after %v", d)
		}
		n.down.Store(false)
		p = n.connect(2, 2, lent("a", 1))
		is(t, p.event(), started, "a", 1) // again: it was not acknowledged
		is(t, p.event(), exited, "a", 1)
		time.Sleep(time.Minute)
		n.running()
	})
}
