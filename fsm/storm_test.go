package fsm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// crashAll is one entry in which every child of a tree crashes.
func (h *harness) crashAll(at time.Duration, paths []string) []supervisor.Decision {
	h.Helper()
	var cmd Command
	cmd.Type = TypeEvents
	for _, p := range paths {
		cmd.Events = append(cmd.Events, event(h.ref(p), supervisor.EventExited).Events...)
	}
	h.index++
	res, err := h.m.Apply(h.index, encoded(h, Entry{Time: at, Commands: []Command{cmd}}))
	if err != nil {
		h.Fatalf("%v", err)
	}
	return res[0].Decisions
}

// crowd is a tree of many children that run on n1.
func crowd(t failer, n int, b supervisor.Backoff) (*harness, []string) {
	t.Helper()
	h := newHarness(t, "n1")
	var ids, paths []string
	for i := range n {
		ids, paths = append(ids, fmt.Sprint("c", i)), append(paths, fmt.Sprint("shop/c", i))
	}
	spec := tree("shop", ids...)
	spec.RestartPolicy.Backoff, spec.RestartPolicy.MaxRestarts = b, 100
	h.must(applyTree(spec))
	var assigns, starts Command
	assigns.Type, starts.Type = TypeAssign, TypeEvents
	for _, r := range h.pending() {
		assigns.Assign = append(assigns.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n1"})
		starts.Events = append(starts.Events, event(r.Ref, supervisor.EventStarted).Events...)
	}
	h.must(assigns, starts)
	return h, paths
}

// TestStorm: the first thousand restarts of a storm are free, the others get their
// time one after the other; after a calm all is as before.
func TestStorm(t *testing.T) {
	h, paths := crowd(t, 3000, supervisor.Backoff{})
	other := h.restored()
	at := time.Hour
	ds := h.crashAll(at, paths)
	if len(ds) != 3000 {
		t.Fatalf("%d decisions", len(ds))
	}
	for i, d := range ds {
		want := max(0, time.Duration(i-stormBurst)*stormGap)
		if d.Delay != want {
			t.Fatalf("restart %d waits %v, want %v", i, d.Delay, want)
		}
		if paced := strings.HasSuffix(d.Sentence, "; restarts are paced: more than 500 a second in the cluster"); paced != (want > 0) {
			t.Fatalf("restart %d: %s", i, d.Sentence)
		}
	}
	if n, order, ok := orderOf(h, ds[2999].Path); !ok || n != "n1" || order.NotBefore != at+ds[2999].Delay {
		t.Errorf("the last one's order: %+v", order)
	}
	// A replica restored in the middle of the storm goes on with it.
	mid := h.restored()
	var starts Command
	starts.Type = TypeEvents
	for _, p := range paths[:10] {
		starts.Events = append(starts.Events, event(h.ref(p), supervisor.EventStarted).Events...)
	}
	h.must(starts)
	mid.must(starts)
	a, b := h.crashAll(at+time.Second, paths[:10]), mid.crashAll(at+time.Second, paths[:10])
	if a[9].Delay != b[9].Delay || a[9].Delay != 2000*stormGap-time.Second+9*stormGap {
		t.Errorf("a second later: %v and, restored, %v", a[9].Delay, b[9].Delay)
	}
	if calm := other.crashAll(2*at, paths[:1000]); calm[999].Delay != 0 {
		t.Errorf("after a calm the thousandth waits %v", calm[999].Delay)
	}
}

func orderOf(h *harness, path string) (node string, o supervisor.Order, ok bool) {
	h.m.View(func(v View) { node, o, ok = v.Order(path) })
	return node, o, ok
}

// TestStormHasAnEnd: nobody waits longer than stormMost on top of its back-off.
func TestStormHasAnEnd(t *testing.T) {
	s := newState()
	var last time.Duration
	for range 100_000 {
		last, _ = s.pace("p", 1, 0)
	}
	if last != stormMost {
		t.Errorf("the last of 100,000 waits %v", last)
	}
}

// TestJitter: a back-off gets shorter, by a tenth at most, differently for each
// child and each life, and the same on every replica; none stays none.
func TestJitter(t *testing.T) {
	seen := make(map[time.Duration]bool)
	least, most := time.Hour, time.Duration(0)
	for i := range 1000 {
		j := jitter(fmt.Sprint("shop/c", i%10), supervisor.Epoch(i), 10*time.Second)
		seen[j], least, most = true, min(least, j), max(most, j)
		if j != jitter(fmt.Sprint("shop/c", i%10), supervisor.Epoch(i), 10*time.Second) {
			t.Fatal("not the same again")
		}
	}
	if least < 0 || least > 10*time.Millisecond || most > time.Second || most < 990*time.Millisecond || len(seen) < 500 {
		t.Errorf("from %v to %v, %d different ones", least, most, len(seen))
	}
	for _, d := range []time.Duration{0, 1, time.Millisecond, 9 * time.Millisecond} {
		if j := jitter("p", 1, d); j != 0 {
			t.Errorf("%v: %v", d, j)
		}
	}
	h, paths := crowd(t, 50, supervisor.Backoff{Kind: supervisor.Fixed, Base: 2 * time.Second})
	delays := make(map[time.Duration]bool)
	for _, d := range h.crashAll(time.Hour, paths) {
		delays[d.Delay] = true
		if d.Delay > 2*time.Second || d.Delay < 1800*time.Millisecond || !strings.Contains(d.Sentence, fmt.Sprintf("after %v", d.Delay)) {
			t.Errorf("%v: %s", d.Delay, d.Sentence)
		}
	}
	if len(delays) < 25 {
		t.Errorf("50 children that crash together come back at %d times", len(delays))
	}
}

func BenchmarkStorm(b *testing.B) {
	h, paths := crowd(b, 500, supervisor.Backoff{})
	at := time.Hour
	for b.Loop() {
		at += time.Hour
		h.crashAll(at, paths)
		b.StopTimer()
		var starts Command
		starts.Type = TypeEvents
		for _, p := range paths {
			starts.Events = append(starts.Events, event(h.ref(p), supervisor.EventStarted).Events...)
		}
		h.must(starts)
		b.StartTimer()
	}
}
