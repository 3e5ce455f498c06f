package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/nemesis"
	"github.com/selfware/selfware/jepsen-lite/workload"
)

// rhythm is how long a fault lasts and how long the cluster has after it, at
// least; up to half as much again is drawn. A fault must outlast a lease.
type rhythm struct{ hold, rest time.Duration }

// least is the time in which each of so many kinds surely strikes.
func (r rhythm) least(kinds int) time.Duration {
	return (time.Duration(kinds)*(r.hold+r.rest)*3/2 - r.rest).Truncate(time.Second)
}

func rhythmOf(profile string) rhythm {
	switch profile {
	case "fast":
		return rhythm{3500 * time.Millisecond, 2500 * time.Millisecond}
	case "wan":
		return rhythm{45 * time.Second, 30 * time.Second}
	}
	return rhythm{8 * time.Second, 5 * time.Second}
}

// healTime bounds the end of a fault.
const healTime = 30 * time.Second

// strikeAll does one fault after the other until the time is over. Each nemesis
// comes once before any comes again.
func (t *tester) strikeAll(ctx context.Context) error {
	if err := pause(ctx, warm); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(t.seed, 0xfa0175))
	end := time.Now().Add(t.length)
	t.run.Faults = history.Now()
	r := rhythmOf(t.profile)
	var bag []strike
	for time.Now().Before(end) {
		if len(bag) == 0 {
			bag = slices.Clone(t.nemeses)
			rng.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		hold := r.hold + time.Duration(rng.Int64N(int64(r.hold/2)))
		if len(bag) > 0 {
			if err := t.strike(ctx, bag[0], rng, hold); err != nil {
				return err
			}
			bag = bag[1:]
		}
		if err := t.churn(ctx, rng); err != nil {
			return err
		}
		if err := pause(ctx, min(time.Until(end), r.rest+time.Duration(rng.Int64N(int64(r.rest/2))))); err != nil {
			return err
		}
	}
	return nil
}

// strike does one fault, holds it, heals it, and writes it down. A fault that
// cannot be done now, as nobody leads for example, is left out; one that can
// never be done here is an error.
func (t *tester) strike(ctx context.Context, s strike, rng *rand.Rand, hold time.Duration) error {
	n := s.choices[rng.IntN(len(s.choices))]
	fault, err := n.Inject(ctx, t.lab, rng, s.target)
	var unable *lab.Unable
	switch {
	case errors.As(err, &unable):
		return fmt.Errorf("cannot do %s: %w", n.Name(), err)
	case err != nil:
		t.say("cannot do %s now: %v", n.Name(), err)
		return nil
	}
	t.say("%s: %s", n.Name(), fault.Record().What)
	held := pause(ctx, hold)
	heal, cancel := context.WithTimeout(context.WithoutCancel(ctx), healTime)
	defer cancel()
	err = fault.Heal(heal)
	for _, p := range nemesis.Parts(fault, len(t.here())) {
		t.wrote(told(p, fault.Record().Nemesis))
	}
	if err != nil {
		return fmt.Errorf("cannot heal %s: %w", n.Name(), err)
	}
	return held
}

// long is how long nodes must be cut off for somebody to have surely asked them.
const long = 2 * time.Second

// wrote writes a fault down. What it did calls for its checker.
func (t *tester) wrote(f history.Fault) {
	t.faults.Put(f)
	for _, e := range f.Effects {
		if e.Kind == history.CutOff && e.To.Sub(e.From) > long {
			t.run.Checkers = unique(append(t.run.Checkers, "minority"))
		}
	}
}

// told is a part of a fault as the history has it.
func told(p nemesis.Part, whole string) history.Fault {
	f := history.Fault{
		Nemesis: p.Nemesis, What: p.What, Nodes: p.Nodes, Start: history.At(p.Start), End: ended(p.End), Evidence: p.Evidence,
		Benign: p.Traits.Benign, Clock: p.Traits.Clock, Quorum: p.Traits.Quorum, Down: p.Traits.Down,
	}
	if whole != p.Nemesis {
		f.With = whole
	}
	for _, e := range p.Effects {
		f.Effects = append(f.Effects, history.Effect{Kind: e.Kind, Nodes: e.Nodes, From: history.At(e.From), To: ended(e.To)})
	}
	return f
}

// ended is when something ended: now, if it has not.
func ended(t time.Time) history.Time {
	if t.IsZero() {
		return history.Now()
	}
	return history.At(t)
}

// here are the nodes that have not left.
func (t *tester) here() []lab.Node {
	return lab.Here(t.lab)
}

// churn takes a new node in, or one of those out, once all are well.
func (t *tester) churn(ctx context.Context, rng *rand.Rand) error {
	if !t.work.Churn {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	here := t.here()
	if err := t.allAlive(ctx, len(here)); err != nil {
		return err
	}
	f := history.Fault{Nemesis: workload.Churn, Start: history.Now()}
	if len(here) > t.first {
		n := here[rng.IntN(len(here))]
		if err := t.lab.Leave(ctx, n); err != nil {
			return err
		}
		f.Nodes, f.What, f.Evidence = []string{n.Name()}, n.Name()+" has left", map[string]uint64{"nodes left": 1}
	} else {
		n, err := t.lab.Join(ctx)
		if err != nil {
			return err
		}
		f.Nodes, f.What, f.Evidence = []string{n.Name()}, n.Name()+" has joined", map[string]uint64{"nodes joined": 1}
	}
	t.say("%s", f.What)
	f.End = history.Now()
	t.faults.Put(f)
	return nil
}

// allAlive waits until so many nodes are alive.
func (t *tester) allAlive(ctx context.Context, n int) error {
	for {
		alive := 0
		s, err := lab.Status(ctx, t.lab)
		for _, node := range s.Nodes {
			if node.Status == "alive" {
				alive++
			}
		}
		if alive == n {
			return nil
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("%d of %d nodes are alive (%v)", alive, n, err)
		}
	}
}
