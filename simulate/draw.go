package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/selfware/selfware/spec"
)

// Draw draws a plan of so many faults. The same seed and Config give the same plan.
// The last tenth of the time is left for what follows.
func Draw(cfg Config, seed uint64, faults int) []spec.Fault {
	d := drawer{rand.New(rand.NewPCG(seed, 0x5e1f)), cfg, NodeNames(cfg.Nodes), Workers(cfg.Tree)}
	plan := make([]spec.Fault, faults)
	for i := range plan {
		plan[i] = d.fault()
	}
	slices.SortStableFunc(plan, func(a, b spec.Fault) int { return cmp.Compare(a.At, b.At) })
	return plan
}

type drawer struct {
	*rand.Rand
	cfg   Config
	nodes []string
	paths []string
}

// fault is more often a crash than anything else, as it is outside.
func (d drawer) fault() spec.Fault {
	f := spec.Fault{At: d.between(0, d.cfg.For*9/10)}
	long := func() time.Duration { return d.between(100*time.Millisecond, max(time.Second, d.cfg.For/20)) }
	switch n := d.IntN(10); {
	case n < 5 || len(d.nodes) == 1:
		f.Crash, f.Times = d.paths[d.IntN(len(d.paths))], 1+d.IntN(4)
		if f.Times > 1 {
			f.Every = d.between(0, 2*time.Second)
		}
	case n < 7:
		f.Node, f.Down = d.nodes[d.IntN(len(d.nodes))], long()
	case n < 8:
		f.Leader, f.For = spec.LeaderDown, long()
	case n < 9:
		some := slices.Clone(d.nodes)
		d.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		f.Partition, f.For = some[:1+d.IntN(len(some)/2)], long()
		slices.Sort(f.Partition)
	default:
		f.Drain, f.For = d.nodes[d.IntN(len(d.nodes))], long()
	}
	return f
}

// between is a time in steps of 100 ms.
func (d drawer) between(least, most time.Duration) time.Duration {
	const step = 100 * time.Millisecond
	return (least + time.Duration(d.Int64N(int64(most-least)+1))).Round(step)
}
