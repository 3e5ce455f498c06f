package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// shopWorld has the shop tree, its store running on n2 and its api waiting for a
// node with an SSD, which none has.
func shopWorld(t *testing.T, n int, opts ...option) *world {
	t.Helper()
	w := newWorld(t, n, opts...)
	must(w.nodes[0].client(t).Apply(t.Context(), "shop", shop, "ann"))(t)
	w.start("shop/store", w.nodes[min(1, n-1)], 42)
	return w
}

func TestStatus(t *testing.T) {
	w := shopWorld(t, 3, func(c *api.Config) {
		c.Suspects = func() map[string]string { return map[string]string{"NODE3ID": "dead", "NODE1ID": "dead"} }
	})
	st := must(w.nodes[2].client(t).Status(t.Context()))(t)
	want := api.ClusterStatus{ID: "test", Leader: "n1", Term: 7, Index: w.index, Generation: 1, Checksum: api.Checksum{Verdict: "none"}}
	if st.Cluster != want {
		t.Errorf("cluster %+v, want %+v", st.Cluster, want)
	}
	var nodes []string
	for _, n := range st.Nodes {
		nodes = append(nodes, strings.Join([]string{n.ID, n.Name, n.Status}, " "))
	}
	if want := []string{"NODE1ID n1 alive", "NODE2ID n2 alive", "NODE3ID n3 suspect"}; !slices.Equal(nodes, want) {
		t.Errorf("nodes %q, want %q", nodes, want)
	}
	if !st.Nodes[0].Leader || st.Nodes[1].Leader || !st.Nodes[1].Voter || st.Nodes[1].Children != 1 {
		t.Errorf("nodes %+v", st.Nodes)
	}
	if len(st.Trees) != 1 || st.Trees[0].Status != "degraded" || len(st.Trees[0].Children) != 2 {
		t.Fatalf("trees %+v", st.Trees)
	}
	store, pending := st.Trees[0].Children[0], st.Trees[0].Children[1]
	if store.Path != "shop/store" || store.Status != "running" || store.Node != "n2" || store.PID != 42 {
		t.Errorf("store %+v", store)
	}
	if store.Reason != "shop/store runs on n2 (pid 42)" {
		t.Errorf("reason %q", store.Reason)
	}
	// Entry i is stamped with second i, by both clocks.
	if since := time.Date(2030, 1, 1, 0, 0, int(w.index), 0, time.UTC); !store.Since.Equal(since) {
		t.Errorf("since %v, want %v", store.Since, since)
	}
	if pending.Status != "pending" || pending.Node != "" || !strings.Contains(pending.Reason, "waits for a node: none of 3 nodes fits (n1: ") {
		t.Errorf("api %+v", pending)
	}
}

func TestStatusHasListsWhereNothingIs(t *testing.T) {
	w := newWorld(t, 1)
	body := read(t, get(t, "GET", w.nodes[0].web.URL+"/v1/status", ""))
	if !strings.Contains(body, `"trees":[]`) {
		t.Errorf("status %s", body)
	}
}

func TestNodesThatDrainAndAreLost(t *testing.T) {
	w := newWorld(t, 3)
	c := w.nodes[0].client(t)
	if done := must(c.Drain(t.Context(), "n2"))(t); done.Message != "node n2 is draining" || done.Index != w.index {
		t.Errorf("drain: %+v", done)
	}
	w.must(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: "NODE3ID", Boot: "b3", Reason: "silent"}})
	nodes := must(c.Nodes(t.Context()))(t)
	if nodes[1].Status != "draining" || nodes[2].Status != "lost" || nodes[2].Reason != "silent" {
		t.Errorf("nodes %+v", nodes)
	}
	must(c.Undrain(t.Context(), "NODE2ID"))(t)
	must(c.Leave(t.Context(), "n3"))(t)
	nodes = must(c.Nodes(t.Context()))(t)
	if nodes[1].Status != "alive" || nodes[2].Status != "left" {
		t.Errorf("nodes %+v", nodes)
	}
	_, err := c.Drain(t.Context(), "n9")
	wantCode(t, err, api.CodeNotFound, "n9")
	_, err = newWorld(t, 1).nodes[0].client(t).Leave(t.Context(), "n1")
	wantCode(t, err, api.CodeRefused, "only voter")
}

