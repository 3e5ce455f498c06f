package fsm

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// untouched runs do, which must fail, and checks that the machine is as before.
func untouched(t *testing.T, h *harness, what string, do func() error) error {
	t.Helper()
	before := h.snapshot()
	err := do()
	if err == nil {
		t.Fatalf("%s gave no error", what)
	}
	if !bytes.Equal(before, h.snapshot()) {
		t.Fatalf("%s changed the state (%v)", what, err)
	}
	return err
}

func raw(t *testing.T, v any) []byte {
	t.Helper()
	data, err := encMode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestUnknownEntries: what this build does not know in full stops it, with a word
// on what to do, and leaves the state alone.
func TestUnknownEntries(t *testing.T) {
	h := running(t)
	entry := func(cmds ...any) any {
		return map[int]any{1: Schema, 2: 9 * time.Hour, 3: 1, 4: cmds}
	}
	newer := map[int]any{1: Schema + 1, 2: 1, 3: 1, 4: []any{}}
	for what, c := range map[string]struct {
		entry any
		want  string
	}{
		"a newer schema":          {newer, "schema 2"},
		"no schema":               {map[int]any{4: []any{}}, "schema 0"},
		"a newer type":            {entry(map[int]any{1: typeEnd}), "unknown type"},
		"no type":                 {entry(map[int]any{16: "shop"}), "unknown type 0"},
		"a type too large":        {entry(map[int]any{1: 300}), "decode"},
		"an unknown field":        {entry(map[int]any{1: TypeDeleteTree, 16: "shop", 99: true}), "decode"},
		"an unknown inner field":  {entry(map[int]any{1: TypeInit, 10: map[int]any{1: "c", 2: 1, 9: 1}}), "decode"},
		"a good one before a bad": {entry(deleteTree("shop"), map[int]any{1: 200}), "unknown type 200"},
		"init without a body":     {entry(Command{Type: TypeInit}), "without its body"},
		"up without a body":       {entry(Command{Type: TypeNodeUp}), "without its body"},
		"lost without a body":     {entry(Command{Type: TypeNodeLost}), "without its body"},
		"left without a body":     {entry(Command{Type: TypeNodeLeft}), "without its body"},
		"fenced without a body":   {entry(Command{Type: TypeNodeFenced}), "without its body"},
		"drain without a body":    {entry(Command{Type: TypeDrain}), "without its body"},
		"tree without a body":     {entry(Command{Type: TypeApplyTree}), "without its body"},
		"verb without a body":     {entry(Command{Type: TypeVerb}), "without its body"},
		"text":                    {"hello", "decode"},
		"nothing":                 {nil, "schema 0"},
	} {
		err := untouched(t, h, what, func() error {
			_, err := h.m.Apply(h.index+1, raw(t, c.entry))
			return err
		})
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gave %q, want %q", what, err, c.want)
		}
	}
}

// TestTooManyInputs: an entry with more inputs than it has positions is refused
// where it is made, and where it is applied.
func TestTooManyInputs(t *testing.T) {
	h := newHarness(t)
	many := Entry{Schema: Schema, Commands: []Command{
		{Type: TypeEvents, Events: make([]supervisor.ChildEvent, supervisor.MaxInputs-1)}, initial("c", 1),
	}}
	if _, err := h.m.Apply(h.index+1, encoded(t, many)); err != nil {
		t.Fatalf("an entry at the limit: %v", err)
	}
	many.Commands[0].Assign = make([]supervisor.Assign, 1)
	if _, err := many.Encode(); err == nil {
		t.Error("an entry over the limit was encoded")
	}
	untouched(t, h, "an entry over the limit", func() error {
		_, err := h.m.Apply(h.index+2, raw(t, many))
		return err
	})
}

