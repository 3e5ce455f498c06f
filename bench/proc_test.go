package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/runner"
)

// The test binary plays the parts that selfware-node has in a benchmark.
func TestMain(m *testing.M) {
	runner.MaybeExec()
	parts := map[string]func() (int, error){hidden: part, "run": keep, "agent": serve}
	if len(os.Args) < 3 || parts[os.Args[1]] == nil {
		os.Exit(m.Run())
	}
	code, err := parts[os.Args[1]]()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func init() { runtime.LockOSThread() } // a keeper runs on the main thread

func part() (int, error) { return 0, Part(os.Args[2:]) }

// keep is a node: its keeper, which starts this binary again as its agent.
func keep() (int, error) {
	dir := os.Args[3]
	return keeper.Run(context.Background(), keeper.Config{
		Dir: dir, Agent: []string{os.Args[0], "agent", "--data", dir}, Logger: slog.New(slog.DiscardHandler),
	})
}

func serve() (int, error) {
	fd, ok := keeper.Connection()
	if !ok {
		return 0, errors.New("an agent without a keeper")
	}
	k, err := runner.Attach(fd)
	if err != nil {
		return 0, err
	}
	n, err := node.Open(os.Args[3], node.Config{Keeper: k})
	if err != nil {
		return 0, err
	}
	return 0, n.Run(context.Background())
}

func testLab(t *testing.T) *lab {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(Config{Self: self, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
		if pids := leftovers(l.dir); len(pids) > 0 {
			t.Errorf("left behind: %v", pids)
		}
		if _, err := os.Stat(l.dir); err == nil {
			t.Errorf("%s is left behind", l.dir)
		}
	})
	return l
}

// TestBareSupervisor: the built-in child and the one in Go tell who they are and
// when they began, and come back after each kill.
func TestBareSupervisor(t *testing.T) {
	l := testLab(t)
	for name, argv := range map[string][]string{
		"machine code": l.argv,
		"Go":           {l.self, hidden, roleChild, filepath.Join(l.dir, "births")},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := startBareSupervisor(l.self, superConfig{Argv: argv, Prefix: "x"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.kill()
			took, names, err := l.startAll(t.Context(), s, "x", 3)
			if err != nil || took <= 0 || !slices.Equal(names, []string{"x0", "x1", "x2"}) {
				t.Fatal(took, names, err)
			}
			first := l.births.pid("x1")
			back, err := l.killBack(t.Context(), names...)
			if err != nil || len(back) != 3 || slices.Min(back) <= 0 {
				t.Fatal(back, err)
			}
			if again := l.births.pid("x1"); again == first || syscall.Kill(again, 0) != nil {
				t.Errorf("x1 was %d and is %d", first, again)
			}
			if err := s.stopAll(); err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				if syscall.Kill(l.births.pid(n), 0) == nil {
					t.Errorf("%s survives a stop", n)
				}
			}
		})
	}
}

// TestChildrenDieWithSupervisor: a killed supervisor leaves nothing.
func TestChildrenDieWithSupervisor(t *testing.T) {
	l := testLab(t)
	s, err := startBareSupervisor(l.self, superConfig{Argv: l.argv, Prefix: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.startAll(t.Context(), s, "x", 5); err != nil {
		s.kill()
		t.Fatal(err)
	}
	s.kill()
	gone, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for len(leftovers(l.dir)) > 0 {
		if err := pause(gone, time.Millisecond); err != nil {
			t.Fatalf("children outlive their supervisor: %v", leftovers(l.dir))
		}
	}
}

func TestBirthsThatDoNotCome(t *testing.T) {
	l := testLab(t)
	_, err := l.births.expect("nobody", "none").wait(t.Context(), time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "2 of 2 children did not start, such as nobody") && !strings.Contains(err.Error(), "such as none") {
		t.Errorf("error %v", err)
	}
	l.births.mu.Lock()
	defer l.births.mu.Unlock()
	if len(l.births.waiters) != 0 {
		t.Error("a waiter that gave up is kept")
	}
}

func TestChildSocketTooLong(t *testing.T) {
	if _, err := childProgram("/" + strings.Repeat("x", maxSocket-1)); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("error %v", err)
	}
	program, err := childProgram("/" + strings.Repeat("x", maxSocket-2))
	if err != nil || len(program) != 64+56+len(childCode)+2+maxSocket {
		t.Errorf("%d bytes, %v", len(program), err)
	}
}

// TestSignalLeavesNothing ends a run in the middle of a row: no process and no
// file stays.
func TestSignalLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two clusters")
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{100 * time.Millisecond, 4 * time.Second} { // while starting, in a row
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := Run(ctx, Config{Self: self, Rows: []string{"b"}, Progress: t.Output()})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a run that was ended says %v", err)
		}
	}
	files, err := os.ReadDir(tmp)
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if pids := processesOf(t, tmp); len(pids) > 0 {
		t.Errorf("left behind: %v", pids)
	}
}

// processesOf finds whatever names dir in its command line.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), dir) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}
