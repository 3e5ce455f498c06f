package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

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

// families are the kinds that mixed draws from.
func families(can lab.Caps) [][]kind {
	var found [][]kind
	for _, f := range [][]kind{kills, pauses, slices.Concat(partitions, slows), disks, clocks, restarts} {
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

// Inject implements Nemesis. A fault that cannot be done just now, or not beside
// those drawn before, is left out, as long as there is another.
func (mixed) Inject(ctx context.Context, l lab.Lab, rng *rand.Rand, _ Target) (Fault, error) {
	all := families(l.Can())
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	m := several{name: "mixed"}
	var drawn []Nemesis
	var errs []error
	for _, family := range all[:min(len(all), 2+rng.IntN(2))] {
		k := family[rng.IntN(len(family))]
		if _, err := Together(append(drawn, k), make([]Target, len(drawn)+1)); err != nil {
			errs = append(errs, err)
			continue
		}
		f, err := k.Inject(ctx, l, rng, Any)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.parts, drawn = append(m.parts, f), append(drawn, k)
	}
	if len(m.parts) == 0 {
		return nil, fmt.Errorf("cannot do any of the faults drawn: %w", errors.Join(errs...))
	}
	return m, nil
}