// TestPoisonIsNotEncoded: what would stop every node once it is committed gets its
// error at the leader: a tree too deep, a command of no type or without its body.
func TestPoisonIsNotEncoded(t *testing.T) {
	deep := worker("a")
	for range 10_000 {
		deep = supervisor.ChildSpec{ID: "s", Supervisor: &supervisor.SupervisorSpec{}, Children: []supervisor.ChildSpec{deep}}
	}
	spec := tree("shop")
	spec.Children = []supervisor.ChildSpec{deep}
	for what, c := range map[string]Command{
		"a tree too deep": applyTree(spec), "no type": {}, "no body": {Type: TypeVerb}, "a type to come": {Type: typeEnd},
	} {
		if _, err := (Entry{Commands: []Command{initial("c", 1), c}}).Encode(); err == nil {
			t.Errorf("%s was encoded", what)
		}
	}
}

// TestDeepestTree: a tree as deep as the core allows passes the log and snapshots.
func TestDeepestTree(t *testing.T) {
	child := worker("a")
	for range supervisor.MaxDepth - 1 {
		s := supervisor.SupervisorSpec{Strategy: supervisor.OneForAll, RestartPolicy: supervisor.DefaultRestartPolicy()}
		child = supervisor.ChildSpec{
			ID: "s", RestartType: supervisor.Permanent, Supervisor: &s, Children: []supervisor.ChildSpec{child},
		}
	}
	spec := tree("shop")
	spec.Children = []supervisor.ChildSpec{child}
	h := newHarness(t, "n1")
	h.must(applyTree(spec))
	h.placeAll("n1")
	sameState(t, "the restored", h.m, h.restored().m)
	if len(h.orders("n1")) != 1 {
		t.Errorf("orders %+v", h.orders("n1"))
	}
}

// TestTextOfPrograms: text that is no UTF-8 goes through the log and snapshots as
// it is.
func TestTextOfPrograms(t *testing.T) {
	const text = "caf\xe9 \xff\x00"
	h := running(t)
	crash := event(h.ref("shop/a"), supervisor.EventCrashed)
	crash.Events[0].Detail = text
	res := h.must(crash)
	if ds := res[0].Decisions; len(ds) != 1 || ds[0].Cause.Detail != text {
		t.Fatalf("decisions %+v", ds)
	}
	c := h.restored()
	sameState(t, "the restored", h.m, c.m)
	if ds := c.m.s.trees["shop"].History("shop/a"); ds[len(ds)-1].Cause.Detail != text {
		t.Errorf("restored decisions %+v", ds)
	}
}

// richEntry has a command of every type.
func richEntry(t *testing.T) []byte {
	t.Helper()
	ref := supervisor.Ref{Path: "shop/a", Epoch: 7}
	return encoded(t, Entry{Time: time.Hour, Wall: 99, Commands: []Command{
		initial("c", 1), event(ref, supervisor.EventExited), assign(ref, "n1"), nodeUp("n3", 1, ref), lost("n2", 1),
		left("n1"), leased(lost("n3", 1)), fenced("n3", 1), drain("n1", true), applyTree(tree("mall", "a", "b")), deleteTree("shop"), verb("move", "shop/a", "n2").with("r"),
	}})
}

// TestTruncatedEntry: an entry cut at any byte changes nothing; the whole one is
// applied then.
func TestTruncatedEntry(t *testing.T) {
	h := running(t)
	data := richEntry(t)
	for i := range data {
		untouched(t, h, "a truncated entry", func() error {
			_, err := h.m.Apply(h.index+1, data[:i])
			return err
		})
	}
	untouched(t, h, "an entry and more", func() error {
		_, err := h.m.Apply(h.index+1, append(bytes.Clone(data), 0))
		return err
	})
	if _, err := h.m.Apply(h.index+1, data); err != nil {
		t.Fatal(err)
	}
}

// partialRestore: a snapshot cut at any byte, or spoilt, restores nothing; the
// whole one restores all (nomad#24412).
func partialRestore(t *testing.T) {
	h := running(t)
	data := h.snapshot()
	other := newHarness(t, "m1")
	other.must(applyTree(tree("mall", "a")))
	for i := range data {
		untouched(t, other, "a truncated snapshot", func() error { return other.m.Restore(data[:i]) })
	}
	if err := other.m.Restore(data); err != nil {
		t.Fatal(err)
	}
	sameState(t, "the restored", h.m, other.m)
}

