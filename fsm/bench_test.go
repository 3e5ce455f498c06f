package fsm

import (
	"fmt"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// large is a tree of 10,000 children that run on ten nodes.
func large(b *testing.B) *harness {
	b.Helper()
	h := newHarness(b)
	var ids []string
	for i := range 10_000 {
		ids = append(ids, fmt.Sprint("c", i))
	}
	spec := tree("shop", ids...)
	spec.RestartPolicy.MaxRestarts, spec.RestartPolicy.MaxSeconds = 1, 1
	h.must(applyTree(spec))
	var assigns, starts Command
	assigns.Type, starts.Type = TypeAssign, TypeEvents
	for i := range 10 {
		h.must(nodeUp(fmt.Sprint("n", i), 1))
	}
	for i, r := range h.pending() {
		assigns.Assign = append(assigns.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: fmt.Sprint("n", i%10)})
		starts.Events = append(starts.Events, supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: supervisor.EventStarted})
	}
	h.must(assigns, starts)
	h.m.TakeChanged()
	return h
}

// BenchmarkCrash: one child of 10,000 crashes and is up again: two entries, their
// encoding and what the leader reads of them included.
func BenchmarkCrash(b *testing.B) {
	h := large(b)
	b.ReportAllocs()
	for b.Loop() {
		h.must(event(h.ref("shop/c500"), supervisor.EventExited))
		h.must(event(h.ref("shop/c500"), supervisor.EventStarted))
		if paths, _ := h.m.TakeChanged(); len(paths) == 0 {
			b.Fatal("nothing changed")
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	h := large(b)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(h.snapshot())))
	}
}

func BenchmarkRestore(b *testing.B) {
	h := large(b)
	data, m := h.snapshot(), New()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Restore(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPending(b *testing.B) {
	h := large(b)
	h.must(lost("n1", 1))
	for b.Loop() {
		if n := len(h.pending()); n != 1000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkChecksum is what one checksum entry costs each replica.
func BenchmarkChecksum(b *testing.B) {
	h := large(b)
	for b.Loop() {
		h.must(checksum(nil))
	}
}
