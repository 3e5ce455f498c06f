package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestRedisExample runs examples/redis.yaml, Debian's redis-server and nginx and
// a Python worker, and kills redis: rest_for_one restarts all three in order.
func TestRedisExample(t *testing.T) {
	for _, need := range []string{"redis-server", "nginx", "python3"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Fatalf("%s is not installed: scripts/test-deps.sh installs it", need)
		}
	}
	c := startCluster(t, 26, 3, "fast")
	file := filepath.Join(root(), "examples", "redis.yaml")
	c.cli("apply", file, "--data", c.nodes[0].dir, "--wait", "--timeout", "60s")
	t.Cleanup(func() { c.cli("delete", "redis", "--data", c.nodes[0].dir, "--wait") })
	first, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	children := first.Trees[0].Children
	if len(children) < 3 || !strings.Contains(children[0].Path, "redis") {
		t.Fatalf("children: %+v", children)
	}
	kill9(t, children[0].PID)
	c.until(30*time.Second, "all back with new lives", func(s api.Status) string {
		for i, child := range s.Trees[0].Children {
			if child.Status != "running" || child.Epoch <= children[i].Epoch {
				return child.Path + " is " + child.Status
			}
		}
		return ""
	})
}
