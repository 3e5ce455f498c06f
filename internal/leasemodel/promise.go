package leasemodel

import "slices"

// Promise is one of the promises of the design that the model can break.
type Promise uint8

// The promises that the model judges by.
const (
	// Kept: none is broken.
	Kept Promise = iota
	// P1: one decision per place in the log; epochs only grow.
	P1
	// P7: one event causes one decision at most.
	P7
	// P12: who is cut off acts on nothing: a life begins only by a committed
	// decision, and runs only under a lease that a leader granted.
	P12
	// P13: at most one life of the exclusive child runs. After a freeze two may, for
	// less than the tick in which the keeper wakes up.
	P13
	// P13Fence: a resource that checks epochs takes no write of a life after it
	// took one of a later life.
	P13Fence
)

func (p Promise) String() string {
	return [...]string{"kept", "P1", "P7", "P12", "P13", "P13 (fence)"}[p]
}

// judge finds what is wrong with a state as it is; what is wrong with a step is
// noted by the step, in Broken.
func (sc *Scope) judge(s *state) Promise {
	a, b := &s.Nodes[0], &s.Nodes[1]
	if overdue(a) || overdue(b) {
		sc.breaks(s, P12)
	}
	excused := sc.Freezes > 0 && !sc.Strict && (a.Frozen == thawed || b.Frozen == thawed)
	if s.overlaps() && !excused {
		sc.breaks(s, P13)
	}
	return s.Broken
}

// breaks notes that a promise is broken, if it is one to watch.
func (sc *Scope) breaks(s *state, p Promise) {
	if len(sc.Watch) == 0 || slices.Contains(sc.Watch, p) {
		s.Broken = p
	}
}

// executes: the process exists and the machine gives it time.
func (n *node) executes() bool { return n.Runs != 0 && n.Frozen != frozen }

// overdue: the process runs although no lease covers it any more.
func overdue(n *node) bool { return n.Runs != 0 && n.Frozen == awake && n.Granted > mortal }

// overlaps: two lives run.
func (s *state) overlaps() bool { return s.Nodes[0].executes() && s.Nodes[1].executes() }
