package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

func TestHelloSaysWhatRuns(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run()
		p := n.accept()
		if h := p.hello(); h.Node.ID != "id1" || h.Node.Boot != "b1" || len(h.Lives) != 0 {
			t.Errorf("hello: %+v", h)
		}
		slow := run("b", 2)
		slow.Program.MinUptime = time.Hour
		p.send(link.Down{Term: 1, Index: 1, Full: true, Orders: []link.Order{run("a", 1), slow, delayed("c", 3, time.Hour)}})
		p.Close()
		h := n.accept().hello()
		if len(h.Lives) != 2 || h.Lives[0].Ref != ref("a", 1) || !h.Lives[0].Up || h.Lives[0].PID == 0 ||
			h.Lives[1].Ref != ref("b", 2) || h.Lives[1].Up || h.Lives[1].PID == 0 {
			t.Errorf("lives: %+v", h.Lives)
		}
	})
}

func TestUnacknowledgedEventsComeAgain(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		orders := []link.Order{run("a", 1), run("b", 1), run("c", 1)}
		p := n.run().connect(1, 1, orders...)
		for _, path := range []string{"a", "b", "c"} {
			is(t, p.event(), started, path, 1)
		}
		p.send(link.Down{Term: 1, Index: 2, Ack: 1})
		p.Close()
		n.procs.Kill("b", "SIGSEGV") // while there is no session
		p = n.connect(1, 2, orders...)
		is(t, p.event(), started, "b", 1)
		is(t, p.event(), started, "c", 1)
		e := p.event()
		if is(t, e, exited, "b", 1); e.Signal != "SIGSEGV" || e.Detail != "killed by SIGSEGV" || p.seq != 4 {
			t.Errorf("number %d: %+v", p.seq, e)
		}
		p.send(link.Down{Term: 1, Index: 3, Ack: 99}) // more than there are: all
		p.Close()
		p = n.connect(1, 3, run("a", 1), run("c", 1))
		p.quiet(time.Minute)
		n.running(ref("a", 1), ref("c", 1))
		n.oracle()
	})
}

func TestLostSessionTouchesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, run("a", 1))
		n.down.Store(true)
		p.Close()
		time.Sleep(time.Hour)
		n.running(ref("a", 1))
		n.down.Store(false)
		p = n.accept()
		p.hello()
		time.Sleep(5 * time.Second) // a leader that has not spoken yet
		n.running(ref("a", 1))
		p.send(link.Down{Term: 2, Index: 1, Full: true})
		n.running()
	})
}

func TestPauseBetweenDialsGrows(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.down.Store(true)
		n.run()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		n.mu.Lock()
		dials := slices.Clone(n.dials)
		n.mu.Unlock()
		limit := 100 * time.Millisecond
		for i := range len(dials) - 1 {
			d := dials[i+1].Sub(dials[i])
			if d < limit/2 || d > limit {
				t.Errorf("pause %d is %v, want %v to %v", i, d, limit/2, limit)
			}
			limit = min(2*limit, 250*time.Millisecond)
		}
		if len(dials) < 80 || len(dials) > 165 {
			t.Errorf("%d dials in 20 s", len(dials))
		}
		// After a session that was one the pauses are short again.
		n.down.Store(false)
		p := n.connect(1, 1)
		begun := time.Now()
		p.Close()
		if d := n.accept().at.Sub(begun); d > agent.DefaultRedial {
			t.Errorf("dialled again after %v", d)
		}
	})
}

func TestRedirectIsFollowedAtOnceButNotHotly(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run()
		begun := time.Now()
		p := n.accept()
		p.hello()
		p.send(link.Down{Redirect: true, Leader: "n2"})
		p.closed()
		p = n.accept()
		if d := p.at.Sub(begun); d != 0 {
			t.Errorf("redialled after %v", d)
		}
		for range 20 { // nobody admits to be the leader
			p.hello()
			p.send(link.Down{Redirect: true})
			p = n.accept()
		}
		if d := p.at.Sub(begun); d < 1500*time.Millisecond {
			t.Errorf("20 redirects in %v", d)
		}
		p.hello()
		p.send(link.Down{Term: 1, Index: 1, Full: true, Orders: []link.Order{run("a", 1)}})
		is(t, p.event(), started, "a", 1)
	})
}

func TestRefusedNodeTriesSlowly(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run()
		p := n.accept()
		for range 5 {
			begun := time.Now()
			p.hello()
			p.send(link.Down{Refused: "another node has this name"})
			p.Close() // at the same time
			p = n.accept()
			if d := p.at.Sub(begun); d != 5*time.Second {
				t.Fatalf("tried again after %v", d)
			}
		}
	})
}

func TestPingIsAnsweredAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(3, 3)
		if up := p.next(); !up.Obeyed {
			t.Errorf("with its orders: %+v", up)
		}
		begun := time.Now()
		p.send(link.Down{Ping: 17}) // whatever its term
		if up := p.next(); up.Pong != 17 || !time.Now().Equal(begun) {
			t.Errorf("after %v: %+v", time.Since(begun), up)
		}
	})
}

func TestNewLeaderWithLowerIndex(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1000, run("a", 1))
		p.Close()
		p = n.connect(2, 5, run("b", 2))
		n.running(ref("b", 2))
		p.send(link.Down{Term: 1, Index: 2000, Full: true, Orders: []link.Order{run("a", 1)}})
		n.running(ref("b", 2))
		p.send(link.Down{Term: 2, Index: 6, Orders: []link.Order{run("c", 3)}})
		n.running(ref("b", 2), ref("c", 3))
		p.Close()
		// A new session of the same leader may know less than the last one: it
		// is asked, not judged.
		n.connect(2, 4, run("c", 3))
		n.running(ref("c", 3))
		n.oracle()
	})
}

func TestDeposedLeaderIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(7, 1, run("a", 1))
		p.Close()
		p = n.connect(6, 99, run("b", 1))
		p.closed()
		n.running(ref("a", 1))
		n.connect(7, 1, run("a", 1), run("c", 1))
		n.running(ref("a", 1), ref("c", 1))
	})
}

// A peer that does not read must not keep the node from its children.
func TestStalledPeer(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.world.Script("a", simproc.Script{Exit: true, ExitAfter: time.Second})
		p := n.run().connect(1, 1, run("a", 1), delayed("b", 1, 2*time.Second))
		// "a" started: that write blocks, for nobody takes it.
		time.Sleep(3 * time.Second)
		n.running(ref("b", 1))
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{run("c", 1), halt("b", 1)}})
		n.running(ref("c", 1))
		begun := time.Now()
		p.closed()
		if d := time.Since(begun); d > agent.DefaultSendTimeout {
			t.Errorf("closed after %v", d)
		}
		// What happened meanwhile was gathered, and comes in order.
		p = n.connect(1, 2, run("c", 1))
		is(t, p.event(), started, "a", 1)
		is(t, p.event(), exited, "a", 1)
		is(t, p.event(), started, "b", 1)
		is(t, p.event(), started, "c", 1)
		is(t, p.event(), exited, "b", 1)
		if p.seq != 5 {
			t.Errorf("number %d", p.seq)
		}
	})
}

func TestSilentPeer(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run(func(c *agent.Config) { c.Silence = 3 * time.Second })
		p := n.connect(1, 1)
		for i := range 5 { // pings keep the session
			time.Sleep(2 * time.Second)
			p.send(link.Down{Ping: uint64(i + 1)})
			p.next()
		}
		begun := time.Now()
		p.closed()
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("closed after %v", d)
		}
		n.connect(1, 1)
	})
}

func TestPeerThatNeverBeginsIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run()
		p := n.accept()
		p.hello()
		p.closed()
		if d := time.Since(p.at); d != agent.DefaultSendTimeout {
			t.Errorf("closed after %v", d)
		}
		n.connect(1, 1)
	})
}

func TestSlowDialIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		tries := 0
		n.run(func(c *agent.Config) {
			dial := c.Dial
			c.Dial = func(ctx context.Context) (link.Link, error) {
				if tries++; tries > 1 {
					return dial(ctx)
				}
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		begun := time.Now()
		p := n.accept()
		if d := p.at.Sub(begun); d < agent.DefaultDialTimeout || d > agent.DefaultDialTimeout+agent.DefaultRedial {
			t.Errorf("tried again after %v", d)
		}
	})
}

func TestTooManyOrders(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, run("a", 1))
		p.send(link.Down{Term: 1, Index: 2, Full: true, Orders: make([]link.Order, 1<<18+1)})
		p.closed()
		n.running(ref("a", 1))
	})
}

// A leader that acknowledges nothing cannot fill the node's memory.
func TestUnacknowledgedEventsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		const most = 1 << 16
		p := n.run().connect(1, 1, run("a", 1), run("b", 1))
		var lots []link.Order
		for i := range most {
			lots = append(lots, halt(fmt.Sprintf("t/%d", i), 1))
		}
		p.send(link.Down{Term: 1, Index: 2, Orders: lots})
		for range most {
			p.event()
		}
		p.send(link.Down{Term: 1, Index: 3, Orders: []link.Order{run("c", 1), halt("a", 1)}})
		p.send(link.Down{Term: 1, Index: 4, Orders: []link.Order{run("c", 1), halt("d", 1)}})
		is(t, p.event(), exited, "a", 1) // of what runs all is told
		p.quiet(time.Minute)
		n.running(ref("b", 1))
		p.send(link.Down{Term: 1, Index: 5, Ack: p.seq})
		seen := map[string]bool{}
		for range 4 { // two that were left of the many, and the late ones
			seen[p.event().Path] = true
		}
		if !seen["c"] || !seen["d"] {
			t.Errorf("told: %v", seen)
		}
		n.running(ref("b", 1), ref("c", 1))
	})
}

func TestByeEndsTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, run("a", 1))
		is(t, p.event(), started, "a", 1)
		n.stop()
		if up := p.next(); !up.Bye {
			t.Errorf("last words: %+v", up)
		}
		if err := <-n.done; err != nil {
			t.Error(err)
		}
		n.stop = nil
		p.closed()
		n.running(ref("a", 1)) // its end is the runner's duty
	})
}

func TestByeDoesNotWaitForEver(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run().connect(1, 1, run("a", 1)) // nobody takes the event, nor the Bye
		synctest.Wait()
		begun := time.Now()
		n.halt()
		if d := time.Since(begun); d != time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestEndWithoutSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.down.Store(true)
		n.run()
		synctest.Wait()
		begun := time.Now()
		n.halt()
		if d := time.Since(begun); d != 0 {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestAgentEndsWithItsProcessTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		procs := closedProcesses{simproc.NewWorld().Table("n1")}
		a, err := agent.New(agent.Config{
			Node: link.Node{ID: "i", Name: "n"}, Runner: procs,
			Dial: func(context.Context) (link.Link, error) { return nil, errors.New("no route") },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Run(t.Context()); err == nil {
			t.Error("Run goes on without a process table")
		}
	})
}

type closedProcesses struct{ *simproc.Table }

func (closedProcesses) Events() <-chan agent.Event {
	c := make(chan agent.Event)
	close(c)
	return c
}

func TestRestartAfterNodeDeath(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		p := n.run().connect(1, 1, run("a", 1), run("b", 1))
		is(t, p.event(), started, "a", 1)
		is(t, p.event(), started, "b", 1)
		p.Close()
		n.procs.KillAll()
		n.halt()
		for len(n.calls) > 0 {
			<-n.calls // what the dead agent dialled
		}
		n.run(func(c *agent.Config) { c.Node.Boot = "b2" })
		p = n.accept()
		if h := p.hello(); h.Node.Boot != "b2" || len(h.Lives) != 0 {
			t.Errorf("hello: %+v", h)
		}
		// The leader has judged the lives of the first boot and ordered new ones;
		// one old life it wants stopped is confirmed as gone.
		p.send(link.Down{Term: 1, Index: 9, Full: true, Orders: []link.Order{run("a", 2), halt("b", 1)}})
		seen := map[supervisor.EventType]supervisor.Ref{}
		for range 2 {
			e := p.event()
			seen[e.Type] = supervisor.Ref{Path: e.Path, Epoch: e.Epoch}
		}
		if seen[started] != ref("a", 2) || seen[exited] != ref("b", 1) || p.seq != 2 {
			t.Errorf("events: %v up to number %d", seen, p.seq)
		}
		n.running(ref("a", 2))
		n.oracle()
	})
}

// An agent that is replaced while its children live takes them over.
func TestAdoption(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.run().connect(1, 1, run("a", 1), run("b", 1))
		synctest.Wait()
		n.halt()
		n.run(func(c *agent.Config) { c.Node.Boot = "b2" })
		p := n.accept()
		if h := p.hello(); len(h.Lives) != 2 || !h.Lives[0].Up {
			t.Errorf("lives: %+v", h.Lives)
		}
		n.running(ref("a", 1), ref("b", 1))
		p.send(link.Down{Term: 1, Index: 2, Full: true, Orders: []link.Order{run("a", 1)}})
		// Whether the agent before had said so is not known, so it is said again.
		is(t, p.event(), started, "a", 1)
		is(t, p.event(), started, "b", 1)
		is(t, p.event(), exited, "b", 1)
		n.running(ref("a", 1))
		n.oracle()
	})
}

// TestHealthIsToldOncePerSession: what is known of the node is told when the orders are
// known, again in the next session, and in between when it has changed.
func TestHealthIsToldOncePerSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		health := make(chan link.Health, 1)
		p := n.run(func(c *agent.Config) { c.Health = health }).connect(1, 1)
		if up := p.next(); !up.Obeyed || up.Health != nil {
			t.Errorf("nothing is known yet: %+v", up)
		}
		ill := link.Health{Level: link.HealthUnhealthy, Reason: "disk"}
		health <- ill
		if up := p.next(); up.Health == nil || *up.Health != ill {
			t.Errorf("told %+v", up)
		}
		p.quiet(time.Minute)
		p.Close()
		p = n.connect(2, 2)
		if up := p.next(); up.Health == nil || *up.Health != ill {
			t.Errorf("in the next session: %+v", up)
		}
		health <- link.Health{}
		if up := p.next(); up.Health == nil || *up.Health != (link.Health{}) {
			t.Errorf("well again: %+v", up)
		}
	})
}
