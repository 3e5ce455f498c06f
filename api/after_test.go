package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
)

// TestTreeAfterAnother: an apply and a plan say what is not there yet, the tree and why say
// what is waited for, and circles are refused.
func TestTreeAfterAnother(t *testing.T) {
	w := newWorld(t, 2)
	c := w.nodes[1].client(t)
	web := "name: web\nafter: [base/db, base/cache]\nchildren: [{id: api, run: ./api}]\n"
	base := "name: base\nchildren: [{id: db, run: ./db}]\n"
	plan := must(c.Plan(t.Context(), web))(t)
	if want := "it will wait for base/db: there is no tree base yet"; !slices.Contains(plan.Notes, want) {
		t.Errorf("the plan's notes are %q, want %q", plan.Notes, want)
	}
	done := must(c.Apply(t.Context(), "web", web, "ann"))(t)
	if !strings.Contains(done.Message, "it will wait for base/cache: there is no tree base yet") {
		t.Errorf("apply says %q", done.Message)
	}
	must(c.Apply(t.Context(), "base", base, "ann"))(t)
	tree := must(c.Tree(t.Context(), "web"))(t)
	want := []api.Awaited{
		{Path: "base/db", Why: "base/db is pending"}, {Path: "base/cache", Why: "tree base has no base/cache", Missing: true},
	}
	if tree.Status != "degraded" || !slices.Equal(tree.WaitsFor, want) || len(tree.After) != 2 {
		t.Errorf("the tree is %+v", tree)
	}
	why := must(c.Why(t.Context(), "web/api"))(t)
	if !slices.Equal(why.WaitsFor, want) || !strings.HasSuffix(why.Child.Reason, "waits for base/db, base/cache") {
		t.Errorf("why says %+v", why)
	}
	if e := must(c.Explain(t.Context(), "web"))(t); !strings.Contains(e.Children[0].Note, "stops with what its tree comes after (base/db, base/cache)") {
		t.Errorf("explained is %+v", e)
	}
	circle := "name: base\nafter: web\nchildren: [{id: db, run: ./db}]\n"
	_, err := c.Apply(t.Context(), "base", circle, "ann")
	wantCode(t, err, api.CodeRefused, "base comes after web, web comes after base/db")
	if plan := must(c.Plan(t.Context(), circle))(t); len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "base comes after web") {
		t.Errorf("the plan's notes are %q", plan.Notes)
	}
	must(c.Apply(t.Context(), "web", strings.Replace(web, ", base/cache", "", 1), "ann"))(t)
	w.start("base/db", w.nodes[1], 42)
	w.start("web/api", w.nodes[0], 43)
	if tree := must(c.Tree(t.Context(), "web"))(t); tree.Status != "running" || len(tree.WaitsFor) > 0 {
		t.Errorf("the tree is %+v", tree)
	}
	if why := must(c.Why(t.Context(), "web/api"))(t); len(why.WaitsFor) > 0 {
		t.Errorf("why says %+v", why)
	}
}
