package fsm

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// TestRegressions are faults that other systems had, by the names they are known
// under; each function says what must not happen here.
func TestRegressions(t *testing.T) {
	t.Run("nomad20317-replay-expired-token", replayAtAnotherTime)
	t.Run("nomad25698-shared-state-mutation", nothingHandedOutChanges)
	t.Run("nomad24412-partial-restore", partialRestore)
}

// fenceToken is what a life shows to those who fence.
type fenceToken struct {
	generation uint64
	epoch      supervisor.Epoch
}

// tokens adds those of the lives that were ordered to start.
func tokens(m *Machine, to map[fenceToken]bool) {
	m.View(func(v View) {
		for _, name := range v.TreeNames() {
			for _, c := range v.Tree(name).Children() {
				if c.Generation > 0 {
					to[fenceToken{c.Generation, c.Epoch}] = true
				}
			}
		}
	})
}

// life adds a life that surely begins.
func (w *walk) life(rt *rapid.T) {
	w.add(rt, w.up("n9", "n9"), applyTree(tree("last", "a")))
	c := Command{Type: TypeAssign}
	w.m.View(func(v View) {
		for _, r := range v.Pending(supervisor.MaxChildren) {
			c.Assign = append(c.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n9"})
		}
	})
	w.add(rt, c)
}

// TestForcedRecoveryNeverFencesTwice: a majority was thought lost, one replica was
// recovered alone, and the others go on all the same, with entries of the same
// indexes. No token of one side is ever one of the other's.
func TestForcedRecoveryNeverFencesTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk()
		w.begin(rt)
		for range rapid.IntRange(0, 10).Draw(rt, "before") {
			w.next(rt)
		}
		before := make(map[fenceToken]bool)
		tokens(w.m, before)
		fork := &walk{m: restoredFrom(rt, w.m), index: w.index, clock: w.clock, seqs: maps.Clone(w.seqs), sent: slices.Clone(w.sent), made: w.made}
		fork.m.Raise(0)
		sides := [2]map[fenceToken]bool{{}, {}}
		for i, side := range []*walk{w, fork} {
			for range rapid.IntRange(0, 20).Draw(rt, "after") {
				side.next(rt)
				tokens(side.m, sides[i])
			}
			side.life(rt)
			tokens(side.m, sides[i])
			maps.DeleteFunc(sides[i], func(k fenceToken, _ bool) bool { return before[k] })
		}
		for k := range sides[0] {
			if sides[1][k] {
				rt.Fatalf("both sides gave a life the token %+v", k)
			}
		}
		if len(sides[0]) == 0 || len(sides[1]) == 0 {
			rt.Fatalf("a side without a life: %v", sides)
		}
	})
}
