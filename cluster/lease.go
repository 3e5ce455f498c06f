package cluster

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/bug"
)

// leases is what a leader must know of the right of nodes to run exclusive
// children. The loop owns it; doc.go proves why it is safe.
type leases struct {
	// asked are renewals that wait for the next verification, proving those that
	// the one under way is for.
	asked, proving []renewal
	// last is the receipt of a node's newest renewal that was answered. A node
	// that is not in it counts from the barrier: a former leader may have answered.
	last map[string]time.Duration
	// condemned are nodes whose exclusive lives an entry under way ends.
	condemned map[string]bool
	// barrier is when this leader had caught up.
	barrier time.Duration
	// since is when a node that is alive was first seen to hold exclusive lives, or
	// came into session with them: from then on it can be expected to renew.
	since map[string]time.Duration
}

// renewal is a node's request to go on, received at a moment of our clock. sent is
// the node's own clock, to be echoed.
type renewal struct {
	s    *session
	node string
	sent int64
	at   time.Duration
}

// until is the moment of our clock up to which a node's exclusive lives may run.
func (ls *leases) until(node string, w time.Duration) time.Duration {
	if bug.On("new-leader-does-not-wait") {
		return ls.last[node] + w
	}
	return max(ls.barrier, ls.last[node]) + w
}

// hello gives a node that had renewed the time to do so anew. One that comes again
// and again and never renews is not to keep its exclusive children from others.
func (ls *leases) hello(node string) {
	if ls.last[node] >= ls.since[node] {
		delete(ls.since, node)
	}
}

// ask takes a renewal. A newer one of the same node replaces one that waits.
func (l *leader) ask(m sessionNews) {
	r := renewal{s: m.s, node: m.s.hello.Node.ID, sent: m.up.Renew, at: l.clock()}
	for i := range l.leases.asked {
		if l.leases.asked[i].node == r.node {
			l.leases.asked[i] = r
			return
		}
	}
	l.leases.asked = append(l.leases.asked, r)
}

// prove begins to verify, for all renewals that wait, that this node leads: after
// their receipt, and once for all of them.
func (l *leader) prove() {
	ls := &l.leases
	if ls.proving != nil || len(ls.asked) == 0 {
		return
	}
	ls.proving, ls.asked = ls.asked, nil
	l.n.wg.Go(func() {
		var err error
		if !bug.On("grant-without-verify") {
			err = l.n.confirm(l.ctx, l)
		}
		select {
		case l.proved <- err:
		case <-l.ctx.Done():
		}
	})
}

// onProved answers the renewals that were verified. Without proof none is: this
// leadership is ending, or the quorum is away.
func (l *leader) onProved(err error) {
	proving := l.leases.proving
	l.leases.proving = nil
	if bug.On("verify-before-receipt") {
		proving, l.leases.asked = append(proving, l.leases.asked...), nil
	}
	if err != nil {
		return
	}
	l.n.rep.m.View(func(v fsm.View) {
		for _, r := range proving {
			l.grant(v, r)
		}
	})
}

// grant answers one renewal, unless the node's exclusive lives are not its own any
// more: what it may run follows from its NodeUp, and from nothing before it.
func (l *leader) grant(v fsm.View, r renewal) {
	c, ls := l.contacts[r.node], &l.leases
	node, err := v.Node(r.node)
	switch {
	case c == nil, c.session != r.s && !bug.On("grant-outlives-session"), !c.admitted,
		ls.condemned[r.node] && !bug.On("grant-while-condemning"):
		return
	case err != nil || node.State != fsm.NodeAlive || node.Fenced, l.quarantined(v):
		return
	}
	ls.last[r.node] = max(ls.last[r.node], r.at) // before the answer is given
	r.s.put(func(o *outbox) { o.grant = max(o.grant, r.sent) })
}

// leased tells which nodes may still run exclusive lives, and which of those that
// are alive have held some for so long without a renewal that they must lose them.
func (l *leader) leased(v fsm.View) (leased, overdue map[string]bool) {
	ls, now, w := &l.leases, l.clock(), l.n.times.W()
	leased, overdue = make(map[string]bool), make(map[string]bool)
	for _, n := range v.Nodes() {
		leased[n.ID] = now < ls.until(n.ID, w)
		if n.State != fsm.NodeAlive || !v.Leased(n.ID) {
			delete(ls.since, n.ID)
			continue
		}
		since, seen := ls.since[n.ID]
		if !seen {
			since, ls.since[n.ID] = now, now
		}
		overdue[n.ID] = !leased[n.ID] && now >= since+w
	}
	return leased, overdue
}

// condemns tells whether a command ends all exclusive lives of its node.
func condemns(c fsm.Command) bool {
	return c.Type == fsm.TypeNodeFenced || c.Type == fsm.TypeNodeLost && !c.Node.Leased
}

// condemn proposes the loss, or the fencing, of a node. From here on it is granted
// nothing, until the log has decided: its renewal could otherwise be answered in
// the moment in which others take its place.
func (l *leader) condemn(cmd fsm.Command) {
	id := cmd.Node.ID
	if condemns(cmd) {
		l.leases.condemned[id] = true
	}
	l.propose(&proposal{cmd: cmd, then: func(_ fsm.Result, err error) {
		// If it is uncertain, this leadership is over. Not after a restore, which this
		// leader outlives: its quarantine answers for what became of the entry.
		if !errors.Is(err, ErrUncertain) || errors.Is(err, raft.ErrAbortedByRestore) {
			delete(l.leases.condemned, id)
		}
		l.expel(id, err)
	}})
}
