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

// fault is what happens to a node.
type fault string

const (
	killed  fault = "kill -9"
	stopped fault = "SIGSTOP of keeper, agent and children"
)

// loss takes a node from the others.
type loss struct {
	profile gossip.Profile
	fault   fault
	leader  bool
	// exclusive: its children are, so others wait for its lease to run out.
	exclusive bool
}

func (k loss) what() string {
	who := "follower"
	if k.leader {
		who = "leader"
	}
	children := "children"
	if k.exclusive {
		children = "exclusive children"
	}
	return fmt.Sprintf("%s: a %s → its %s elsewhere, profile %s", k.fault, who, children, k.profile)
}

// rowNodeKilled is (b).
func (l *lab) rowNodeKilled(ctx context.Context) error {
	return l.losses(ctx, loss{fault: killed}, func(r Result, _ loss) Result {
		r.Row, r.Floor = "b", "bare raft: kill -9 of the leader → next commit"
		r.goal = goal{stat: byP99, beyond: 500}
		return r
	})
}

// rowNodeSilent is (c).
func (l *lab) rowNodeSilent(ctx context.Context) error {
	limits := map[gossip.Profile]float64{gossip.LAN: 4000, gossip.Fast: 1500}
	return l.losses(ctx, loss{fault: stopped}, func(r Result, k loss) Result {
		r.Row, r.Floor = "c", "bare memberlist and raft, the same fault → dead in all views, and a commit"
		r.goal = goal{stat: byP99, most: limits[k.profile]}
		return r
	})
}

// rowExclusive is (g): what (b) and (c) are for exclusive children.
func (l *lab) rowExclusive(ctx context.Context) error {
	limits := map[gossip.Profile]float64{gossip.LAN: 8000, gossip.Fast: 3000}
	for _, f := range []fault{killed, stopped} {
		err := l.losses(ctx, loss{fault: f, exclusive: true}, func(r Result, k loss) Result {
			r.Row, r.Floor = "g", "bare memberlist and raft, the same fault → a commit"
			r.goal = goal{stat: byMax, most: limits[k.profile]}
			return r
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// losses measures one kind of loss, of a follower and of the leader, in each profile.
func (l *lab) losses(ctx context.Context, k loss, finish func(Result, loss) Result) error {
	for _, profile := range profiles {
		if err := l.use(ctx, profile); err != nil {
			return err
		}
		for _, leader := range []bool{false, true} {
			k.profile, k.leader = profile, leader
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

// victim is a node to lose, with what runs on it.
type victim struct {
	proc *proc // its keeper, with which all else dies
	pids []int // of its agent and its children
}

// hit lets the fault happen.
func (v victim) hit(f fault) error {
	if f == killed {
		return v.proc.cmd.Process.Kill()
	}
	return v.signal(syscall.SIGSTOP)
}

// heal takes the fault back; start begins a killed node anew.
func (v victim) heal(f fault, start func() error) error {
	if f == killed {
		<-v.proc.done
		return start()
	}
	return v.signal(syscall.SIGCONT)
}

// signal reaches a node's keeper, agent and children. A machine that stands still
// loses all of them.
func (v victim) signal(sig syscall.Signal) error {
	err := v.proc.signal(sig)
	for _, pid := range v.pids {
		_ = syscall.Kill(pid, sig) // it may have ended by itself
	}
	return err
}

// loseOurs spreads children anew, takes a node away, waits for its children on
// others, and gives the node back.
func (l *lab) loseOurs(ctx context.Context, k loss) (time.Duration, error) {
	text, _ := tree("spread", l.argv, spreadOver, "")
	if k.exclusive {
		text = "exclusive: true\n" + text
	}
	if err := l.settle(ctx, "spread", text); err != nil {
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
	m, follower := l.mine.roles(s)
	if !k.leader {
		m = follower
	}
	paths := where[m.name]
	if len(paths) == 0 {
		return 0, fmt.Errorf("cannot lose node %s: no child runs there", m.name)
	}
	agent, err := m.agent()
	if err != nil {
		return 0, err
	}
	v := victim{proc: m.proc, pids: []int{agent}}
	for _, path := range paths {
		v.pids = append(v.pids, l.births.pid(path))
	}
	w := l.births.expect(paths...)
	t0 := now()
	if err := v.hit(k.fault); err != nil {
		return 0, err
	}
	got, err := w.wait(ctx, ready)
	if err := errors.Join(err, v.heal(k.fault, func() error { return l.mine.start(m) })); err != nil {
		return 0, err
	}
	return lastOf(got) - t0, l.mine.forget(ctx, "spread")
}

// loseBare is the floor. A killed node's death is told by the kernel, so what
// bounds it is an election; a silent one's must be found out first.
func (l *lab) loseBare(ctx context.Context, k loss) (time.Duration, error) {
	i, err := l.base.whole(ctx)
	if err != nil {
		return 0, err
	}
	if k.fault != killed && !k.leader {
		i = (i + 1) % size
	}
	v := victim{proc: l.base.nodes[i]}
	t0 := now()
	if err := v.hit(k.fault); err != nil {
		return 0, err
	}
	if k.fault != killed {
		err = l.base.client.untilAlive(ctx, i, size-1)
	}
	if err == nil {
		_, err = l.base.client.untilWrite(ctx, i)
	}
	took := now() - t0
	l.base.client.drop(i)
	return took, errors.Join(err, v.heal(k.fault, func() error { return l.base.start(i) }))
}
