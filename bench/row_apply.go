package bench

import (
	"context"
	"time"

	"github.com/selfware/selfware/gossip"
)

// rowApply is (d).
func (l *lab) rowApply(ctx context.Context) error {
	if err := l.use(ctx, gossip.LAN); err != nil {
		return err
	}
	if err := l.applyOne(ctx); err != nil {
		return err
	}
	return l.storm(ctx)
}

// applyOne is for a tree of one child: from the request to the first
// instruction of the child.
func (l *lab) applyOne(ctx context.Context) error {
	bare, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "durable", Hosts: l.base.hosts})
	if err != nil {
		return err
	}
	defer bare.kill()
	var mine, floor []float64
	for range applies {
		took, _, err := l.startAll(ctx, bare, "durable", 1)
		if err != nil {
			return err
		}
		floor = append(floor, ms(took))
		if err := bare.stopAll(); err != nil {
			return err
		}
		if took, _, err = l.apply(ctx, "one", 1); err != nil {
			return err
		}
		mine = append(mine, ms(took))
		if err := l.mine.forget(ctx, "one"); err != nil {
			return err
		}
	}
	l.report(Result{
		Row: "d", What: "apply → main(), 1 child", Unit: "ms", Floor: "request, one commit of bare raft, fork and exec",
		Bare: summarize(floor), Ours: summarize(mine), goal: goal{stat: byMedian, most: 15},
	})
	return nil
}

// apply applies a tree and waits for the births of all its children.
func (l *lab) apply(ctx context.Context, name string, n int) (took time.Duration, paths []string, err error) {
	text, paths := tree(name, l.argv, n, "")
	w := l.births.expect(paths...)
	t0 := now()
	if _, err := l.mine.nodes[1].client.Apply(ctx, name, text, ""); err != nil {
		return 0, nil, err
	}
	got, err := w.wait(ctx, ready)
	if err != nil {
		return 0, nil, err
	}
	return lastOf(got) - t0, paths, nil
}

// storm is for many children: all started, all killed at once.
func (l *lab) storm(ctx context.Context) error {
	var rates, floorRates, back, floorBack []float64
	for range storms {
		rate, times, err := l.bareStorm(ctx)
		if err != nil {
			return err
		}
		floorRates, floorBack = append(floorRates, rate), append(floorBack, times...)
		if rate, times, err = l.ourStorm(ctx); err != nil {
			return err
		}
		rates, back = append(rates, rate), append(back, times...)
	}
	l.report(Result{
		Row: "d", What: "apply of 500 children: started per second", Unit: "/s", Floor: "fork and exec in a loop",
		Bare: summarize(floorRates), Ours: summarize(rates), goal: goal{stat: byMedian, least: 500},
	})
	l.report(Result{
		Row: "d", What: "500 children killed at once: each back after", Unit: "ms", Floor: "wait4(-1), fork and exec in a loop",
		Bare: summarize(floorBack), Ours: summarize(back), goal: goal{stat: byMax, most: 1000},
	})
	return nil
}

func (l *lab) bareStorm(ctx context.Context) (rate float64, back []float64, err error) {
	bare, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "bare"})
	if err != nil {
		return 0, nil, err
	}
	defer bare.kill()
	took, names, err := l.startAll(ctx, bare, "bare", stormSize)
	if err != nil {
		return 0, nil, err
	}
	times, err := l.killBack(ctx, names...)
	return perSecond(took), inMS(times), err
}

func (l *lab) ourStorm(ctx context.Context) (rate float64, back []float64, err error) {
	took, paths, err := l.apply(ctx, "storm", stormSize)
	if err != nil {
		return 0, nil, err
	}
	if _, err := l.mine.running(ctx, "storm"); err != nil {
		return 0, nil, err
	}
	times, err := l.killBack(ctx, paths...)
	if err != nil {
		return 0, nil, err
	}
	if _, err := l.mine.running(ctx, "storm"); err != nil {
		return 0, nil, err
	}
	return perSecond(took), inMS(times), l.mine.forget(ctx, "storm")
}

func perSecond(took time.Duration) float64 { return stormSize / took.Seconds() }

func inMS(times []time.Duration) []float64 {
	var all []float64
	for _, t := range times {
		all = append(all, ms(t))
	}
	return all
}
