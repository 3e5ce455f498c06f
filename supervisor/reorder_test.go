package supervisor

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestReorder: an Edit that only permutes children, at any depth and whatever the tree
// goes through, decides nothing, touches no life, and takes back no order; where no
// order was waiting for its turn, none is given either. The new order governs what
// comes next: the siblings that a crash takes along, and (checkGroups) who waits for
// whom.
func TestReorder(t *testing.T) {
	permuted, groups := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk(rt, drawSpec(rt))
		for range rapid.IntRange(0, 40).Draw(rt, "steps") {
			w.random(rt)
		}
		if w.tree.failed || w.tree.deleting || w.heldBack() {
			return // an Edit starts a failed tree, and begins anew what is held back
		}
		w.permute(rt)
		permuted++
		for range rapid.IntRange(0, 10).Draw(rt, "more") {
			w.random(rt)
		}
		if w.heal(); w.heldBack() {
			return
		}
		w.permute(rt)
		groups += w.crashInOrder(rt)
		w.heal()
	})
	t.Logf("%d trees permuted, %d groups restarted", permuted, groups)
	if permuted == 0 || groups == 0 {
		t.Error("nothing was tried")
	}
}

// heldBack: a rollout or a pause lets children keep their former specs.
func (w *walk) heldBack() bool {
	held := w.tree.rollout.active()
	w.tree.root.walk(func(n *node) { held = held || n.kept() != nil })
	return held
}

// shuffled permutes children and all below them.
func shuffled(rt *rapid.T, children []ChildSpec) []ChildSpec {
	if len(children) == 0 {
		return children
	}
	next := rapid.Permutation(children).Draw(rt, "order")
	for i := range next {
		next[i].Children = shuffled(rt, next[i].Children)
	}
	return next
}

func (w *walk) permute(rt *rapid.T) {
	w.Helper()
	spec := w.tree.Spec()
	spec.Children = shuffled(rt, spec.Children)
	before, waited := views(w.tree), len(w.tree.waiting) > 0
	ds, err := w.step(Edit{Spec: spec, By: "ann", Members: w.members})
	if err != nil || len(ds) > 0 {
		w.Fatalf("a new order of children: %v, decided %+v", err, ds)
	}
	for path, v := range views(w.tree) {
		was := before[path]
		if waited { // its turn may have come
			v.order, v.ordered, v.host, v.status.Generation = was.order, was.ordered || v.ordered, was.host, was.status.Generation
			was.ordered = was.ordered || v.ordered
		}
		if !reflect.DeepEqual(v, was) {
			w.Fatalf("a new order of children changed %s:\n%+v\n%+v", path, was, v)
		}
	}
	w.checkGroups()
}

// crashInOrder lets a child of a rest_for_one supervisor crash; what restarts with it
// are the workers below the siblings that now stand after it, and no others.
func (w *walk) crashInOrder(rt *rapid.T) (tried int) {
	w.Helper()
	var running []*node
	w.tree.root.walk(func(n *node) {
		if n.worker() && n.life.Phase == PhaseRunning && n.spec.RestartType == Permanent && n.spec.Exits == nil && n.parent.strategy == RestForOne && n.parent.down == "" {
			running = append(running, n)
		}
	})
	if len(running) == 0 {
		return 0
	}
	n := rapid.SampledFrom(running).Draw(rt, "crashes")
	var want []string
	siblings := w.childrenOf(n.parent.path)
	i := slices.IndexFunc(siblings, func(c ChildSpec) bool { return n.parent.path+"/"+c.ID == n.path })
	for _, c := range siblings[i:] {
		want = append(want, n.parent.path+"/"+c.ID)
	}
	ds, err := w.step(ChildEvent{Path: n.path, Epoch: n.life.Epoch, Type: EventCrashed, Detail: "not well", Restarts: n.life.Alone})
	if err != nil {
		w.Fatalf("%v", err)
	}
	for _, d := range ds {
		switch {
		case d.Verdict == VerdictEscalate:
			w.checkGroups()
			return 0
		case !slices.ContainsFunc(want, func(top string) bool { return underPath(d.Path, top) }):
			w.Fatalf("%s crashed, siblings after it are %v, and this followed: %+v", n.path, want[1:], d)
		}
	}
	for _, c := range siblings[i:] {
		path := n.parent.path + "/" + c.ID
		if y := w.tree.byPath[path]; y.worker() && y.life.Phase == PhaseRunning {
			w.Fatalf("%s crashed, and %s, started after it, runs on", n.path, path)
		}
	}
	w.checkGroups()
	return 1
}

// childrenOf are the children of a supervisor as the spec orders them.
func (w *walk) childrenOf(path string) []ChildSpec {
	spec := w.tree.Spec()
	var find func(parent string, children []ChildSpec) []ChildSpec
	find = func(parent string, children []ChildSpec) []ChildSpec {
		if parent == path {
			return children
		}
		for _, c := range children {
			if found := find(parent+"/"+c.ID, c.Children); found != nil {
				return found
			}
		}
		return nil
	}
	return find(spec.Name, spec.Children)
}
