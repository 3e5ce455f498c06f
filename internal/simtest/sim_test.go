package simtest

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestSim runs many plans; see the package comment.
func TestSim(t *testing.T) {
	if seed, ok := number(t, "SELFWARE_SEED"); ok {
		p := draw(seed)
		fmt.Fprintln(os.Stderr, p)
		out := runPlan(t, p, true)
		t.Logf("seed %d: %v simulated, at rest %v after the heal, %d requests; %v", seed, out.simulated, out.healed, out.acked, out.counts)
		return
	}
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	if n, ok := number(t, "SELFWARE_SEEDS"); ok {
		seeds = n
	}
	began := time.Now()
	var mu sync.Mutex
	var total outcome
	var slowest time.Duration
	t.Run("seeds", func(t *testing.T) {
		for seed := uint64(1); seed <= seeds; seed++ {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				p := draw(seed)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("replay with SELFWARE_SEED=%d\n%v", seed, p)
					}
				})
				out := runPlan(t, p, false)
				mu.Lock()
				defer mu.Unlock()
				total.counts.add(out.counts)
				total.simulated += out.simulated
				total.acked += out.acked
				slowest = max(slowest, out.healed)
			})
		}
	})
	real := time.Since(began)
	t.Logf("%d seeds: %v simulated in %v (%.0f : 1); %d requests acknowledged; at rest at most %v after the heal",
		seeds, total.simulated.Round(time.Second), real.Round(time.Second), total.simulated.Seconds()/real.Seconds(), total.acked, slowest)
	t.Logf("%v", total.counts)
	if seeds >= 20 {
		total.counts.mustNotBeEmpty(t)
	}
}

// mustNotBeEmpty: a simulation in which nothing happened shows nothing.
func (c counts) mustNotBeEmpty(t *testing.T) {
	for what, n := range map[string]int{
		"elections": c.elections, "nodes lost": c.losses, "moves": c.moves, "restarts": c.restarts,
		"escalations": c.escalations, "failed trees": c.failures, "hashes compared": c.compared,
	} {
		if n == 0 {
			t.Errorf("no %s in all seeds", what)
		}
	}
}

func number(t *testing.T, key string) (uint64, bool) {
	text := os.Getenv(key)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q is no number", key, text)
	}
	return n, true
}

// verbose: scenarios too print their trace and logs.
func verbose() bool { return os.Getenv("SELFWARE_VERBOSE") != "" }
