package api_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// TestEpoch: the token is the one that the process has, at any node, with slashes or
// without; a restore makes none that is smaller.
func TestEpoch(t *testing.T) {
	w := shopWorld(t, 3)
	c := w.nodes[2].client(t)
	first := must(c.Epoch(t.Context(), "shop/store"))(t)
	epoch := uint64(w.epoch("shop/store"))
	want := api.Epoch{
		Path: "shop/store", Epoch: epoch, Generation: 1, Fence: fence.Token{Generation: 1, Epoch: epoch}.String(),
		Node: "n2", Status: "running",
	}
	if first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	for _, path := range []string{"shop/store", "shop%2Fstore", "shop/store?stale=true"} {
		var got api.Epoch
		text := read(t, get(t, "GET", w.nodes[1].web.URL+"/v1/epoch/"+path, ""))
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != first {
			t.Errorf("%s: %s (%v)", path, text, err)
		}
	}
	for path, code := range map[string]string{
		"shop/nobody": api.CodeNotFound, "nobody/a": api.CodeNotFound, "shop": api.CodeBadRequest, "shop/web": api.CodeBadRequest,
	} {
		_, err := c.Epoch(t.Context(), path)
		wantCode(t, err, code)
	}

	var saved bytes.Buffer
	if err := c.SaveSnapshot(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	must(c.RestoreSnapshot(t.Context(), &saved))(t)
	if same := must(c.Epoch(t.Context(), "shop/store"))(t); same != first {
		t.Errorf("a life that goes on has %+v, had %+v", same, first)
	}
	must(c.Verb(t.Context(), "restart", "shop/store", ""))(t)
	w.must(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
		{Path: "shop/store", Epoch: supervisor.Epoch(epoch), Type: supervisor.EventExited},
	}})
	next := must(c.Epoch(t.Context(), "shop/store"))(t)
	if next.Generation != 2 || next.Epoch <= epoch || strings.Compare(next.Fence, first.Fence) <= 0 {
		t.Errorf("the next life has %+v, the first had %+v", next, first)
	}
}
