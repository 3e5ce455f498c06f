package keeper_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper"
)

// hang has every exec of a program wait, as a file system that hangs would, until
// free is called: a lease on the file is broken only by its holder.
func hang(t *testing.T, path string) (free func()) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("this file system has no leases: ", err)
	}
	free = func() { f.Close() }
	t.Cleanup(free)
	return free
}

func copyOf(t *testing.T, program, path string) {
	t.Helper()
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(path, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRegressionFenceWhileExecHangs: a file system that hangs at exec held up the
// deadline of all exclusive lives, if the keeper's garbage was just to be collected
// or the machine has one processor: Go's fork stops its thread and tells the
// runtime nothing. And the one that was being executed ran, for a moment, whenever
// the file system went on.
func TestRegressionFenceWhileExecHangs(t *testing.T) {
	for _, processors := range []string{"1", "2"} {
		t.Run(processors, func(t *testing.T) {
			t.Setenv("GOMAXPROCS", processors)
			dir := t.TempDir()
			stuck := filepath.Join(dir, "stuck")
			copyOf(t, "/bin/sleep", stuck)
			free := hang(t, stuck)
			k := keep(t, dir, "stuck")
			before := k.pid("spawned")
			eventually(t, "the one before is killed", func() bool { return !running(before) })
			ends := []string{k.word("exited"), k.word("exited")}
			slices.Sort(ends)
			if !slices.Equal(ends, []string{"before 9 true", "stuck 9 true"}) {
				t.Errorf("got %q", ends)
			}
			free()
		})
	}
}

// TestRegressionFenceWhileUpgradeHangs: the moment of exclusive lives passes while the
// file of the new binary cannot be read.
func TestRegressionFenceWhileUpgradeHangs(t *testing.T) {
	t.Setenv("GOMAXPROCS", "1")
	k := keep(t, t.TempDir(), "leased")
	path := copyOfMe(t)
	free := hang(t, path)
	life := k.pid("spawned")
	conn, err := net.Dial("unix", keeper.Socket(k.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("upgrade 1 " + path + "\n")); err != nil {
		t.Fatal(err)
	}
	k.word("yields")
	eventually(t, "it is killed", func() bool { return !running(life) })
	free()
	k.word("agent")
	if got := k.word("exited"); got != "leased 9 true" {
		t.Errorf("got %q", got)
	}
}