func TestTree(t *testing.T) {
	c := shopWorld(t, 2).nodes[1].client(t)
	tree := must(c.Tree(t.Context(), "shop"))(t)
	var lines []string
	for _, ch := range tree.Children {
		lines = append(lines, strings.TrimSpace(ch.Path+" "+ch.Strategy))
	}
	if want := []string{"shop/store", "shop/web one_for_all", "shop/web/api"}; !slices.Equal(lines, want) {
		t.Errorf("children %q, want %q", lines, want)
	}
	if trees := must(c.Trees(t.Context()))(t); len(trees) != 1 || len(trees[0].Children) != 2 {
		t.Errorf("trees %+v", trees)
	}
	_, err := c.Tree(t.Context(), "shoe")
	wantCode(t, err, api.CodeNotFound, "shoe")
}

func TestSpecAndPlan(t *testing.T) {
	c := shopWorld(t, 2).nodes[1].client(t)
	text := must(c.Spec(t.Context(), "shop"))(t)
	if plan := must(c.Plan(t.Context(), text))(t); plan.New || plan.Tree != "shop" || len(plan.Changes) != 0 {
		t.Errorf("the plan of what runs is %+v", plan)
	}
	plan := must(c.Plan(t.Context(), strings.Replace(text, "redis-server", "valkey-server", 1)))(t)
	if len(plan.Changes) != 1 || plan.Changes[0].Path != "shop/store" || plan.Changes[0].Effect != "restarts" {
		t.Errorf("plan %+v", plan)
	}
	if plan := must(c.Plan(t.Context(), strings.Replace(text, "shop", "new", 1)))(t); !plan.New || len(plan.Changes) != 4 {
		t.Errorf("plan of a new tree %+v", plan)
	}
	_, err := c.Spec(t.Context(), "none")
	wantCode(t, err, api.CodeNotFound)
}

// TestConditionalWrites: a plan's tag makes apply and delete do what was planned, or
// nothing. It is the ETag of the tree's file.
func TestConditionalWrites(t *testing.T) {
	w := newWorld(t, 2)
	c := w.nodes[1].client(t)
	plan := must(c.Plan(t.Context(), shop))(t)
	if plan.Tag != api.TagNone {
		t.Errorf("the tag of no tree is %q", plan.Tag)
	}
	must(c.If(plan.Tag).Apply(t.Context(), "shop", shop, "ann"))(t)
	_, err := c.If(plan.Tag).Apply(t.Context(), "shop", shop, "bob")
	wantCode(t, err, api.CodeConflict, "there is a tree", "shop", "read it again")
	tag := must(c.Plan(t.Context(), shop))(t).Tag
	res := get(t, "GET", w.nodes[0].web.URL+"/v1/trees/shop/spec", "")
	if etag := res.Header.Get("ETag"); etag != strconv.Quote(tag) {
		t.Errorf("ETag %s, tag %s", etag, tag)
	}
	other := strings.Replace(shop, "redis-server", "valkey-server", 1)
	must(c.If(tag).Apply(t.Context(), "shop", other, "ann"))(t)
	_, err = c.If(tag).Apply(t.Context(), "shop", shop, "bob")
	wantCode(t, err, api.CodeConflict, tag, "changed")
	_, err = c.If(tag).Delete(t.Context(), "shop")
	wantCode(t, err, api.CodeConflict, tag)
	submits := w.nodes[0].submits
	for _, bad := range []string{"x", `"x`, `"x","y"`, `W/"x"`, "*", `""`, `"none"`} {
		res := get(t, "DELETE", w.nodes[0].web.URL+"/v1/trees/shop", "", header("If-Match", bad))
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("If-Match %s: %s", bad, res.Status)
		}
	}
	if res := get(t, "DELETE", w.nodes[0].web.URL+"/v1/trees/shop", "", header("If-None-Match", `"x"`)); res.StatusCode != http.StatusBadRequest {
		t.Errorf("If-None-Match: %s", res.Status)
	}
	if w.nodes[0].submits != submits {
		t.Error("a malformed condition was submitted")
	}
	res = get(t, "DELETE", w.nodes[0].web.URL+"/v1/trees/shop", "", header("If-Match", strconv.Quote(tag)))
	if res.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("a condition that fails: %s", res.Status)
	}
}

