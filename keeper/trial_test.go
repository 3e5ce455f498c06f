package keeper_test

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper"
)

// TestGoBack: a new agent does not begin, or does not stay. The same process is the
// former binary again, under the same children; the former agent adopts them, nothing
// is left of the trial, and the next upgrade works.
func TestGoBack(t *testing.T) {
	for what, why := range map[string]string{
		"fails":   "does not stay: exit code 7: no such format",
		"quits":   "does not stay: exit code 0",
		"crashes": "does not stay: exit code 3",
		"hangs":   "did not run within 1s",
	} {
		t.Run(what, func(t *testing.T) {
			if what == "hangs" {
				t.Setenv("KEEPER_TEST_TRIAL", "1s")
			}
			k := keep(t, t.TempDir(), "children:6")
			k.word("agent")
			all := k.children(6)
			err := keeper.Upgrade(k.dir, copyAs(t, actsAs+what))
			if want := "cannot upgrade: the new agent " + why + "; the node runs the former binary again (v9)"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			k.word("agent")
			k.word("agent")
			k.adopted(all)
			k.undisturbed(all)
			k.runsAs(os.Args[0])
			if comm := strings.TrimSpace(read(t, "/proc/"+strconv.Itoa(k.cmd.Process.Pid)+"/comm")); comm != filepath.Base(os.Args[0]) {
				t.Errorf("the keeper is called %q", comm)
			}
			if err := keeper.Upgrade(k.dir, copyOfMe(t)); err != nil {
				t.Error(err)
			}
			k.adopted(all)
			k.undisturbed(all)
			if n := leaked(t, k.cmd.Process.Pid); n > 0 {
				t.Errorf("%d descriptors of the upgrades are left", n)
			}
		})
	}
}

// TestGoBackUnasked: whoever asked for the upgrade is gone, and so is the file of the
// former binary.
func TestGoBackUnasked(t *testing.T) {
	former := copyAs(t, "former")
	k := keepAs(t, former, t.TempDir(), "children:4")
	k.word("agent")
	all := k.children(4)
	if err := os.Remove(former); err != nil {
		t.Fatal(err)
	}
	k.ask("upgrade 2 " + copyAs(t, actsAs+"fails")).Close()
	k.word("agent")
	k.word("agent")
	k.adopted(all)
	k.undisturbed(all)
	k.runsAs(former + " (deleted)")
}

// ask sends the keeper a request.
func (k *kept) ask(line string) net.Conn {
	k.Helper()
	conn, err := net.Dial("unix", keeper.Socket(k.dir))
	if err == nil {
		k.Cleanup(func() { conn.Close() })
		_, err = conn.Write([]byte(line + "\n"))
	}
	if err != nil {
		k.Fatal(err)
	}
	return conn
}

func (k *kept) answer(conn net.Conn) string {
	k.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		k.Error(err)
	}
	return strings.TrimSpace(line)
}

// TestGoBackInVain: the former agent does not stay either. Whoever asked is told both,
// and children and keeper stay.
func TestGoBackInVain(t *testing.T) {
	k := keep(t, t.TempDir(), "children:4")
	all := k.children(4)
	broken := filepath.Join(k.dir, "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := keeper.Upgrade(k.dir, copyAs(t, actsAs+"crashes"))
	want := "the new agent does not stay: exit code 3; the node runs the former binary again (v9), and there too the agent does not stay: exit code 7: no such format"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	k.runsAs(os.Args[0])
	k.undisturbed(all)
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	k.word("runs") // the one that crashed
	k.word("agent")
	k.adopted(all)
	k.undisturbed(all)
}

// TestNothingToGoBackTo: the file of the former binary was overwritten, not replaced,
// while the new one was on trial. The new one goes on, as well as it can.
func TestNothingToGoBackTo(t *testing.T) {
	t.Setenv("KEEPER_TEST_TRIAL", "1s")
	former := copyAs(t, "former")
	k := keepAs(t, former, t.TempDir(), "sleepers:1")
	k.word("agent")
	child := k.pid("spawned")
	next := copyAs(t, actsAs+"hangs")
	conn := k.ask("upgrade 2 " + next)
	k.word("agent")
	if err := os.WriteFile(former, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := "the new agent did not run within 1s; and the former binary cannot be executed: exec format error"
	if got := k.answer(conn); got != want {
		t.Errorf("got %q", got)
	}
	if k.word("life"); !running(child) {
		t.Error("its child is gone")
	}
	k.runsAs(next)
}

// TestUpgradeFromVersion1: a keeper of that version says nothing of what it was, so
// there is no way back. The new binary goes on, and whoever asked is told why.
func TestUpgradeFromVersion1(t *testing.T) {
	k := keep(t, t.TempDir(), "children:4")
	all := k.children(4)
	next := copyAs(t, actsAs+"fails")
	if got := k.answer(k.ask("upgrade 1 " + next)); !strings.HasPrefix(got, "the agent does not stay: exit code 7: no such format; the former binary has left no way back") {
		t.Errorf("got %q", got)
	}
	k.runsAs(next)
	if n := leaked(t, k.cmd.Process.Pid); n > 0 {
		t.Errorf("%d descriptors of the upgrade are left", n)
	}
	k.undisturbed(all)
	next = copyOfMe(t)
	if got := k.answer(k.ask("upgrade 1 " + next)); got != "done" {
		t.Errorf("got %q", got)
	}
	k.adopted(all)
	k.undisturbed(all)
	k.runsAs(next)
}

// TestEndOnTrial: a node that is told to end, or whose new agent says that it has
// ended, does so, and goes back to nothing.
func TestEndOnTrial(t *testing.T) {
	for _, what := range []string{"hangs", "ends"} {
		k := keep(t, t.TempDir(), "children:2")
		k.word("agent")
		k.children(2)
		conn := k.ask("upgrade 2 " + copyAs(t, actsAs+what))
		k.word("agent")
		if what == "hangs" {
			kill(t, k.cmd.Process.Pid, unix.SIGTERM)
		}
		if code := k.code(); code != 0 {
			t.Errorf("%s: exit code %d", what, code)
		}
		if got := k.answer(conn); got != "the node has ended" {
			t.Errorf("%s: got %q", what, got)
		}
	}
}
