package supervisor

import (
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// drawPaused draws a path that is paused; the other one if none is.
func (r *rig) drawPaused(rt *rapid.T, other string) string {
	var paths []string
	for path, n := range r.tree.byPath {
		if n.pause != nil {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return other
	}
	slices.Sort(paths)
	return rapid.SampledFrom(paths).Draw(rt, "paused")
}

// calm is what a pause leaves alone: the lives below it that are to run, by path, and
// what is charged to each child there.
type calm struct {
	lives map[string]life
	used  map[string]int
}

// calmed looks at all that is under a pause.
func calmed(t *Tree) calm {
	c := calm{make(map[string]life), make(map[string]int)}
	for path, n := range t.byPath {
		if n.paused() == nil {
			continue
		}
		if n.parent != nil && !(n.parent.policy.shared() && n.parent.paused() == nil) { // else siblings spend it
			c.used[path] = len(*n.charges())
		}
		if n.worker() {
			c.lives[path] = n.life
		}
	}
	return c
}

// checkPaused: below a path that was paused before an input, and is after it, nothing
// has begun, moved or been charged, nobody gave up, and no node is lent anything;
// whatever ran goes on, unless it ended by itself, or an operator or a supervisor above
// ended it.
func (r *rig) checkPaused(before calm, ds []Decision) {
	r.Helper()
	now := calmed(r.tree)
	for path, l := range now.lives {
		was, known := before.lives[path]
		if !known {
			continue
		}
		_, o, ordered := r.tree.Order(path)
		switch {
		case l.Phase == PhasePending, l.Phase == PhaseStarting && !l.Released, l.returning():
			r.Fatalf("%s is paused and %s: it is to begin", path, l.Phase)
		case l.held() && l.Epoch != was.Epoch, l.held() && !was.held():
			r.Fatalf("%s is paused, and a life of it began: %+v, before %+v", path, l, was)
		case l.held() && l.Node != was.Node:
			r.Fatalf("%s is paused, and went from %s to %s", path, was.Node, l.Node)
		case ordered && o.Local != nil:
			r.Fatalf("%s is paused, and its node is lent %+v", path, *o.Local)
		}
	}
	if ev, ok := r.last.(ChildEvent); ok && ev.Type == EventRestarted {
		return // what its node did alone, not knowing of the pause, counts
	}
	if _, edited := r.last.(Edit); edited {
		return
	}
	for path, used := range now.used {
		if was, known := before.used[path]; known && used > was {
			r.Fatalf("%s is paused, and was charged after %+v: %+v", path, r.last, ds)
		}
	}
	for _, d := range ds {
		if _, known := before.used[d.Path]; known && now.used[d.Path] >= 0 && d.Verdict == VerdictEscalate && r.tree.byPath[d.Path].paused() != nil {
			r.Fatalf("%s is paused, and escalates: %+v", d.Path, d)
		}
	}
}

// goOn ends every pause, and checks that what should run is about to, or runs.
func (w *walk) goOn() {
	w.Helper()
	for _, path := range slices.Sorted(maps.Keys(w.tree.byPath)) {
		if n := w.tree.byPath[path]; n.pause != nil && (n == w.tree.root || n.parent != nil) {
			w.must(Resume{Path: path, By: "ann"})
			w.checkGroups()
		}
	}
	for path, n := range w.tree.byPath {
		if n.paused() != nil || n.life.Phase == PhasePaused || n.life.Phase == PhaseStopping && n.life.Then == PhasePaused {
			w.Fatalf("%s is left %s after every resume", path, n.life.Phase)
		}
	}
}
