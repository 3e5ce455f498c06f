package supervisor

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawSignificance makes children of some supervisors significant, wherever that is
// allowed.
func drawSignificance(rt *rapid.T, children []ChildSpec) AutoShutdown {
	auto := rapid.SampledFrom([]AutoShutdown{"", AutoNever, AutoAny, AutoAll}).Draw(rt, "auto_shutdown")
	for i := range children {
		c := &children[i]
		if auto.Shuts() && c.RestartType != Permanent && !c.Many() {
			c.Significant = rapid.IntRange(0, 2).Draw(rt, "significant") > 0
		}
		if c.Supervisor != nil {
			c.Supervisor.AutoShutdown = drawSignificance(rt, c.Children)
		}
	}
	return auto
}

// significantEnds lets children come up, and then one of the significant ones that run
// end as it should.
func (w *walk) significantEnds(rt *rapid.T) {
	for range rapid.IntRange(0, 12).Draw(rt, "first") {
		w.obey(allNodes)
		w.checkGroups()
	}
	var ends []Input
	w.tree.root.walk(func(n *node) {
		if l := n.life; n.worker() && n.spec.Significant && l.Phase == PhaseRunning {
			ends = append(ends, ChildEvent{Path: n.path, Epoch: l.Epoch, Type: EventExited, Reason: ExitNormal, Restarts: l.Alone})
		}
	})
	if len(ends) > 0 {
		_ = w.try(rapid.SampledFrom(ends).Draw(rt, "ends"))
	}
}

// standing tells for every child, in the plainest words, whether it runs or is due.
func standing(t *Tree) map[string]bool {
	all := make(map[string]bool)
	for path, n := range t.byPath {
		switch l := n.life; {
		case !n.worker():
			all[path] = n.down == ""
		case l.Phase == PhaseStopping:
			all[path] = l.Then == PhasePending || l.Then == PhasePaused
		default:
			all[path] = slices.Contains([]Phase{PhasePending, PhaseStarting, PhaseRunning, PhasePaused}, l.Phase)
		}
	}
	return all
}

// checkShutdowns: a significant child that ended by itself ended its supervisor, if that
// one's auto_shutdown says so, and nothing else did. before is who stood then.
func (r *rig) checkShutdowns(ds []Decision, before map[string]bool) {
	r.Helper()
	for _, d := range ds {
		itself := slices.Contains([]CauseKind{CauseExit, CauseCrash, CauseWord, CauseEscalation, CauseShutdown}, d.Cause.Kind)
		n := r.tree.byPath[d.Path]
		switch over := d.Verdict == VerdictFinish || d.Verdict == VerdictFail; {
		case n == nil || n.parent == nil:
		case d.Verdict == VerdictShutdown && !(itself && means(n, before)):
			r.Fatalf("%s ended its supervisor: %+v", d.Path, d)
		case d.Verdict == VerdictShutdown:
			r.checkShut(n.parent)
		case over && itself && means(n, before) && n.paused() == nil: // below a pause nothing ends with it
			r.Fatalf("%s is over and did not end its supervisor: %+v", d.Path, d)
		}
	}
	for _, n := range r.tree.byPath {
		for s := n.parent; s != nil; s = s.parent {
			if s.down != "" && n.worker() && !n.life.atRest() {
				r.Fatalf("%s is %s, and %s is %s", n.path, n.life.Phase, s.path, s.down)
			}
		}
	}
}

// means tells whether the end of n, by itself and for good, is that of its supervisor.
func means(n *node, before map[string]bool) bool {
	if !n.spec.Significant {
		return false
	}
	for _, other := range n.parent.children {
		if other != n && other.spec.Significant && n.parent.auto == AutoAll && before[other.path] {
			return false
		}
	}
	return n.parent.auto == AutoAny || n.parent.auto == AutoAll
}

// checkShut: s has ended, or began anew, in this step; nothing of it simply goes on.
func (r *rig) checkShut(s *node) {
	r.Helper()
	for _, n := range s.workers() {
		if l := n.life; l.Phase == PhaseRunning || l.Phase == PhaseStarting && l.Epoch != r.tree.epoch {
			r.Fatalf("%s has shut down, and %s is %s", s.path, n.path, l.Phase)
		}
	}
}

