package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// mixed does two or three faults at once, of different families: those that take
// the quorum by themselves are left out, but together they may.
type mixed struct{}

// Name implements Nemesis.
func (mixed) Name() string { return "mixed" }

// Line implements Nemesis.
func (mixed) Line() string { return "two or three faults of different families at once" }

// Needs implements Nemesis: it takes what the lab can do.
func (mixed) Needs() lab.Caps { return lab.CanKill | lab.CanPause }

// families are the kinds that mixed draws from: one of a family at a time, as two
// partitions would undo each other's rules.
func families(can lab.Caps) [][]kind {
	var found [][]kind
	for _, f := range [][]kind{kills, pauses, append(append([]kind(nil), partitions...), slows...), disks, clocks, restarts} {
		var able []kind
		for _, k := range f {
			if !k.big && can.Has(k.needs) {
				able = append(able, k)
			}
		}
		if len(able) > 0 {
			found = append(found, able)
		}
	}
	return found
}

// Inject implements Nemesis. A fault that cannot be done just now is left out, as
// long as there is another.
func (mixed) Inject(ctx context.Context, l lab.Lab, rng *rand.Rand, _ Target) (Fault, error) {
	all := families(l.Can())
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var m several
	var errs []error
	for _, family := range all[:min(len(all), 2+rng.IntN(2))] {
		f, err := family[rng.IntN(len(family))].Inject(ctx, l, rng, Any)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m = append(m, f)
	}
	if len(m) == 0 {
		return nil, fmt.Errorf("cannot do any of the faults drawn: %w", errors.Join(errs...))
	}
	return m, nil
}

// several are faults as one.
type several []Fault

// Record implements Fault: benign is only what is in all parts.
func (m several) Record() Record {
	sum := m[0].Record()
	sum.Nemesis = "mixed"
	what := []string{m[0].Record().Nemesis + " (" + sum.What + ")"}
	for _, f := range m[1:] {
		r := f.Record()
		what = append(what, r.Nemesis+" ("+r.What+")")
		sum.Nodes = append(sum.Nodes[:len(sum.Nodes):len(sum.Nodes)], r.Nodes...)
		if r.End.After(sum.End) {
			sum.End = r.End
		}
		t := &sum.Traits
		t.Freeze = t.Freeze || r.Traits.Freeze
		t.Clock = t.Clock || r.Traits.Clock
		t.Down = t.Down || r.Traits.Down
		t.Quorum = t.Quorum || r.Traits.Quorum
	}
	if len(m) > 1 {
		// What is benign alone need not be so in company, and what leaves a majority
		// alone may not.
		sum.Traits.Benign, sum.Traits.Quorum = false, true
	}
	sum.What = strings.Join(what, "; ")
	return sum
}

// Heal implements Fault: the last comes first.
func (m several) Heal(ctx context.Context) error {
	var errs []error
	for i := len(m) - 1; i >= 0; i-- {
		errs = append(errs, m[i].Heal(ctx))
	}
	return errors.Join(errs...)
}

// Evidence implements Fault. A part that left no trace is named, and makes all of
// it unreal.
func (m several) Evidence() Evidence {
	sum := Evidence{}
	for _, f := range m {
		e := f.Evidence()
		if !e.Real() {
			return Evidence{"no trace of " + f.Record().Nemesis: 0}
		}
		maps.Copy(sum, e)
	}
	return sum
}
