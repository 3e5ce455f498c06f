package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
)

// TestHear: of many nodes none is asked; else those that may have something to tell, and
// what one of them does not answer is left out.
func TestHear(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != "/v1/says" || r.URL.Query().Get("node") == "N2" {
			http.NotFound(w, r) // an old one, say
			return
		}
		_ = json.NewEncoder(w).Encode([]api.Says{{Path: "shop/a", Node: "n1", Status: "at work"}, {Path: "shop/b", Node: "n1", Status: "it has left"}})
	}))
	defer srv.Close()
	cl, err := client.New(client.Config{API: srv.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	nodes := []api.NodeStatus{
		{ID: "N1", Status: "alive", Children: 2}, {ID: "N2", Status: "alive", Children: 1},
		{ID: "N3", Status: "lost", Children: 1}, {ID: "N4", Status: "alive"},
	}
	trees := []api.TreeStatus{{Children: []api.ChildStatus{{Path: "shop/a", Node: "n1"}, {Path: "shop/b", Node: "n2"}, {Path: "shop/c"}}}}
	hear(t.Context(), cl, nodes, trees)
	all := trees[0].Children
	if all[0].Says == nil || all[0].Says.Status != "at work" || all[1].Says != nil || all[2].Says != nil || asked.Load() != 2 {
		t.Errorf("%d nodes asked: %+v", asked.Load(), all)
	}
	for i := range saysNodes {
		nodes = append(nodes, api.NodeStatus{ID: fmt.Sprint("M", i), Status: "alive", Children: 1})
	}
	if hear(t.Context(), cl, nodes, trees); asked.Load() != 2 {
		t.Errorf("%d asked of %d nodes", asked.Load(), len(nodes))
	}
	one := api.ChildStatus{Path: "shop/a", Node: "n1"}
	if hearOne(t.Context(), cl, &one); one.Says == nil || one.Says.Status != "at work" {
		t.Errorf("of one: %+v", one)
	}
	sup := api.ChildStatus{Path: "shop", Supervisor: true}
	if hearOne(t.Context(), cl, &sup); sup.Says != nil || asked.Load() != 3 {
		t.Errorf("a supervisor says nothing: %+v", sup)
	}
}
