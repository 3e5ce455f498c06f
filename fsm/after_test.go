package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// after gives a tree what it comes after.
func after(s supervisor.Spec, paths ...string) supervisor.Spec {
	s.After = paths
	return s
}

// phases words all workers of a tree, in start order.
func (h *harness) phases(tree string) string {
	var words []string
	h.m.View(func(v View) {
		for _, c := range v.Tree(tree).Children() {
			if !c.Supervisor {
				words = append(words, fmt.Sprintf("%s %s", strings.TrimPrefix(c.Path, tree+"/"), c.Phase))
			}
		}
	})
	return strings.Join(words, ", ")
}

func (h *harness) is(tree, want string) {
	h.Helper()
	if got := h.phases(tree); got != want {
		h.Fatalf("index %d: %s is %q, want %q", h.index, tree, got, want)
	}
}

// ordered lists what a node is ordered, in a few words.
func (h *harness) ordered(node string) string {
	var words []string
	for _, o := range h.orders(node) {
		words = append(words, fmt.Sprintf("%s %s", o.Action, o.Path))
	}
	return strings.Join(words, ", ")
}

func (h *harness) isOrdered(node, want string) {
	h.Helper()
	if got := h.ordered(node); got != want {
		h.Fatalf("index %d: %s is ordered %q, want %q", h.index, node, got, want)
	}
}

// place assigns every waiting life, and confirms nothing.
func (h *harness) place(node string) {
	h.Helper()
	for _, r := range h.pending() {
		h.must(assign(r.Ref, node))
	}
}

func (h *harness) up(path string) { h.Helper(); h.must(event(h.ref(path), supervisor.EventStarted)) }
func (h *harness) end(path string) {
	h.Helper()
	h.must(event(h.ref(path), supervisor.EventExited))
}

// chain is three trees, each after the one before, all of them up.
func chain(t *testing.T) *harness {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(after(tree("c", "x"), "b")))
	h.must(applyTree(after(tree("b", "x"), "a/x")))
	h.must(applyTree(tree("a", "x", "y")))
	h.place("n1")
	h.isOrdered("n1", "run a/x, run a/y")
	h.up("a/x") // a/y does not matter
	h.isOrdered("n1", "run a/x, run a/y, run b/x")
	h.up("b/x")
	h.isOrdered("n1", "run a/x, run a/y, run b/x, run c/x")
	h.up("c/x")
	h.up("a/y")
	return h
}

// TestChainOfTrees: a crash at its head stops the whole chain, last tree first, within
// the entry that tells of it, and starts it again from the head, uncharged.
func TestChainOfTrees(t *testing.T) {
	h := chain(t)
	h.end("a/y") // it is not what b comes after
	h.isOrdered("n1", "run a/x, run a/y, run b/x, run c/x")
	h.end("a/x")
	h.is("a", "x starting, y starting")
	h.is("b", "x stopping")
	h.is("c", "x stopping")
	h.isOrdered("n1", "run a/y, run b/x, stop c/x") // a/x waits for b, b/x for c
	h.end("c/x")
	h.isOrdered("n1", "run a/y, stop b/x")
	h.end("b/x")
	h.isOrdered("n1", "run a/x, run a/y")
	h.up("a/x")
	h.isOrdered("n1", "run a/x, run a/y, run b/x")
	h.up("b/x")
	h.up("c/x")
	h.m.View(func(v View) {
		for _, tree := range []string{"b", "c"} {
			s, _ := v.Tree(tree).Child(tree + "/x")
			h := v.Tree(tree).History(tree + "/x")
			if s.Budget.Used != 0 || s.Restarts != 1 {
				t.Errorf("%s/x was charged, or restarted more than once: %+v", tree, s)
			}
			cause := supervisor.Cause{}
			for _, d := range h {
				if d.Verdict == supervisor.VerdictRestart {
					cause = d.Cause
				}
			}
			if want := map[string]string{"b": "a/x", "c": "b"}[tree]; cause.Kind != supervisor.CauseDependency || cause.Path != want {
				t.Errorf("the cause for %s is %+v, want %s", tree, cause, want)
			}
		}
	})
}

// TestChainFollowsALostNode: what is lost with a node takes the trees after it along, and
// what was stopping there has ended, so nobody waits for it.
func TestChainFollowsALostNode(t *testing.T) {
	h := chain(t)
	h.must(verb("move", "c/x", "n2"))
	h.end("c/x")
	h.place("n2")
	h.up("c/x")
	h.must(lost("n1", 1))
	h.is("a", "x pending, y pending")
	h.is("b", "x pending")
	h.is("c", "x stopping")
	h.place("n2")
	h.isOrdered("n2", "run a/y, stop c/x") // a/x may not begin before b has ended, nor b before c
	h.must(lost("n2", 1))
	h.must(nodeUp("n1", 2))
	h.place("n1")
	h.up("a/x")
	h.up("b/x")
	h.up("c/x")
	h.is("c", "x running")
}

