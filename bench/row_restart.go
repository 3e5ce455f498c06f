package bench

import (
	"context"
	"time"

	"github.com/selfware/selfware/gossip"
)

// burst is how many restarts one way does before it is the next one's turn, and
// rest what lies between two: what follows a restart (its Started event, the
// followers' commit) is then over, and the machine not yet asleep. Threads that
// wake from a longer sleep cost all ways more, the bare log the most.
const (
	burst = 25
	rest  = 3 * time.Millisecond
)

// contender is one way of restarting, with one child.
type contender struct {
	name    string
	samples []float64
}

// rowRestart is (a): four ways of restarting one child, in turns.
func (l *lab) rowRestart(ctx context.Context) error {
	if err := l.use(ctx, gossip.LAN); err != nil {
		return err
	}
	bare, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "bare", Loop: true})
	if err != nil {
		return err
	}
	defer bare.kill()
	durable, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "durable", Hosts: l.base.hosts})
	if err != nil {
		return err
	}
	defer durable.kill()
	for _, s := range []struct {
		*bareSupervisor
		name string
	}{{bare, "bare"}, {durable, "durable"}} {
		if _, _, err := l.startAll(ctx, s.bareSupervisor, s.name, 1); err != nil {
			return err
		}
	}
	s, err := l.mine.whole(ctx)
	if err != nil {
		return err
	}
	leader, follower := l.mine.roles(s)
	far, near := &contender{name: "far/c0"}, &contender{name: "near/c0"}
	if err := l.begin(ctx, "far", 1, follower.name); err != nil {
		return err
	}
	if err := l.begin(ctx, "near", 1, leader.name); err != nil {
		return err
	}
	loop, committed := &contender{name: "bare0"}, &contender{name: "durable0"}
	if err := l.restarts(ctx, loop, committed, far, near); err != nil {
		return err
	}
	l.reportRestarts(loop, committed, far, near)
	return l.forgetAll(ctx, "far", "near")
}

func (l *lab) restarts(ctx context.Context, all ...*contender) error {
	for range restarts / burst {
		for _, c := range all {
			if err := l.burst(ctx, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) burst(ctx context.Context, c *contender) error {
	for range burst {
		if err := pause(ctx, rest); err != nil {
			return err
		}
		back, err := l.killBack(ctx, c.name)
		if err != nil {
			return err
		}
		c.samples = append(c.samples, ms(back[0]))
	}
	return nil
}

func (l *lab) reportRestarts(loop, committed, far, near *contender) {
	const bareLoop = "a Go loop of kill, wait and start with os/exec"
	l.report(Result{
		Row: "a", What: "crash → main(), child on a follower", Unit: "ms", Floor: bareLoop,
		Bare: summarize(loop.samples), Ours: summarize(far.samples), goal: goal{stat: byMedian, times: 4},
	})
	l.report(Result{
		Row: "a", What: "crash → main(), child on the leader", Unit: "ms", Floor: bareLoop,
		Bare: summarize(loop.samples), Ours: summarize(near.samples), goal: goal{stat: byMedian, times: 4},
	})
	l.report(Result{
		Row: "a", What: "the same, child on a follower", Unit: "ms", Floor: "wait4, one commit of bare raft, fork and exec, and then a commit that it runs",
		Bare: summarize(committed.samples), Ours: summarize(far.samples),
	})
}

// begin applies a tree of n children and waits until the cluster says that all
// run.
func (l *lab) begin(ctx context.Context, name string, n int, on string) error {
	text, _ := tree(name, l.argv, n, on)
	return l.settle(ctx, name, text)
}

// settle gives the cluster a tree and waits until it runs.
func (l *lab) settle(ctx context.Context, name, text string) error {
	if _, err := l.mine.nodes[0].client.Apply(ctx, name, text, ""); err != nil {
		return err
	}
	_, err := l.mine.running(ctx, name)
	return err
}

func (l *lab) forgetAll(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := l.mine.forget(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
