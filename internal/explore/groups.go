package main

import "github.com/selfware/selfware/supervisor"

// fate is what a failure means for a worker.
type fate int

const (
	untouched fate = iota
	renewed        // it begins anew with the batch
	ended          // it ends, and nothing follows
)

// judgeGroup: after a failure exactly those begin anew, or end, that the strategy says (P4).
func (w *world) judgeGroup(e *event) {
	if e.due == nil || e.due.restarts < 0 && e.due.downs < 0 {
		return
	}
	fates := make([]fate, len(w.family()))
	if d := e.due.downs; d >= 0 {
		w.below(d, func(x int) { fates[x] = ended })
	} else {
		w.group(e, e.due.restarts, fates)
	}
	w.workers(func(k int, n *supervisor.NodeState) {
		if old := w.nodeOf(e.before, e.variant, k); old != nil && w.family()[k].in {
			w.judgeFate(e, k, n, old, fates[k])
		}
	})
}

func (w *world) judgeFate(e *event, k int, n, old *supervisor.NodeState, f fate) {
	l, was := &n.Life, &old.Life
	inBatch := l.Epoch == e.at.Epoch() && l.Phase != supervisor.PhaseStopping ||
		l.Phase == supervisor.PhaseStopping && l.Next == e.at.Epoch() && l.Then == supervisor.PhasePending
	over := settled(n) && l.Phase != supervisor.PhaseRunning || l.Phase == supervisor.PhaseStopping && l.Then != supervisor.PhasePending
	rests := settled(old) && was.Phase != supervisor.PhaseRunning || was.Phase == supervisor.PhaseStopping && was.Then != supervisor.PhasePending
	switch {
	case w.stopped[k]: // P11 is judged elsewhere
	case f == renewed && !inBatch:
		w.violate("P4", "%s is of the group that restarts, and is %s", n.Path, l.Phase)
	case f == ended && !over:
		w.violate("P4", "%s must end with its group, and is %s", n.Path, l.Phase)
	case f == ended && rests && was.Phase != supervisor.PhaseStopping && l.Phase != was.Phase:
		w.violate("P4", "%s was %s, and is %s", n.Path, was.Phase, l.Phase)
	case f == untouched && (l.Epoch != was.Epoch || l.Phase != was.Phase || l.Next != was.Next):
		w.violate("P4", "%s is not of the group that restarts, was %s and is %s", n.Path, was.Phase, l.Phase)
	}
}

// group finds the fate of each worker when k restarts with its group.
func (w *world) group(e *event, k int, fates []fate) {
	f := w.family()
	s := &f[f[k].parent]
	for _, y := range s.children {
		switch {
		case y == k:
			w.anewBelow(e, y, fates)
		case s.strategy == supervisor.OneForOne, s.strategy == supervisor.RestForOne && f[y].pos < f[k].pos:
		default:
			w.sibling(e, y, fates)
		}
	}
}

// sibling: y shares the fate of a sibling that restarts.
func (w *world) sibling(e *event, y int, fates []fate) {
	x := &w.family()[y]
	temporary := x.restart == supervisor.Temporary
	if !x.worker {
		old := w.nodeOf(e.before, e.variant, y)
		switch {
		case old.Down == supervisor.PhaseStopped, old.Down != "" && temporary:
			w.below(y, func(c int) { fates[c] = ended })
		case temporary:
			w.below(y, func(c int) { fates[c] = ended })
		default:
			w.anewBelow(e, y, fates)
		}
		return
	}
	if temporary || w.nodeOf(e.before, e.variant, y).Life.Phase == supervisor.PhaseFailed { // for good
		fates[y] = ended
		return
	}
	fates[y] = renewed
}

// anewBelow: y begins anew, with all below it that an operator did not stop.
func (w *world) anewBelow(e *event, y int, fates []fate) {
	if w.family()[y].worker {
		fates[y] = renewed
		return
	}
	for _, c := range w.family()[y].children {
		if old := w.nodeOf(e.before, e.variant, c); !w.family()[c].worker && old.Down == supervisor.PhaseStopped {
			w.below(c, func(z int) { fates[z] = ended })
			continue
		}
		w.anewBelow(e, c, fates)
	}
}

// judgeTurns: an order is given when its turn has come, neither before nor after (P4).
func (w *world) judgeTurns(e *event) {
	w.workers(func(k int, n *supervisor.NodeState) {
		l := &n.Life
		given := false // before
		if old := w.nodeOf(e.before, e.variant, k); old != nil && old.Life.Epoch == l.Epoch {
			given = l.Phase == supervisor.PhaseStarting && old.Life.Released || l.Phase == supervisor.PhaseStopping && old.Life.Halted
		}
		if l.Phase == supervisor.PhaseStopping && l.Halted && !given {
			w.haltedFor[k] = l.Next
		}
		switch {
		case l.Phase == supervisor.PhaseStarting && l.Released && !given && !w.turnToStart(k):
			w.violate("P4", "%s may start before its turn", n.Path)
		case l.Phase == supervisor.PhaseStarting && !l.Released && w.turnToStart(k):
			w.violate("P4", "%s waits to start for nothing", n.Path)
		case l.Phase == supervisor.PhaseStopping && l.Halted && !given && !w.turnToStop(k):
			w.violate("P4", "%s is to stop before its turn", n.Path)
		case l.Phase == supervisor.PhaseStopping && !l.Halted && w.turnToStop(k):
			w.violate("P4", "%s waits to stop for nothing", n.Path)
		}
	})
}

// turnToStart: in each supervisor above that orders its children those before are where
// they stay, and nothing of the same batch ends below another child; in one that began
// anew with this batch nothing of it ends at all.
func (w *world) turnToStart(k int) bool {
	e := w.node(k).Life.Epoch
	f := w.family()
	for x := k; x > 0 && f[x].in; x = f[x].parent {
		s := f[x].parent
		begun := w.st.Begun
		if s > 0 {
			begun = w.node(s).Begun
		}
		ok := true
		for _, y := range f[s].children {
			w.below(y, func(z int) {
				if !f[z].worker {
					return
				}
				n := w.node(z)
				ends := n.Life.Phase == supervisor.PhaseStopping && n.Life.Next == e
				ordered := f[s].gated() && y != x
				if ends && (ordered || begun == e) || ordered && f[y].pos < f[x].pos && !settled(n) {
					ok = false
				}
			})
		}
		if !ok {
			return false
		}
	}
	return true
}

// turnToStop: in each supervisor above that orders its children nothing ends below a later
// child.
func (w *world) turnToStop(k int) bool {
	f := w.family()
	for x := k; x > 0 && f[x].in; x = f[x].parent {
		s := f[x].parent
		if !f[s].gated() {
			continue
		}
		ok := true
		for _, y := range f[s].children[f[x].pos+1:] {
			w.below(y, func(z int) { ok = ok && !(f[z].worker && w.node(z).Life.Phase == supervisor.PhaseStopping) })
		}
		if !ok {
			return false
		}
	}
	return true
}
