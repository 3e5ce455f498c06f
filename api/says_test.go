package api_test

import (
	"slices"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/runner"
)

// live makes the processes that a node holds.
func live(of ...runner.Process) option {
	return func(c *api.Config) {
		if c.Self.Name == "n2" {
			c.Live = func() []runner.Process { return of }
		}
	}
}

// TestSaysComesFromTheNodeThatKnows: whichever node is asked, the one that holds the child
// answers, and nobody writes anything down for it.
func TestSaysComesFromTheNodeThatKnows(t *testing.T) {
	store := runner.Process{Name: "shop/store", PID: 7, Status: "at work\u2026", Health: "Unhealthy", Severity: "Warning", Reason: "503"}
	w := shopWorld(t, 3, live(store, runner.Process{Name: "shop/quiet", PID: 8}, runner.Process{Name: "other/one", PID: 9, Health: "Healthy"}))
	want := api.Says{Path: "shop/store", Node: "n2", PID: 7, Status: "at work\u2026", Health: "Unhealthy", Severity: "Warning", Reason: "503"}
	index := w.lastIndex()
	for i, m := range w.nodes {
		if got, err := m.client(t).Says(t.Context(), "shop/store", ""); err != nil || !slices.Equal(got, []api.Says{want}) {
			t.Errorf("asked at n%d: %+v, %v", i+1, got, err)
		}
		all, err := m.client(t).Says(t.Context(), "", "n2")
		if err != nil || len(all) != 2 || all[0] != want || all[1].Path != "other/one" || all[1].Health != "Healthy" {
			t.Errorf("all of n2, asked at n%d: %+v, %v", i+1, all, err)
		}
	}
	if now := w.lastIndex(); now != index {
		t.Errorf("the log grew from %d to %d", index, now)
	}
}

// TestSaysOfNobody: who does not run says nothing; what there is not is an error.
func TestSaysOfNobody(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[0].client(t)
	for _, path := range []string{"shop/web/api", "shop/store"} { // placed nowhere; on n2, where nothing runs
		if got, err := c.Says(t.Context(), path, ""); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, a := range []struct{ path, node, code, say string }{
		{"", "", api.CodeBadRequest, "name a worker"},
		{"shop/web", "", api.CodeBadRequest, "shop/web/api"},
		{"shop/none", "", api.CodeNotFound, "shop/none"},
		{"", "n9", api.CodeNotFound, "n9"},
	} {
		_, err := c.Says(t.Context(), a.path, a.node)
		wantCode(t, err, a.code, a.say)
	}
	w.must(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: "NODE2ID", Boot: "b2", Reason: "silent"}})
	_, err := c.Says(t.Context(), "", "n2")
	wantCode(t, err, api.CodeUnreachable, "cannot ask node n2: it is lost")
}
