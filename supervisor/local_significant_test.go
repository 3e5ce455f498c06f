package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// works gives components that note when they are told to stop, and one that ends after a
// while.
type works struct {
	mu    sync.Mutex
	stops []string
}

func (w *works) helper(id string) Child {
	return Child{ID: id, Component: ComponentFunc(func(ctx context.Context) error {
		<-ctx.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stops = append(w.stops, id)
		return nil
	})}
}

// job ends so long after each of its beginnings, with the errors one after the other.
func job(id string, t RestartType, after time.Duration, ends ...error) Child {
	return Child{ID: id, RestartType: t, Significant: true, Component: ComponentFunc(func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(after):
		}
		end := ends[0]
		if len(ends) > 1 {
			ends = ends[1:]
		}
		return end
	})}
}

// TestLocalAutoShutdown: a supervisor in a process ends with its significant children,
// the others are stopped, the last first, and Wait gives nil. Failures of a transient one
// are no end.
func TestLocalAutoShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w works
		failure := errors.New("not yet")
		sup, err := New("import").WithStrategy(RestForOne).WithAutoShutdown(AutoAll).
			WithRestartPolicy(RestartPolicy{MaxRestarts: 2, MaxSeconds: time.Minute, Backoff: Backoff{Kind: Fixed, Base: time.Second}}).
			Add(w.helper("queue")).
			Add(job("orders", Temporary, 20*time.Second, failure)).
			Add(job("stock", Transient, 5*time.Second, failure, nil)).
			Add(w.helper("log")).Build()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // it can begin again, as new
			w.stops = nil
			began := time.Now()
			h, err := sup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Wait(); err != nil || time.Since(began) != 20*time.Second {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
			if n := len(w.stops); n < 2 || !slices.Equal(w.stops[n-2:], []string{"log", "queue"}) {
				t.Errorf("stopped %v", w.stops)
			}
			if why := h.Why("import"); len(why) != 1 || why[0].Verdict != VerdictFinish || !strings.Contains(why[0].Sentence, "last significant child") {
				t.Errorf("%+v", why)
			}
			if err := h.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestLocalNestedAutoShutdown: a nested supervisor that ends so is restarted if it is
// permanent, has finished if it is not, and may be significant itself.
func TestLocalNestedAutoShutdown(t *testing.T) {
	for _, c := range []struct {
		restart     RestartType
		significant bool
		status      Phase
		over        bool
	}{
		{Permanent, false, PhaseRunning, false},
		{Transient, false, PhaseFinished, false},
		{Temporary, true, PhaseFinished, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var w works
			nested, err := New("job").WithAutoShutdown(AutoAny).Add(job("load", Transient, 10*time.Second, nil)).Add(w.helper("feed")).Build()
			if err != nil {
				t.Fatal(err)
			}
			sup, err := New("shop").WithAutoShutdown(AutoAny).
				Add(Child{ID: "job", RestartType: c.restart, Significant: c.significant, Component: nested}).Add(w.helper("web")).Build()
			if err != nil {
				t.Fatal(err)
			}
			h, err := sup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Second)
			synctest.Wait()
			over := false
			select {
			case <-h.Done():
				over = true
			default:
			}
			if s, _ := h.Child("shop/job"); s.Phase != c.status || over != c.over {
				t.Errorf("%s: %s, over: %v", c.restart, s.Phase, over)
			}
			if err := h.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLocalSignificantIsChecked: what may not be significant cannot be built.
func TestLocalSignificantIsChecked(t *testing.T) {
	_, err := New("shop").Add(job("a", Transient, 0, nil)).Build()
	if err == nil || !strings.Contains(err.Error(), "auto_shutdown of shop is never") {
		t.Error(err)
	}
	if _, err = New("shop").WithAutoShutdown(AutoAny).Add(job("a", "", 0, nil)).Build(); err == nil || !strings.Contains(err.Error(), "a permanent child") {
		t.Error(err)
	}
}
