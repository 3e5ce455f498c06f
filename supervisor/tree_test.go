package supervisor

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// started is a tree whose children all run, on n1.
func started(t *testing.T, text string) *rig {
	t.Helper()
	spec, err := parseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	r.must(Start{Path: spec.Name})
	for did := true; did; {
		did, _ = r.obey([]string{"n1"})
	}
	return r
}

// TestFromStateRefuses: what is no state of ours is an error, never a panic.
func TestFromStateRefuses(t *testing.T) {
	r := started(t, "shop one_for_one\n  a\n  b")
	for _, c := range []struct {
		want  string
		spoil func(s *State)
	}{
		{"cannot use tree name", func(s *State) { s.Spec.Name = "" }},
		{"1 children in its state, 2 in its spec", func(s *State) { s.Nodes = s.Nodes[:1] }},
		{`its spec has no "shop/x"`, func(s *State) { s.Nodes[0].Path = "shop/x" }},
		{`bad leaving child "shop/x"`, func(s *State) { s.Leaving = []NodeState{{Path: "shop/x"}} }},
		{`bad leaving child "shop/a"`, func(s *State) { s.Leaving = []NodeState{{Path: "shop/a", Spec: &ChildSpec{}}} }},
	} {
		var s State
		if err := json.Unmarshal([]byte(encode(t, r.tree)), &s); err != nil {
			t.Fatal(err)
		}
		c.spoil(&s)
		if tree, err := FromState(s); tree != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is expected, got %v", c.want, err)
		}
	}
}

// TestEditAfterRestore: an empty map and none are the same spec, so that a tree
// that was restored does not take a child for changed where another replica, that
// never was, does not.
func TestEditAfterRestore(t *testing.T) {
	spec := good()
	spec.Children[0].Program.Env = map[string]string{}
	r, err := newRig(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	r.must(Start{Path: "shop"})
	if ds, err := r.step(Edit{Spec: spec}); err != nil || len(ds) > 0 {
		t.Errorf("an edit that changes nothing: %v %v", ds, err)
	}
}

// TestBadInput: nothing that an input may hold panics, or changes the tree.
func TestBadInput(t *testing.T) {
	r := started(t, "shop one_for_one\n  a")
	for _, c := range []struct {
		in   Input
		want error
	}{
		{ChildEvent{}, ErrUnknown},
		{ChildEvent{Path: "shop"}, ErrStale},
		{ChildEvent{Path: "shop/a"}, ErrStale},
		{ChildEvent{Path: "shop/a", Epoch: r.tree.byPath["shop/a"].life.Epoch}, ErrRefused},
		{Assign{}, ErrUnknown},
		{Assign{Path: "shop/a"}, ErrStale},
		{Start{}, ErrUnknown},
		{Edit{}, ErrRefused},
		{NodeLost{}, nil},
		{Drain{}, nil},
	} {
		if ds, err := r.step(c.in); !errors.Is(err, c.want) || len(ds) > 0 {
			t.Errorf("%#v: %v %v, not %v", c.in, ds, err, c.want)
		}
	}
	r.must(Move{Path: "shop/a"})
	_, order, _ := r.tree.Order("shop/a")
	r.must(ChildEvent{Path: "shop/a", Epoch: order.Epoch, Type: EventExited})
	req, _ := r.tree.Request("shop/a")
	if _, err := r.step(Assign{Path: "shop/a", Epoch: req.Epoch}); !errors.Is(err, ErrRefused) {
		t.Errorf("a place on no node: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an input of an unknown type must not pass for one that does nothing")
		}
	}()
	_, _ = r.tree.Step(nil, Stamp{})
}

// TestHistoryLimit: a child remembers its last decisions, and only so many.
func TestHistoryLimit(t *testing.T) {
	r := started(t, "shop one_for_one max=9999\n  a")
	for range HistoryLimit {
		_, o, _ := r.tree.Order("shop/a")
		r.must(ChildEvent{Path: "shop/a", Epoch: o.Epoch, Type: EventExited, Reason: ExitError, Code: 2})
		_, o, _ = r.tree.Order("shop/a")
		r.must(ChildEvent{Path: "shop/a", Epoch: o.Epoch, Type: EventStarted})
	}
	h := r.tree.History("shop/a")
	if len(h) != HistoryLimit || h[len(h)-1].Index != r.index || h[0].Index != r.index-HistoryLimit+1 {
		t.Errorf("%d decisions from %d to %d, at %d", len(h), h[0].Index, h[len(h)-1].Index, r.index)
	}
	if r.refresh(); r.tree.History("shop/x") != nil {
		t.Error("a child that is not there has a history")
	}
}

// TestQuestions: what others ask of a tree, of children that are there and not.
func TestQuestions(t *testing.T) {
	r := started(t, "shop one_for_one\n  a\n  s supervisor\n    b")
	if host, p, ok := r.tree.Placed("shop/a"); host != "n1" || p.Needs != nil || !ok {
		t.Errorf("placed: %q %v %v", host, p, ok)
	}
	for _, path := range []string{"shop", "shop/s", "shop/x"} {
		if _, _, ok := r.tree.Placed(path); ok {
			t.Errorf("%s has a place", path)
		}
		if _, _, ok := r.tree.Order(path); ok {
			t.Errorf("%s has an order", path)
		}
		if _, ok := r.tree.Request(path); ok {
			t.Errorf("%s waits for a place", path)
		}
	}
	if _, ok := r.tree.Child("shop/x"); ok {
		t.Error("there is no shop/x")
	}
	if on := r.tree.On("n1"); !slices.Equal(on, []string{"shop/a", "shop/s/b"}) {
		t.Errorf("on n1: %v", on)
	}
	if name := TreeName("shop/s/b"); name != r.tree.Name() || TreeName("shop") != "shop" {
		t.Errorf("tree name: %q", name)
	}
	e := Stamp{Index: 7, Pos: 3, Time: time.Second}.Epoch()
	if e.Index() != 7 || e.String() != "7.3" {
		t.Errorf("epoch: %v of index %d", e, e.Index())
	}
}
