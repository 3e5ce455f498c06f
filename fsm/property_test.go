package fsm

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"
)

// TestReplicasAgree: whatever the log says, two machines that apply it, and a
// third that is restored from a snapshot now and then, give the same answers and
// hold the same bytes after every entry (P8, P9). All that is derived stays true.
func TestReplicasAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w, twin, third := newWalk(), New(), New()
		w.begin(rt)
		for _, e := range w.log {
			apply(rt, twin, e)
			apply(rt, third, e)
		}
		seen, first, other := make(epochs), make(follower), make(follower)
		for range rapid.IntRange(1, 25).Draw(rt, "entries") {
			if rapid.IntRange(0, 3).Draw(rt, "restore") == 0 {
				third, other = restoredFrom(rt, twin), make(follower)
			}
			want := answer(w.next(rt))
			for _, m := range []*Machine{twin, third} {
				if got := answer(apply(rt, m, w.log[len(w.log)-1])); got != want {
					rt.Fatalf("one replica answers\n%s, another\n%s", want, got)
				}
			}
			sameState(rt, "the twin", w.m, twin)
			sameState(rt, "the restored", w.m, third)
			sameState(rt, "a copy", w.m, restoredFrom(rt, w.m))
			checkDerived(rt, w.m)
			checkDerived(rt, third)
			checkOrders(rt, w.m)
			checkRecords(rt, w.m)
			seen.grow(rt, w.m)
			first.follow(rt, w.m)
			other.follow(rt, third)
		}
	})
}

func apply(f failer, m *Machine, e logged) []Result {
	f.Helper()
	res, err := m.Apply(e.index, e.data)
	if err != nil {
		f.Fatalf("index %d: %v", e.index, err)
	}
	return res
}

func restoredFrom(f failer, m *Machine) *Machine {
	f.Helper()
	c := New()
	if err := c.Restore(snapshotOf(f, m)); err != nil {
		f.Fatalf("%v", err)
	}
	return c
}

// diagnose words CBOR for a person.
func diagnose(f failer, data []byte) string {
	f.Helper()
	text, err := cbor.Diagnose(data)
	if err != nil {
		f.Fatalf("%v", err)
	}
	return text
}

// replayed applies a whole log to a new machine and gives its bytes.
func replayed(f failer, log []logged) []byte {
	m := New()
	for _, e := range log {
		apply(f, m, e)
	}
	return snapshotOf(f, m)
}

// TestReplaysAgree: twenty replays, side by side, end in the same bytes. Every
// map has an order of its own in each.
func TestReplaysAgree(t *testing.T) {
	for seed := range 5 {
		log := logs(40).Example(seed)
		ends := make([][]byte, 20)
		var wg sync.WaitGroup
		for i := range ends {
			wg.Go(func() {
				m := New()
				for _, e := range log {
					if _, err := m.Apply(e.index, e.data); err != nil {
						t.Errorf("index %d: %v", e.index, err)
					}
				}
				ends[i], _ = m.Snapshot()
			})
		}
		wg.Wait()
		for i := range ends {
			if !bytes.Equal(ends[i], ends[0]) {
				t.Fatalf("seed %d: replay %d ends with\n%s, the first with\n%s", seed, i, diagnose(t, ends[i]), diagnose(t, ends[0]))
			}
		}
	}
}

// replayAtAnotherTime: entries carry all the time there is, so a log that is
// replayed ten years later gives the same state (nomad#20317).
func replayAtAnotherTime(t *testing.T) {
	log := logs(40).Example(7)
	want := replayed(t, log)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * 365 * 24 * time.Hour)
		m := New()
		for _, e := range log {
			apply(t, m, e)
			time.Sleep(time.Hour)
		}
		if got := snapshotOf(t, m); !bytes.Equal(got, want) {
			t.Errorf("a later replay gives\n%s, the first gave\n%s", diagnose(t, got), diagnose(t, want))
		}
	})
}

// nothingHandedOutChanges: neither snapshots nor node records nor event
// records change once they are out, and the machine keeps no part of the bytes
// it was given (nomad#25698; raft and bolt use their buffers again).
func nothingHandedOutChanges(t *testing.T) {
	type handed struct {
		snapshot, frozen []byte
		view             any
	}
	log := logs(40).Example(3)
	want := replayed(t, log)
	m, out := New(), []handed{}
	for i, e := range log {
		data := bytes.Clone(e.data)
		if _, err := m.Apply(e.index, data); err != nil {
			t.Fatal(err)
		}
		clobber(data)
		h := handed{snapshot: snapshotOf(t, m)}
		m.View(func(v View) {
			records, _ := v.Records(0, -1, MaxRecords)
			h.view = []any{v.Nodes(), records}
		})
		h.frozen = append(bytes.Clone(h.snapshot), frozen(t, h.view)...)
		out = append(out, h)
		if i%10 != 9 {
			continue // so that some lives of the state are long
		}
		image := bytes.Clone(h.snapshot)
		if err := m.Restore(image); err != nil {
			t.Fatal(err)
		}
		clobber(image)
	}
	for i, h := range out {
		if now := append(bytes.Clone(h.snapshot), frozen(t, h.view)...); !bytes.Equal(now, h.frozen) {
			t.Errorf("what was handed out after entry %d has changed since", i)
		}
	}
	if !bytes.Equal(snapshotOf(t, m), want) {
		t.Error("the machine shares memory with the bytes it was given")
	}
}

func clobber(data []byte) {
	for i := range data {
		data[i] = 0xff
	}
}

func frozen(t *testing.T, v any) []byte {
	t.Helper()
	data, err := encMode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
