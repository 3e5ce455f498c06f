package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

// crashingTree crashes every second, and is restarted each time.
const crashingTree = `name: crashing
restart_policy: {max_restarts: 1000, max_seconds: 600, backoff: {fixed: 100ms}}
children: [{id: x, run: [sh, -c, "sleep 1; exit 7"], env: MARK}]
`

// checksumTime bounds the wait for replicas to compare themselves, which they do after
// 60 s if not before. It is reached only by a test that fails.
const checksumTime = 150 * time.Second

// TestDivergedReplicaHalts (P9): one node of three applies crashes otherwise than
// the others do, by a bug that its binary alone has. It must find out by itself,
// halt with the words that say what to do, and not begin again; the others go on.
func TestDivergedReplicaHalts(t *testing.T) {
	c := startCluster(t, 30, 3, "fast")
	odd := c.follower()
	c.kill9(odd)
	odd.bin, odd.env = withBugs(t), []string{"SELFWARE_BUG=charge-twice"}
	c.start(odd)
	c.until(20*time.Second, "all nodes vote again", func(s api.Status) string { return c.allVote(s, 3) })
	c.apply(goodTree)
	c.apply(crashingTree)

	select {
	case <-odd.done:
	case <-time.After(checksumTime):
		t.Fatalf("%s goes on, though its windows are not those of the others", odd.name)
	}
	const over = 44 // keeper.Over: its children have ended with it
	if code := odd.cmd.ProcessState.ExitCode(); code != over {
		t.Errorf("it ended with code %d, want %d", code, over)
	}
	odd.log.Close()
	odd.cmd = nil
	log, err := os.ReadFile(c.logFile(odd))
	for _, want := range []string{"this replica is not equal to the majority's", "the others go on without this node", "join as a new node"} {
		if err != nil || !strings.Contains(string(log), want) {
			t.Errorf("its log does not say %q (%v)", want, err)
		}
	}
	if _, says, code := run(t, c.bin, "run", "--data", odd.dir); code == 0 || !strings.Contains(says, "is not equal to the majority's") {
		t.Errorf("begun again: code %d, %s", code, says)
	}
	c.until(20*time.Second, "the others to go on", func(s api.Status) string {
		for _, n := range s.Nodes {
			if n.Name == odd.name == (n.Status == "alive") {
				return fmt.Sprintf("%s is %s", n.Name, n.Status)
			}
		}
		return c.everyChildRuns(s, []string{"good/a", "good/b"})
	})
	c.apply(strings.Replace(goodTree, "name: good", "name: more", 1))
}

// follower is a node that does not lead.
func (c *cluster) follower() *proc {
	c.t.Helper()
	s, err := c.status()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, p := range c.nodes {
		if p.name != s.Cluster.Leader {
			return p
		}
	}
	c.t.Fatal("every node leads")
	return nil
}

// withBugs builds a node into which bugs are seeded, to be chosen by SELFWARE_BUG.
func withBugs(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "selfware-node")
	cmd := exec.Command("go", "build", "-tags", "seeded_bugs", "-o", bin, "./cmd/selfware-node")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	return bin
}