func TestApplySaysWhatIsWrong(t *testing.T) {
	w := newWorld(t, 1)
	c := w.nodes[0].client(t)
	_, err := c.Apply(t.Context(), "shop", "name: shop\nchildren:\n  - id: a\n    rum: x\n", "ann")
	wantCode(t, err, api.CodeBadRequest, "shop.yaml:4:5", "rum", "run")
	p := err.(*api.Problem)
	if len(p.Errors) == 0 || p.Errors[0].Line == 0 {
		t.Errorf("problem %+v has no line", p)
	}
	_, err = c.Apply(t.Context(), "other", shop, "ann")
	wantCode(t, err, api.CodeBadRequest, `"shop"`, `"other"`)
	if w.nodes[0].submits != 0 {
		t.Errorf("%d commands were submitted", w.nodes[0].submits)
	}
}

func TestApplyTakesJSON(t *testing.T) {
	w := newWorld(t, 1)
	res := get(t, "PUT", w.nodes[0].web.URL+"/v1/trees/j", `{"name":"j","children":[{"id":"a","run":["x"]}]}`,
		header("Content-Type", "application/json"))
	if body := read(t, res); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestVerbs(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	done := must(c.Verb(t.Context(), "stop", "shop/store", ""))(t)
	if done.Index != w.index || !strings.Contains(done.Message, "stop of shop/store is accepted") {
		t.Errorf("stop: %+v", done)
	}
	_, err := c.Verb(t.Context(), "start", "shop/nothing", "")
	wantCode(t, err, api.CodeNotFound, "shop/nothing")
	_, err = c.Verb(t.Context(), "start", "none/nothing", "")
	wantCode(t, err, api.CodeNotFound, "none")
	_, err = c.Verb(t.Context(), "move", "shop/store", "n9")
	wantCode(t, err, api.CodeNotFound, "n9")
	_, err = c.Verb(t.Context(), "stop", "shop/store", "n1")
	wantCode(t, err, api.CodeBadRequest, "only move")
	_, err = c.Verb(t.Context(), "stop", "", "")
	wantCode(t, err, api.CodeBadRequest, "body.path")
	must(c.Verb(t.Context(), "stop", "shop/web", ""))(t)
	_, err = c.Verb(t.Context(), "start", "shop/web/api", "")
	wantCode(t, err, api.CodeRefused, "start it first")
}

// TestPause: a pause is seen of all below it, with who and why, until the resume.
func TestPause(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	done := must(c.Pause(t.Context(), "shop/web", "a new rack"))(t)
	if !strings.Contains(done.Message, "a new rack") {
		t.Errorf("pause: %+v", done)
	}
	tree := must(c.Tree(t.Context(), "shop"))(t)
	for _, ch := range tree.Children {
		if under := strings.HasPrefix(ch.Path, "shop/web"); under != (ch.Paused != nil) {
			t.Errorf("%s: %+v", ch.Path, ch.Paused)
		} else if p := ch.Paused; under && (p.Path != "shop/web" || p.By != "tester" || p.Why != "a new rack" || p.Since.IsZero()) {
			t.Errorf("%s: %+v", ch.Path, p)
		}
	}
	_, err := c.Verb(t.Context(), "restart", "shop/web/api", "")
	wantCode(t, err, api.CodeRefused, "selfware-node resume shop/web")
	_, err = c.Pause(t.Context(), "shop/web", "")
	wantCode(t, err, api.CodeRefused, "already")
	must(c.Resume(t.Context(), "shop/web", "done"))(t)
	must(c.Pause(t.Context(), "shop", ""))(t)
	if st := must(c.Status(t.Context()))(t); st.Trees[0].Paused == nil || st.Trees[0].Paused.Path != "shop" {
		t.Errorf("%+v", st.Trees[0])
	}
	if why := must(c.Why(t.Context(), "shop"))(t); why.Child.Paused == nil || why.Decisions[len(why.Decisions)-1].Verdict != supervisor.VerdictPause {
		t.Errorf("%+v", why)
	}
	must(c.Resume(t.Context(), "shop", ""))(t)
	_, err = c.Resume(t.Context(), "shop", "")
	wantCode(t, err, api.CodeRefused, "not paused")
}

// TestReset: a reset says who asked and why, and that it starts nothing.
func TestReset(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	done := must(c.Reset(t.Context(), "shop/store", "a new disk"))(t)
	if !strings.Contains(done.Message, "a new disk") || strings.Contains(done.Message, "start shop") {
		t.Errorf("reset: %+v", done)
	}
	must(c.Verb(t.Context(), "stop", "shop/store", ""))(t)
	if done = must(c.Reset(t.Context(), "shop/store", ""))(t); !strings.Contains(done.Message, "selfware-node start shop/store") {
		t.Errorf("reset of what is stopped: %+v", done)
	}
	last := must(c.Why(t.Context(), "shop/store"))(t).Decisions
	if d := last[len(last)-1]; d.Verdict != supervisor.VerdictReset || !strings.Contains(d.Sentence, "tester") {
		t.Errorf("the last decision is %+v", d)
	}
	_, err := c.Reset(t.Context(), "shop/nothing", "")
	wantCode(t, err, api.CodeNotFound, "shop/nothing")
	_, err = c.Reset(t.Context(), "shop/store", strings.Repeat("y", supervisor.MaxWhy+1))
	wantCode(t, err, api.CodeBadRequest, "body.why")
}

func TestWhoAskedIsRecorded(t *testing.T) {
	w := shopWorld(t, 2)
	must(w.nodes[1].client(t).Verb(t.Context(), "restart", "shop/store", ""))(t)
	why := must(w.nodes[1].client(t).Why(t.Context(), "shop/store"))(t)
	if last := why.Decisions[len(why.Decisions)-1]; !strings.Contains(last.Sentence+last.Cause.Detail, "tester") {
		t.Errorf("the last decision is %+v", last)
	}
}

func TestWhy(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	why := must(c.Why(t.Context(), "shop/store"))(t)
	if why.Child.Node != "n2" || why.Waiting != nil || why.Budget.Max != 5 || len(why.Decisions) < 3 {
		t.Errorf("why %+v", why)
	}
	for _, d := range why.Decisions {
		if strings.Contains(d.Node+d.Sentence, "NODE2ID") {
			t.Errorf("decision %+v speaks of an id", d)
		}
	}
	why = must(c.Why(t.Context(), "shop/web/api"))(t)
	if why.Waiting == nil || len(why.Waiting.Refusals) != 2 || why.Waiting.Refusals[0].Node != "n1" || why.Waiting.Refusals[0].Reason == "" {
		t.Errorf("waiting %+v", why.Waiting)
	}
	if why := must(c.Why(t.Context(), "shop/web"))(t); !why.Child.Supervisor || why.Child.Strategy != "one_for_all" {
		t.Errorf("supervisor %+v", why.Child)
	}
	if why := must(c.Why(t.Context(), "shop"))(t); why.Child.Path != "shop" || why.Child.Strategy != "rest_for_one" {
		t.Errorf("tree %+v", why.Child)
	}
	_, err := c.Why(t.Context(), "shop/none")
	wantCode(t, err, api.CodeNotFound)
}

func TestDeleteATree(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	must(c.Delete(t.Context(), "shop"))(t)
	_, err := c.Delete(t.Context(), "none")
	wantCode(t, err, api.CodeNotFound, "none")
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{{
		Path: "shop/store", Epoch: w.epoch("shop/store"), Type: supervisor.EventExited, Reason: supervisor.ExitNormal,
	}}})
	if trees := must(c.Trees(t.Context()))(t); len(trees) != 0 {
		t.Errorf("trees %+v", trees)
	}
}

