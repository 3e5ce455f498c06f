package supervisor

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var allNodes = []string{"n1", "n2", "n3", "n4"}

// TestProperties: whatever a tree goes through, step's checks and the ones below
// hold after each input, and once the faults stop it comes to run.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk(rt, drawSpec(rt))
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			w.random(rt)
		}
		w.heal()
	})
}

// overByWord: the last that was decided on n is that it is over, by its own word or its
// exit rules.
func overByWord(n *node) bool {
	ds := n.history.list()
	last := ds[len(ds)-1]
	return last.Cause.Kind == CauseWord && (last.Verdict == VerdictFinish || last.Verdict == VerdictFail)
}

// walk is a random walk of a tree. It knows what an operator stopped.
type walk struct {
	*rig
	stopped map[string]bool
	given   map[Ref]Action
	after   neighbours
}

func newWalk(f failer, spec Spec) *walk {
	r, err := newRig(f, spec)
	if err != nil {
		f.Fatalf("%v", err)
	}
	w := &walk{rig: r, stopped: make(map[string]bool), given: make(map[Ref]Action)}
	w.after.told = make(map[string]Dependency)
	w.try(Start{Path: spec.Name})
	return w
}

// random does one thing: most often what is ordered, else whatever may happen.
func (w *walk) random(rt *rapid.T) {
	switch rapid.IntRange(0, 11).Draw(rt, "do") {
	case 0:
		w.now += pauses.Draw(rt, "pause")
		w.refresh()
	case 10:
		w.drawReturn(rt)
	case 11:
		w.significantEnds(rt)
	case 1, 2, 3, 4:
		w.obey(allNodes)
		w.checkGroups()
		w.checkStopped()
	default:
		in := w.drawInput(rt)
		if err := w.try(in); err == nil && rapid.Bool().Draw(rt, "again") {
			w.again(in)
		}
	}
}

// try gives an input, and follows what it means for what is stopped.
func (w *walk) try(in Input) error {
	w.Helper()
	wasDown := make(map[string]bool)
	for path, n := range w.tree.byPath {
		wasDown[path] = n.worker() || n.down != ""
	}
	before, lives := leased(w.tree), w.presentLives()
	ds, err := w.step(in)
	if err == nil {
		w.follow(in, wasDown)
		w.checkAfter(in, ds, lives)
		w.checkLeft(before, in, ds)
	}
	w.checkGroups()
	w.checkStopped()
	return err
}

// mustTry gives an input that the tree cannot refuse.
func (w *walk) mustTry(in Input) {
	w.Helper()
	if err := w.try(in); err != nil {
		w.Fatalf("%+v: %v", in, err)
	}
}

// checkFenced: no exclusive life that may have had a process is left on the node. One
// whose turn to begin there has come only with that is another matter.
func (w *walk) checkFenced(before map[Ref]string, in NodeLost) {
	w.Helper()
	for ref, host := range leased(w.tree) {
		if host == in.Node && before[ref] != "" {
			w.Fatalf("%v may still run on %s after %+v", ref, host, in)
		}
	}
}

// checkLeft: nothing is left on a lost node, but for exclusive lives while its lease
// may hold; what is left on a drained one is about
// to leave, and neither was charged to anyone.
func (w *walk) checkLeft(before map[Ref]string, in Input, ds []Decision) {
	w.Helper()
	var on []string
	lost, leased := false, false
	switch in := in.(type) {
	case NodeLost:
		if in.Fenced {
			w.checkFenced(before, in)
			break
		}
		if lost, leased = !in.Restarted && len(in.Keep) == 0, in.Leased; lost {
			on = w.tree.On(in.Node)
		}
	case Drain:
		on = w.tree.On(in.Node)
	default:
		return
	}
	for _, path := range on {
		l := &w.tree.byPath[path].life
		if leased && l.Exclusive && l.held() {
			continue // until the lease has run out
		}
		if !lost && w.tree.byPath[path].paused() != nil {
			continue // a drain moves nothing that is paused
		}
		if leaves := l.Phase == PhaseStopping && !(l.Then == PhasePending && l.Stay); lost || !leaves {
			w.Fatalf("%s is %s there after %+v", path, l.Phase, in)
		}
	}
	for _, d := range ds {
		if d.Before != d.After || d.Verdict == VerdictEscalate {
			w.Fatalf("%+v was charged to %s", in, d.Path)
		}
	}
}

// again: an event or an assignment that was taken is stale when it is repeated,
// or the child has left the tree.
func (w *walk) again(in Input) {
	w.Helper()
	switch in.(type) {
	case ChildEvent, LastWord, Assign:
		if err := w.try(in); !errors.Is(err, ErrStale) && !errors.Is(err, ErrUnknown) {
			w.Fatalf("%+v was taken twice (P7): %v", in, err)
		}
	}
}

func (w *walk) follow(in Input, wasDown map[string]bool) {
	switch in := in.(type) {
	case Stop:
		for path, n := range w.tree.byPath {
			if n.worker() && n.parent != nil && underPath(path, in.Path) {
				w.stopped[path] = true
			}
		}
	case Start:
		if in.By != RetryBy {
			w.forget(in.Path)
		}
	case Restart:
		if wasDown[in.Path] {
			w.forget(in.Path)
		}
	}
}

