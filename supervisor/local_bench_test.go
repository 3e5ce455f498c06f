package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/selfware/selfware/supervisor"
)

// rival is a supervisor of goroutines: it starts components under one supervisor and
// gives what stops them all and waits for it.
type rival struct {
	name  string
	start func(b *testing.B, components []supervisor.ComponentFunc) (stop func())
}

var rivals = []rival{{"ours", startOurs}, {"suture", startSuture}}

// startOurs restarts at once and for ever: its budget is one restart in a nanosecond.
func startOurs(b *testing.B, components []supervisor.ComponentFunc) func() {
	build := supervisor.New("bench").
		WithRestartPolicy(supervisor.RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Nanosecond})
	for i, c := range components {
		build.AddChild(fmt.Sprint("c", i), c)
	}
	sup, err := build.Build()
	if err != nil {
		b.Fatal(err)
	}
	h, err := sup.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if err := h.Stop(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

type service struct{ supervisor.ComponentFunc }

func (s service) Serve(ctx context.Context) error { return s.Run(ctx) }

// startSuture restarts at once and for ever, and logs nothing.
func startSuture(b *testing.B, components []supervisor.ComponentFunc) func() {
	sup := suture.New("bench", suture.Spec{EventHook: func(suture.Event) {}, FailureThreshold: 1e18})
	for _, c := range components {
		sup.Add(service{c})
	}
	ctx, cancel := context.WithCancel(b.Context())
	over := sup.ServeBackground(ctx)
	return func() {
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
}

var errBench = errors.New("failed")

// BenchmarkLocalRestart: one child fails again and again. In a storm it does so at once:
// ns/op is from one call of its Run to the next. Calm, it does so when it is told to,
// after a moment in which its supervisor has nothing to do. Latency is from its
// return, or its panic, to the next call.
func BenchmarkLocalRestart(b *testing.B) {
	for _, c := range []struct {
		name string
		calm bool
		fail func() error
	}{
		{"calm/error", true, func() error { return errBench }},
		{"calm/panic", true, func() error { panic(errBench) }},
		{"storm/error", false, func() error { return errBench }},
		{"storm/panic", false, func() error { panic(errBench) }},
	} {
		for _, r := range rivals {
			b.Run(c.name+"/"+r.name, func(b *testing.B) { benchRestart(b, r, c.calm, c.fail) })
		}
	}
}

func benchRestart(b *testing.B, r rival, calm bool, fail func() error) {
	var failed time.Time
	came := make(chan int, 1)
	die := make(chan struct{})
	samples := make([]time.Duration, 0, b.N)
	component := func(ctx context.Context) error {
		if !failed.IsZero() {
			samples = append(samples, time.Since(failed))
		}
		n := len(samples)
		if calm || n == b.N {
			came <- n
			select {
			case <-ctx.Done():
				return nil
			case <-die:
			}
		}
		failed = time.Now()
		return fail()
	}
	b.ReportAllocs()
	b.ResetTimer()
	stop := r.start(b, []supervisor.ComponentFunc{component})
	for n := range came {
		if n == b.N {
			break
		}
		for range 100 { // let the supervisor come to rest
			runtime.Gosched()
		}
		die <- struct{}{}
	}
	b.StopTimer()
	stop()
	slices.Sort(samples)
	b.ReportMetric(float64(samples[len(samples)/2]), "latency-median-ns")
	b.ReportMetric(float64(samples[len(samples)*99/100]), "latency-p99-ns")
}

// round is what all children are in until it ends: then all fail.
type round struct {
	up  sync.WaitGroup
	end chan struct{}
}

func newRound(n int) *round {
	r := &round{end: make(chan struct{})}
	r.up.Add(n)
	return r
}

// BenchmarkLocalMany: 100,000 children under one supervisor start, all fail at once and
// are restarted, and stop.
func BenchmarkLocalMany(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		for _, r := range rivals {
			b.Run(fmt.Sprint(n, "/", r.name), func(b *testing.B) {
				sum := make(map[string]float64)
				for b.Loop() {
					benchMany(b, r, n, sum)
				}
				for unit, total := range sum {
					b.ReportMetric(total/float64(b.N), unit)
				}
			})
		}
	}
}

func benchMany(b *testing.B, r rival, n int, sum map[string]float64) {
	var now atomic.Pointer[round]
	now.Store(newRound(n))
	component := func(ctx context.Context) error {
		r := now.Load()
		r.up.Done()
		select {
		case <-ctx.Done():
			return nil
		case <-r.end:
			return errBench
		}
	}
	components := slices.Repeat([]supervisor.ComponentFunc{component}, n)
	before := inUse()
	clock := time.Now()
	lap := func() float64 { d := time.Since(clock); clock = time.Now(); return float64(d) / float64(n) }

	stop := r.start(b, components)
	now.Load().up.Wait()
	sum["start-ns/child"] += lap()
	sum["bytes/child"] += float64(inUse()-before) / float64(n)

	first, second := now.Load(), newRound(n)
	now.Store(second)
	clock = time.Now()
	close(first.end)
	second.up.Wait()
	sum["restart-ns/child"] += lap()
	stop()
	sum["stop-ns/child"] += lap()
}

// inUse is the memory of heap and stacks after a collection.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
