package simnet

import (
	"maps"
	"time"
)

// Classify names the class of traffic of a port, of a stream by what its dialling end
// writes first; before that, first is nil. The empty class is of what has none.
func (n *Net) Classify(f func(port uint16, first []byte) string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.classify = f
}

func (n *Net) classOf(port uint16) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.classify(port, nil)
}

// CutClass stops what a sends to b of one class of traffic and, unless oneWay, what
// b sends to a. Heal ends it.
func (n *Net) CutClass(a, b, class string, oneWay bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parts[part{link{a, b}, class}] = true
	if !oneWay {
		n.parts[part{link{b, a}, class}] = true
	}
}

// SetPackets sets the probabilities that a packet arrives twice, and that later ones
// overtake it.
func (n *Net) SetPackets(twice, late float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.again, n.late = twice, late
}

// overtaken is how much longer than others a packet travels. The caller holds mu.
func (n *Net) overtaken() time.Duration {
	if n.late <= 0 || n.rng.Float64() >= n.late {
		return 0
	}
	return time.Duration(n.rng.Int64N(int64(20*n.latency + time.Millisecond)))
}

// Reset breaks the streams of a class between two addresses, of all classes if it is
// empty: what is on its way is lost, and both ends are told. It counts them.
func (n *Net) Reset(a, b, class string) (broken int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.between(a, b, class) {
		c.reset = true
		c.drop()
		broken++
	}
	return broken / 2
}

// HalfOpen breaks such streams so that only the ends at a are told; the others wait for
// an answer that never comes. It counts them.
func (n *Net) HalfOpen(a, b, class string) (broken int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.between(a, b, class) {
		if c.from == a {
			c.reset, c.vanished = true, time.Now()
			c.drop()
			broken++
		}
	}
	return broken
}

// between lists the open ends of streams between two addresses. The caller holds mu.
func (n *Net) between(a, b, class string) (ends []*conn) {
	for _, c := range n.open() {
		if (c.from == a && c.to == b || c.from == b && c.to == a) && (class == "" || c.class == class) {
			ends = append(ends, c)
		}
	}
	return ends
}

// drop closes an end without a word to its peer. The caller holds mu.
func (c *conn) drop() {
	c.closed = true
	c.in, c.inBytes = nil, 0
	delete(c.n.conns, c)
	c.wake()
	c.peer.wake()
}

// PowerOff ends the process and its machine's kernel with it: nobody is told that its
// connections are gone, and nobody answers a dial, until a new process is at the
// address. Who then writes on an old connection gets a reset.
func (h *Host) PowerOff() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	if h.gone {
		return
	}
	h.leave()
	h.n.dark[h.addr] = time.Now()
	for _, c := range h.n.open() {
		if c.host == h {
			c.vanished = time.Now()
			c.drop()
		}
	}
	h.n.wakeAll()
}

// CrashKeeping is Crash of a process whose port for streams somebody else on the
// machine holds open: who dials it is let in, and answered once a new process listens.
func (h *Host) CrashKeeping(port uint16) {
	h.n.mu.Lock()
	for at, l := range h.n.listeners {
		if l.host == h && at.Port() == port && !h.gone {
			keeper := &Host{n: h.n, ip: h.ip, addr: h.addr, keeps: true}
			h.n.listeners[at] = &listener{host: keeper, at: at, backlog: l.backlog, done: make(chan struct{})}
			close(l.done)
		}
	}
	h.n.mu.Unlock()
	h.Crash()
}

// inherit gives a process the port that was kept for it, and who waits at it. The
// caller holds mu.
func (h *Host) inherit(l *listener) *listener {
	next := &listener{host: h, at: l.at, backlog: l.backlog, done: make(chan struct{})}
	h.n.listeners[l.at] = next
	for c := range h.n.conns {
		if c.host == l.host {
			c.host = h
		}
	}
	return next
}

// Release closes the ports that are kept for an address: their keeper has died.
func (n *Net) Release(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range maps.Clone(n.listeners) {
		if l.host.keeps && l.host.addr == addr {
			l.close()
		}
	}
}
