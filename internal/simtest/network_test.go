package simtest

import (
	"slices"
	"strings"
	"time"
)

// disturb is a fault of the network around a machine.
func (s *sim) disturb(m *machine, f Fault) (undo func()) {
	others := s.others(m)
	class, way, isPart := strings.Cut(f.What, "-cut")
	switch {
	case f.What == "reset", f.What == "half-open":
		for _, x := range others {
			broken := 0
			if f.What == "reset" {
				broken = s.net.Reset(m.ip, x.ip, "")
			} else {
				broken = s.net.HalfOpen(m.ip, x.ip, "")
			}
			s.count(func(c *faultCounts) { c.resets += broken })
			if broken > 0 {
				s.bit(f.What)
			}
		}
		return nil
	case f.What == "flapping":
		return s.held(f, s.flapping(m, f.For))
	case isPart:
		return s.held(f, s.cutClass(m, class, way))
	}
	return s.held(f, s.cut(m, f.What))
}

// held ends a cut that has bitten if it held anything up.
func (s *sim) held(f Fault, heal func()) (undo func()) {
	before := s.net.Stopped()
	return func() {
		heal()
		if s.net.Stopped() > before {
			s.bit(f.What)
		}
	}
}

func (s *sim) others(m *machine) []*machine {
	return slices.DeleteFunc(slices.Clone(s.machines), func(x *machine) bool { return x == m })
}

// cutClass stops one class of traffic between a machine and all others.
func (s *sim) cutClass(m *machine, class, way string) (undo func()) {
	ip, others := m.ip, s.addresses(s.others(m))
	for _, x := range others {
		if way != "-in" {
			s.net.CutClass(ip, x, class, true)
		}
		if way != "-out" {
			s.net.CutClass(x, ip, class, true)
		}
	}
	return func() {
		for _, x := range others {
			s.net.Heal(ip, x)
		}
	}
}

func (s *sim) addresses(of []*machine) (ips []string) {
	for _, m := range of {
		ips = append(ips, m.ip)
	}
	return ips
}

// flapping cuts a machine off and lets it back, again and again.
func (s *sim) flapping(m *machine, length time.Duration) (undo func()) {
	ip, others := m.ip, s.addresses(s.others(m))
	end, pause := time.Now().Add(length), time.Duration(100+m.chance()*2900)*time.Millisecond
	over := make(chan struct{})
	s.wg.Go(func() {
		for time.Now().Before(end) {
			for _, x := range others {
				s.net.Cut(ip, x, false)
			}
			if !wait(over, pause) {
				return
			}
			for _, x := range others {
				s.net.Heal(ip, x)
			}
			if !wait(over, pause) {
				return
			}
		}
	})
	return func() {
		close(over)
		for _, x := range others {
			s.net.Heal(ip, x)
		}
	}
}

// wait passes some time; false if it is over before that.
func wait(over <-chan struct{}, d time.Duration) bool {
	select {
	case <-over:
		return false
	case <-time.After(d):
		return true
	}
}

// cut cuts links by shape, around a machine.
func (s *sim) cut(m *machine, shape string) (undo func()) {
	others := s.others(m)
	type pair struct{ a, b string }
	var pairs []pair
	one := func(a, b *machine, oneWay bool) {
		s.net.Cut(a.ip, b.ip, oneWay)
		pairs = append(pairs, pair{a.ip, b.ip})
	}
	all := func(from, to []*machine) {
		for _, a := range from {
			for _, b := range to {
				one(a, b, false)
			}
		}
	}
	minority := (len(s.machines) - 1) / 2
	switch half := len(others) / 2; shape {
	case "alone":
		all([]*machine{m}, others)
	case "one-way-out", "one-way-in":
		for _, x := range others {
			if shape == "one-way-out" {
				one(m, x, true)
			} else {
				one(x, m, true)
			}
		}
	case "pair":
		all([]*machine{m}, others[:min(1, len(others))])
	case "halves": // m is with the minority
		near := max(0, minority-1)
		all(append([]*machine{m}, others[:near]...), others[near:])
	case "majority": // m is with the majority
		all(others[:minority], append([]*machine{m}, others[minority:]...))
	case "bridge": // two halves that both see m
		all(others[:half], others[half:])
	case "ring": // each sees its neighbours, and a majority
		for i := range s.machines {
			one(s.machines[i], s.machines[(i+len(s.machines)/2)%len(s.machines)], false)
		}
	default:
		s.t.Fatalf("no fault is called %q", shape)
	}
	return func() {
		for _, p := range pairs {
			s.net.Heal(p.a, p.b)
		}
	}
}