func TestPeersAndTransfer(t *testing.T) {
	w := newWorld(t, 4)
	c := w.nodes[3].client(t)
	peers := must(c.Peers(t.Context()))(t)
	if len(peers) != 4 || !peers[0].Leader || peers[0].Name != "n1" || !peers[2].Voter || peers[3].Voter {
		t.Errorf("peers %+v", peers)
	}
	must(c.Transfer(t.Context(), "n2"))(t)
	if w.leads() != w.nodes[1] {
		t.Error("n2 does not lead")
	}
	must(c.Transfer(t.Context(), ""))(t)
	_, err := c.Transfer(t.Context(), "n9")
	wantCode(t, err, api.CodeRefused, "no voter")
	if res := get(t, "POST", w.nodes[3].web.URL+"/v1/raft/transfer", ""); res.StatusCode != 200 {
		t.Errorf("transfer without a body: %s", read(t, res))
	}
}

func TestSnapshots(t *testing.T) {
	w := shopWorld(t, 2)
	c := w.nodes[1].client(t)
	var saved bytes.Buffer
	if err := c.SaveSnapshot(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	w.must(fsm.Command{Type: fsm.TypeApplyTree, Tree: &supervisor.Spec{Name: "late", Strategy: "one_for_one", RestartPolicy: supervisor.DefaultRestartPolicy()}})
	must(c.RestoreSnapshot(t.Context(), bytes.NewReader(saved.Bytes())))(t)
	st := must(c.Status(t.Context()))(t)
	if len(st.Trees) != 1 || st.Trees[0].Name != "shop" || st.Cluster.Generation != 2 {
		t.Errorf("status %+v", st)
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"damaged": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-5] },
		"schema":  func(b []byte) []byte { b[20-1]++; return b },
		"text":    func([]byte) []byte { return []byte(shop) },
		"empty":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := spoil(bytes.Clone(saved.Bytes()))
			_, err := c.RestoreSnapshot(t.Context(), bytes.NewReader(spoilt))
			wantCode(t, err, api.CodeBadRequest, "cannot use the snapshot")
			res := get(t, "PUT", w.nodes[1].web.URL+"/v1/raft/snapshot", string(spoilt))
			if body := read(t, res); res.StatusCode != 400 || !strings.Contains(body, `"bad_request"`) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
}

