package api_test

import (
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// TestRollout: an update is seen in the tree, halts when a child fails and is taken back
// when an operator says so; the file, and its tag, are those that are aimed at.
func TestRollout(t *testing.T) {
	w := newWorld(t, 2)
	c := w.nodes[1].client(t)
	file := func(version string) string {
		return "name: roll\nupdate: {min_ready: 1h}\nchildren: [{id: a, run: ./" + version + "}, {id: b, run: ./" + version + "}]\n"
	}
	must(c.Apply(t.Context(), "roll", file("v1"), "ann"))(t)
	w.start("roll/a", w.nodes[1], 42)
	w.start("roll/b", w.nodes[1], 43)
	before := must(c.Plan(t.Context(), file("v1")))(t)
	_, err := c.Rollout(t.Context(), supervisor.RolloutResume, "roll")
	wantCode(t, err, api.CodeRefused, "no update of roll is under way")

	must(c.Apply(t.Context(), "roll", file("v2"), "ann"))(t)
	tree := must(c.Tree(t.Context(), "roll"))(t)
	if r := tree.Rollout; r == nil || r.Status != "updating" || r.Total != 2 || len(r.Trying) != 1 || r.Until == nil || r.By == "" {
		t.Fatalf("the rollout is %+v", tree.Rollout)
	}
	for _, ch := range tree.Children {
		if want := map[string]string{"roll/a": "tries", "roll/b": "waits"}[ch.Path]; ch.Turn != want {
			t.Errorf("%s: turn %q, want %q", ch.Path, ch.Turn, want)
		}
	}
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
		{Path: "roll/a", Epoch: w.epoch("roll/a"), Type: supervisor.EventExited, Ordered: true},
	}})
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
		{Path: "roll/a", Epoch: w.epoch("roll/a"), Type: supervisor.EventExited, Code: 3},
	}})
	if r := must(c.Tree(t.Context(), "roll"))(t).Rollout; r.Status != "halted" || !strings.Contains(r.Why, "exit code 3") {
		t.Errorf("after a failure the rollout is %+v", r)
	}
	done := must(c.Rollout(t.Context(), supervisor.RolloutRevert, "roll"))(t)
	if !strings.HasPrefix(done.Message, "rollout revert of roll is accepted") {
		t.Errorf("revert answers %q", done.Message)
	}
	after := must(c.Plan(t.Context(), file("v1")))(t)
	if after.Tag != before.Tag || len(after.Changes) > 0 {
		t.Errorf("the tree is not as before: %+v", after)
	}
	why := must(c.Why(t.Context(), "roll"))(t)
	if last := why.Decisions[len(why.Decisions)-1]; !strings.Contains(last.Sentence, "goes back to its former spec: asked by tester") {
		t.Errorf("the last decision is %+v", last)
	}
}
