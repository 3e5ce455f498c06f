package fsm

import (
	"slices"
	"testing"
)

// busy fills the stream: one entry of n records, each a change of n1's draining.
func (h *harness) busy(n int) {
	h.Helper()
	on := h.node("n1").Draining
	var cmds []Command
	for range n {
		on = !on
		cmds = append(cmds, drain("n1", on))
	}
	h.must(cmds...)
}

func (h *harness) records(index uint64, n, limit int) (records []Record, complete bool) {
	h.m.View(func(v View) { records, complete = v.Records(index, n, limit) })
	return records, complete
}

func marks(records []Record) []mark {
	ms := make([]mark, len(records))
	for i, r := range records {
		ms[i] = r.mark()
	}
	return ms
}

// TestRecords: what follows a place, in order and no more than asked for.
func TestRecords(t *testing.T) {
	h := newHarness(t, "n1") // a record at index 2
	h.busy(3)
	h.must(initial("c", 1)) // none at index 4
	h.busy(2)
	all := []mark{{2, 0}, {3, 0}, {3, 1}, {3, 2}, {5, 0}, {5, 1}}
	for _, c := range []struct {
		index    uint64
		n, limit int
		want     []mark
	}{
		{0, -1, 9, all}, {0, 7, 9, all}, {1, 0, 9, all}, {2, -1, 2, all[:2]}, {2, 0, 9, all[1:]}, {2, 99, 1, all[1:2]},
		{3, 1, 9, all[3:]}, {3, 2, 9, all[4:]}, {4, 0, 9, all[4:]}, {5, 0, 9, all[5:]}, {5, 1, 9, nil}, {9, 9, 9, nil},
		{0, -1, 0, nil},
	} {
		got, complete := h.records(c.index, c.n, c.limit)
		if !slices.Equal(marks(got), c.want) || !complete {
			t.Errorf("after %d.%d: %v (complete %v), want %v", c.index, c.n, marks(got), complete, c.want)
		}
	}
	for _, r := range h.m.s.records {
		if r.Kind != KindNode || r.Node != "n1" || r.Wall != int64(r.Index) || r.Sentence == "" {
			t.Errorf("record %+v", r)
		}
	}
}

// TestFullStreamIsComplete: while no more than MaxRecords were made, nothing is
// missing; with one more, something is.
func TestFullStreamIsComplete(t *testing.T) {
	h := newHarness(t, "n1")
	h.busy(MaxRecords - 1)
	for _, h := range []*harness{h, h.restored()} {
		if got, complete := h.records(0, -1, 2*MaxRecords); len(got) != MaxRecords || !complete {
			t.Errorf("%d records, complete %v", len(got), complete)
		}
		h.busy(1)
		if got, complete := h.records(0, -1, 2*MaxRecords); len(got) != MaxRecords || complete {
			t.Errorf("and one more: %d records, complete %v", len(got), complete)
		}
	}
}

// TestForgottenRecords: beyond MaxRecords the oldest are forgotten; who asks for
// what follows a forgotten place is told that there is a gap, unless it is the
// last one. A restored machine says the same.
func TestForgottenRecords(t *testing.T) {
	h := newHarness(t, "n1") // 2.0
	h.busy(3)                // 3.0 to 3.2
	h.busy(MaxRecords - 2)   // 4.0 and on: 2.0 and 3.0 are forgotten
	check := func(h *harness, index uint64, n int, want bool) {
		t.Helper()
		for _, h := range []*harness{h, h.restored(), h.restored().restored()} {
			got, complete := h.records(index, n, 1)
			if complete != want || len(got) != 1 {
				t.Errorf("after %d.%d: %v, complete %v, want %v", index, n, marks(got), complete, want)
			}
		}
	}
	check(h, 0, -1, false)
	check(h, 2, 99, false)
	check(h, 3, -1, false)
	check(h, 3, 0, true)
	check(h, 3, 1, true)
	h.must(drain("n1", !h.node("n1").Draining), drain("n1", h.node("n1").Draining)) // 3.2 goes; 4.0 is the first
	check(h, 3, 1, false)
	check(h, 3, 2, true)
	check(h, 3, 99, true)
	check(h, 4, -1, true)
}

// TestTrimming: a machine that trims in bulk and one that is restored keep the
// same stream, at every moment. Records handed out before stay as they were.
func TestTrimming(t *testing.T) {
	h := newHarness(t, "n1")
	var held, was [][]Record
	for range 7 { // so that the stream is trimmed twice in place
		out, _ := h.records(0, -1, MaxRecords)
		held, was = append(held, out), append(was, slices.Clone(out))
		h.busy(MaxRecords/2 + 17)
		c := h.restored()
		sameState(t, "the restored", h.m, c.m)
		h.busy(33)
		c.busy(33)
		sameState(t, "the restored, continued,", h.m, c.m)
		if n := len(h.m.s.records); n > 2*MaxRecords {
			t.Fatalf("%d records are held", n)
		}
	}
	for i := range held {
		if !slices.Equal(held[i], was[i]) {
			t.Error("records that were handed out have changed")
		}
	}
	if got, complete := h.records(0, -1, 2*MaxRecords); len(got) != MaxRecords || complete {
		t.Errorf("%d records are kept, complete %v", len(got), complete)
	}
}
