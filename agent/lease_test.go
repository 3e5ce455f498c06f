package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

const fenced = supervisor.EventFenced

var leaseTimes = agent.Lease{Renew: 400 * time.Millisecond, Soft: 3 * time.Second, Fence: 3800 * time.Millisecond}

// tenant is a node under a lease, whose clock began a while ago.
type tenant struct {
	*node
	zero  time.Time
	holds []time.Duration
}

func newTenant(n *node) *tenant {
	return &tenant{node: n, zero: time.Now().Add(-time.Hour)}
}

func (n *tenant) clock() time.Duration { return time.Since(n.zero) }

// noted are the node's processes, with a note of what Hold was told.
type noted struct {
	agent.Processes
	n *tenant
}

func (p noted) Hold(until time.Duration) {
	p.n.holds = append(p.n.holds, until)
	p.Processes.Hold(until)
}

func (n *tenant) start() {
	n.run(func(c *agent.Config) {
		c.Lease, c.Clock, c.Runner = leaseTimes, n.clock, noted{c.Runner, n}
	})
}

// leased runs f on a tenant in a bubble.
func leased(t *testing.T, f func(t *testing.T, n *tenant)) {
	bubble(t, func(t *testing.T, n *node) { f(t, newTenant(n)) })
}

func exclusive(path string, epoch uint64) link.Order {
	o := run(path, epoch)
	o.Exclusive = true
	return o
}

// renewal takes messages until one asks for the lease.
func (p *peer) renewal() int64 {
	p.t.Helper()
	for {
		if up := p.next(); up.Renew != 0 {
			return up.Renew
		}
	}
}

// grant answers the next renewal.
func (p *peer) grant(term, index uint64) {
	p.t.Helper()
	p.send(link.Down{Term: term, Index: index, Grant: p.renewal()})
}

// drink takes and forgets all that the agent sends for a while.
func (p *peer) drink(d time.Duration) {
	for late := time.After(d); ; {
		select {
		case up := <-p.ups:
			p.check(up)
		case <-p.gone:
			<-late
			return
		case <-late:
			return
		}
	}
}

func TestExclusiveLifeWaitsForTheLease(t *testing.T) {
	leased(t, func(t *testing.T, n *tenant) {
		n.start()
		p := n.connect(1, 1, exclusive("a", 1), run("b", 1))
		sent := p.renewal()
		n.running(ref("b", 1))
		p.send(link.Down{Term: 1, Index: 1, Grant: sent})
		n.running(ref("b", 1), ref("a", 1))
		if want := time.Duration(sent) + leaseTimes.Fence; len(n.holds) != 1 || n.holds[0] != want {
			t.Errorf("Hold %v, want %v", n.holds, want)
		}
	})
}

// TestLeaseIsRenewedForExclusiveChildrenOnly: others cost no messages.
func TestLeaseIsRenewedForExclusiveChildrenOnly(t *testing.T) {
	leased(t, func(t *testing.T, n *tenant) {
		n.start()
		p := n.connect(1, 1, run("b", 1))
		is(t, p.event(), started, "b", 1)
		for late := time.After(10 * time.Second); ; {
			select {
			case up := <-p.ups:
				if up.Renew != 0 {
					t.Fatal("it renews a lease that it has no use for")
				}
				continue
			case <-late:
			}
			break
		}
		p.send(link.Down{Term: 1, Index: 2, Orders: []link.Order{exclusive("a", 2)}})
		first := p.renewal()
		second := p.renewal()
		if pause := time.Duration(second - first); pause < leaseTimes.Renew || pause > leaseTimes.Renew+50*time.Millisecond {
			t.Errorf("renewals lie %v apart, want %v", pause, leaseTimes.Renew)
		}
	})
}

