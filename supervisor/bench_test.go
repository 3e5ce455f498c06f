package supervisor

import (
	"fmt"
	"testing"
	"time"
)

// benchTree is a flat tree of n children that all run, spread over ten nodes.
func benchTree(b *testing.B, strategy Strategy, n int) *rig {
	b.Helper()
	t, err := NewTree(benchSpec(strategy, n))
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{failer: b, tree: t}
	r.quick(Start{Path: "t"})
	for _, req := range t.Unplaced() {
		r.quick(Assign{Path: req.Path, Epoch: req.Epoch, Node: fmt.Sprint("n", r.index%10)})
	}
	for _, c := range t.Children() {
		r.quick(ChildEvent{Path: c.Path, Epoch: c.Epoch, Type: EventStarted})
	}
	return r
}

func benchSpec(strategy Strategy, n int) Spec {
	policy := RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Nanosecond}
	return Spec{Name: "t", Strategy: strategy, RestartPolicy: policy, Children: many(n)}
}

// quick steps without the checks, a second later each time.
func (r *rig) quick(in Input) {
	r.index++
	r.now += time.Second
	if _, err := r.tree.Step(in, Stamp{Index: r.index, Time: r.now}); err != nil {
		r.Fatalf("%+v: %v", in, err)
	}
	r.tree.Changed()
}

// BenchmarkCrash: one child crashes and is up again. The cost must not grow with
// the tree.
func BenchmarkCrash(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := benchTree(b, OneForOne, n)
			b.ReportAllocs()
			for b.Loop() {
				r.crashAndUp(b, "t/c50")
			}
		})
	}
}

func (r *rig) crashAndUp(tb testing.TB, path string) {
	for _, typ := range []EventType{EventCrashed, EventStarted} {
		_, o, ok := r.tree.Order(path)
		if !ok {
			tb.Fatal("no order")
		}
		r.quick(ChildEvent{Path: path, Epoch: o.Epoch, Type: typ})
	}
}

// BenchmarkStartup: 500 children that wait for each other.
func BenchmarkStartup(b *testing.B) {
	for b.Loop() {
		r := benchTree(b, RestForOne, 500)
		if r.tree.Status() != TreeRunning {
			b.Fatal(r.tree.Status())
		}
	}
}

func BenchmarkNewTree(b *testing.B) {
	spec := benchSpec(OneForOne, 10_000)
	for b.Loop() {
		if _, err := NewTree(spec); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCostDoesNotGrow: a crash allocates as much in a tree of 10,000 as in one of
// 100.
func TestCostDoesNotGrow(t *testing.T) {
	cost := func(n int) float64 {
		tree, err := NewTree(benchSpec(OneForOne, n))
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{failer: t, tree: tree}
		r.quick(Start{Path: "t"})
		req, _ := tree.Request("t/c50")
		r.quick(Assign{Path: req.Path, Epoch: req.Epoch, Node: "n1"})
		return testing.AllocsPerRun(100, func() { r.crashAndUp(t, "t/c50") })
	}
	if small, large := cost(100), cost(10_000); large > small+2 {
		t.Errorf("a crash costs %.0f allocations in a tree of 100 and %.0f in one of 10,000", small, large)
	}
}
