package nemesis

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// benignPause is the longest pause that may move nothing (P16).
const benignPause = 2 * time.Second

var pauses = []kind{
	{name: "pause-agent", line: "SIGSTOP to the agent of a node; keeper and children go on", needs: lab.CanPause, target: One, uses: theRunning, strike: pauseAgent},
	{name: "pause-leader", line: "SIGSTOP to the agent of the node that leads", needs: lab.CanPause, target: Leader, uses: theRunning, strike: pauseAgent},
	{name: "pause-majority", line: "SIGSTOP to the agents of a majority", needs: lab.CanPause, target: Majority, uses: theRunning, strike: pauseAgent, big: true},
	{name: "pause-keeper", line: "SIGSTOP to the keeper of a node; agent and children go on", needs: lab.CanPause, target: One, uses: theRunning, strike: pauseKeeper},
	{name: "freeze-node", line: "every process of a node stopped: keeper, agent and children", needs: lab.CanFreeze, target: One, uses: theRunning, strike: freezeNodes},
	{name: "freeze-leader", line: "every process of the node that leads stopped", needs: lab.CanFreeze, target: Leader, uses: theRunning, strike: freezeNodes},
	{name: "pause-blink", line: "benign: agents stopped for at most 1.5 s, one at a time, with 5 s between", needs: lab.CanPause, target: All, uses: theRunning, strike: pauseBlink},
	{name: "pause-strobe", line: "whoever leads is stopped for 1.2 s, again and again (raft#695)", needs: lab.CanPause, target: One, uses: theRunning, strike: pauseStrobe},
}

// stop stops a process and sees it stand still.
func (s *strike) stop(p lab.Proc) error {
	if err := lab.Signal(p, syscall.SIGSTOP); err != nil {
		return err
	}
	if err := lab.Await(p, "T", 5*time.Second); err != nil {
		return err
	}
	s.saw("processes seen stopped", 1)
	return nil
}

// resume lets a process go on, if it is still there.
func resume(p lab.Proc) {
	_ = lab.Signal(p, syscall.SIGCONT) // an error says that it was killed meanwhile
}

func (s *strike) pause(what string, of func(lab.Node) (lab.Proc, error)) error {
	s.says("%s of %s stopped", what, list(s.nodes))
	s.revive()
	for _, n := range s.nodes {
		p, err := of(n)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		s.undo(func(context.Context) error { resume(p); return nil })
		if err := s.stop(p); err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		// Where there is no keeper, children go on without a parent, and the agent
		// cannot end them: that is no freeze, as they are not stopped.
	}
	return nil
}

func pauseAgent(_ context.Context, s *strike) error { return s.pause("agent", lab.Node.Agent) }

func pauseKeeper(_ context.Context, s *strike) error { return s.pause("keeper", lab.Node.Keeper) }

func freezeNodes(_ context.Context, s *strike) error {
	s.says("%s frozen", list(s.nodes))
	s.revive()
	for _, n := range s.nodes {
		over := func() {}
		s.undo(func(context.Context) error { over(); return n.Thaw() })
		if err := n.Freeze(); err != nil {
			return err
		}
		over = s.effect(history.Frozen, []lab.Node{n})
		s.saw("nodes seen frozen", 1)
	}
	return nil
}

// pauseBlink stops agents shortly, one at a time. A machine under load may make
// a pause longer than asked; then it is not benign, and says so.
func pauseBlink(_ context.Context, s *strike) error {
	s.says("agents of %s stopped for up to 1.5 s, one at a time", list(s.nodes))
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	var order []lab.Node
	var lengths []time.Duration
	for range 64 {
		order = append(order, s.nodes[s.rng.IntN(len(s.nodes))])
		lengths = append(lengths, s.between(300*time.Millisecond, 1500*time.Millisecond))
	}
	i := 0
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		if err := s.blink(order[i%len(order)].Agent, lengths[i%len(order)], quit); err != nil {
			return false, err
		}
		i++
		return !rest(quit, 5*time.Second), nil
	})
	return nil
}

// blink stops a process for so long.
func (s *strike) blink(find func() (lab.Proc, error), length time.Duration, quit <-chan struct{}) error {
	p, err := find()
	if err != nil {
		return nil // another fault has it
	}
	at := time.Now()
	defer resume(p)
	if err := s.stop(p); err != nil {
		return nil // it ended meanwhile
	}
	rest(quit, length)
	resume(p)
	if time.Since(at) > benignPause {
		s.traits(func(t *Traits) { t.Benign = false })
	}
	return nil
}

func pauseStrobe(ctx context.Context, s *strike) error {
	s.says("whoever leads is stopped for 1.2 s, again and again")
	gaps := make([]time.Duration, 64)
	for i := range gaps {
		gaps[i] = s.between(200*time.Millisecond, 2*time.Second)
	}
	i := 0
	ctx = context.WithoutCancel(ctx)
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		if leader, err := lab.Leader(ctx, s.lab); err == nil {
			if err := s.blink(leader.Agent, 1200*time.Millisecond, quit); err != nil {
				return false, err
			}
		}
		i++
		return !rest(quit, gaps[i%len(gaps)]), nil
	})
	return nil
}
