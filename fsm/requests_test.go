package fsm

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// TestRepeatedRequest: a repeat changes nothing and has the first answer, on this
// machine and on a restored one.
func TestRepeatedRequest(t *testing.T) {
	h := running(t)
	cmds := []struct {
		cmd  Command
		want error
	}{
		{verb("restart", "shop/a", ""), nil},
		{verb("stop", "shop/z", ""), supervisor.ErrUnknown},
		{verb("move", "shop/a", "n9"), ErrUnknownNode},
		{deleteTree("mall"), ErrUnknownTree},
		{verb("sing", "shop/a", ""), supervisor.ErrRefused},
		{lost("n1", 9), supervisor.ErrStale},
		{left("n2"), nil},
		{nodeUp("n2", 2), ErrLeft},
		{applyTree(tree("shop", "a", "b", "c")), nil},
	}
	var first []error
	for i, c := range cmds {
		err := h.apply(c.cmd.with(fmt.Sprint("r", i)))[0].Err
		if !errors.Is(err, c.want) {
			t.Fatalf("%+v: %v, want %v", c.cmd, err, c.want)
		}
		first = append(first, err)
	}
	for _, h := range []*harness{h, h.restored()} {
		before, records := h.ref("shop/a"), len(h.m.s.records)
		for i, c := range cmds {
			res := h.apply(c.cmd.with(fmt.Sprint("r", i)))[0]
			if !errors.Is(res.Err, c.want) || fmt.Sprint(res.Err) != fmt.Sprint(first[i]) || len(res.Decisions) > 0 {
				t.Errorf("repeat of %+v: %+v, first %v", c.cmd, res, first[i])
			}
		}
		if h.ref("shop/a") != before || len(h.m.s.records) != records {
			t.Error("a repeat changed the state")
		}
	}
}

// TestRepeatWithinAnEntry: the second of two equal requests in one entry is a
// repeat too, whatever it asks for.
func TestRepeatWithinAnEntry(t *testing.T) {
	h := running(t)
	h.must(verb("stop", "shop/a", "").with("r"), verb("stop", "shop/b", "").with("r"))
	h.m.View(func(v View) {
		if c, _ := v.Tree("shop").Child("shop/b"); c.Phase != supervisor.PhaseRunning {
			t.Errorf("shop/b is %s", c.Phase)
		}
	})
}

// TestOldRequestsAreForgotten: the oldest of more than MaxRequests goes, and no
// other; a command without an id is not remembered.
func TestOldRequestsAreForgotten(t *testing.T) {
	h := running(t)
	toggle := func(id string) { h.must(drain("n1", !h.node("n1").Draining).with(id)) }
	toggle("first")
	var cmds []Command
	for i := range MaxRequests - 1 {
		cmds = append(cmds, initial("c", 1).with(fmt.Sprint("r", i)))
	}
	h.must(cmds...)
	h.must(initial("c", 1), nodeUp("n2", 1))
	toggle("first")
	if !h.node("n1").Draining {
		t.Fatal("the oldest request is forgotten too early")
	}
	h.must(initial("c", 1).with("last"))
	for _, h := range []*harness{h, h.restored()} {
		if n := len(h.m.s.requests); n != MaxRequests || h.m.s.requests[0].ID != "r0" {
			t.Fatalf("%d requests are remembered, the first is %s", n, h.m.s.requests[0].ID)
		}
		h.must(drain("n1", false).with("first"))
		if h.node("n1").Draining {
			t.Error("a forgotten request was not done")
		}
		if slices.ContainsFunc(h.m.s.requests, func(r request) bool { return r.ID == "r0" }) {
			t.Error("r0 is remembered beyond the limit")
		}
	}
}
