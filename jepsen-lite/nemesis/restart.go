package nemesis

import (
	"context"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

var restarts = []kind{
	{name: "restart-node", line: "a node is ended in good order, and started again when healed", needs: lab.CanKill, target: One, uses: theLives | theRunning, strike: restartOne},
	{name: "restart-leader", line: "the node that leads is ended in good order, and started again when healed", needs: lab.CanKill, target: Leader, uses: theLives | theRunning, strike: restartOne},
	{name: "restart-rolling", line: "one node after another is ended in good order and started again", needs: lab.CanKill, target: All, uses: theLives | theRunning, strike: restartRolling},
	{name: "upgrade-rolling", line: "one node after another gets its binary replaced; no child may notice", needs: lab.CanUpgrade, target: All, uses: theLives | theRunning, strike: upgradeRolling},
}

func restartOne(ctx context.Context, s *strike) error {
	s.says("%s ended in good order", list(s.nodes))
	s.traits(func(t *Traits) { t.Down = true })
	s.revive()
	for _, n := range s.nodes {
		if err := n.Stop(ctx); err != nil {
			return err
		}
		s.saw("nodes ended", 1)
	}
	return nil
}

// eachOnce does a step to each node once, with a pause of so long between.
func (s *strike) eachOnce(low, high time.Duration, step func(lab.Node) error) {
	pauses := make([]time.Duration, len(s.nodes))
	for i := range pauses {
		pauses[i] = s.between(low, high)
	}
	i := 0
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		if err := step(s.nodes[i]); err != nil {
			return false, err
		}
		over := rest(quit, pauses[i])
		i++
		return !over && i < len(s.nodes), nil
	})
}

func restartRolling(ctx context.Context, s *strike) error {
	s.says("%s ended in good order and started again, one after another", list(s.nodes))
	s.traits(func(t *Traits) { t.Down, t.Quorum = true, false })
	s.revive()
	ctx = context.WithoutCancel(ctx)
	s.eachOnce(500*time.Millisecond, 2*time.Second, func(n lab.Node) error {
		if err := n.Stop(ctx); err != nil {
			return err
		}
		s.saw("nodes ended", 1)
		return n.Start(ctx)
	})
	return nil
}

func upgradeRolling(ctx context.Context, s *strike) error {
	s.says("binary of %s replaced, one after another", list(s.nodes))
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	s.revive()
	ctx = context.WithoutCancel(ctx)
	s.eachOnce(500*time.Millisecond, 2*time.Second, func(n lab.Node) error {
		before, err := n.Agent()
		if err != nil {
			return nil // another fault has it
		}
		children, err := n.Children()
		if err != nil {
			return nil
		}
		if err := s.lab.Upgrade(ctx, n); err != nil {
			return err
		}
		after, err := n.Agent()
		if err == nil && after != before {
			s.saw("agents replaced", 1)
		}
		for _, c := range children {
			if _, gone := lab.State(c); gone == nil {
				s.saw("children that went on", 1)
			} // one that ended may have had its own reason; checkers know
		}
		return err
	})
	return nil
}
