package api_test

import (
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
)

// TestScale: a pool is scaled through any node, who asked is recorded, and a plan says
// what becomes of the size.
func TestScale(t *testing.T) {
	const file = "name: work\nchildren: [{id: jobs, pool: {template: {run: ./job}, size: 2, max: 5}}]"
	w := newWorld(t, 2)
	c := w.nodes[1].client(t)
	must(c.Apply(t.Context(), "work", file, "ann"))(t)
	done := must(c.Scale(t.Context(), "work/jobs", 4))(t)
	if done.Index != w.index || !strings.Contains(done.Message, "work/jobs has 4 instances from now on") {
		t.Errorf("scale: %+v", done)
	}
	tree := must(c.Tree(t.Context(), "work"))(t)
	if len(tree.Children) != 5 || tree.Children[0].Strategy != "one_for_one" || tree.Children[4].Path != "work/jobs/4" {
		t.Errorf("the tree is %+v", tree)
	}
	why := must(c.Why(t.Context(), "work/jobs"))(t)
	if last := why.Decisions[len(why.Decisions)-1]; last.Sentence != "work/jobs is scaled from 2 to 4 instances (asked by tester)" {
		t.Errorf("the last decision is %+v", last)
	}
	if e := must(c.Explain(t.Context(), "work"))(t); len(e.Children) != 4 {
		t.Errorf("explained are %+v", e.Children)
	}
	for change, want := range map[string]string{
		"size: 2 -> size: 2":     "work/jobs keeps 4 instances (scaled by tester); the file's size is still 2",
		"size: 2 -> size: 3":     "work/jobs goes from 4 instances (scaled by tester) to 3, the file's new size",
		"max: 5 -> max: 3":       "work/jobs goes from 4 instances (scaled by tester) to 3, its max",
		"id: jobs -> id: others": "",
	} {
		old, next, _ := strings.Cut(change, " -> ")
		plan := must(c.Plan(t.Context(), strings.Replace(file, old, next, 1)))(t)
		if got := strings.Join(plan.Notes, "\n"); got != want {
			t.Errorf("%s: the plan notes %q, want %q", change, got, want)
		}
	}
	_, err := c.Scale(t.Context(), "work/jobs", 6)
	wantCode(t, err, api.CodeRefused, "0 to 5 instances")
	_, err = c.Scale(t.Context(), "work/nobody", 1)
	wantCode(t, err, api.CodeNotFound, "work/nobody")
	_, err = c.Scale(t.Context(), "work/jobs", -1)
	wantCode(t, err, api.CodeBadRequest, "body.size")
}
