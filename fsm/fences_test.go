package fsm

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// token is what a life carries outside: it must grow with each life that begins.
type token struct {
	generation uint64
	epoch      supervisor.Epoch
}

func (a token) compare(b token) int {
	return cmp.Or(cmp.Compare(a.generation, b.generation), cmp.Compare(a.epoch, b.epoch))
}

// timeline is a cluster under restores and forced recoveries, and what its nodes
// have made of their orders.
type timeline struct {
	*harness
	runs map[string]map[supervisor.Ref]token // by node: what it began and has not ended
	boot map[string]uint64
	top  map[string]token // by path: of the newest life that ever began
	past []moment
	// recovered is the generation of the last forced recovery.
	recovered uint64
}

// moment is a state to go back to.
type moment struct {
	index uint64
	image []byte
}

func newTimeline(f failer) *timeline {
	tl := &timeline{
		harness: newHarness(f), runs: make(map[string]map[supervisor.Ref]token),
		boot: make(map[string]uint64), top: make(map[string]token),
	}
	for _, id := range nodeIDs {
		tl.runs[id] = make(map[supervisor.Ref]token)
		tl.hello(id)
	}
	spec := tree("shop", "a", "b", "c")
	spec.Strategy, spec.RestartPolicy.MaxRestarts, spec.Exclusive = supervisor.RestForOne, 1000, true
	tl.must(applyTree(spec))
	return tl
}

// hello is a new start of a node's agent, which holds on to what runs.
func (tl *timeline) hello(id string) {
	tl.boot[id]++
	tl.apply(nodeUp(id, tl.boot[id], sortedRefs(tl.runs[id])...))
}

func sortedRefs(lives map[supervisor.Ref]token) []supervisor.Ref {
	return slices.SortedFunc(maps.Keys(lives), func(a, b supervisor.Ref) int { return cmp.Compare(a.Path, b.Path) })
}

// obey: every node that has a session does what it is ordered. What begins carries
// a token greater than any before it of its path, in whatever time that was.
func (tl *timeline) obey() {
	tl.Helper()
	for _, id := range nodeIDs {
		var n *Node
		tl.m.View(func(v View) { n = v.s.nodes[id] })
		if n == nil || n.State != NodeAlive || n.Boot != boot(id, tl.boot[id]) {
			continue
		}
		ordered := make(map[supervisor.Ref]bool)
		for _, o := range tl.orders(id) {
			ordered[o.Ref] = true
			tl.do(id, o)
		}
		for ref := range tl.runs[id] {
			if !ordered[ref] {
				delete(tl.runs[id], ref)
			}
		}
	}
}

func (tl *timeline) do(id string, o supervisor.Order) {
	tl.Helper()
	carries := token{o.Generation, o.Epoch}
	began, runs := tl.runs[id][o.Ref]
	switch {
	case o.Action == supervisor.Halt:
		delete(tl.runs[id], o.Ref)
		tl.apply(event(o.Ref, supervisor.EventExited))
	case runs && began != carries:
		tl.Fatalf("%v runs as %v, and its order says %v", o.Ref, began, carries)
	case runs:
		tl.apply(event(o.Ref, supervisor.EventStarted))
	case carries.compare(tl.top[o.Path]) <= 0:
		tl.Fatalf("%s begins as %v after %v", o.Path, carries, tl.top[o.Path])
	default:
		tl.runs[id][o.Ref], tl.top[o.Path] = carries, carries
	}
}

func (tl *timeline) random(rt *rapid.T) {
	id := anyID.Draw(rt, "node")
	switch rapid.IntRange(0, 9).Draw(rt, "do") {
	case 0:
		tl.past = append(tl.past, moment{tl.index, tl.snapshot()})
	case 1:
		tl.back(rt)
	case 2:
		tl.hello(id)
	case 3:
		tl.apply(leased(lost(id, tl.boot[id])))
	case 4:
		if n := tl.node(id); n.Unfenced() {
			clear(tl.runs[id]) // its lease has run out, so nothing exclusive runs there
			tl.apply(Command{Type: TypeNodeFenced, Node: &NodeRef{ID: id, Boot: n.Boot}})
		}
	case 5:
		if lives := sortedRefs(tl.runs[id]); len(lives) > 0 {
			delete(tl.runs[id], lives[0])
			tl.apply(event(lives[0], supervisor.EventExited))
		}
	default:
		for _, r := range tl.pending() {
			tl.apply(assign(r.Ref, id))
		}
	}
}

// back restores a state of before, or, as if a majority was lost, recovers it: then
// the log itself goes back, and its indexes are used again.
func (tl *timeline) back(rt *rapid.T) {
	if len(tl.past) == 0 {
		return
	}
	to := tl.past[rapid.IntRange(0, len(tl.past)-1).Draw(rt, "moment")]
	image := to.image
	recovers := rapid.Bool().Draw(rt, "recover")
	if !recovers {
		var err error
		if image, err = tl.m.Successor(to.image, 0, time.Second); err != nil {
			rt.Fatalf("%v", err)
		}
	}
	if err := tl.m.Restore(image); err != nil {
		rt.Fatalf("%v", err)
	}
	if recovers {
		recovered := tl.recovered
		tl.m.s.generation = max(tl.m.s.generation, recovered) // of other recoveries it has heard
		tl.m.Raise(time.Second)
		tl.index, tl.recovered = to.index, tl.m.s.generation
	}
	for _, id := range nodeIDs { // the quarantine has passed before anything begins
		clear(tl.runs[id])
	}
}

// TestFencesGrow: whatever restores and recoveries do to the log, of two lives of a
// child the later one carries the greater (generation, epoch), and a life that goes
// on keeps what it began with.
func TestFencesGrow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tl := newTimeline(rt)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			tl.random(rt)
			if rapid.IntRange(0, 3).Draw(rt, "obey") > 0 {
				tl.obey()
			}
		}
	})
}

// TestFenceOfAPendingLife: a life that waits for its node in the restored state may
// have begun in the time that was discarded, under the same epoch. It begins in the
// new generation all the same.
func TestFenceOfAPendingLife(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(tree("shop", "a")))
	saved, ref := h.snapshot(), h.ref("shop/a")
	h.placeAll("n1")
	before := h.orders("n1")[0]
	image, err := h.m.Successor(saved, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.m.Restore(image); err != nil {
		t.Fatal(err)
	}
	h.must(nodeUp("n1", 1), nodeUp("n2", 1))
	h.placeAll("n2")
	after := h.orders("n2")[0]
	if before.Ref != ref || after.Ref != ref || before.Generation != 1 || after.Generation != 2 {
		t.Errorf("%+v\n%+v", before, after)
	}
}
