package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestAloneNodeRestartsItsChild kills two of three nodes: the third has no leader,
// and restarts its child all the same, in the life that it had. Once there is a
// leader again the restarts are in the child's window.
func TestAloneNodeRestartsItsChild(t *testing.T) {
	c := startCluster(t, 28, 3, "fast")
	s, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	// Not on the leader: that could put the first end into its own log before it
	// notices that nobody follows, and then the log restarts the child later, too.
	on := c.nodes[0].name
	if on == s.Cluster.Leader {
		on = c.nodes[1].name
	}
	c.apply(`name: alo
restart_policy: {max_restarts: 5, max_seconds: 300, backoff: {fixed: 0s}}
children:
  - {id: a, run: [sleep, "100000"], env: MARK, nodes: [` + on + `]}
`)
	was := c.lives()[0]
	var others []*proc
	for _, p := range c.nodes {
		if p.name != was.node {
			others = append(others, p)
			c.kill9(p)
		}
	}
	last := was
	for i := range 2 {
		kill9(t, last.pid)
		last = c.next(last, 15*time.Second)
		if last.epoch != was.epoch || last.node != was.node {
			t.Fatalf("restart %d alone made %+v of %+v", i+1, last, was)
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", last.pid))
		if want := fmt.Sprintf("SELFWARE_ATTEMPT=%d\x00", i+1); err != nil || !strings.Contains(string(env), want) || !strings.Contains(string(env), "START_REASON=autonomy") {
			t.Errorf("restart %d alone, environment (%v): %q", i+1, err, env)
		}
	}
	for _, p := range others {
		c.start(p)
	}
	c.until(30*time.Second, "the restarts in the child's window", func(s api.Status) string {
		if len(s.Trees) == 0 || s.Trees[0].Children[0].Restarts != 2 {
			return fmt.Sprintf("%+v", s.Trees)
		}
		return c.everyChildRuns(s, []string{"alo/a"})
	})
	if now := c.lives(); len(now) != 1 || now[0] != last {
		t.Errorf("the return changed %+v into %+v", last, now)
	}
	why := c.cli("why", "alo/a", "--data", c.nodes[0].dir)
	if !strings.Contains(why, "2 of 5 restarts used") || !strings.Contains(why, "alone, without a leader") {
		t.Errorf("why says:\n%s", why)
	}
}

// next waits for another process of a child, and for that alone.
func (c *cluster) next(old life, limit time.Duration) life {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(limit); ; {
		if now := c.lives(); len(now) == 1 && now[0].pid != old.pid {
			return now[0]
		}
		select {
		case <-tick.C:
		case <-late:
			c.t.Fatalf("no other process after %+v within %v: %+v", old, limit, c.lives())
		}
	}
}
