package vswitch

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a device whose packets a test puts in and takes out.
type wire struct {
	out  chan []byte // what leaves the namespace
	done chan struct{}
	once sync.Once

	mu sync.Mutex
	in []arrival
}

type arrival struct {
	id uint32
	at time.Duration
}

var began time.Time

func newWire() *wire { return &wire{out: make(chan []byte), done: make(chan struct{})} }

func (w *wire) Read(b []byte) (int, error) {
	select {
	case p := <-w.out:
		return copy(b, p), nil
	case <-w.done:
		return 0, io.EOF
	}
}

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, arrival{binary.BigEndian.Uint32(b[28:]), time.Since(began)})
	return len(b), nil
}

func (w *wire) Close() error { w.once.Do(func() { close(w.done) }); return nil }

func (w *wire) arrived() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.in)
}

// packet is a UDP packet with a number in it.
func packet(dst netip.Addr, from, to uint16, id uint32) []byte {
	p := make([]byte, 100)
	p[0], p[9] = 0x45, 17
	copy(p[16:20], dst.AsSlice())
	binary.BigEndian.PutUint16(p[20:], from)
	binary.BigEndian.PutUint16(p[22:], to)
	binary.BigEndian.PutUint32(p[28:], id)
	return p
}

var (
	ipA = netip.MustParseAddr("10.0.0.1")
	ipB = netip.MustParseAddr("10.0.0.2")
	ipC = netip.MustParseAddr("10.0.0.3")
)

const (
	classGossip = 1 << iota
	classRaft
	classOther
)

// bubble runs a test with three ports.
func bubble(t *testing.T, f func(s *Switch, a, b, c *wire)) {
	synctest.Test(t, func(t *testing.T) {
		began = time.Now()
		s := New(Config{Seed: 1, Ports: map[uint16]uint8{7400: classGossip, 7401: classRaft}, Other: classOther})
		a, b, c := newWire(), newWire(), newWire()
		for i, w := range []*wire{a, b, c} {
			if err := s.Attach(string(rune('a'+i)), []netip.Addr{ipA, ipB, ipC}[i], w); err != nil {
				t.Fatal(err)
			}
		}
		defer s.Close()
		f(s, a, b, c)
	})
}

func set(t *testing.T, s *Switch, from, to string, mask uint8, r Rule) {
	t.Helper()
	if err := s.Set(from, to, mask, r); err != nil {
		t.Fatal(err)
	}
}

