package nemesis

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// gone is how long a killed process and those that go with it may take.
const gone = 10 * time.Second

// backoff is the longest that a keeper waits before it starts the next agent.
const backoff = 6 * time.Second

var kills = []kind{
	{name: "kill-agent", line: "SIGKILL to the agent of a node; its keeper and children go on", needs: lab.CanKill, target: One, uses: theLives, strike: killAgent},
	{name: "kill-leader-agent", line: "SIGKILL to the agent of the node that leads", needs: lab.CanKill, target: Leader, uses: theLives, strike: killAgent},
	{name: "kill-keeper", line: "SIGKILL to a node's keeper alone; agent and children must die with it", needs: lab.CanKill, target: One, uses: theLives, strike: killKeeper},
	{name: "kill-node", line: "SIGKILL to all processes of a node at once", needs: lab.CanKill, target: One, uses: theLives, strike: killNodes},
	{name: "kill-leader", line: "SIGKILL to all processes of the node that leads", needs: lab.CanKill, target: Leader, uses: theLives, strike: killNodes},
	{name: "kill-majority", line: "SIGKILL to all processes of a majority of nodes", needs: lab.CanKill, target: Majority, uses: theLives, strike: killNodes, big: true},
	{name: "kill-all", line: "SIGKILL to all processes of all nodes", needs: lab.CanKill, target: All, uses: theLives, strike: killNodes, big: true},
	{name: "kill-rolling", line: "SIGKILL to one node after another, each started again 1 to 3 s later", needs: lab.CanKill, target: All, uses: theLives, strike: killRolling},
}

func killAgent(_ context.Context, s *strike) error {
	s.says("agent of %s killed", list(s.nodes))
	s.revive()
	for _, n := range s.nodes {
		agent, err := agentOf(n)
		if err == nil {
			err = s.kill(agent)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
	}
	s.saw("agents killed", uint64(len(s.nodes)))
	return nil
}

// agentOf waits for the agent of a node, if its keeper is between two.
func agentOf(n lab.Node) (lab.Proc, error) {
	for deadline := time.Now().Add(backoff); ; time.Sleep(20 * time.Millisecond) {
		agent, err := n.Agent()
		if _, down := n.Keeper(); err == nil || down != nil || time.Now().After(deadline) {
			return agent, err
		}
	}
}

// kill kills a process and sees it end.
func (s *strike) kill(p lab.Proc) error {
	if err := lab.Signal(p, syscall.SIGKILL); err != nil {
		return err
	}
	return lab.Await(p, "", gone)
}

func killKeeper(_ context.Context, s *strike) error {
	s.says("keeper of %s killed", list(s.nodes))
	s.traits(func(t *Traits) { t.Down = true })
	s.revive()
	for _, n := range s.nodes {
		keeper, err := n.Keeper()
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		with, err := n.Children()
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		if agent, err := n.Agent(); err == nil {
			with = append(with, agent)
		}
		if err := s.kill(keeper); err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		s.saw("keepers killed", 1)
		for _, p := range with {
			// One that stays is for the checkers to find, by what it does.
			if lab.Await(p, "", 2*time.Second) == nil {
				s.saw("processes that went with their keeper", 1)
			} else {
				s.saw("processes that outlived their keeper", 1)
			}
		}
	}
	return nil
}

func killNodes(_ context.Context, s *strike) error {
	s.says("%s killed", list(s.nodes))
	s.traits(func(t *Traits) { t.Down = true })
	s.revive()
	ends := make(chan error, len(s.nodes))
	for _, n := range s.nodes {
		go func() { ends <- n.Kill() }()
	}
	var errs []error
	for range s.nodes {
		errs = append(errs, <-ends)
	}
	s.saw("nodes killed", uint64(len(s.nodes)))
	return errors.Join(errs...)
}

func killRolling(ctx context.Context, s *strike) error {
	s.says("%s killed one after another", list(s.nodes))
	s.traits(func(t *Traits) { t.Down, t.Quorum = true, false })
	s.revive()
	waits := make([]time.Duration, 2*len(s.nodes))
	for i := range waits {
		waits[i] = s.between(time.Second, 3*time.Second)
	}
	i := 0
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		n := s.nodes[i]
		if err := n.Kill(); err != nil {
			return false, err
		}
		s.saw("nodes killed", 1)
		if rest(quit, waits[2*i]) {
			return false, nil
		}
		if err := n.Start(context.WithoutCancel(ctx)); err != nil {
			return false, err
		}
		over := rest(quit, waits[2*i+1])
		i++
		return !over && i < len(s.nodes), nil
	})
	return nil
}
