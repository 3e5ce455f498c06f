package fsm

import (
	"fmt"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// nodeHealth takes what a node says of itself. While it is unhealthy its circuit is open;
// from then on the circuit closes as any other does, by trials.
func (s *state) nodeHealth(in *NodeRef, h link.Health) Result {
	n := s.nodes[in.ID]
	if n == nil || n.Boot != in.Boot || n.State != NodeAlive || n.Health == h {
		return Result{Err: supervisor.ErrStale}
	}
	next := *n
	next.Health = h
	s.nodes[n.ID] = &next
	s.nodesChanged = true
	was, is := n.Health.Level, h.Level
	if was != is {
		s.recordNode(&next, healthSentence(h))
	}
	switch {
	case bug.On("unhealthy-node-gets-lives"):
	case is == link.HealthUnhealthy:
		s.open(n.ID, "the node is unhealthy: "+h.Reason)
		if was != is {
			s.recordCircuit(&next, "opened: no child is placed there until the node is well again")
		}
	case was == link.HealthUnhealthy:
		s.open(n.ID, "the node was unhealthy a moment ago: "+n.Health.Reason)
		s.recordCircuit(&next, fmt.Sprintf("stays open for another %v, now that the node is not unhealthy any more", circuitConfig.ResetTimeout))
	}
	return Result{}
}

func healthSentence(h link.Health) string {
	if h.Level == link.HealthWell {
		return "is healthy again"
	}
	return fmt.Sprintf("is %v: %s", h.Level, h.Reason)
}

// unhealthy: the node's circuit stays open, however much time passes.
func (s *state) unhealthy(id string) bool {
	n := s.nodes[id]
	return n != nil && n.Health.Level == link.HealthUnhealthy
}
