package simulate

import (
	"fmt"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// leadership is a leader in its term. It keeps the sessions, orders the entries and
// gives the orders; what it proposes of its own accord is cluster.Decider's.
type leadership struct {
	w        *world
	host     *host
	began    time.Duration
	base     time.Duration // cluster time at the beginning
	decider  *cluster.Decider
	contacts map[*host]*contact
	ordered  map[string]sent
	waiting  []proposal
	flying   bool
	idle     bool // nothing it could do has changed
}

// contact is what the leader knows of a node at first hand.
type contact struct {
	session, admitted bool
	heard             time.Duration // the last sign of life, while there is no more
	parted            time.Duration // since when there is no session
	// renewed is when the node last asked for its lease; condemned: it is not granted.
	renewed   time.Duration
	condemned bool
	touched   bool // it was in session in this term, and obeyed
}

// sent is an order that a node was given.
type sent struct {
	host *host
	ref  supervisor.Ref
}

// proposal is a command, and what is to be done once it is applied.
type proposal struct {
	cmd  fsm.Command
	then func()
}

func newLeadership(w *world, h *host) *leadership {
	l := &leadership{
		w: w, host: h, began: w.now, decider: cluster.NewDecider(w.times),
		contacts: make(map[*host]*contact), ordered: make(map[string]sent),
	}
	w.machine.View(func(v fsm.View) { l.base = v.Clock() })
	w.machine.TakeChanged() // each node gets all its orders as it is admitted
	return l
}

// clock is cluster time.
func (l *leadership) clock() time.Duration { return l.base + l.w.now - l.began }

// meet counts a node's silence from now.
func (l *leadership) meet(h *host) *contact {
	c := &contact{heard: l.w.now, parted: l.w.now, renewed: l.w.now}
	l.contacts[h] = c
	return c
}

// inherit meets all nodes that are alive for all that is known. The former leader's
// silence counts from when it was last heard.
func (l *leadership) inherit() {
	l.w.machine.View(func(v fsm.View) {
		for _, n := range v.Nodes() {
			h := l.w.host(n.ID)
			if c := l.meet(h); h == l.w.former {
				c.heard = max(l.w.silent, l.began-l.w.times.Silence)
			}
		}
	})
}

// tick looks at what has become due, now and from now on.
func (l *leadership) tick() {
	if l.w.lead != l {
		return
	}
	l.idle = false
	l.propel()
	l.w.after(l.w.times.Tick, l.tick)
}

func (l *leadership) propose(cmd fsm.Command, then func()) {
	l.waiting = append(l.waiting, proposal{cmd, then})
	l.propel()
}

// propel sends the next entry on its way: what waits, or else what the leader itself
// finds due.
func (l *leadership) propel() {
	if l.flying {
		return
	}
	if !l.idle {
		l.idle = true
		var due []fsm.Command
		l.w.machine.View(func(v fsm.View) { due = l.decider.Next(v, l.clock(), l.seen(v)) })
		for _, cmd := range due {
			l.waiting = append(l.waiting, l.condemn(cmd))
		}
	}
	entry := l.waiting
	for _, h := range l.w.hosts {
		if c := l.contacts[h]; c != nil && c.admitted && len(h.outbox) > 0 {
			events, session := h.unsent(), h.session
			entry = append(entry, proposal{fsm.Command{Type: fsm.TypeEvents, Events: events}, func() { h.acknowledge(len(events), session) }})
		}
	}
	if len(entry) == 0 {
		return
	}
	l.waiting, l.flying = nil, true
	l.w.after(l.w.delays.Trip, func() { l.commit(entry) })
}

// condemn grants a node whose exclusive lives are to end no more lease, and ends its
// session once that is decided: it must say anew what it holds.
func (l *leadership) condemn(cmd fsm.Command) proposal {
	if cmd.Type != fsm.TypeNodeLost && cmd.Type != fsm.TypeNodeFenced {
		return proposal{cmd: cmd}
	}
	h := l.w.host(cmd.Node.ID)
	c := l.contacts[h]
	c.condemned = c.condemned || cmd.Type == fsm.TypeNodeFenced || !cmd.Node.Leased
	return proposal{cmd, func() {
		c.condemned = false
		if c.session {
			c.session, c.admitted, c.parted = false, false, l.w.now
			if h.linked {
				h.linked = false
				l.w.dial(h, l.w.delays.Trip)
			}
		}
	}}
}

// commit applies an entry, unless the term ended meanwhile, and gives the orders that
// follow.
func (l *leadership) commit(entry []proposal) {
	if l.w.lead != l {
		return
	}
	cmds := make([]fsm.Command, len(entry))
	for i := range entry {
		cmds[i] = entry[i].cmd
	}
	if _, err := l.w.apply(cmds); err != nil {
		panic(fmt.Sprintf("simulate: the state machine takes no entry more: %v", err)) // it made them itself
	}
	l.flying, l.idle = false, false
	for i := range entry {
		if entry[i].then != nil {
			entry[i].then()
		}
	}
	l.distribute()
	l.propel()
}

// distribute tells nodes what changed for them, path by changed path.
func (l *leadership) distribute() {
	paths, _ := l.w.machine.TakeChanged()
	for _, path := range paths {
		var node string
		var o supervisor.Order
		var ok bool
		l.w.machine.View(func(v fsm.View) { node, o, ok = v.Order(path) })
		l.give(path, node, o, ok)
	}
}

func (l *leadership) give(path, node string, o supervisor.Order, ok bool) {
	if was, had := l.ordered[path]; had && (!ok || was.host.id != node || was.ref != o.Ref) {
		delete(l.ordered, path)
		if l.near(was.host) {
			was.host.drop(was.ref)
		}
	}
	if !ok {
		return
	}
	h := l.w.host(node)
	l.ordered[path] = sent{h, o.Ref}
	if l.near(h) {
		h.obey(o)
	}
}

// near: the node gets what the leader sends.
func (l *leadership) near(h *host) bool {
	c := l.contacts[h]
	return c != nil && c.admitted && h.linked
}

// join opens a node's session: it says what it holds, and is then told all its orders.
func (l *leadership) join(h *host) {
	c := l.contacts[h]
	if c == nil {
		c = l.meet(h)
	}
	up := h.hello()
	up.Apart = !c.touched || l.w.now-c.heard >= l.w.times.Alone/2
	c.session, c.admitted, c.heard = true, false, l.w.now
	h.linked = true
	h.session++
	l.propose(fsm.Command{Type: fsm.TypeNodeUp, Up: up}, func() {
		if l.contacts[h] == c && c.session && h.linked {
			l.admit(h)
		}
	})
}

// admit gives a node the whole of its orders.
func (l *leadership) admit(h *host) {
	c := l.contacts[h]
	c.session, c.admitted, c.touched, h.linked = true, true, true, true
	var orders []supervisor.Order
	lent := false
	l.w.machine.View(func(v fsm.View) { orders, lent = v.Orders(h.id), v.Lent(h.id) })
	for _, o := range orders {
		l.ordered[o.Path] = sent{h, o.Ref}
	}
	h.settle(orders)
	if lent {
		l.propose(fsm.Command{Type: fsm.TypeReturned, Node: &fsm.NodeRef{ID: h.id, Boot: h.linkNode().Boot}}, nil)
	}
}

// miss notes that a node is out of reach. Its session stays, as a connection does that
// nothing closes.
func (l *leadership) miss(h *host) {
	c := l.contacts[h]
	c.heard, c.admitted = l.w.now, false
	if !c.condemned {
		c.renewed = l.w.now + l.w.delays.Heard
	}
}

// seen is what there is to see of each node.
func (l *leadership) seen(v fsm.View) map[string]cluster.Seen {
	seen := make(map[string]cluster.Seen, len(l.contacts))
	for h, c := range l.contacts { // order-free: a map is filled
		if h.linked && c.session {
			c.heard = l.w.now
			if c.admitted && !c.condemned {
				c.renewed = l.w.now
			}
		}
		s := cluster.Seen{Session: c.session, Silent: l.w.now - c.heard, Leased: l.w.now < max(l.began, c.renewed)+l.w.times.W()}
		if !c.session {
			s.Apart = l.w.now - c.parted
		}
		if since, cut := l.w.severed[pair(l.host, h)]; cut && h != l.host {
			s.DeadFor = l.w.now - since - l.w.delays.Detect
			s.Dead = s.DeadFor >= 0
		}
		s.Overdue = !s.Leased && v.Leased(h.id)
		seen[h.id] = s
	}
	return seen
}
