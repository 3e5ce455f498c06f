package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestFiftyKills ends nodes with kill -9, one after another, the leader every
// third time: no child is lost, none runs twice, and no orphan stays behind.
func TestFiftyKills(t *testing.T) {
	c := startCluster(t, 21, 3, "fast")
	text, paths := shopTree(9)
	c.apply(text)
	c.until(30*time.Second, "first start", func(s api.Status) string { return c.everyChildRuns(s, paths) })

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var times []time.Duration
	leaders := 0
	for round := range 50 {
		s := c.until(20*time.Second, "a leader", func(s api.Status) string { return c.allVote(s, 3) })
		victim := c.nodes[rng.IntN(3)]
		if round%3 == 0 {
			victim = c.leader(s)
		}
		if victim == c.leader(s) {
			leaders++
		}
		began := time.Now()
		c.kill9(victim)
		c.until(20*time.Second, fmt.Sprintf("round %d: all children after %s died", round, victim.name), func(s api.Status) string {
			for _, n := range s.Nodes {
				if n.Name == victim.name && n.Status != "lost" {
					return victim.name + " is still " + n.Status
				}
			}
			return c.everyChildRuns(s, paths)
		})
		times = append(times, time.Since(began))
		c.start(victim)
	}
	c.until(20*time.Second, "all nodes back", func(s api.Status) string { return c.allVote(s, 3) })
	c.until(20*time.Second, "end", func(s api.Status) string { return c.everyChildRuns(s, paths) })
	slices.Sort(times)
	t.Logf("50 kills, %d of the leader: recovered in %v (median), %v (max)", leaders, times[25].Round(time.Millisecond), times[49].Round(time.Millisecond))
	if leaders < 17 {
		t.Errorf("only %d leaders were killed", leaders)
	}
}

// shopTree is a tree of n sleepers under several supervisors.
func shopTree(n int) (text string, paths []string) {
	var b strings.Builder
	b.WriteString("name: kills\nstrategy: one_for_one\nrestart_policy: {max_restarts: 5, max_seconds: 60, backoff: {fixed: 0s}}\nchildren:\n")
	for i, strategy := range []string{"one_for_one", "one_for_all", "rest_for_one"} {
		fmt.Fprintf(&b, "  - id: s%d\n    supervisor: {strategy: %s, restart_policy: {backoff: {fixed: 0s}}}\n    children:\n", i, strategy)
		for k := range n / 3 {
			fmt.Fprintf(&b, "      - {id: c%d, run: [sleep, \"100000\"], env: MARK}\n", k)
			paths = append(paths, fmt.Sprintf("kills/s%d/c%d", i, k))
		}
	}
	return b.String(), paths
}
