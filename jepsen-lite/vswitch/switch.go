package vswitch

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueue bounds the packets that one link holds back.
const maxQueue = 4096

// Device is what packets of one namespace come out of and go into, whole.
type Device io.ReadWriteCloser

// Rule is what happens to packets. The zero Rule is a healthy link.
type Rule struct {
	Cut       bool
	Delay     time.Duration
	Jitter    time.Duration // up to so much more, evenly spread
	Loss      float64       // 0 to 1
	Duplicate float64       // 0 to 1
	Reorder   float64       // share that is held back by Delay+Jitter+5 ms more
	Rate      int64         // bytes per second; 0 is no limit
}

// Traffic counts packets.
type Traffic struct {
	Passed     uint64
	Cut        uint64
	Lost       uint64
	Delayed    uint64
	Duplicated uint64
	Reordered  uint64
}

// classes is how many classes of port there are: bits of a mask.
const classes = 8

// Config says how to make a switch.
type Config struct {
	Seed uint64
	// Ports says which class, as one bit, the traffic of a port is of. All other
	// traffic is of class Other.
	Ports map[uint16]uint8
	Other uint8
}

// Switch forwards packets between the devices attached to it. All methods may
// be called from any goroutine.
type Switch struct {
	cfg   Config
	late  *delays
	wg    sync.WaitGroup
	mu    sync.Mutex // guards what is below, but for reading
	ports atomic.Pointer[table]
}

// table is the state of the switch as forwarding sees it; it is never changed.
type table struct {
	ports []*port
	index map[netip.Addr]int
	names map[string]int
}

type port struct {
	name string
	dev  Device
	to   []*link // by index of the port; nil to itself
}

// link is one direction between two ports.
type link struct {
	rules  [classes]atomic.Pointer[Rule]
	rng    *rand.Rand // of the goroutine that reads the device
	free   time.Time  // when a limited rate lets the next packet go; likewise
	queued atomic.Int64

	passed, cut, lost, delayed, duplicated, reordered atomic.Uint64
}

// New makes a switch without ports. Close ends it.
func New(cfg Config) *Switch {
	s := &Switch{cfg: cfg, late: newDelays()}
	s.ports.Store(&table{index: map[netip.Addr]int{}, names: map[string]int{}})
	s.wg.Go(s.late.run)
	return s
}

// Attach adds a port and forwards from now on. The device is closed by Close.
func (s *Switch) Attach(name string, ip netip.Addr, dev Device) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.ports.Load()
	if _, twice := old.names[name]; twice {
		return fmt.Errorf("cannot attach %s twice", name)
	}
	if _, twice := old.index[ip]; twice {
		return fmt.Errorf("cannot attach %s: another port has the address %s", name, ip)
	}
	me := len(old.ports)
	next := &table{index: map[netip.Addr]int{ip: me}, names: map[string]int{name: me}}
	for i, p := range old.ports {
		grown := &port{p.name, p.dev, append(p.to[:i:i], p.to[i:]...)}
		grown.to = append(grown.to, s.newLink(i, me))
		next.ports = append(next.ports, grown)
		next.names[p.name] = i
	}
	for addr, i := range old.index {
		next.index[addr] = i
	}
	mine := &port{name: name, dev: dev}
	for i := range old.ports {
		mine.to = append(mine.to, s.newLink(me, i))
	}
	mine.to = append(mine.to, nil)
	next.ports = append(next.ports, mine)
	s.ports.Store(next)
	s.wg.Go(func() { s.forward(me, dev) })
	return nil
}

func (s *Switch) newLink(from, to int) *link {
	return &link{rng: rand.New(rand.NewPCG(s.cfg.Seed, uint64(from)<<32|uint64(to)))}
}

// forward reads a device until it is closed.
func (s *Switch) forward(from int, dev Device) {
	buf := make([]byte, 1<<16)
	for {
		n, err := dev.Read(buf)
		if err != nil {
			return
		}
		h, ok := parse(buf[:n])
		if !ok {
			continue
		}
		t := s.ports.Load()
		if to, known := t.index[h.dst]; known && to != from {
			s.pass(t.ports[from].to[to], t.ports[to].dev, s.class(h), buf[:n])
		}
	}
}

// class is the index of the bit for a packet's ports.
func (s *Switch) class(h header) int {
	for _, p := range h.ports {
		if bit, known := s.cfg.Ports[p]; known && p != 0 {
			return bitIndex(bit)
		}
	}
	return bitIndex(s.cfg.Other)
}

