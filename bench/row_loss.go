package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/selfware/selfware/gossip"
)

// spreadOver is how many children the rows about lost nodes have in all.
const spreadOver = 30

// loss is one kind of fault that takes a node from the others.
type loss struct {
	profile gossip.Profile
	silent  bool // stopped, and not killed
	leader  bool
}

func (k loss) what() string {
	who, how := "follower", "kill -9"
	if k.leader {
		who = "leader"
	}
	if k.silent {
		how = "SIGSTOP"
	}
	return fmt.Sprintf("%s of a %s → its children elsewhere, profile %s", how, who, k.profile)
}

// rowNodeKilled is (b).
func (l *lab) rowNodeKilled(ctx context.Context) error {
	return l.losses(ctx, false, func(r Result, k loss) Result {
		r.Row, r.Floor = "b", "bare raft: kill -9 of the leader → next commit"
		r.goal = goal{stat: byP99, beyond: 500}
		return r
	})
}

// rowNodeSilent is (c).
func (l *lab) rowNodeSilent(ctx context.Context) error {
	limits := map[gossip.Profile]float64{gossip.LAN: 4000, gossip.Fast: 1500}
	return l.losses(ctx, true, func(r Result, k loss) Result {
		r.Row, r.Floor = "c", "bare memberlist and raft: SIGSTOP → dead in all views, and a commit"
		r.goal = goal{stat: byP99, most: limits[k.profile]}
		return r
	})
}

func (l *lab) losses(ctx context.Context, silent bool, finish func(Result, loss) Result) error {
	for _, profile := range profiles {
		if err := l.use(ctx, profile); err != nil {
			return err
		}
		for _, leader := range []bool{false, true} {
			k := loss{profile: profile, silent: silent, leader: leader}
			r, err := l.measureLoss(ctx, k)
			if err != nil {
				return fmt.Errorf("%s: %w", k.what(), err)
			}
			l.report(finish(r, k))
		}
	}
	return nil
}

// measureLoss takes a node from each cluster, again and again. Both wait for
// timers nearly all of the time, so they may do it at the same time.
func (l *lab) measureLoss(ctx context.Context, k loss) (Result, error) {
	var mine, bare []float64
	for range lossReps[k.profile] {
		var wg sync.WaitGroup
		var took, floor time.Duration
		var err1, err2 error
		wg.Go(func() { floor, err1 = l.loseBare(ctx, k) })
		wg.Go(func() { took, err2 = l.loseOurs(ctx, k) })
		wg.Wait()
		if err := errors.Join(err1, err2); err != nil {
			return Result{}, err
		}
		mine, bare = append(mine, ms(took)), append(bare, ms(floor))
	}
	return Result{What: k.what(), Unit: "ms", Bare: summarize(bare), Ours: summarize(mine)}, nil
}

// loseOurs spreads children anew, takes a node away, waits for its children on
// others, and gives the node back.
func (l *lab) loseOurs(ctx context.Context, k loss) (time.Duration, error) {
	if err := l.begin(ctx, "spread", spreadOver, ""); err != nil {
		return 0, err
	}
	where, err := l.mine.running(ctx, "spread")
	if err != nil {
		return 0, err
	}
	s, err := l.mine.whole(ctx)
	if err != nil {
		return 0, err
	}
	victim, follower := l.mine.roles(s)
	if !k.leader {
		victim = follower
	}
	paths := where[victim.name]
	if len(paths) == 0 {
		return 0, fmt.Errorf("cannot lose node %s: no child runs there", victim.name)
	}
	var pids []int
	for _, path := range paths {
		pids = append(pids, l.births.pid(path))
	}
	w := l.births.expect(paths...)
	t0 := now()
	if k.silent {
		err = l.mine.freeze(victim, pids, syscall.SIGSTOP)
	} else {
		err = victim.proc.cmd.Process.Kill()
	}
	if err != nil {
		return 0, err
	}
	got, err := w.wait(ctx, ready)
	if k.silent {
		err = errors.Join(err, l.mine.freeze(victim, pids, syscall.SIGCONT))
	} else {
		<-victim.proc.done
		err = errors.Join(err, l.mine.start(victim))
	}
	if err != nil {
		return 0, err
	}
	return lastOf(got) - t0, l.mine.forget(ctx, "spread")
}

// loseBare is the floor. A killed node's death is told by the kernel, so what
// bounds it is an election; a silent one's must be found out first.
func (l *lab) loseBare(ctx context.Context, k loss) (time.Duration, error) {
	victim, err := l.base.whole(ctx)
	if err != nil {
		return 0, err
	}
	if k.silent && !k.leader {
		victim = (victim + 1) % size
	}
	p := l.base.nodes[victim]
	t0 := now()
	if !k.silent {
		if err := p.cmd.Process.Kill(); err != nil {
			return 0, err
		}
	} else if err := p.signal(syscall.SIGSTOP); err != nil {
		return 0, err
	}
	if k.silent {
		err = l.base.client.untilAlive(ctx, victim, size-1)
	}
	if err == nil {
		_, err = l.base.client.untilWrite(ctx, victim)
	}
	took := now() - t0
	if k.silent {
		return took, errors.Join(err, p.signal(syscall.SIGCONT))
	}
	<-p.done
	l.base.client.drop(victim)
	return took, errors.Join(err, l.base.start(victim))
}