func (w *walk) forget(top string) {
	for path := range w.stopped {
		if underPath(path, top) {
			delete(w.stopped, path)
		}
	}
}

// checkStopped: what an operator stopped stays stopped (P11), unless it leaves the tree.
func (w *walk) checkStopped() {
	w.Helper()
	for path := range w.stopped {
		switch n := w.tree.byPath[path]; {
		case n == nil || n.parent == nil: // many an input may take an edit back
			delete(w.stopped, path)
		case !n.life.stopped():
			w.Fatalf("%s was stopped and is %s, then %q (P11)", path, n.life.Phase, n.life.Then)
		}
	}
}

// checkGroups: an order is given when its turn has come, neither before nor after
// (P4); the rule is spelled out here over the whole tree.
func (w *walk) checkGroups() {
	w.Helper()
	given := make(map[Ref]Action)
	for _, n := range w.tree.byPath { // those that leave included
		ref, l := Ref{n.path, n.life.Epoch}, &n.life
		switch {
		case l.Phase == PhaseStarting && l.Released:
			// One that its node began again alone had its turn.
			if given[ref] = Run; w.given[ref] != Run && l.Alone == 0 && !(turnToStart(n) && w.freeToStart(n)) {
				w.Fatalf("%s may start before its turn", n.path)
			}
		case l.Phase == PhaseStarting && turnToStart(n) && w.freeToStart(n):
			w.Fatalf("%s waits to start for nothing", n.path)
		case l.Phase == PhaseStopping && l.Halted:
			if given[ref] = Halt; w.given[ref] != Halt && !(turnToStop(n) && w.freeOf(n, l.Next)) {
				w.Fatalf("%s is to stop before its turn", n.path)
			}
		case l.Phase == PhaseStopping && turnToStop(n) && w.freeOf(n, l.Next):
			w.Fatalf("%s waits to stop for nothing", n.path)
		}
	}
	w.given = given
}

// turnToStart: in each supervisor above that orders its children, those before
// are where they stay, and nothing of the same batch ends below another child; in
// one that began anew with this batch nothing of it ends at all.
func turnToStart(n *node) bool {
	for x := n; x.parent != nil; x = x.parent {
		s, e := x.parent, n.life.Epoch
		for i, y := range s.children {
			for _, w := range y.workers() {
				ends := w.life.Phase == PhaseStopping && w.life.Next == e
				ordered := s.strategy != OneForOne && y != x
				if ends && (ordered || s.begun == e) || ordered && i < x.pos && !w.life.settled() {
					return false
				}
			}
		}
	}
	return true
}

// turnToStop: in each supervisor above that orders its children, nothing ends
// below a later child.
func turnToStop(n *node) bool {
	for x := n; x.parent != nil; x = x.parent {
		if x.parent.strategy == OneForOne {
			continue
		}
		for _, y := range x.parent.children[x.pos+1:] {
			for _, w := range y.workers() {
				if w.life.Phase == PhaseStopping {
					return false
				}
			}
		}
	}
	return true
}

// heal: no more faults. In a bounded number of steps, every permanent child of a
// supervisor that is neither failed nor stopped runs, and nothing is left to do.
func (w *walk) heal() {
	w.Helper()
	for _, node := range slices.Sorted(maps.Keys(w.lost)) {
		if w.lost[node] {
			w.mustTry(NodeLost{Node: node, Reason: "its lease has run out"})
		}
	}
	if _, err := w.step(Nodes{Members: cluster(allNodes...)}); err != nil && !errors.Is(err, ErrStale) {
		w.Fatalf("%v", err)
	}
	w.checkGroups()
	w.goOn()
	if w.tree.failed {
		w.mustTry(Start{Path: w.tree.Name(), By: "ann"})
	}
	bound := 10*len(w.tree.byPath) + 20
	if w.tree.rollout.moves() {
		bound += 20 * len(w.tree.byPath) // there, and back
	}
	for did := true; did; bound-- {
		w.allWell()
		if bound == 0 {
			w.Fatalf("the tree does not settle (P5): %+v", w.tree.Children())
		}
		did, _ = w.obey(allNodes)
		w.checkGroups()
	}
	w.refresh()
	for path, n := range w.tree.byPath {
		l := &n.life
		switch {
		case !n.worker():
		case !l.settled():
			w.Fatalf("%s is left %s (P5)", path, l.Phase)
		case l.stopped() || n.parent.down != "":
		case n.spec.RestartType == Permanent && l.Phase != PhaseRunning && !overByWord(n):
			w.Fatalf("%s is permanent and left %s (P5)", path, l.Phase)
		}
		if moves := w.tree.rollout.moves(); n.watch != nil && moves && !n.stands() || n.next != nil && moves && !n.stands() {
			w.Fatalf("%s is left in a rollout that is %s", path, w.tree.rollout.Phase)
		}
	}
}
