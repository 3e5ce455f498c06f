package simnet

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	window       = 1 << 20                // bytes in flight per direction of a stream
	backlog      = 128                    // connections waiting for Accept
	packetQueue  = 1024                   // packets unread per socket, and held per paused address
	dialTimeout  = 10 * time.Second       // of a dial whose context has no deadline
	resendData   = 200 * time.Millisecond // lateness of a stream segment that was lost once
	resendDial   = time.Second            // lateness of a dial whose first packet was lost
	firstDynamic = 40000                  // first port of dialling ends
)

// Net is one simulated network. All methods may be called from any goroutine of the bubble.
type Net struct {
	mu        sync.Mutex
	rng       *rand.Rand
	latency   time.Duration
	jitter    time.Duration
	loss      float64
	again     float64 // probability that a packet arrives twice
	late      float64 // probability that a packet is overtaken by later ones
	classify  func(port uint16, first []byte) string
	cuts      map[link]bool
	parts     map[part]bool        // cuts of one class of traffic
	dark      map[string]time.Time // addresses without power, since when
	born      map[string]time.Time // newest process of an address
	healed    map[link]time.Time   // last heal of a link
	paused    map[string]bool
	resumed   map[string]time.Time // last resume of an address
	held      map[string][]*packet // packets that wait for an address to resume
	listeners map[netip.AddrPort]*listener
	sockets   map[netip.AddrPort]*Transport
	conns     map[*conn]bool
	waiters   map[chan struct{}]bool // dials that wait for a heal
	nextID    uint64
	stopped   uint64 // packets and segments that met a cut
	nextPort  uint16
}

// link is one direction between two addresses.
type link struct{ from, to string }

// part is one class of traffic in one direction.
type part struct {
	link
	class string
}

// New returns a network with 300 µs latency, 100 µs jitter and no loss.
func New(seed uint64) *Net {
	return &Net{
		rng:       rand.New(rand.NewPCG(seed, 0x5e1f)),
		latency:   300 * time.Microsecond,
		jitter:    100 * time.Microsecond,
		cuts:      map[link]bool{},
		parts:     map[part]bool{},
		dark:      map[string]time.Time{},
		born:      map[string]time.Time{},
		classify:  func(uint16, []byte) string { return "" },
		healed:    map[link]time.Time{},
		paused:    map[string]bool{},
		resumed:   map[string]time.Time{},
		held:      map[string][]*packet{},
		listeners: map[netip.AddrPort]*listener{},
		sockets:   map[netip.AddrPort]*Transport{},
		conns:     map[*conn]bool{},
		waiters:   map[chan struct{}]bool{},
		nextPort:  firstDynamic,
	}
}

// SetLatency sets the one-way delay of what is sent from now on: base plus up to jitter.
func (n *Net) SetLatency(base, jitter time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency, n.jitter = base, jitter
}

// SetLoss sets the probability, 0 to 1, that a packet is lost or a stream segment is late.
func (n *Net) SetLoss(p float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loss = p
}

// Cut stops what a sends to b and, unless oneWay, what b sends to a.
func (n *Net) Cut(a, b string, oneWay bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[link{a, b}] = true
	if !oneWay {
		n.cuts[link{b, a}] = true
	}
}

// Heal ends every cut between a and b. What waited arrives one latency later.
func (n *Net) Heal(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heal(link{a, b})
	n.heal(link{b, a})
	n.wakeAll()
}

// HealAll ends every cut. Pauses stay.
func (n *Net) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range maps.Clone(n.cuts) {
		n.heal(l)
	}
	for p := range maps.Clone(n.parts) {
		n.heal(p.link)
	}
	n.wakeAll()
}

// heal ends one cut, and those of parts of the traffic. The caller holds mu.
func (n *Net) heal(l link) {
	was := n.cuts[l]
	delete(n.cuts, l)
	for p := range n.parts {
		if p.link == l {
			was = true
			delete(n.parts, p)
		}
	}
	if was {
		n.healed[l] = time.Now()
	}
}

// Partition cuts every link between addresses of different groups. Links inside a group, and all links of an
// address that is in no group, stay as they are.
func (n *Net) Partition(groups ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, g := range groups {
		for j, other := range groups {
			if i == j {
				continue
			}
			for _, a := range g {
				for _, b := range other {
					n.cuts[link{a, b}] = true
				}
			}
		}
	}
}

// Pause stops all traffic from and to an address until Resume. Nothing is lost but packets beyond the limit.
func (n *Net) Pause(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused[addr] = true
}

// Resume ends a pause. What waited arrives one latency later.
func (n *Net) Resume(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.paused[addr] {
		return
	}
	delete(n.paused, addr)
	n.resumed[addr] = time.Now()
	waiting := n.held[addr]
	delete(n.held, addr)
	for i, p := range waiting {
		// Kept apart by a nanosecond so that they arrive in the order of sending.
		n.send(p, n.latency+time.Duration(i))
	}
	n.wakeAll()
}

// blocked tells whether nothing of a class can arrive at to from from just now. The caller holds mu.
func (n *Net) blocked(from, to, class string) bool {
	return n.cut(from, to, class) || n.paused[from] || n.paused[to]
}

// cut tells whether a cut stops a class of traffic. The caller holds mu.
func (n *Net) cut(from, to, class string) bool {
	l := link{from, to}
	if n.cuts[l] || len(n.parts) > 0 && n.parts[part{l, class}] {
		n.stopped++
		return true
	}
	return false
}

// Stopped counts what met a cut; what waits for its end counts again and again.
func (n *Net) Stopped() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// arrival is when something due at the given time can arrive, given past heals and resumes. The caller holds mu.
func (n *Net) arrival(from, to string, due time.Time) time.Time {
	for _, opened := range []time.Time{n.healed[link{from, to}], n.resumed[from], n.resumed[to]} {
		if !opened.IsZero() && opened.Add(n.latency).After(due) {
			due = opened.Add(n.latency)
		}
	}
	return due
}

// delay is the one-way travel time of one packet or segment. The caller holds mu.
func (n *Net) delay() time.Duration {
	if n.jitter <= 0 {
		return n.latency
	}
	return n.latency + time.Duration(n.rng.Int64N(int64(n.jitter)))
}

// lost rolls the dice for one packet or segment. The caller holds mu.
func (n *Net) lost() bool {
	return n.loss > 0 && n.rng.Float64() < n.loss
}

// wakeAll lets everyone who waits on the network look again. The caller holds mu.
func (n *Net) wakeAll() {
	for _, c := range n.open() {
		c.wake()
	}
	for w := range n.waiters {
		close(w)
	}
	clear(n.waiters)
}

// open lists the open ends of streams, oldest first: map order must not decide who wakes first. The caller holds mu.
func (n *Net) open() []*conn {
	return slices.SortedFunc(maps.Keys(n.conns), func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
}

// waiter returns a channel that closes at the next heal or resume. The caller holds mu.
func (n *Net) waiter() chan struct{} {
	w := make(chan struct{})
	n.waiters[w] = true
	return w
}

// dropWaiter forgets a waiter that gave up.
func (n *Net) dropWaiter(w chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.waiters, w)
}