// TestLeaseLapses: at the soft deadline exclusive children end, though their
// order stands and the agent hears nothing; others run on.
func TestLeaseLapses(t *testing.T) {
	leased(t, func(t *testing.T, n *tenant) {
		n.start()
		p := n.connect(1, 1, exclusive("a", 1), run("b", 1))
		p.grant(1, 1)
		n.running(ref("b", 1), ref("a", 1))
		n.down.Store(true)
		p.Close()
		time.Sleep(leaseTimes.Soft - 100*time.Millisecond)
		n.running(ref("b", 1), ref("a", 1))
		time.Sleep(200 * time.Millisecond)
		n.running(ref("b", 1))
		n.down.Store(false)
		p = n.connect(1, 1, exclusive("a", 1), run("b", 1))
		for {
			e := p.event()
			if e.Path == "a" && e.Type != spawned && e.Type != started {
				is(t, e, fenced, "a", 1)
				break
			}
		}
		p.grant(1, 1)
		n.running(ref("b", 1)) // epoch 1 has had its life
		p.send(link.Down{Term: 1, Index: 2, Drop: []supervisor.Ref{ref("a", 1)}, Orders: []link.Order{exclusive("a", 5)}})
		n.running(ref("b", 1), ref("a", 5))
		n.oracle()
	})
}

// TestGrantCountsFromItsRenewal: late, doubled, old and invented answers give no
// more time than was asked for.
func TestGrantCountsFromItsRenewal(t *testing.T) {
	leased(t, func(t *testing.T, n *tenant) {
		n.start()
		p := n.connect(1, 1, exclusive("a", 1))
		first := p.renewal()
		p.drink(time.Second)
		second := p.renewal()
		p.send(link.Down{Term: 1, Index: 1, Grant: second})
		p.send(link.Down{Term: 1, Index: 1, Grant: first})
		p.send(link.Down{Term: 1, Index: 1, Grant: second})
		p.send(link.Down{Term: 1, Index: 1, Grant: int64(n.clock() + time.Hour)})
		if len(n.holds) != 1 || n.holds[0] != time.Duration(second)+leaseTimes.Fence {
			t.Errorf("Hold %v, want %v only", n.holds, time.Duration(second)+leaseTimes.Fence)
		}
		p.drink(time.Until(n.zero.Add(time.Duration(second)+leaseTimes.Soft)) + time.Millisecond)
		n.running()
		// An answer that comes too late to be of use begins nothing.
		p.send(link.Down{Term: 1, Index: 2, Drop: []supervisor.Ref{ref("a", 1)}, Orders: []link.Order{exclusive("a", 2)}})
		third := p.renewal()
		p.drink(leaseTimes.Soft)
		p.send(link.Down{Term: 1, Index: 2, Grant: third})
		n.running()
		p.grant(1, 2)
		n.running(ref("a", 2))
	})
}

// TestNewAgentTrustsNoOldLease: it begins nothing before its own first grant, and
// leaves what it has adopted to the deadline that its predecessor named.
func TestNewAgentTrustsNoOldLease(t *testing.T) {
	leased(t, func(t *testing.T, n *tenant) {
		n.start()
		p := n.connect(1, 1, exclusive("a", 1))
		p.grant(1, 1)
		is(t, p.event(), started, "a", 1)
		n.down.Store(true)
		p.Close()
		n.halt()
		n.down.Store(false)
		n.holds = nil
		n.start()
		p = n.connect(1, 2, exclusive("a", 1), exclusive("c", 2))
		synctest.Wait()
		n.running(ref("a", 1))
		p.drink(leaseTimes.Soft / 2)
		n.running(ref("a", 1))
		if n.holds != nil {
			t.Errorf("Hold %v before any grant", n.holds)
		}
		p.grant(1, 2)
		n.running(ref("a", 1), ref("c", 2))
		n.oracle()
	})
}

func TestLeaseConfig(t *testing.T) {
	for _, bad := range []agent.Lease{{Renew: 1}, {Renew: 2, Soft: 1, Fence: 3}, {Renew: 1, Soft: 2, Fence: 2}, {Renew: -1, Soft: 2, Fence: 3}} {
		c := agent.Config{Node: link.Node{ID: "i", Name: "n"}, Lease: bad}
		bubble(t, func(t *testing.T, n *node) {
			c.Runner, c.Dial = n.procs, n.dial
			if _, err := agent.New(c); err == nil {
				t.Errorf("%+v is taken", bad)
			}
		})
	}
}
