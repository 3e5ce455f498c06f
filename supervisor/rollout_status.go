package supervisor

import "time"

// RolloutStatus is what users see of a rollout. Trying have their turn; Next is the
// cluster time at which the rollout looks again, if time alone will do.
type RolloutStatus struct {
	Phase  RolloutPhase
	By     string
	Why    string
	Done   int
	Total  int
	Trying []string
	Next   time.Duration
}

// Rollout tells of the update under way, or of the one that was last reverted; false
// if there is neither.
func (t *Tree) Rollout() (RolloutStatus, bool) {
	r := t.rollout
	if r == nil {
		return RolloutStatus{}, false
	}
	s := RolloutStatus{Phase: r.Phase, By: r.By, Why: r.Why, Done: r.Done, Total: r.Total}
	for _, w := range t.waves {
		for _, n := range w.watched {
			s.Trying = append(s.Trying, n.path)
		}
	}
	s.Next, _ = t.NextAt()
	return s, true
}

// Turn is where a child is in a rollout.
type Turn string

const (
	TurnWaits Turn = "waits" // it has its former spec until its turn
	TurnTries Turn = "tries" // it has its turn: it must stand the test of min_ready
)

func (n *node) turn() Turn {
	switch {
	case n.next != nil:
		return TurnWaits
	case n.watch != nil:
		return TurnTries
	}
	return ""
}
