package agent_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/keepertest"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

func TestMain(m *testing.M) {
	keepertest.Main()
	os.Exit(m.Run())
}

// TestAdapter runs one real process through its life.
func TestAdapter(t *testing.T) {
	dir := t.TempDir()
	_, conns := keepertest.Start(t, dir, 1, keepertest.Options{})
	k, err := runner.Attach(conns[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(runner.Config{Dir: dir, Keeper: k})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	procs := agent.Adapter(r)
	next := func() agent.Event {
		t.Helper()
		select {
		case e := <-procs.Events():
			return e
		case <-time.After(20 * time.Second):
			t.Fatal("no event")
		}
		return agent.Event{}
	}
	l := agent.Launch{Ref: ref("shop/api", 5), Program: &supervisor.Program{Argv: []string{"sleep", "60"}}}
	if err := procs.Start(l); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []runner.EventKind{runner.Spawned, runner.Up} {
		if e := next(); e.Kind != kind || e.Key != "shop/api@5" || e.PID == 0 {
			t.Fatalf("event %v, want %v", e, kind)
		}
	}
	if lives := procs.Live(); len(lives) != 1 || lives[0].Ref != l.Ref || !lives[0].Up || lives[0].PID == 0 {
		t.Errorf("alive: %+v", lives)
	}
	for l.Restarts = range 3 { // its node restarts it alone, at once: one key, one life at a time
		procs.Stop(l.Ref, "test")
		if e := next(); e.Kind != runner.Exited || e.Signal != "SIGTERM" || !e.Requested {
			t.Errorf("event %v", e)
		}
		if err := procs.Start(l); err != nil {
			t.Fatal(err)
		}
		if e := next(); e.Kind != runner.Spawned {
			t.Fatalf("event %v", e)
		}
		if e := next(); e.Kind != runner.Up {
			t.Fatalf("event %v", e)
		}
	}
	procs.Stop(l.Ref, "test")
	if e := next(); e.Kind != runner.Exited || e.Signal != "SIGTERM" || !e.Requested {
		t.Errorf("event %v", e)
	}
	if lives := procs.Live(); len(lives) != 0 {
		t.Errorf("alive: %+v", lives)
	}
}
