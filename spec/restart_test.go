package spec

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// drawTree draws a small tree. Ids come from a small set, so that two of them have
// children in common.
func drawTree(rt *rapid.T) supervisor.Spec {
	s := supervisor.Spec{
		Name: "t", Strategy: supervisor.OneForOne, RestartPolicy: supervisor.DefaultRestartPolicy(),
		Exclusive: rapid.IntRange(0, 4).Draw(rt, "exclusive") == 0, Children: drawChildren(rt, 2),
	}
	if rapid.Bool().Draw(rt, "update") {
		s.Update = &supervisor.UpdatePolicy{Parallel: rapid.IntRange(1, 3).Draw(rt, "parallel"), Deadline: time.Minute}
	}
	return s
}

func drawChildren(rt *rapid.T, depth int) []supervisor.ChildSpec {
	var children []supervisor.ChildSpec
	ids := rapid.Permutation([]string{"a", "b", "c"}).Draw(rt, "ids")
	for _, id := range ids[:rapid.IntRange(1, 3).Draw(rt, "children")] {
		c := supervisor.ChildSpec{
			ID: id, RestartType: supervisor.Permanent, Exclusive: rapid.IntRange(0, 2).Draw(rt, "exclusive") == 0,
			Placement: supervisor.Placement{Mode: supervisor.SpreadOut},
			Program:   &supervisor.Program{Argv: []string{rapid.SampledFrom([]string{"v1", "v1", "v2"}).Draw(rt, "run")}},
		}
		if rapid.IntRange(0, 3).Draw(rt, "func") == 0 {
			c.Program = &supervisor.Program{Func: rapid.SampledFrom([]string{"f1", "f2"}).Draw(rt, "function")}
		}
		if rapid.IntRange(0, 3).Draw(rt, "cpu") == 0 {
			c.Placement.CPU = 500
		}
		if rapid.IntRange(0, 2).Draw(rt, "many") == 0 {
			c.ID += "m" // one worker cannot become many
			n := rapid.IntRange(1, 3).Draw(rt, "instances")
			if rapid.Bool().Draw(rt, "pool") {
				c.Pool = &supervisor.Pool{Size: n, Max: 3, RestartPolicy: supervisor.DefaultRestartPolicy()}
			} else {
				c.Replicas = n
			}
		}
		children = append(children, c)
		if depth > 0 && rapid.Bool().Draw(rt, "nested") {
			children = append(children, supervisor.ChildSpec{
				ID: "s" + id, RestartType: supervisor.Permanent, Exclusive: rapid.IntRange(0, 2).Draw(rt, "exclusive") == 0,
				Supervisor: &supervisor.SupervisorSpec{Strategy: supervisor.OneForOne, RestartPolicy: supervisor.DefaultRestartPolicy()},
				Children:   drawChildren(rt, depth-1),
			})
		}
	}
	return children
}

// TestDiffTellsTheTruth: of children that run, an edit restarts exactly those of which
// Diff says so, starts those, and removes those.
func TestDiffTellsTheTruth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old, next := drawTree(rt), drawTree(rt)
		tree, err := supervisor.NewTree(old)
		if err != nil {
			rt.Fatal(err)
		}
		step := func(in supervisor.Input, index uint64) []supervisor.Decision {
			ds, err := tree.Step(in, supervisor.Stamp{Index: index})
			if err != nil {
				rt.Fatalf("%+v: %v", in, err)
			}
			return ds
		}
		step(supervisor.Start{Path: "t"}, 1)
		for i, r := range tree.Unplaced() {
			step(supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n1"}, uint64(2*i+2))
			step(supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: supervisor.EventStarted}, uint64(2*i+3))
		}
		workers := workersOf(old, next)
		said, done := make(map[string]string), make(map[string]string)
		for _, c := range Diff(&old, &next) {
			if many := manyOf(c.Path, old, next); many != [2]int{} {
				sayOfEach(said, c, many)
			} else if c.Effect != NoRestart && workers[c.Path] {
				said[c.Path] = c.Effect
			}
		}
		effects := map[supervisor.Verdict]string{
			supervisor.VerdictRestart: Restarts, supervisor.VerdictWait: Restarts, supervisor.VerdictStart: Starts, supervisor.VerdictRemove: Stops,
		}
		for _, d := range step(supervisor.Edit{Spec: next}, 1000) {
			if d.Verdict != supervisor.VerdictUpdate {
				done[d.Path] = effects[d.Verdict]
			}
		}
		for path, effect := range said {
			if effect == InTurn && next.Update != nil {
				said[path] = Restarts
			}
		}
		if !maps.Equal(said, done) {
			rt.Fatalf("Diff said %v, the edit did %v", said, done)
		}
	})
}

// workersOf are the paths that are workers in any of the trees.
func workersOf(trees ...supervisor.Spec) map[string]bool {
	found := make(map[string]bool)
	var walk func(parent string, children []supervisor.ChildSpec)
	walk = func(parent string, children []supervisor.ChildSpec) {
		for _, c := range children {
			found[parent+"/"+c.ID] = c.Program != nil
			walk(parent+"/"+c.ID, c.Children)
		}
	}
	for _, t := range trees {
		walk(t.Name, t.Children)
	}
	return found
}

// manyOf are the numbers of instances of a path in two trees.
func manyOf(path string, old, next supervisor.Spec) (many [2]int) {
	var walk func(i int, parent string, children []supervisor.ChildSpec)
	walk = func(i int, parent string, children []supervisor.ChildSpec) {
		for _, c := range children {
			if parent+"/"+c.ID == path {
				if many[i] = c.Replicas; c.Pool != nil {
					many[i] = c.Pool.Size
				}
			}
			walk(i, parent+"/"+c.ID, c.Children)
		}
	}
	walk(0, old.Name, old.Children)
	walk(1, next.Name, next.Children)
	return many
}

// sayOfEach says of each instance what a change says of all of them.
func sayOfEach(said map[string]string, c Change, many [2]int) {
	for i := range max(many[0], many[1]) {
		effect := ""
		switch {
		case i >= many[0]:
			effect = Starts
		case i >= many[1]:
			effect = Stops
		case c.Effect == Restarts, c.Effect == InTurn:
			effect = Restarts
		default:
			continue
		}
		if effect == Starts && c.Effect == Shrinks || effect == Stops && c.Effect == Grows || c.Effect == NoRestart {
			effect = "(not said)"
		}
		said[fmt.Sprintf("%s/%d", c.Path, i+1)] = effect
	}
}
