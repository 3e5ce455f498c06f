package bench

import (
	"context"
	"slices"
	"time"

	"github.com/selfware/selfware/gossip"
)

// Memory is looked at over a while: it is what stays that counts.
const (
	settle     = 5 * time.Second
	looks      = 10
	lookEvery  = 300 * time.Millisecond
	manyChild  = 600
	perMachine = manyChild / size
)

// rowMemory is (f). It needs nodes that have done nothing yet.
func (l *lab) rowMemory(ctx context.Context) error {
	if err := l.fresh(ctx, gossip.LAN); err != nil {
		return err
	}
	bare, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "bare"})
	if err != nil {
		return err
	}
	defer bare.kill()
	if err := pause(ctx, settle); err != nil {
		return err
	}
	idle, bareIdle, alone, err := l.look(ctx, bare)
	if err != nil {
		return err
	}
	if _, _, err := l.startAll(ctx, bare, "bare", perMachine); err != nil {
		return err
	}
	if _, _, err := l.apply(ctx, "many", manyChild); err != nil {
		return err
	}
	if _, err := l.mine.running(ctx, "many"); err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	full, _, busy, err := l.look(ctx, bare)
	if err != nil {
		return err
	}
	l.reportMemory(idle, bareIdle, full, slices.Min(busy)-slices.Min(alone))
	return l.mine.forget(ctx, "many")
}

func (l *lab) reportMemory(idle, bareIdle, full [][]float64, grown float64) {
	var mib, bareMiB, each []float64
	for i := range idle {
		for k := range idle[i] {
			mib, bareMiB = append(mib, idle[i][k]/1024), append(bareMiB, bareIdle[i][k]/1024)
		}
		for _, v := range full[i] {
			each = append(each, (v-slices.Min(idle[i]))/perMachine)
		}
	}
	l.report(Result{
		Row: "f", What: "RSS of an idle node, keeper and agent, three nodes", Unit: "MiB", Floor: "bare raft, memberlist and bolt in one process",
		Bare: summarize(bareMiB), Ours: summarize(mib), goal: goal{stat: byMax, most: 40},
	})
	l.report(Result{
		Row: "f", What: "RSS that each of a node's 200 children adds to it (600 in the cluster)", Unit: "KiB", Floor: "a bare supervisor with 200 children",
		Bare: summarize([]float64{grown / perMachine}), Ours: summarize(each), goal: goal{stat: byMedian, most: 32},
	})
}

// look reads the memory of all nodes, of all bare nodes, and of a bare
// supervisor, several times: by process, then by time.
func (l *lab) look(ctx context.Context, bare *bareSupervisor) (mine, base [][]float64, super []float64, err error) {
	mine, base = make([][]float64, size), make([][]float64, size)
	for range looks {
		for i := range size {
			a, err := l.mine.nodes[i].resident()
			if err != nil {
				return nil, nil, nil, err
			}
			b, err := resident(l.base.nodes[i].pid())
			if err != nil {
				return nil, nil, nil, err
			}
			mine[i], base[i] = append(mine[i], a), append(base[i], b)
		}
		v, err := resident(bare.pid())
		if err != nil {
			return nil, nil, nil, err
		}
		super = append(super, v)
		if err := pause(ctx, lookEvery); err != nil {
			return nil, nil, nil, err
		}
	}
	return mine, base, super, nil
}
