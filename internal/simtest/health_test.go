package simtest

import (
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

// heldBy are the children of all trees that the log has on a node.
func (s *sim) heldBy(id string) map[string]bool {
	on := make(map[string]bool)
	for _, name := range []string{"shop", "more", "again"} {
		for _, path := range workers(flat(name, supervisor.OneForOne, 6)) {
			if st, ok := s.status(path); ok && st.Node == id {
				on[path] = true
			}
		}
	}
	return on
}

func (s *sim) circuit(id string) (state breaker.State) {
	if l := s.leader(); l != nil {
		l.p.node.Machine().View(func(v fsm.View) { state = v.Circuit(id, v.Clock()).State })
	}
	return state
}

// TestUnwellNodeGetsNothing: a node that says it is unhealthy gets no child, neither of a new
// tree nor of a lost node, whoever leads; what it has stays. Well again, it gets some.
func TestUnwellNodeGetsNothing(t *testing.T) {
	over(t, 3, func(s *sim) {
		m := s.followers()[0]
		m.p.health <- link.Health{Level: link.HealthUnhealthy, Reason: "disk: full"}
		s.within(5*time.Second, "the log knows", func() bool { return s.circuit(m.id) == breaker.Open })
		had := s.heldBy(m.id)
		s.apply(flat("more", supervisor.OneForOne, 6))
		s.rests(10 * time.Second)
		old := s.leader()
		old.crash()
		s.within(10*time.Second, "its children are elsewhere", func() bool {
			return s.leader() != nil && len(s.heldBy(old.id)) == 0
		})
		for path := range s.heldBy(m.id) {
			if !had[path] {
				s.failf("%s was put on the unhealthy node", path)
			}
		}
		if len(s.heldBy(m.id)) != len(had) || len(had) == 0 {
			s.failf("of %d children %d are left on the unhealthy node", len(had), len(s.heldBy(m.id)))
		}
		old.boot()
		s.rests(30 * time.Second)
		m.p.health <- link.Health{}
		time.Sleep(31 * time.Second) // the circuit lets trials in
		s.apply(flat("again", supervisor.OneForOne, 6))
		s.rests(10 * time.Second)
		if len(s.heldBy(m.id)) == len(had) {
			s.failf("the node is well and got nothing")
		}
	})
}
