package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestWindowOutlivesLeader crashes a child four of its five times, kills the
// leader, and crashes it once more: it runs. Once more: its supervisor gives up.
func TestWindowOutlivesLeader(t *testing.T) {
	c := startCluster(t, 22, 3, "fast")
	c.apply(`name: win
restart_policy: {max_restarts: 5, max_seconds: 120, backoff: {fixed: 0s}}
children:
  - {id: a, run: [sleep, "100000"], env: MARK}
`)
	for crash := 1; crash <= 4; crash++ {
		crashOnce(t, c, crash)
	}
	s, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	old := c.leader(s)
	c.kill9(old)
	c.until(10*time.Second, "a new leader", func(s api.Status) string {
		if s.Cluster.Leader == "" || s.Cluster.Leader == old.name {
			return "leader " + s.Cluster.Leader
		}
		return c.everyChildRuns(s, []string{"win/a"})
	})
	crashOnce(t, c, 5)
	kill(t, c)
	final := c.until(10*time.Second, "the tree to fail", func(s api.Status) string {
		if s.Trees[0].Status != "failed" || s.Trees[0].Children[0].Status != "failed" {
			return fmt.Sprintf("tree is %s, child %s", s.Trees[0].Status, s.Trees[0].Children[0].Status)
		}
		return ""
	})
	if reason := final.Trees[0].Children[0].Reason; !strings.Contains(reason, "5 of 5") {
		t.Errorf("the reason should name the spent budget: %q", reason)
	}
	if left := c.lives(); len(left) > 0 {
		t.Errorf("a failed tree still has processes: %+v", left)
	}
	c.start(old)
}

// crashOnce kills the child and waits for its next life.
func crashOnce(t *testing.T, c *cluster, n int) {
	t.Helper()
	kill(t, c)
	c.until(10*time.Second, fmt.Sprintf("restart %d", n), func(s api.Status) string {
		if r := s.Trees[0].Children[0].Restarts; r != n {
			return fmt.Sprintf("%d restarts", r)
		}
		return c.everyChildRuns(s, []string{"win/a"})
	})
}

func kill(t *testing.T, c *cluster) {
	t.Helper()
	lives := c.lives()
	if len(lives) != 1 {
		t.Fatalf("want one life, got %+v", lives)
	}
	if err := syscall.Kill(lives[0].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
