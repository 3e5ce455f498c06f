package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// uses are what a nemesis holds in its hands while its fault is in force. Two that
// use the same would undo each other's work when they heal.
type uses uint8

const (
	theLinks   uses = 1 << iota // the switch's rules
	theLives                    // whether processes of nodes are there
	theRunning                  // whether processes of nodes are stopped
	theDisk
	theClock
)

var useNames = []string{"set the rules of links", "end and start processes of nodes", "stop processes of nodes or need them running", "work on disks", "set clocks"}

// String names what two faults have in common.
func (u uses) String() string {
	var names []string
	for i, name := range useNames {
		if u&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Together is the nemesis of faults at once, each with its target. The error says
// why some of them cannot be.
func Together(all []Nemesis, targets []Target) (Nemesis, error) {
	var t together
	for i, n := range all {
		k, ok := n.(kind)
		if !ok || k.uses == 0 {
			return nil, fmt.Errorf("cannot do %s with another at once", n.Name())
		}
		for _, other := range t.kinds {
			if both := k.uses & other.uses; both != 0 {
				return nil, fmt.Errorf("cannot do %s and %s at once: both %v", other.name, k.name, both)
			}
			if why := forbidden(other.name, k.name); why != "" {
				return nil, fmt.Errorf("cannot do %s and %s at once: %s", other.name, k.name, why)
			}
		}
		t.kinds, t.targets = append(t.kinds, k), append(t.targets, targets[i])
	}
	return t, nil
}

// forbidden says why two may not meet although their hands are free: what they do
// together is outside of what is promised.
func forbidden(a, b string) string {
	if a != "pause-keeper" {
		a, b = b, a
	}
	ends := []string{"kill-agent", "kill-leader-agent", "disk-full"} // the agent alone
	if a == "pause-keeper" && slices.Contains(ends, b) {
		return "with the agent dead and the keeper stopped nobody is left who could end a child (the limit of P13)"
	}
	return ""
}

// together does each kind once, one soon after the other, so that they overlap.
type together struct {
	kinds   []kind
	targets []Target
}

// Name implements Nemesis.
func (t together) Name() string {
	names := make([]string, len(t.kinds))
	for i, k := range t.kinds {
		names[i] = k.name
	}
	return strings.Join(names, "+")
}

// Line implements Nemesis.
func (t together) Line() string { return "faults that overlap" }

// Needs implements Nemesis.
func (t together) Needs() (needs lab.Caps) {
	for _, k := range t.kinds {
		needs |= k.needs
	}
	return needs
}

const (
	// stagger is how long after one fault the next one comes at most: less than
	// any lease, or the cluster would be done with the first.
	stagger = time.Second
	// draws is how often a part is tried: the node drawn may be one that the part
	// before has brought down.
	draws = 4
)

// Inject implements Nemesis: all of them, or none.
func (t together) Inject(ctx context.Context, l lab.Lab, rng *rand.Rand, _ Target) (Fault, error) {
	s := several{name: t.Name()}
	for i, k := range t.kinds {
		f, err := k.Inject(ctx, l, rng, t.targets[i])
		for n := 1; err != nil && n < draws && ctx.Err() == nil; n++ {
			f, err = k.Inject(ctx, l, rng, t.targets[i])
		}
		if err != nil {
			return nil, errors.Join(err, s.Heal(context.WithoutCancel(ctx)))
		}
		s.parts = append(s.parts, f)
		if i < len(t.kinds)-1 {
			rest(ctx.Done(), time.Duration(rng.Int64N(int64(stagger))))
		}
	}
	s.shuffle(rng)
	return s, nil
}

// several are faults as one.
type several struct {
	name  string
	parts []Fault
	order []int // in which they heal
}

// shuffle draws which heals first: what one hides may come to light by either.
func (s *several) shuffle(rng *rand.Rand) { s.order = rng.Perm(len(s.parts)) }

// Record implements Fault: what is said of all. Each has more to say: see Parts.
func (s several) Record() Record {
	sum := Record{Nemesis: s.name}
	var what []string
	for i, f := range s.parts {
		r := f.Record()
		what = append(what, r.Nemesis+" ("+r.What+")")
		sum.Nodes = append(sum.Nodes, r.Nodes...)
		if i == 0 || r.Start.Before(sum.Start) {
			sum.Start = r.Start
		}
		if r.End.After(sum.End) {
			sum.End = r.End
		}
	}
	sum.What = strings.Join(what, "; ")
	return sum
}

// Heal implements Fault.
func (s several) Heal(ctx context.Context) error {
	var errs []error
	for i := range s.parts {
		if s.order != nil {
			i = s.order[i]
		}
		errs = append(errs, s.parts[i].Heal(ctx))
	}
	return errors.Join(errs...)
}

// Evidence implements Fault. A part that left no trace is named, and makes all of
// it unreal.
func (s several) Evidence() Evidence {
	sum := Evidence{}
	for _, f := range s.parts {
		e := f.Evidence()
		if !e.Real() {
			return Evidence{"no trace of " + f.Record().Nemesis: 0}
		}
		maps.Copy(sum, e)
	}
	return sum
}

// Part is one of the faults that were done at once.
type Part struct {
	Record
	Evidence Evidence
}

// Parts takes a fault apart: what came alone is one part. In company nothing is
// benign, and nodes of which each part leaves a majority alone may be too many
// together.
func Parts(f Fault, nodes int) []Part {
	s, ok := f.(several)
	if !ok || len(s.parts) == 1 {
		if ok {
			f = s.parts[0]
		}
		return []Part{{f.Record(), f.Evidence()}}
	}
	var all []Part
	struck, quorum := make(map[string]bool), false
	for _, f := range s.parts {
		p := Part{f.Record(), f.Evidence()}
		for _, n := range p.Nodes {
			struck[n] = true
		}
		quorum = quorum || p.Traits.Quorum
		all = append(all, p)
	}
	for i := range all {
		all[i].Traits.Benign = false
		all[i].Traits.Quorum = quorum || len(struck) > (nodes-1)/2
	}
	return all
}
