package breaker

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

func fail(context.Context) error    { return errDown }
func succeed(context.Context) error { return nil }

// bubble runs a test on a new breaker of the default config, in fake time.
func bubble(t *testing.T, name string, test func(*testing.T, *CircuitBreaker)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, err := New(DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			test(t, b)
		})
	})
}

func (b *CircuitBreaker) expect(t *testing.T, want State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state %v, want %v (%+v)", got, want, b.Circuit())
	}
}

// halfOpen opens the breaker by failing calls and waits until it is half-open.
func (b *CircuitBreaker) halfOpen(t *testing.T) {
	t.Helper()
	for range 5 {
		if err := b.Call(t.Context(), fail); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
	}
	b.expect(t, Open)
	time.Sleep(30 * time.Second)
	b.expect(t, HalfOpen)
}

// stuck begins n calls that return when the test lets them, whatever their context.
func (b *CircuitBreaker) stuck(ctx context.Context, n int) (release func()) {
	gate := make(chan struct{})
	for range n {
		go b.Call(ctx, func(context.Context) error { <-gate; return nil })
	}
	synctest.Wait()
	return sync.OnceFunc(func() { close(gate); synctest.Wait() })
}

func TestCall(t *testing.T) {
	bubble(t, "failures in a row open it, and others do not", func(t *testing.T, b *CircuitBreaker) {
		for range 3 {
			for range 4 {
				b.Call(t.Context(), fail)
			}
			b.Call(t.Context(), succeed)
		}
		b.expect(t, Closed)
	})
	bubble(t, "open, it lets nothing through; three good trials close it", func(t *testing.T, b *CircuitBreaker) {
		for range 5 {
			b.Call(t.Context(), fail)
		}
		time.Sleep(30*time.Second - 1)
		err := b.Call(t.Context(), func(context.Context) error { t.Error("called"); return nil })
		if !errors.Is(err, ErrCircuitOpen) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Nanosecond)
		for range 3 {
			b.expect(t, HalfOpen)
			if err := b.Call(t.Context(), succeed); err != nil {
				t.Error(err)
			}
		}
		b.expect(t, Closed)
		m := b.Metrics()
		if m.Closed != (Counts{Failure: 5}) || m.Open != (Counts{Refused: 1}) || m.HalfOpen != (Counts{Success: 3}) || m.Turns != 3 {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "a bad trial opens it again", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		b.Call(t.Context(), succeed)
		b.Call(t.Context(), fail)
		b.expect(t, Open)
	})
	bubble(t, "its owner may open it", func(t *testing.T, b *CircuitBreaker) {
		b.Trip()
		b.expect(t, Open)
	})
	bubble(t, "a call from before it opened counts for nothing", func(t *testing.T, b *CircuitBreaker) {
		early, err := b.Begin()
		if err != nil {
			t.Fatal(err)
		}
		b.halfOpen(t)
		early(Failure)
		early(Failure)
		b.expect(t, HalfOpen)
		if m := b.Metrics(); m.Closed.Failure != 6 {
			t.Errorf("metrics %+v: it is counted where it began, once", m)
		}
	})
}

func TestPanic(t *testing.T) {
	panics := func(context.Context) error { panic("ouch") }
	bubble(t, "a panic is a failure, and goes on", func(t *testing.T, b *CircuitBreaker) {
		for range 5 {
			func() {
				defer func() {
					if recover() != "ouch" {
						t.Error("the panic did not come out")
					}
				}()
				b.Call(t.Context(), panics)
			}()
		}
		b.expect(t, Open)
		if m := b.Metrics(); m.Closed != (Counts{Panic: 5}) {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "a trial that ends its goroutine frees its place", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		go b.Call(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		synctest.Wait()
		b.expect(t, Open)
		if m := b.Metrics(); m.HalfOpen.Panic != 1 || m.Trials != 0 {
			t.Errorf("metrics %+v", m)
		}
	})
}

// TestHalfOpenDoesNotWedge: calls that never return hold no place for ever.
func TestHalfOpenDoesNotWedge(t *testing.T) {
	bubble(t, "three trials, no more", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		release := b.stuck(t.Context(), 3)
		if err := b.Call(t.Context(), succeed); !errors.Is(err, ErrCircuitOpen) {
			t.Errorf("a fourth trial: %v", err)
		}
		release()
		b.expect(t, Closed)
		if m := b.Metrics(); m.HalfOpen != (Counts{Success: 3, Refused: 1}) {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "freed when their context ends", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		ctx, cancel := context.WithCancel(t.Context())
		release := b.stuck(ctx, 3)
		defer release()
		cancel()
		synctest.Wait()
		b.expect(t, HalfOpen)
		if m := b.Metrics(); m.Trials != 0 || m.HalfOpen.Abandoned != 3 {
			t.Errorf("metrics %+v", m)
		}
		for range 3 {
			b.Call(t.Context(), succeed)
		}
		b.expect(t, Closed)
		release() // their outcome of now is late
		if m := b.Metrics(); m.State != Closed || m.HalfOpen != (Counts{Success: 3, Abandoned: 3}) {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "freed after the time of a trial", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		defer b.stuck(t.Context(), 3)()
		time.Sleep(30*time.Second - 1)
		b.expect(t, HalfOpen)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		b.expect(t, Open)
		time.Sleep(30 * time.Second)
		b.expect(t, HalfOpen)
		if m := b.Metrics(); m.Trials != 0 || m.HalfOpen.Timeout != 3 {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "freed if nobody ever says how it ended", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		for range 3 {
			if _, err := b.Begin(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		b.expect(t, HalfOpen)
		if m := b.Metrics(); m.Trials != 0 {
			t.Errorf("metrics %+v", m)
		}
	})
	bubble(t, "a trial is told its time", func(t *testing.T, b *CircuitBreaker) {
		b.halfOpen(t)
		err := b.Call(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		b.expect(t, Open)
	})
}

// TestManyAtOnce: never more trials at once than may be, and no count is lost.
func TestManyAtOnce(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ResetTimeout, cfg.SuccessThreshold = time.Nanosecond, 50
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var trials, calls, refused atomic.Int64
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := range 500 {
				done, err := b.Begin()
				if err != nil {
					refused.Add(1)
					continue
				}
				calls.Add(1)
				if n := len(b.Circuit().Trials); n > cfg.HalfOpenMaxRequests {
					trials.Store(int64(n))
				}
				done([]Outcome{Success, Success, Failure, Abandoned, Timeout, Panic}[(worker+i)%6])
			}
		})
	}
	wg.Wait()
	m := b.Metrics()
	var told, denied uint64
	for _, c := range []Counts{m.Closed, m.Open, m.HalfOpen} {
		told += c.Success + c.Failure + c.Timeout + c.Panic + c.Abandoned
		denied += c.Refused
	}
	if trials.Load() > 0 || m.Trials != 0 || told != uint64(calls.Load()) || denied != uint64(refused.Load()) || m.Open != (Counts{Refused: m.Open.Refused}) {
		t.Errorf("%d trials at once; %d calls and %d refusals, metrics %+v", trials.Load(), calls.Load(), refused.Load(), m)
	}
}