func TestHealthVersionHashAreLocal(t *testing.T) {
	w := newWorld(t, 2)
	c := w.nodes[1].client(t)
	want := api.Health{Status: "ok", Node: "n2", Leader: "n1", Index: w.index}
	if h := must(c.Health(t.Context()))(t); h != want {
		t.Errorf("health %+v, want %+v", h, want)
	}
	w.lead(nil)
	if h := must(c.Health(t.Context()))(t); h.Status != "no_leader" || h.Leader != "" {
		t.Errorf("health %+v", h)
	}
	if res := get(t, "GET", w.nodes[1].web.URL+"/v1/health", ""); res.StatusCode != 503 {
		t.Errorf("health without a leader has status %d", res.StatusCode)
	}
	if v := must(c.Version(t.Context()))(t); v.Version != "v1" || v.Schema != fsm.Schema || v.Go == "" {
		t.Errorf("version %+v", v)
	}
	h := must(c.Hash(t.Context()))(t)
	index, sum, _ := w.nodes[1].machine.Hash()
	if h.Index != index || h.Hash != sum {
		t.Errorf("hash %+v, want %d %s", h, index, sum)
	}
}

func TestStaleReadsNeedNoLeader(t *testing.T) {
	w := shopWorld(t, 2)
	w.lead(nil)
	c := w.nodes[1].client(t).Stale()
	if st := must(c.Status(t.Context()))(t); len(st.Trees) != 1 || st.Cluster.Leader != "" {
		t.Errorf("status %+v", st)
	}
	if why := must(c.Why(t.Context(), "shop/store"))(t); why.Child.Node != "n2" {
		t.Errorf("why %+v", why)
	}
	must(c.Plan(t.Context(), shop))(t)
	must(c.Health(t.Context()))(t)
}

