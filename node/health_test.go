package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor/health"
)

// says answers with the HealthStatus that it holds.
type says struct{ *atomic.Value }

func (says) Name() string { return "says" }

func (s says) Check(context.Context) health.HealthStatus { return s.Load().(health.HealthStatus) }

// TestWatch: the first word comes when it is known, the worst of all checks counts, what
// lasts for one look only is not told, and what nobody took gives way to what is newer.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk, memory atomic.Value
		disk.Store(health.Healthy())
		memory.Store(health.Healthy())
		w, err := newWatch([]health.HealthCheck{says{&disk}, says{&memory}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		expect := func(what string, want *link.Health) {
			t.Helper()
			synctest.Wait()
			select {
			case got := <-w.out:
				if want == nil || got != *want {
					t.Errorf("%s: told %+v, want %+v", what, got, want)
				}
			default:
				if want != nil {
					t.Errorf("%s: nothing told", what)
				}
			}
		}
		pass := func(looks int) { time.Sleep(time.Duration(looks) * lookInterval) }

		time.Sleep(lookInterval * 3 / 4) // from here on between two looks, and before the next answer
		expect("at once", nil)
		pass(2)
		expect("after two looks", &link.Health{})
		memory.Store(health.Degraded("tight"))
		pass(1)
		memory.Store(health.Healthy())
		pass(3)
		expect("one bad look", nil)
		memory.Store(health.Degraded("tight"))
		pass(3)
		expect("degraded", &link.Health{Level: link.HealthDegraded, Reason: "tight"})
		disk.Store(health.Unhealthy("full", health.Critical))
		pass(4)
		expect("the worst", &link.Health{Level: link.HealthUnhealthy, Reason: "full"})
		pass(5)
		expect("the same", nil)
		disk.Store(health.Healthy())
		pass(4)
		memory.Store(health.Healthy())
		pass(4)
		expect("the newest of two", &link.Health{})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOwnChecks: the checks of a node work on this machine.
func TestOwnChecks(t *testing.T) {
	for _, c := range ownChecks(t.TempDir()) {
		if s := c.Check(t.Context()); s.Reason != "" && s.Kind == health.KindHealthy || s.Kind == health.KindUnhealthy && s.Severity == "" {
			t.Errorf("%s: %+v", c.Name(), s)
		}
	}
}
