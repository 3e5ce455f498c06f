package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// assumedDrift is the difference of clock rates that leases allow for, in parts
// per million: cluster/doc.go, assumption A1.
const assumedDrift = 50_000

var clocks = []kind{
	{name: "clock-wall", line: "benign: the time of day of some nodes jumps by up to a day, either way", needs: lab.CanClock, target: Minority, uses: theClock, strike: wallJump},
	{name: "clock-strobe", line: "benign: the time of day of all nodes jumps to and fro by up to an hour, ten times a second", needs: lab.CanClock, target: All, uses: theClock, strike: wallStrobe},
	{name: "clock-drift", line: "benign: clocks of all nodes run as fast or slow as leases allow for", needs: lab.CanClock, target: All, uses: theClock, strike: drift},
	{name: "clock-rate", line: "one node's clock 20 % or 100 % fast, or 20 % slow: beyond what leases assume", needs: lab.CanClock, target: One, uses: theClock, strike: wildRate},
	{name: "clock-jump", line: "one node's monotonic clock jumps ahead by 1 to 10 s: beyond what leases assume", needs: lab.CanClock, target: One, uses: theClock, strike: monoJump},
}

// reads counts the reads of wrong clocks as traces.
func (s *strike) reads() error {
	var before uint64
	for _, n := range s.nodes {
		c := n.Clock()
		if c == nil {
			return fmt.Errorf("the clock of %s cannot be set", n.Name())
		}
		r, err := c.Reads()
		if err != nil {
			return err
		}
		before += r
		s.undo(func(context.Context) error { return c.Set(lab.ClockFault{}) })
	}
	s.later(func(e Evidence) {
		var now uint64
		for _, n := range s.nodes {
			r, err := n.Clock().Reads()
			if err != nil {
				return // what was counted last stands
			}
			now += r
		}
		e["reads of a wrong clock"] = now - before
	})
	return nil
}

// wrong sets the clocks of all nodes of the strike.
func (s *strike) wrong(of func(i int) lab.ClockFault) error {
	errs := []error{s.reads()}
	if errs[0] != nil {
		return errs[0]
	}
	for i, n := range s.nodes {
		errs = append(errs, n.Clock().Set(of(i)))
	}
	return errors.Join(errs...)
}

// signed draws a duration of either sign.
func (s *strike) signed(limit time.Duration) time.Duration {
	return s.between(-limit, limit).Round(time.Second)
}

func wallJump(_ context.Context, s *strike) error {
	by := s.signed(24 * time.Hour)
	s.says("time of day of %s off by %v", list(s.nodes), by)
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	return s.wrong(func(int) lab.ClockFault { return lab.ClockFault{Wall: by} })
}

func wallStrobe(_ context.Context, s *strike) error {
	by := s.between(time.Minute, time.Hour).Round(time.Second)
	s.says("time of day of %s off by %v and right in turn", list(s.nodes), by)
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	if err := s.wrong(func(int) lab.ClockFault { return lab.ClockFault{Wall: by} }); err != nil {
		return err
	}
	i := 0
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		i++
		var errs []error
		for j, n := range s.nodes {
			f := lab.ClockFault{}
			if (i+j)%2 == 0 {
				f.Wall = by
			}
			errs = append(errs, n.Clock().Set(f))
		}
		return !rest(quit, 100*time.Millisecond), errors.Join(errs...)
	})
	return nil
}

// drift lets any two clocks differ by as much as leases allow for, and no more.
func drift(_ context.Context, s *strike) error {
	s.says("clocks of %s run at up to %d ppm of each other", list(s.nodes), assumedDrift)
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	rates := make([]int64, len(s.nodes))
	for i := range rates {
		rates[i] = s.rng.Int64N(assumedDrift+1) - assumedDrift/2
	}
	return s.wrong(func(i int) lab.ClockFault { return lab.ClockFault{Rate: rates[i]} })
}

func wildRate(_ context.Context, s *strike) error {
	rate := []int64{200_000, -200_000, 1_000_000}[s.rng.IntN(3)]
	s.says("clock of %s runs %+d %% fast", list(s.nodes), rate/10_000)
	s.traits(func(t *Traits) { t.Clock = true })
	return s.wrong(func(int) lab.ClockFault { return lab.ClockFault{Rate: rate} })
}

func monoJump(_ context.Context, s *strike) error {
	by := s.between(time.Second, 10*time.Second).Round(time.Millisecond)
	s.says("clock of %s jumps %v ahead", list(s.nodes), by)
	s.traits(func(t *Traits) { t.Clock = true })
	return s.wrong(func(int) lab.ClockFault { return lab.ClockFault{Mono: by} })
}