func bitIndex(bit uint8) int {
	for i := range classes {
		if bit&(1<<i) != 0 {
			return i
		}
	}
	return 0
}

// pass does to a packet what its rule says. A device that does not take it has
// lost it, as a full queue would.
func (s *Switch) pass(l *link, dev Device, class int, packet []byte) {
	r := l.rules[class].Load()
	if r == nil {
		l.passed.Add(1)
		_, _ = dev.Write(packet)
		return
	}
	if r.Cut {
		l.cut.Add(1)
		return
	}
	if r.Loss > 0 && l.rng.Float64() < r.Loss {
		l.lost.Add(1)
		return
	}
	copies := 1
	if r.Duplicate > 0 && l.rng.Float64() < r.Duplicate {
		l.duplicated.Add(1)
		copies = 2
	}
	for range copies {
		s.send(l, dev, r, packet)
	}
}

// send delays a packet by its rule, or not at all.
func (s *Switch) send(l *link, dev Device, r *Rule, packet []byte) {
	now := time.Now()
	due := now.Add(r.Delay)
	if r.Jitter > 0 {
		due = due.Add(time.Duration(l.rng.Int64N(int64(r.Jitter) + 1)))
	}
	if r.Reorder > 0 && l.rng.Float64() < r.Reorder {
		l.reordered.Add(1)
		due = due.Add(r.Delay + r.Jitter + 5*time.Millisecond)
	}
	if r.Rate > 0 {
		if l.free.Before(now) {
			l.free = now
		}
		l.free = l.free.Add(time.Duration(int64(len(packet)) * int64(time.Second) / r.Rate))
		due = due.Add(l.free.Sub(now))
	}
	if !due.After(now) && l.queued.Load() == 0 {
		l.passed.Add(1)
		_, _ = dev.Write(packet)
		return
	}
	if l.queued.Add(1) > maxQueue {
		l.queued.Add(-1)
		l.lost.Add(1)
		return
	}
	l.delayed.Add(1)
	s.late.add(due, func(p []byte) {
		l.queued.Add(-1)
		l.passed.Add(1)
		_, _ = dev.Write(p)
	}, append([]byte(nil), packet...))
}

// Set makes rule the rule of a directed link for the classes in mask.
func (s *Switch) Set(from, to string, mask uint8, rule Rule) error {
	l, err := s.link(from, to)
	if err != nil {
		return err
	}
	for i := range classes {
		if mask&(1<<i) == 0 {
			continue
		}
		if rule == (Rule{}) {
			l.rules[i].Store(nil)
		} else {
			l.rules[i].Store(&rule)
		}
	}
	return nil
}

func (s *Switch) link(from, to string) (*link, error) {
	t := s.ports.Load()
	i, ok := t.names[from]
	j, ok2 := t.names[to]
	if !ok || !ok2 || i == j {
		return nil, fmt.Errorf("there is no link from %q to %q", from, to)
	}
	return t.ports[i].to[j], nil
}

// Heal takes all rules away.
func (s *Switch) Heal() {
	for _, l := range s.links() {
		for i := range classes {
			l.rules[i].Store(nil)
		}
	}
}

func (s *Switch) links() []*link {
	var all []*link
	for _, p := range s.ports.Load().ports {
		for _, l := range p.to {
			if l != nil {
				all = append(all, l)
			}
		}
	}
	return all
}

// Traffic is what was counted on a directed link, or on all of them together if
// both names are empty.
func (s *Switch) Traffic(from, to string) (Traffic, error) {
	links := s.links()
	if from != "" || to != "" {
		l, err := s.link(from, to)
		if err != nil {
			return Traffic{}, err
		}
		links = []*link{l}
	}
	var sum Traffic
	for _, l := range links {
		sum.Passed += l.passed.Load()
		sum.Cut += l.cut.Load()
		sum.Lost += l.lost.Load()
		sum.Delayed += l.delayed.Load()
		sum.Duplicated += l.duplicated.Load()
		sum.Reordered += l.reordered.Load()
	}
	return sum, nil
}

// Close closes all devices and ends when nothing is forwarded any more. What was
// on its way is gone.
func (s *Switch) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.ports.Load().ports {
		p.dev.Close()
	}
	s.late.close()
	s.wg.Wait()
}
