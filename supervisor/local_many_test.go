package supervisor

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLocalReplicas: each of many runs on its own and knows which it is; one that fails
// comes back alone, and stops with the others.
func TestLocalReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		runs := make(map[string]int)
		web := ComponentFunc(func(ctx context.Context) error {
			mu.Lock()
			runs[Instance(ctx)]++
			fails := Instance(ctx) == "2" && runs["2"] == 1
			mu.Unlock()
			if fails {
				return errors.New("the first time it fails")
			}
			<-ctx.Done()
			return nil
		})
		sup, err := New("shop").Add(Child{ID: "web", Replicas: 3, Component: web}).AddChild("api", web).Build()
		if err != nil {
			t.Fatal(err)
		}
		h, err := sup.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var paths []string
		for _, c := range h.Children() {
			paths = append(paths, c.Path)
		}
		if got := strings.Join(paths, " "); got != "shop/web shop/web/1 shop/web/2 shop/web/3 shop/api" {
			t.Errorf("children %s", got)
		}
		if _, err := h.Do(Restart{Path: "shop/web/3", By: "ann"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * DefaultBackoffBase)
		if err := h.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := map[string]int{"1": 1, "2": 2, "3": 2, "": 1}; !maps.Equal(runs, want) {
			t.Errorf("runs %v, want %v", runs, want)
		}
	})
}

// TestLocalReplicasAreOfComponents: a nested supervisor has none.
func TestLocalReplicasAreOfComponents(t *testing.T) {
	inner, err := New("inner").AddChild("a", ComponentFunc(func(context.Context) error { return nil })).Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Child{{ID: "s", Replicas: 2, Component: inner}, {ID: "a", Replicas: -1, Component: ComponentFunc(nil)}} {
		if _, err := New("shop").Add(c).Build(); err == nil || !strings.Contains(err.Error(), "replicas") {
			t.Errorf("%d replicas of %s: %v", c.Replicas, c.ID, err)
		}
	}
}
