package keeper_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/keeper/leftover"
)

// TestKilledAgent: children and their connections are undisturbed, again and again,
// and the next agent is told of them.
func TestKilledAgent(t *testing.T) {
	k := keep(t, t.TempDir(), "children:6")
	agent := k.pid("agent")
	all := k.children(6)
	for range 3 {
		if text, err := os.ReadFile(filepath.Join(k.dir, "run", "agent.pid")); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(agent) {
			t.Errorf("agent.pid says %q, %v, want %d", text, err, agent)
		}
		kill(t, agent, unix.SIGKILL)
		agent = k.pid("agent")
		k.adopted(all)
		k.undisturbed(all)
	}
}

// TestExitWhileNoAgentIsThere: it is told to the next agent, and to no other.
func TestExitWhileNoAgentIsThere(t *testing.T) {
	k := keep(t, t.TempDir(), "children:2")
	agent := k.pid("agent")
	all := k.children(2)
	kill(t, agent, unix.SIGKILL)
	kill(t, all["1"].pid, unix.SIGKILL)
	agent = k.pid("agent")
	if got := k.word("exited"); got != "1 9 false" {
		t.Errorf("got %q", got)
	}
	kill(t, agent, unix.SIGKILL)
	delete(all, "1")
	k.word("agent")
	k.adopted(all) // and not of the one that ended
	k.undisturbed(all)
}

// TestKilledKeeper: agent and children die with it, and it leaves the lock.
func TestKilledKeeper(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, "children:3")
	agent := k.pid("agent")
	all := k.children(3)
	kill(t, k.cmd.Process.Pid, unix.SIGKILL)
	<-k.ended
	eventually(t, "the agent is gone", func() bool { return !running(agent) })
	for _, c := range all {
		eventually(t, "a child is gone", func() bool { return !running(c.pid) })
	}
	for key := range all {
		os.Remove(filepath.Join(dir, key))
	}
	k = keep(t, dir, "children:1")
	k.word("runs")
	k.children(1)
}

// TestEndInPeace: on SIGTERM the agent ends, and then what it has left.
func TestEndInPeace(t *testing.T) {
	k := keep(t, t.TempDir(), "children:3")
	all := k.children(3)
	kill(t, k.cmd.Process.Pid, unix.SIGTERM)
	if code := k.code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, c := range all {
		if running(c.pid) {
			t.Error("a child outlives the keeper")
		}
	}
}

// TestAgentThatEndsInPeace ends the node, as one that left its cluster does.
func TestAgentThatEndsInPeace(t *testing.T) {
	if code := keep(t, t.TempDir(), "ends").code(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestAgentThatIsOver is not started again, and nothing of it stays.
func TestAgentThatIsOver(t *testing.T) {
	k := keep(t, t.TempDir(), "over")
	if code := k.code(); code != keeper.Over {
		t.Errorf("exit code %d", code)
	}
}

// TestAgentThatNeverRuns: what is wrong from the beginning is not tried again.
func TestAgentThatNeverRuns(t *testing.T) {
	k := keep(t, t.TempDir(), "fails")
	if code := k.code(); code != 7 {
		t.Errorf("exit code %d", code)
	}
	agents := 0
	for line := range k.lines {
		if strings.HasPrefix(line, "agent") {
			agents++
		}
	}
	if agents != 1 {
		t.Errorf("%d agents", agents)
	}
}

// TestCrashLoop: an agent that ends each time is started after ever longer pauses,
// and SIGTERM still ends the keeper at once.
func TestCrashLoop(t *testing.T) {
	k := keep(t, t.TempDir(), "crashes")
	last := time.Now()
	for i := range 4 {
		k.word("agent")
		now := time.Now()
		if least := 100 * time.Millisecond << max(0, i-1); i > 0 && now.Sub(last) < least {
			t.Errorf("agent %d began %v after the one before, want at least %v", i, now.Sub(last), least)
		}
		last = now
	}
	kill(t, k.cmd.Process.Pid, unix.SIGTERM)
	if code := k.code(); code != 0 && code != 3 { // 3: it was about to crash anyway
		t.Errorf("exit code %d", code)
	}
	if time.Since(last) > 5*time.Second {
		t.Errorf("it took %v", time.Since(last))
	}
}

// TestTwoKeepers do not share a folder.
func TestTwoKeepers(t *testing.T) {
	k := keep(t, t.TempDir(), "children:1")
	all := k.children(1)
	other := keep(t, k.dir, "children:1")
	if said := other.word("cannot use"); !strings.Contains(said, "another node process uses it") || other.code() != 1 {
		t.Errorf("got %q", said)
	}
	k.undisturbed(all)
}

// TestConfigValidate: what cannot be kept is refused.
func TestConfigValidate(t *testing.T) {
	for _, c := range []keeper.Config{{}, {Dir: "x"}, {Agent: []string{"x"}}} {
		if _, err := keeper.Run(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "cannot use keeper config") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	c := keeper.Config{Dir: t.TempDir(), Agent: []string{"x"}}
	if _, err := keeper.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "main thread") {
		t.Errorf("a test's goroutine may run a keeper: %v", err)
	}
}

// TestThousandChildren: what they cost a keeper.
func TestThousandChildren(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand processes")
	}
	k := keep(t, t.TempDir(), "sleepers:1000")
	for range 1000 {
		k.word("spawned")
	}
	full := costOf(t, k.cmd.Process.Pid)
	t.Logf("with 1,000 children: %+v", full)
	if full.files > 2050 {
		t.Errorf("%d descriptors", full.files)
	}
	if full.kib > 32<<10 {
		t.Errorf("%d KiB", full.kib)
	}
	if full.threads > 20 {
		t.Errorf("%d threads", full.threads)
	}
}

type cost struct{ files, threads, kib int }

func costOf(t *testing.T, pid int) (c cost) {
	t.Helper()
	fds, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	c.files = len(fds)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch f[0] {
		case "VmRSS:":
			c.kib, _ = strconv.Atoi(f[1])
		case "Threads:":
			c.threads, _ = strconv.Atoi(f[1])
		}
	}
	return c
}

// TestCgroup: where there is a cgroup v2 tree, a helper that left its group and
// session, and its environment, dies with its leader all the same. Without one, or
// if it is not to be used, it does not, which shows that the cgroup was it.
func TestCgroup(t *testing.T) {
	for _, groupsOnly := range []bool{false, true} {
		if groupsOnly {
			t.Setenv("KEEPER_TEST_GROUPS", "1")
		}
		k := keep(t, t.TempDir(), "daemon")
		leader := k.pid("spawned")
		path := filepath.Join(k.dir, "helper")
		helper := 0
		eventually(t, "the helper runs", func() bool {
			text, _ := os.ReadFile(path)
			helper, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			return helper > 0
		})
		cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(leader) + "/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		inside := strings.Contains(string(cgroup), "/selfware-")
		if inside && groupsOnly {
			t.Errorf("in a cgroup: %s", cgroup)
		}
		stat, err := leftover.ReadStat(helper)
		if err != nil || stat.Group == leader || stat.Session == leader {
			t.Fatalf("the helper has not left: %+v, %v", stat, err)
		}
		kill(t, leader, unix.SIGTERM)
		k.word("exited")
		if inside {
			eventually(t, "the helper is gone", func() bool { return !running(helper) })
		} else {
			t.Logf("no cgroup (groups only: %v)", groupsOnly)
			if !running(helper) {
				t.Error("the helper is gone by itself, so nothing is shown")
			}
			kill(t, helper, unix.SIGKILL)
		}
	}
}
