package keeper_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper"
)

// copyOfMe is another file with this program.
func copyOfMe(t *testing.T) string {
	t.Helper()
	return copyAs(t, "new-version")
}

func copyAs(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	copyOf(t, os.Args[0], path)
	return path
}

// TestUpgrade: twice another binary takes over, in the same process. Twenty children,
// half of them exclusive, are the same ones, their connections stay, and they still
// die with the keeper.
func TestUpgrade(t *testing.T) {
	k := keep(t, t.TempDir(), "children:20")
	agent := k.pid("agent")
	all := k.children(20)
	for range 2 {
		path := copyOfMe(t)
		if err := keeper.Upgrade(k.dir, path); err != nil {
			t.Fatal(err)
		}
		k.word("yields")
		if now := k.pid("agent"); now == agent {
			t.Error("it is the same agent")
		} else {
			agent = now
		}
		k.adopted(all)
		if pid := strings.TrimSpace(read(t, filepath.Join(k.dir, "run", "keeper.pid"))); pid != strconv.Itoa(k.cmd.Process.Pid) {
			t.Errorf("keeper.pid says %s", pid)
		}
		k.runsAs(path)
		k.undisturbed(all)
	}
	kill(t, all["0"].pid, unix.SIGKILL)
	if got := k.word("exited"); got != "0 9 false" {
		t.Errorf("it does not reap what the binary before forked: %q", got)
	}
	delete(all, "0")
	k.undisturbed(all)
	if n := leaked(t, k.cmd.Process.Pid); n > 0 {
		t.Errorf("%d descriptors of the state are left", n)
	}
	kill(t, k.cmd.Process.Pid, unix.SIGKILL)
	<-k.ended
	for _, c := range all {
		eventually(t, "a child is gone", func() bool { return !running(c.pid) })
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// leaked counts memory files, and this program's own files, that a process has open.
func leaked(t *testing.T, pid int) (n int) {
	t.Helper()
	links, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil || len(links) == 0 {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.Contains(to, "memfd:selfware-keeper") || strings.Contains(to, actsAs) || strings.Contains(to, filepath.Base(os.Args[0])) {
			n++
		}
	}
	return n
}

// TestRegressionUpgradeOnAFullDisk: a keeper that could not begin the record of lives
// anew ended, with all children. The marker and the cgroup still tell those.
func TestRegressionUpgradeOnAFullDisk(t *testing.T) {
	k := keep(t, t.TempDir(), "children:2")
	all := k.children(2)
	if err := os.Mkdir(filepath.Join(k.dir, "run", "lives.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := copyOfMe(t)
	if err := keeper.Upgrade(k.dir, path); err != nil {
		t.Error(err)
	}
	k.adopted(all)
	k.undisturbed(all)
	k.runsAs(path)
}

// TestUpgradeWithoutAgent: also a node whose agent crashes in a loop can be upgraded:
// that may be what it needs.
func TestUpgradeWithoutAgent(t *testing.T) {
	k := keep(t, t.TempDir(), "crashes")
	k.word("runs")
	k.word("runs")
	path := copyAs(t, actsAs+"children:2")
	if err := keeper.Upgrade(k.dir, path); err != nil {
		t.Fatal(err)
	}
	k.children(2)
	k.runsAs(path)
}

// runsAs: the keeper is that binary.
func (k *kept) runsAs(path string) {
	k.Helper()
	exe, err := os.Readlink("/proc/" + strconv.Itoa(k.cmd.Process.Pid) + "/exe")
	if want, _ := filepath.Abs(path); err != nil || exe != want {
		k.Errorf("the keeper runs %s, %v; want %s", exe, err, want)
	}
}

// TestUpgradeRefused: a binary that cannot take over changes nothing.
func TestUpgradeRefused(t *testing.T) {
	k := keep(t, t.TempDir(), "children:2")
	all := k.children(2)
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(k.dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(k.dir, "missing"):                                   "no such file",
		script("plain", "hello", 0o644):                                   "permission denied",
		script("silent", "#!/bin/sh\n", 0o755):                            "does not say which states it reads",
		script("fails", "#!/bin/sh\nexit 1\n", 0o755):                     "exit status 1",
		script("newer", "#!/bin/sh\necho selfware-keeper 98,99\n", 0o755): "reads states of version 98,99, this keeper writes 1,2",
	} {
		err := keeper.Upgrade(k.dir, path)
		if err == nil || !strings.HasPrefix(err.Error(), "cannot upgrade") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	// One that says it can, and cannot be executed.
	path := script("vanishes", "no program", 0o755)
	conn, err := net.Dial("unix", keeper.Socket(k.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("upgrade 1 " + path + "\n")); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil || !strings.Contains(answer.String(), "exec format error; the node goes on as it was") {
		t.Errorf("got %q, %v", answer.String(), err)
	}
	k.word("yields")
	k.adopted(all)
	k.undisturbed(all)
	for _, line := range []string{"upgrade\n", "nonsense 1 2\n", "upgrade 1 relative\n", strings.Repeat("x", 10<<10)} {
		conn, err := net.Dial("unix", keeper.Socket(k.dir))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(line))
		answer.Reset()
		if _, err := answer.ReadFrom(conn); strings.HasPrefix(answer.String(), "done") {
			t.Errorf("%.20q: %q, %v", line, answer.String(), err)
		}
		conn.Close()
	}
	k.undisturbed(all)
	if err := keeper.Upgrade(t.TempDir(), os.Args[0]); err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("nobody there: %v", err)
	}
}