func traffic(t *testing.T, s *Switch, from, to string) Traffic {
	t.Helper()
	sum, err := s.Traffic(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestForwardsByAddress(t *testing.T) {
	bubble(t, func(s *Switch, a, b, c *wire) {
		a.out <- packet(ipB, 1, 2, 1)
		a.out <- packet(ipC, 1, 2, 2)
		a.out <- packet(ipA, 1, 2, 3)                                // to itself: nowhere
		a.out <- packet(netip.MustParseAddr("10.9.9.9"), 1, 2, 4)    // nobody
		a.out <- []byte{0x60, 0, 0}                                  // no IPv4
		a.out <- append([]byte{0x4f}, packet(ipB, 1, 2, 5)[1:32]...) // a header longer than the packet
		synctest.Wait()
		if got := b.arrived(); len(got) != 2 || got[0].id != 1 || got[1].id != 5 {
			t.Errorf("b got %v", got)
		}
		if got := c.arrived(); len(got) != 1 || got[0].id != 2 {
			t.Errorf("c got %v", got)
		}
	})
}

// TestCutOneWay: only the direction and the ports that were named are cut, by
// either end's port, and it heals.
func TestCutOneWay(t *testing.T) {
	bubble(t, func(s *Switch, a, b, _ *wire) {
		set(t, s, "a", "b", classRaft, Rule{Cut: true})
		a.out <- packet(ipB, 40000, 7401, 1)
		a.out <- packet(ipB, 7401, 40000, 2)
		a.out <- packet(ipB, 7400, 7400, 3)
		b.out <- packet(ipA, 40000, 7401, 4)
		synctest.Wait()
		if got := b.arrived(); len(got) != 1 || got[0].id != 3 {
			t.Errorf("b got %v through the cut", got)
		}
		if got := a.arrived(); len(got) != 1 {
			t.Errorf("a got %v: the other way is not cut", got)
		}
		if got := traffic(t, s, "a", "b"); got != (Traffic{Passed: 1, Cut: 2}) {
			t.Errorf("counted %+v", got)
		}
		s.Heal()
		a.out <- packet(ipB, 40000, 7401, 5)
		synctest.Wait()
		if got := b.arrived(); len(got) != 2 {
			t.Errorf("b got %v after healing", got)
		}
	})
}

// TestDelayKeepsOrder: all arrive after exactly the delay, in order, and a cut
// does not reach what is on its way.
func TestDelayKeepsOrder(t *testing.T) {
	bubble(t, func(s *Switch, a, b, _ *wire) {
		set(t, s, "a", "b", classOther, Rule{Delay: 50 * time.Millisecond})
		for i := range 100 {
			a.out <- packet(ipB, 1, 2, uint32(i))
		}
		synctest.Wait()
		set(t, s, "a", "b", classOther, Rule{Cut: true})
		time.Sleep(49 * time.Millisecond)
		if got := b.arrived(); len(got) != 0 {
			t.Errorf("%d packets came before the delay", len(got))
		}
		time.Sleep(2 * time.Millisecond)
		got := b.arrived()
		if len(got) != 100 {
			t.Fatalf("%d of 100 arrived", len(got))
		}
		for i, p := range got {
			if p.id != uint32(i) || p.at != 50*time.Millisecond {
				t.Errorf("packet %d is number %d at %v", i, p.id, p.at)
			}
		}
		if got := traffic(t, s, "", ""); got != (Traffic{Passed: 100, Delayed: 100}) {
			t.Errorf("counted %+v", got)
		}
	})
}

// TestDice: loss, duplication and reordering happen about as often as asked, and
// are counted exactly.
func TestDice(t *testing.T) {
	const n = 4000
	bubble(t, func(s *Switch, a, b, _ *wire) {
		set(t, s, "a", "b", classOther, Rule{Loss: 0.25, Duplicate: 0.1, Reorder: 0.05})
		for i := range n {
			a.out <- packet(ipB, 1, 2, uint32(i))
		}
		time.Sleep(time.Second)
		got, sum := b.arrived(), traffic(t, s, "a", "b")
		if int(sum.Passed) != len(got) || int(sum.Lost)+len(got) != n+int(sum.Duplicated) {
			t.Errorf("counted %+v with %d arrived of %d", sum, len(got), n)
		}
		near := func(what string, count uint64, share float64) {
			if f := float64(count) / n; f < share*0.8 || f > share*1.2 {
				t.Errorf("%s: %.3f of the packets, want about %.3f", what, f, share)
			}
		}
		near("lost", sum.Lost, 0.25)
		near("duplicated", sum.Duplicated, 0.1*0.75)
		near("reordered", sum.Reordered, 0.05*0.75*1.1)
		if slices.IsSortedFunc(got, func(x, y arrival) int { return int(x.id) - int(y.id) }) {
			t.Error("nothing was overtaken")
		}
	})
}

// TestRate: a limited link is as slow as it says, loses what it cannot hold, and
// keeps the order.
func TestRate(t *testing.T) {
	bubble(t, func(s *Switch, a, b, _ *wire) {
		set(t, s, "a", "b", classOther, Rule{Rate: 100_000}) // 1000 packets per second
		for i := range maxQueue + 500 {
			a.out <- packet(ipB, 1, 2, uint32(i))
		}
		time.Sleep(time.Second + time.Millisecond/2)
		if got := b.arrived(); len(got) != 1000 {
			t.Errorf("%d packets in a second", len(got))
		}
		time.Sleep(10 * time.Second)
		if sum := traffic(t, s, "a", "b"); sum.Lost != 500 || sum.Passed != maxQueue {
			t.Errorf("counted %+v", sum)
		}
	})
}

// TestSameSeedSameDice: two switches of one seed lose the same packets.
func TestSameSeedSameDice(t *testing.T) {
	run := func() (ids []uint32) {
		bubble(t, func(s *Switch, a, b, _ *wire) {
			set(t, s, "a", "b", classOther, Rule{Loss: 0.5})
			for i := range 64 {
				a.out <- packet(ipB, 1, 2, uint32(i))
			}
			synctest.Wait()
			for _, p := range b.arrived() {
				ids = append(ids, p.id)
			}
		})
		return ids
	}
	if first, second := run(), run(); !slices.Equal(first, second) || len(first) == 0 || len(first) == 64 {
		t.Errorf("passed %v and then %v", first, second)
	}
}

func TestAttachTwice(t *testing.T) {
	bubble(t, func(s *Switch, a, _, _ *wire) {
		if s.Attach("a", netip.MustParseAddr("10.0.0.9"), a) == nil {
			t.Error("a name was taken twice")
		}
		if s.Attach("z", ipA, a) == nil {
			t.Error("an address was taken twice")
		}
		if s.Set("a", "z", 1, Rule{}) == nil || s.Set("a", "a", 1, Rule{}) == nil {
			t.Error("a rule was set on no link")
		}
	})
}