// TestOperatorAndTreesAfter: a stop leaves the trees after it alone; a restart, and a
// start after a stop, are a beginning. What an operator stopped stays stopped.
func TestOperatorAndTreesAfter(t *testing.T) {
	h := chain(t)
	h.must(verb("stop", "a", ""))
	h.end("a/x")
	h.end("a/y")
	h.isOrdered("n1", "run b/x, run c/x")
	h.end("c/x") // of itself
	h.isOrdered("n1", "run b/x, run c/x")
	h.end("b/x")
	h.isOrdered("n1", "run c/x") // b waits for a now
	h.must(verb("stop", "c/x", ""))
	h.end("c/x")
	h.must(verb("start", "a", ""))
	h.isOrdered("n1", "") // before they have their places
	h.place("n1")
	h.isOrdered("n1", "run a/x, run a/y")
	h.up("a/x")
	h.up("b/x")
	h.is("c", "x stopped")
	h.must(verb("restart", "a/x", ""))
	h.isOrdered("n1", "run a/x, run a/y, stop b/x")
}

// TestTreesAfterComeAndGo: what a tree comes after may be applied later, and be deleted;
// an apply that only changes after touches nothing that runs.
func TestTreesAfterComeAndGo(t *testing.T) {
	h := newHarness(t, "n1")
	h.must(applyTree(after(tree("web", "api"), "shop/db", "shop/cache")))
	h.place("n1")
	awaited := func(want string) {
		t.Helper()
		h.m.View(func(v View) {
			if got := fmt.Sprint(v.Awaits("web")); got != want {
				t.Fatalf("web waits for %s, want %s", got, want)
			}
		})
	}
	awaited("[{shop/db there is no tree shop true} {shop/cache there is no tree shop true}]")
	h.must(applyTree(tree("shop", "db")))
	awaited("[{shop/db shop/db is pending false} {shop/cache tree shop has no shop/cache true}]")
	h.placeAll("n1")
	awaited("[{shop/cache tree shop has no shop/cache true}]")
	h.isOrdered("n1", "run shop/db")
	h.must(applyTree(after(tree("web", "api"), "shop")))
	awaited("[]")
	h.isOrdered("n1", "run shop/db, run web/api")
	h.up("web/api")
	h.must(applyTree(after(tree("web", "api"), "net")))
	h.is("web", "api running")
	h.must(applyTree(tree("web", "api")))
	h.must(applyTree(after(tree("web", "api"), "shop")))
	h.is("web", "api running")
	h.must(deleteTree("shop"))
	h.end("shop/db")
	h.is("web", "api running")
	awaited("[{shop there is no tree shop true}]")
	h.must(applyTree(tree("shop", "db")))
	h.isOrdered("n1", "stop web/api")
	h.end("web/api")
	h.place("n1")
	h.up("shop/db")
	h.up("web/api")
	h.must(deleteTree("web"))
	h.end("web/api")
	h.end("shop/db") // nobody is after it any more
	h.isOrdered("n1", "run shop/db")
}

// TestCircleOfTrees: an apply that would have trees wait for each other is refused, and
// says how.
func TestCircleOfTrees(t *testing.T) {
	h := newHarness(t, "n1")
	h.must(applyTree(after(tree("c", "x"), "b")))
	h.must(applyTree(after(tree("b", "x"), "a/x")))
	err := h.refused(supervisor.ErrRefused, applyTree(after(tree("a", "x"), "d", "c/x")))
	want := "refused: none of these trees could ever start: a comes after c/x, c comes after b, b comes after a/x"
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	h.refused(supervisor.ErrRefused, applyTree(after(tree("a", "x"), "a/x")))
	h.must(applyTree(tree("a", "x")))
	h.refused(supervisor.ErrRefused, applyTree(after(tree("a", "x"), "c")))
	h.must(applyTree(tree("b", "x")))
	h.must(applyTree(after(tree("a", "x"), "c")))
}

// TestNoRoomForPropagation: an entry that is full of inputs leaves it to the next one to
// tell the trees, on a replica that was restored in between, too.
func TestNoRoomForPropagation(t *testing.T) {
	h := chain(t)
	full := make([]supervisor.ChildEvent, supervisor.MaxInputs)
	ref := h.ref("a/x")
	for i := range full {
		full[i] = supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError}
	}
	h.must(Command{Type: TypeEvents, Events: full})
	h.isOrdered("n1", "run a/y, run b/x, run c/x")
	h.also = append(h.also, h.restored().m)
	h.must()
	h.isOrdered("n1", "run a/y, run b/x, stop c/x")
	sameState(h, "the restored", h.m, h.also[0])
}

