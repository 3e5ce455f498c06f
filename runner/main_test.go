package runner

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/keepertest"
	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/keeper/leftover"
)

// patience is the deadline of every wait for something real. It is reached only
// by a test that fails.
const patience = 20 * time.Second

// TestMain makes the test binary serve as the helper that sets limits, as keeper,
// and as the node processes that some tests kill.
func TestMain(m *testing.M) {
	MaybeExec()
	if os.Getenv("RUNNER_TEST_MODE") == "speaker" {
		speakerMain(os.Args[1:])
		return
	}
	keepertest.Main()
	dir := os.Getenv("RUNNER_TEST_DIR")
	if fd, ok := keeper.Connection(); ok {
		if os.Getenv("RUNNER_TEST_MODE") == "pid1" {
			pid1Main(dir, fd)
			return
		}
		nodeMain(dir, fd, os.Args[1:])
		return
	}
	c := keeper.Config{Dir: dir, Agent: os.Args, GroupsOnly: os.Getenv("RUNNER_TEST_GROUPS") != "", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	switch os.Getenv("RUNNER_TEST_MODE") {
	case "node", "pid1":
	default:
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	code, err := keeper.Run(ctx, c)
	if err != nil {
		fmt.Println(err)
	}
	os.Exit(code)
}

// attach starts a keeper for this process, which ends with the connection.
func attach(t testing.TB, dir string) (*Keeper, error) {
	t.Helper()
	said, err := os.CreateTemp(t.TempDir(), "keeper")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd, conns := keepertest.Start(t, dir, 1, keepertest.Options{GroupsOnly: os.Getenv("RUNNER_TEST_GROUPS") != "", Log: said})
	k, err := Attach(conns[0])
	if err != nil {
		cmd.Wait()
		words, _ := os.ReadFile(said.Name())
		err = fmt.Errorf("%w: %s", err, words)
	}
	return k, err
}

// newRunner makes a Runner with a keeper of its own.
func newRunner(t testing.TB, c Config) (*Runner, error) {
	t.Helper()
	k, err := attach(t, c.Dir)
	if err != nil {
		return nil, err
	}
	c.Keeper = k
	return New(c)
}

// nodeMain runs each command as a child and prints a line when it is up.
func nodeMain(dir string, fd int, commands []string) {
	k, err := Attach(fd)
	var r *Runner
	if err == nil {
		r, err = New(Config{Dir: dir, Keeper: k})
	}
	if err != nil {
		fmt.Println("cannot run:", err)
		os.Exit(1)
	}
	for i, command := range commands {
		argv, err := SplitCommand(command)
		if err == nil {
			err = r.Start(Spec{Key: fmt.Sprint(i), Name: fmt.Sprint("child", i), Argv: argv})
		}
		if err != nil {
			fmt.Println("cannot run:", err)
			os.Exit(1)
		}
	}
	go func() {
		for e := range r.Events() {
			fmt.Println(e.Kind, e.PID)
		}
	}()
	r.Running()
	r.Run(context.Background())
}

// rig is a running Runner with a reader that waits for events.
type rig struct {
	testing.TB
	*Runner
	stop func() error // ends Run; once
	seen []Event      // read, and not asked for yet
}

func newRig(t testing.TB, c Config) *rig {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	r, err := newRunner(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return startRig(t, r)
}

// startRig runs r, and ends it with the test.
func startRig(t testing.TB, r *Runner) *rig {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	g := &rig{TB: t, Runner: r}
	g.stop = func() error {
		cancel()
		g.stop = func() error { return nil }
		return <-ended
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// start starts s; key and name default to "c".
func (g *rig) start(s Spec) {
	g.Helper()
	if s.Key == "" {
		s.Key = "c"
	}
	if s.Name == "" {
		s.Name = s.Key
	}
	if err := g.Start(s); err != nil {
		g.Fatal(err)
	}
}

// sh starts a shell command under key.
func (g *rig) sh(key, command string) {
	g.Helper()
	g.start(Spec{Key: key, Argv: []string{"sh", "-c", command}})
}

// wait returns the first event of key that is one of kinds, and leaves others
// for later. Any end of key that was not asked for is fatal.
func (g *rig) wait(key string, kinds ...EventKind) Event {
	g.Helper()
	late := time.After(patience)
	for i := 0; ; i++ {
		for i >= len(g.seen) {
			select {
			case e, ok := <-g.Events():
				if !ok {
					g.Fatalf("events ended while waiting for %s of %s; seen: %v", kinds, key, g.seen)
				}
				g.seen = append(g.seen, e)
			case <-late:
				g.Fatalf("no %s of %s; seen: %v", kinds, key, g.seen)
			}
		}
		e := g.seen[i]
		if e.Key != key {
			continue
		}
		for _, kind := range kinds {
			if e.Kind == kind {
				g.seen = append(g.seen[:i], g.seen[i+1:]...)
				return e
			}
		}
		if e.Kind == Exited || e.Kind == Failed {
			g.Fatalf("waiting for %s: %s", kinds, e)
		}
	}
}

// output waits until a log of name is at least one whole line and want accepts
// it, and returns it.
func (g *rig) output(name, stream string, want func(string) bool) string {
	g.Helper()
	path := filepath.Join(g.cfg.Dir, "logs", name, stream+".log")
	var text string
	eventually(g, "output in "+path, func() bool {
		b, _ := os.ReadFile(path)
		text = string(b)
		return strings.HasSuffix(text, "\n") && (want == nil || want(text))
	})
	return text
}

// run starts s, whose name is its key, waits for its end and returns what it
// printed. It must exit with 0.
func (g *rig) run(s Spec) string {
	g.Helper()
	g.start(s)
	key := s.Key
	if key == "" {
		key = "c"
	}
	if e := g.wait(key, Exited, Failed); e.Kind != Exited || e.Code != 0 {
		g.Fatalf("%s", e)
	}
	path := key + "/stdout.log"
	eventually(g, "all output is written", func() bool {
		g.logs.mu.Lock()
		defer g.logs.mu.Unlock()
		return g.logs.files[path] == nil
	})
	b, err := os.ReadFile(filepath.Join(g.cfg.Dir, "logs", path))
	if err != nil {
		g.Fatal(err)
	}
	return string(b)
}

// eventually polls ok until it holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not true: %s", what)
		}
	}
}

// running says whether pid exists and is no zombie.
func running(pid int) bool {
	stat, err := leftover.ReadStat(pid)
	return err == nil && stat.State != 'Z'
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

func needProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip("needs", name)
	}
}