// TestBadSnapshots: what decodes and is no state of ours is refused in full.
func TestBadSnapshots(t *testing.T) {
	h := running(t)
	state := func() supervisor.State { return h.m.s.trees["shop"].State() }
	for what, spoil := range map[string]func(*snapshot){
		"another schema":       func(s *snapshot) { s.Schema++ },
		"an empty node":        func(s *snapshot) { s.Nodes = append(s.Nodes, nil) },
		"a tree without spec":  func(s *snapshot) { s.Trees = append(s.Trees, supervisor.State{}) },
		"a child too few":      func(s *snapshot) { s.Trees[0].Nodes = s.Trees[0].Nodes[1:] },
		"a child of another":   func(s *snapshot) { s.Trees[0].Nodes[0].Path = "mall/a" },
		"a bad leaving child":  func(s *snapshot) { s.Trees[0].Leaving = state().Nodes },
		"a spec that is wrong": func(s *snapshot) { s.Trees[0].Spec.Strategy = "none" },
	} {
		var snap snapshot
		if err := decMode.Unmarshal(h.snapshot(), &snap); err != nil {
			t.Fatal(err)
		}
		spoil(&snap)
		untouched(t, h, what, func() error { return h.m.Restore(raw(t, snap)) })
		untouched(t, h, what, func() error { _, err := h.m.Successor(raw(t, snap), 0, 0); return err })
	}
	for _, garbage := range []string{"", "\x00", "\xff", "selfware", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\xa1\x09\x9a\x00\x3f\xff\xff"} {
		untouched(t, h, "garbage", func() error { return h.m.Restore([]byte(garbage)) })
		untouched(t, h, "garbage", func() error { _, err := h.m.Apply(h.index+1, []byte(garbage)); return err })
	}
}

// FuzzApply: no bytes make the machine panic or leave it half changed, and two
// machines never differ.
func FuzzApply(f *testing.F) {
	h := newHarness(f, "n1", "n2")
	h.must(applyTree(tree("shop", "a", "b")))
	h.placeAll("n1")
	start := h.snapshot()
	f.Add(encoded(f, Entry{Commands: []Command{deleteTree("shop"), applyTree(tree("mall", "a")), nodeUp("n1", 2)}}))
	f.Add(encoded(f, Entry{Commands: []Command{verb("move", "shop/a", "n2").with("r"), drain("n1", true), lost("n1", 1)}}))
	f.Add(encoded(f, Entry{Commands: []Command{event(h.ref("shop/a"), supervisor.EventExited), assign(h.ref("shop/b"), "n2")}}))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := New(), New()
		for _, m := range []*Machine{a, b} {
			if err := m.Restore(start); err != nil {
				t.Fatal(err)
			}
		}
		results, err := a.Apply(h.index+1, data)
		again, errB := b.Apply(h.index+1, bytes.Clone(data))
		if (err == nil) != (errB == nil) || answer(results) != answer(again) {
			t.Fatalf("one says %v %v, the other %v %v", results, err, again, errB)
		}
		sameState(t, "the twin", a, b)
		if err != nil && !bytes.Equal(snapshotOf(t, a), start) {
			t.Fatalf("an error changed the state: %v", err)
		}
		checkDerived(t, a)
		sameState(t, "the restored", a, restoredFrom(t, a))
	})
}

// FuzzRestore: no bytes make Restore panic, and an error leaves the state.
func FuzzRestore(f *testing.F) {
	empty := snapshotOf(f, New())
	h := newHarness(f, "n1")
	h.must(applyTree(tree("shop", "a")))
	f.Add(empty)
	f.Add(h.snapshot())
	f.Add([]byte{0xa1, 0x01, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := New()
		if err := m.Restore(data); err != nil && !bytes.Equal(snapshotOf(t, m), empty) {
			t.Fatalf("an error changed the state: %v", err)
		}
		snapshotOf(t, m)
	})
}