func TestEveryAnswerHasItsIndex(t *testing.T) {
	w := newWorld(t, 2)
	for _, path := range []string{"/v1/status", "/v1/health", "/v1/trees/none", "/nowhere"} {
		res := get(t, "GET", w.nodes[1].web.URL+path, "")
		if got := res.Header.Get(api.HeaderIndex); got != "3" {
			t.Errorf("%s: index %q, want 3", path, got)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	w := newWorld(t, 1)
	for _, c := range []struct {
		method, path, body string
		status             int
		code, say          string
	}{
		{"GET", "/nowhere", "", 404, api.CodeNotFound, "/openapi.json"},
		{"DELETE", "/v1/status", "", 404, api.CodeNotFound, "DELETE"},
		{"GET", "/v1/status?tale=true", "", 400, api.CodeBadRequest, "tale"},
		{"GET", "/v1/status?stale=maybe", "", 400, api.CodeBadRequest, "stale"},
		{"GET", "/v1/why", "", 400, api.CodeBadRequest, "path"},
		{"POST", "/v1/stop", "{", 400, api.CodeBadRequest, ""},
		{"POST", "/v1/stop", "", 400, api.CodeBadRequest, "body"},
		{"POST", "/v1/stop", `{"path":"a","pat":"b"}`, 400, api.CodeBadRequest, "pat"},
		{"PUT", "/v1/trees/a", "", 400, api.CodeBadRequest, ""},
		{"GET", "/v1/events?limit=0", "", 400, api.CodeBadRequest, "limit"},
		{"GET", "/v1/events?since=yesterday", "", 400, api.CodeBadRequest, "yesterday"},
		{"GET", "/v1/events/stream?since=1.x", "", 400, api.CodeBadRequest, "1.x"},
		{"GET", "/v1/logs?path=a&stream=stdin", "", 400, api.CodeBadRequest, "stream"},
	} {
		res := get(t, c.method, w.nodes[0].web.URL+c.path, c.body)
		body := read(t, res)
		var p api.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: %v in %s", c.method, c.path, err, body)
			continue
		}
		if res.StatusCode != c.status || p.Status != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.say) {
			t.Errorf("%s %s: %d %s, want %d %s %q", c.method, c.path, res.StatusCode, body, c.status, c.code, c.say)
		}
		if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s %s: content type %s", c.method, c.path, ct)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t, 2)
	huge := strings.Repeat("#", 6<<20)
	for name, change := range map[string]func(*http.Request){
		"told":   func(*http.Request) {},
		"untold": func(r *http.Request) { r.ContentLength = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			res := get(t, "PUT", w.nodes[1].web.URL+"/v1/trees/a", huge, change)
			if body := read(t, res); res.StatusCode != 413 || !strings.Contains(body, `"too_large"`) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	_, err := w.nodes[1].client(t).Apply(t.Context(), "a", huge[:4<<20+1], "")
	wantCode(t, err, api.CodeBadRequest, "4 MiB")
}

// TestNodesShowHealth: what a node finds of itself is shown, with the reason.
func TestNodesShowHealth(t *testing.T) {
	w := newWorld(t, 3)
	for i, h := range []link.Health{{}, {Level: link.HealthDegraded, Reason: "memory: tight"}, {Level: link.HealthUnhealthy, Reason: "disk: full"}} {
		ref := &fsm.NodeRef{ID: w.nodes[i].self.ID, Boot: w.nodes[i].self.Boot}
		if h.Level != link.HealthWell {
			w.must(fsm.Command{Type: fsm.TypeNodeHealth, Node: ref, Health: &h})
		}
	}
	nodes := must(w.nodes[0].client(t).Nodes(t.Context()))(t)
	want := []api.NodeStatus{
		{Health: "healthy", Circuit: "closed"},
		{Health: "degraded", Circuit: "closed", Reason: "degraded: memory: tight"},
		{Health: "unhealthy", Circuit: "open", Reason: "circuit open, no child is placed there: the node is unhealthy: disk: full"},
	}
	for i, n := range nodes {
		if n.Health != want[i].Health || n.Circuit != want[i].Circuit || n.Reason != want[i].Reason {
			t.Errorf("%+v, want %+v", n, want[i])
		}
	}
}

// TestNodesShowCircuits: five children that failed on a node keep others off it, and
// the note of the node and the stream say so.
func TestNodesShowCircuits(t *testing.T) {
	w := newWorld(t, 3)
	policy := supervisor.DefaultRestartPolicy()
	spec := &supervisor.Spec{Name: "bad", Strategy: supervisor.OneForOne, RestartPolicy: policy}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		spec.Children = append(spec.Children, supervisor.ChildSpec{
			ID: id, RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"x"}},
		})
	}
	w.must(fsm.Command{Type: fsm.TypeApplyTree, Tree: spec})
	for _, c := range spec.Children {
		path := "bad/" + c.ID
		epoch := w.assign(path, w.nodes[1])
		w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
			{Path: path, Epoch: epoch, Type: supervisor.EventCrashed, Detail: "cannot start it: no space left"},
		}})
	}
	c := w.nodes[0].client(t)
	nodes := must(c.Nodes(t.Context()))(t)
	want := "circuit open, no child is placed there: 5 children failed there within 1m0s"
	if nodes[0].Circuit != "closed" || nodes[1].Circuit != "open" || nodes[1].Reason != want || nodes[1].Status != "alive" {
		t.Errorf("nodes %+v", nodes)
	}
	events := must(c.Events(t.Context(), "", 1))(t)
	if len(events) != 1 || !strings.HasPrefix(events[0].Sentence, "node n2: circuit opened: 5 children failed there within 1m0s (bad/a, bad/b, bad/c, bad/d, bad/e); ") {
		t.Errorf("events %+v", events)
	}
	w.index += 30
	w.must(fsm.Command{Type: fsm.TypeChecksum})
	if n := must(c.Nodes(t.Context()))(t)[1]; n.Circuit != "half_open" || !strings.HasPrefix(n.Reason, "circuit half-open, 3 more children may try it: ") {
		t.Errorf("node %+v", n)
	}
}