// upNaive tells whether a path is up, from what a reader of the state sees.
func upNaive(v View, path string) bool {
	t := v.Tree(supervisor.TreeName(path))
	if t == nil || t.State().Deleting {
		return false
	}
	temporary := make(map[string]bool)
	var note func(parent string, children []supervisor.ChildSpec)
	note = func(parent string, children []supervisor.ChildSpec) {
		for _, c := range children {
			temporary[parent+"/"+c.ID] = c.RestartType == supervisor.Temporary
			note(parent+"/"+c.ID, c.Children)
		}
	}
	spec := t.Spec()
	note(spec.Name, spec.Children)
	inSpec := func(path string) (in bool) {
		_, in = temporary[path]
		if kin := t.Kin(path); kin != "" { // of an instance its child says what it is
			temporary[path], in = temporary[kin], true
		}
		return in
	}
	named, found := t.Child(path)
	if !found || path != spec.Name && !inSpec(path) {
		return false
	}
	if named.Phase == supervisor.PhaseFailed || named.Phase == supervisor.PhaseStopped {
		return false
	}
	for _, c := range t.Children() {
		if c.Supervisor || !inSpec(c.Path) || c.Path != path && !strings.HasPrefix(c.Path, path+"/") {
			continue
		}
		switch c.Phase {
		case supervisor.PhaseRunning, supervisor.PhaseFinished, supervisor.PhaseAway: // nobody waits for what is away
		case supervisor.PhaseFailed:
			if !temporary[c.Path] {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// neighbourhood is what mattered about trees after others when an entry was applied.
type neighbourhood struct {
	up    map[string]bool             // tree -> all that it comes after
	begun map[string]supervisor.Epoch // path -> its beginning
	runs  map[supervisor.Ref]bool     // ordered to run
}

// edited are the trees that the last entry applied or deleted: what such a tree came
// after within that entry is known to nobody.
func (w *walk) edited(f failer) map[string]bool {
	f.Helper()
	names := make(map[string]bool)
	e, err := decode(w.log[len(w.log)-1].data)
	if err != nil {
		f.Fatalf("%v", err)
	}
	for _, c := range e.Commands {
		switch c.Type {
		case TypeApplyTree:
			names[c.Tree.Name] = true
		case TypeDeleteTree:
			names[c.Name] = true
		}
	}
	return names
}

// seeTrees looks at all trees, and checks them against what was seen before.
func (old *neighbourhood) seeTrees(f failer, w *walk) (now neighbourhood) {
	f.Helper()
	m, edited := w.m, w.edited(f)
	now = neighbourhood{up: make(map[string]bool), begun: make(map[string]supervisor.Epoch), runs: make(map[supervisor.Ref]bool)}
	m.View(func(v View) {
		for _, id := range nodeIDs {
			for _, o := range v.Orders(id) {
				now.runs[o.Ref] = o.Action == supervisor.Run
			}
		}
		for _, name := range v.TreeNames() {
			t, all := v.Tree(name), true
			for _, path := range t.Spec().After {
				all = all && upNaive(v, path)
				if p := v.Tree(supervisor.TreeName(path)); p != nil {
					now.begun[path] = p.Dependency(path).Begun
					old.checkBeginning(f, v, name, path, now)
				}
			}
			if now.up[name] = all; all != (len(v.Awaits(name)) == 0) {
				f.Fatalf("index %d: all that %s comes after is up: %v, and it waits for %v", v.Index(), name, all, v.Awaits(name))
			}
			for _, c := range t.Children() {
				ref := supervisor.Ref{Path: c.Path, Epoch: c.Epoch}
				if was := old.runs; now.runs[ref] && !was[ref] && !all && !old.up[name] && !edited[name] && c.Phase != supervisor.PhaseStopping {
					f.Fatalf("index %d: %v may start, and what its tree comes after is not up", v.Index(), ref)
				}
			}
		}
	})
	return now
}

// checkBeginning: where a path has begun anew since, no life of a tree after it goes on;
// and while one has yet to end, none of that beginning is ordered to start.
func (old *neighbourhood) checkBeginning(f failer, v View, name, path string, now neighbourhood) {
	f.Helper()
	was, begun, t := old.begun[path], now.begun[path], v.Tree(name)
	known := len(old.up) > 0 && was != 0 && begun != was
	for _, c := range t.Children() {
		goes := c.Phase == supervisor.PhaseRunning || c.Phase == supervisor.PhaseStarting
		if _, had := old.up[name]; had && known && goes && now.runs[supervisor.Ref{Path: c.Path, Epoch: c.Epoch}] && c.Epoch < begun {
			f.Fatalf("index %d: %s goes on, and %s has begun anew", v.Index(), c.Path, path)
		}
	}
	if begun == was || was == 0 || !t.Ending() { // or it was not followed before
		return
	}
	for ref, runs := range now.runs {
		of := v.Tree(supervisor.TreeName(path))
		c, _ := of.Child(ref.Path)
		if runs && ref.Epoch == begun && c.Phase == supervisor.PhaseStarting && (ref.Path == path || strings.HasPrefix(ref.Path, path+"/")) {
			f.Fatalf("index %d: %v may start while lives of %s have yet to end", v.Index(), ref, name)
		}
	}
}

// TestTreesAfter: whatever the log says of trees that come after each other, no life of
// one begins while what it comes after is not up, none outlives a beginning of that, and
// no such beginning waits for ever: at rest every tree whose dependencies are up runs.
func TestTreesAfter(t *testing.T) {
	waited, ran := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w, old := newWalk(), neighbourhood{}
		w.begin(rt)
		for range rapid.IntRange(1, 40).Draw(rt, "entries") {
			old = old.seeTrees(rt, w)
			if rapid.IntRange(0, 3).Draw(rt, "obey") > 0 {
				w.obey(rt)
			} else {
				w.next(rt)
			}
		}
		for i := 0; w.obey(rt); i++ {
			old = old.seeTrees(rt, w)
			if i == 1000 {
				rt.Fatalf("the trees do not settle")
			}
		}
		w.m.View(func(v View) {
			somewhere := slices.ContainsFunc(v.Nodes(), (*Node).Eligible)
			for _, name := range v.TreeNames() {
				up := len(v.Awaits(name)) == 0 && somewhere
				for _, c := range v.Tree(name).Children() {
					switch c.Phase {
					case supervisor.PhasePending, supervisor.PhaseBackoff, supervisor.PhaseStarting:
						if up {
							rt.Fatalf("%s is %s, and its tree waits for nothing", c.Path, c.Phase)
						}
						waited++
					case supervisor.PhaseStopping:
						rt.Fatalf("%s is left stopping", c.Path)
					case supervisor.PhaseRunning:
						ran += min(1, len(v.Tree(name).Spec().After))
					}
				}
			}
		})
	})
	if t.Logf("at rest %d children waited, %d ran after others", waited, ran); waited == 0 || ran == 0 {
		t.Error("nothing was tried")
	}
}

// obey does all that is ordered, after nodes are back and fenced, and places all that
// waits. False: there was nothing to do.
func (w *walk) obey(rt *rapid.T) bool {
	var cmds []Command
	w.m.View(func(v View) {
		if n, err := v.Node("n1"); err != nil || !n.Eligible() || n.ID != "n1" {
			if err == nil && n.State == NodeAlive && n.Draining {
				cmds = append(cmds, drain("n1", false))
			} else if err != nil || n.ID != "n1" || n.State != NodeGone {
				cmds = append(cmds, w.up("n1", "n1"))
			}
		}
		for _, n := range v.Unfenced() {
			cmds = append(cmds, Command{Type: TypeNodeFenced, Node: &NodeRef{ID: n.ID, Boot: n.Boot}})
		}
		host := ""
		for _, n := range v.Nodes() {
			if n.Eligible() {
				host = n.ID
			}
		}
		for _, r := range v.Pending(1000) {
			if to := cmp.Or(r.Home, host); to != "" {
				cmds = append(cmds, assign(r.Ref, to))
			}
		}
		for _, n := range v.Nodes() {
			for _, o := range v.Orders(n.ID) {
				c, _ := v.Tree(supervisor.TreeName(o.Path)).Child(o.Path)
				ev := supervisor.ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventExited, Ordered: true, Reason: supervisor.ExitNormal, Restarts: 4}
				if o.Action == supervisor.Run && c.Phase != supervisor.PhaseStarting && c.Phase != supervisor.PhaseBackoff {
					continue
				}
				if o.Action == supervisor.Run {
					ev.Type, ev.Reason, ev.PID = supervisor.EventStarted, "", 9
				}
				cmds = append(cmds, Command{Type: TypeEvents, Events: []supervisor.ChildEvent{ev}})
			}
		}
	})
	w.clock += 1
	if len(cmds) == 0 {
		return false
	}
	done := false
	for i, r := range w.add(rt, cmds...) {
		done = done || len(r.Decisions) > 0 || r.Err == nil && slices.Contains([]Type{TypeNodeUp, TypeDrain, TypeNodeFenced}, cmds[i].Type)
		if r.Err != nil && !errors.Is(r.Err, supervisor.ErrStale) && !errors.Is(r.Err, supervisor.ErrRefused) {
			rt.Fatalf("%v", r.Err)
		}
	}
	return done
}
