package supervisor

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestReplay: the same log gives the same tree, byte for byte, with the same
// changes after each input: on every replica, and on one that restores the tree
// from a snapshot before every single input (P8, P9).
func TestReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawSpec(rt)
		w := newWalk(rt, spec)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.random(rt)
		}
		want := encode(rt, w.tree)
		first := replay(rt, spec, w.log, false)
		for _, restoring := range []bool{false, true} {
			got := replay(rt, spec, w.log, restoring)
			for i, line := range got {
				if line != first[i] {
					rt.Fatalf("replay of %+v (restoring: %v) differs:\n%s\n%s", w.log[i].in, restoring, first[i], line)
				}
			}
		}
		if last := first[len(first)-1]; last != want {
			rt.Fatalf("the replay ends in another state:\n%s\n%s", want, last)
		}
	})
}

// replay gives, for each input, what came of it; and the state at the end.
func replay(f failer, spec Spec, log []entry, restoring bool) []string {
	f.Helper()
	tree, err := NewTreeOn(spec, cluster(allNodes...))
	if err != nil {
		f.Fatalf("%v", err)
	}
	var lines []string
	for _, e := range log {
		if restoring {
			tree = restore(f, encode(f, tree))
		}
		tree.Changed()
		ds, err := tree.Step(e.in, e.at)
		lines = append(lines, fmt.Sprintln(ds, err, sortedChanges(tree), brief(f, tree)))
	}
	return append(lines, encode(f, tree))
}
