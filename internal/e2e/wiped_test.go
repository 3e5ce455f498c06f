package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// TestRegressions are faults that other systems had, by the names they are known
// under.
func TestRegressions(t *testing.T) {
	t.Run("tigerbeetle-lost-disk", wipedDiskJoinsAnew)
}

// wipedDiskJoinsAnew loses a voter's disk: a fresh data dir of the same name on the
// same address is a new node, and takes the old one's vote. (What is left of a disk
// that is half wiped is refused: TestHalfADataDir in package node.)
func wipedDiskJoinsAnew(t *testing.T) {
	c := startCluster(t, 27, 3, "fast")
	c.apply(goodTree)
	p := c.nodes[2]
	before, err := c.status()
	if err != nil {
		t.Fatal(err)
	}
	c.kill9(p)
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(c.cli("token", "--data", c.nodes[0].dir))
	c.cli("join", c.nodes[0].ip, "--token", token, "--data", p.dir, "--name", p.name, "--bind", p.ip, "--profile", "fast", "--no-run")
	c.start(p)
	c.until(20*time.Second, "the new n3 to vote", func(s api.Status) string {
		for _, n := range s.Nodes {
			if n.Name == p.name && (n.ID == before.Nodes[2].ID || !n.Voter) {
				return fmt.Sprintf("%+v", n)
			}
		}
		if missing := c.allVote(s, 3); missing != "" {
			return missing
		}
		return c.everyChildRuns(s, []string{"good/a", "good/b"})
	})
	var peers []api.Peer
	if err := get("http://"+c.nodes[0].ip+":7402/v1/raft/peers", &peers); err != nil {
		t.Fatal(err)
	}
	if len(peers) != 3 {
		t.Errorf("the wiped voter is still there: %+v", peers)
	}
}