// TestSignificantIsDrawn: the random walks see what is to be tested, of every kind. These
// are always the same ones.
func TestSignificantIsDrawn(t *testing.T) {
	walks := rapid.Custom(func(rt *rapid.T) map[string]int {
		seen := make(map[string]int)
		w := newWalk(rt, drawSpec(rt))
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			index := w.index
			w.random(rt)
			for _, n := range w.tree.byPath {
				w.noteShutdowns(n, index, seen)
			}
		}
		return seen
	})
	seen := make(map[string]int)
	for seed := range 400 {
		for what, n := range walks.Example(seed) {
			seen[what] += n
		}
	}
	for _, kind := range []string{"any", "all", "tree", "finish", "restart"} {
		if seen[kind] < 3 {
			t.Errorf("%q came to be %d times: %v", kind, seen[kind], seen)
		}
	}
}

// noteShutdowns counts what was decided on n since an index because significant children
// had ended, and under which auto_shutdown.
func (w *walk) noteShutdowns(n *node, since uint64, seen map[string]int) {
	for _, d := range n.history.list() {
		switch {
		case d.Index <= since:
		case d.Cause.Kind == CauseShutdown && n == w.tree.root:
			seen["tree"]++
		case d.Cause.Kind == CauseShutdown:
			seen[string(d.Verdict)]++
		}
		if d.Index > since && d.Verdict == VerdictShutdown && n.parent != nil {
			seen[string(n.parent.auto)]++
		}
	}
}

// endsTree is what significant children mean to the naive model.
func (m *naive) endsTree(c ChildSpec) bool {
	if !c.Significant {
		return false
	}
	for _, other := range m.spec.Children {
		if other.ID != c.ID && other.Significant && m.alive[m.path(other)] && m.spec.AutoShutdown == AutoAll {
			return false
		}
	}
	return true
}

// gone is what the end of a child for good leads to.
func (m *naive) gone(c ChildSpec, v Verdict) map[string]Verdict {
	m.alive[m.path(c)] = false
	if m.endsTree(c) && !m.paused {
		m.failed = true
		return map[string]Verdict{m.path(c): VerdictShutdown, m.spec.Name: VerdictFinish}
	}
	return map[string]Verdict{m.path(c): v}
}

// TestFinishedStaysFinished: what ends a tree keeps it so, whatever follows, until
// somebody starts it; and then all of it begins anew.
func TestFinishedStaysFinished(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawSpec(rt)
		spec.AutoShutdown = AutoAny
		spec.Children = append(spec.Children, ChildSpec{
			ID: "last", RestartType: Transient, Significant: true, Program: &Program{Argv: []string{"v1"}},
		})
		w := newWalk(rt, spec)
		for w.tree.byPath["t/last"].life.Phase != PhaseRunning {
			did, _ := w.obey(allNodes)
			if w.checkGroups(); !did {
				return // an elder sibling ended the tree
			}
		}
		if err := w.try(ChildEvent{Path: "t/last", Epoch: w.tree.byPath["t/last"].life.Epoch, Type: EventExited, Reason: ExitNormal}); err != nil {
			rt.Fatalf("%v", err)
		}
		for range rapid.IntRange(0, 20).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "do") {
			case 0:
				_ = w.try(w.drawEvent(rt))
			case 1:
				_ = w.try(w.drawLoss(rt))
			case 2:
				_ = w.try(w.drawEdit(rt))
			case 3:
				_ = w.try(Start{Path: rapid.SampledFrom([]string{"t/last", "t/nobody"}).Draw(rt, "path"), By: RetryBy})
			default:
				w.obey(allNodes)
				w.checkGroups()
			}
			if _, retries := w.tree.RetryAt(); w.tree.root.down != PhaseFinished || retries {
				rt.Fatalf("the tree is %s, %q", w.tree.Status(), w.tree.root.down)
			}
		}
		if err := w.try(Start{Path: "t", By: "ann"}); err != nil {
			rt.Fatalf("%v", err)
		}
		w.heal()
	})
}
