package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readLogs returns "stream:text" of all lines.
func readLogs(t *testing.T, r *Runner, name string, opt LogOptions) []string {
	t.Helper()
	var lines []string
	err := r.Logs(t.Context(), name, opt, func(l LogLine) error {
		lines = append(lines, l.Stream+":"+l.Text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestLogsOfAnEndedChild(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Key: "k", Name: "shop/web", Argv: []string{"sh", "-c", "for i in 1 2 3; do echo o$i; echo e$i >&2; done; printf end"}})
	g.wait("k", Exited)
	g.output("shop/web", "stdout", func(s string) bool { return strings.HasSuffix(s, "end\n") })
	g.output("shop/web", "stderr", func(s string) bool { return strings.HasSuffix(s, "e3\n") })
	for _, c := range []struct {
		opt  LogOptions
		want string
	}{
		{LogOptions{}, "stderr:e1 stderr:e2 stderr:e3 stdout:o1 stdout:o2 stdout:o3 stdout:end"},
		{LogOptions{Tail: 2}, "stderr:e2 stderr:e3 stdout:o3 stdout:end"},
		{LogOptions{Tail: 1, Stream: "stderr"}, "stderr:e3"},
		{LogOptions{Tail: 9, Stream: "stdout"}, "stdout:o1 stdout:o2 stdout:o3 stdout:end"},
		{LogOptions{Tail: -1, Stream: "both"}, ""},
	} {
		if got := strings.Join(readLogs(t, g.Runner, "shop/web", c.opt), " "); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.opt, got, c.want)
		}
	}
}

func TestLogsOfUnknownNames(t *testing.T) {
	g := newRig(t, Config{})
	g.start(Spec{Key: "k", Name: "shop/web", Argv: []string{"true"}})
	g.wait("k", Exited)
	none := func(LogLine) error { return nil }
	g.sh("loud", "echo loud")
	g.output("loud", "stdout", nil)
	for _, name := range []string{"nobody", "shop", "shop/web/stdout.log", "loud/stdout.log"} {
		err := g.Logs(t.Context(), name, LogOptions{}, none)
		if !errors.Is(err, ErrNoLogs) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "../run", "/etc", "a//b", "a/../../b"} {
		if err := g.Logs(t.Context(), name, LogOptions{}, none); err == nil || errors.Is(err, ErrNoLogs) {
			t.Errorf("%q: got %v, want it refused", name, err)
		}
	}
	if err := g.Logs(t.Context(), "shop/web", LogOptions{Stream: "stdin"}, none); err == nil {
		t.Error("a wrong stream is accepted")
	}
	if got := readLogs(t, g.Runner, "shop/web", LogOptions{}); len(got) != 0 {
		t.Errorf("a silent child said %q", got)
	}
}

func TestLogsDoNotLeaveTheirFolder(t *testing.T) {
	g := newRig(t, Config{})
	secret := filepath.Join(t.TempDir(), "stdout.log")
	writeFile(t, secret, "secret\n", 0o600)
	if err := os.Symlink(filepath.Dir(secret), filepath.Join(g.cfg.Dir, "logs", "link")); err != nil {
		t.Fatal(err)
	}
	err := g.Logs(t.Context(), "link", LogOptions{}, func(l LogLine) error { t.Errorf("got %q", l.Text); return nil })
	if err == nil {
		t.Error("a link out of the log folder was followed")
	}
}

// count is a child that prints the numbers from a to b, each padded to 100
// characters.
func count(a, b int) []string {
	return []string{"sh", "-c", fmt.Sprintf("i=%d; while [ $i -le %d ]; do printf '%%099d\\n' $i; i=$((i+1)); done", a, b)}
}

func TestRotation(t *testing.T) {
	g := newRig(t, Config{LogMaxBytes: 1000, LogKeep: 2})
	g.start(Spec{Argv: count(1, 45)})
	g.wait("c", Exited)
	last := fmt.Sprintf("%099d", 45)
	g.output("c", "stdout", func(s string) bool { return strings.Contains(s, last) })
	for name, lines := range map[string]int{"stdout.log": 5, "stdout.log.1": 10, "stdout.log.2": 10} {
		b, err := os.ReadFile(filepath.Join(g.cfg.Dir, "logs/c", name))
		if err != nil || len(b) != lines*100 {
			t.Errorf("%s has %d bytes, want %d: %v", name, len(b), lines*100, err)
		}
	}
	if _, err := os.Stat(filepath.Join(g.cfg.Dir, "logs/c/stdout.log.3")); err == nil {
		t.Error("more files are kept than asked for")
	}
	got := readLogs(t, g.Runner, "c", LogOptions{Tail: 17, Stream: "stdout"})
	if len(got) != 17 || got[0] != fmt.Sprintf("stdout:%099d", 29) || got[16] != "stdout:"+last {
		t.Errorf("the tail over two files has %d lines: %q", len(got), got)
	}
	if got := readLogs(t, g.Runner, "c", LogOptions{Tail: 1000, Stream: "stdout"}); len(got) != 25 {
		t.Errorf("all files together have %d lines, want 25", len(got))
	}
}

// TestLineWithoutEndIsRotated writes one line far beyond the limit.
func TestLineWithoutEndIsRotated(t *testing.T) {
	g := newRig(t, Config{LogMaxBytes: 1000, LogKeep: 3})
	g.sh("c", "head -c 200000 /dev/zero | tr '\\0' x; echo; echo short")
	g.wait("c", Exited)
	g.output("c", "stdout", func(s string) bool { return strings.HasSuffix(s, "short\n") })
	total := 0
	for _, name := range []string{"stdout.log", "stdout.log.1", "stdout.log.2", "stdout.log.3"} {
		b, _ := os.ReadFile(filepath.Join(g.cfg.Dir, "logs/c", name))
		if total += len(b); len(b) > 1000+2*overshoot {
			t.Errorf("%s has %d bytes", name, len(b))
		}
	}
	if total != 200007 {
		t.Errorf("%d bytes are kept, want 200007", total)
	}
	got := strings.ReplaceAll(strings.Join(readLogs(t, g.Runner, "c", LogOptions{Stream: "stdout"}), ""), "stdout:", "")
	if got != strings.Repeat("x", 200000)+"short" {
		t.Errorf("read back %d bytes", len(got))
	}
}

// follower collects what Logs emits until it is stopped.
type follower struct {
	*testing.T
	lines chan LogLine
	ended chan error
	stop  context.CancelFunc
}

func follow(t *testing.T, r *Runner, name string, opt LogOptions) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{T: t, lines: make(chan LogLine), ended: make(chan error, 1), stop: cancel}
	opt.Follow = true
	go func() {
		f.ended <- r.Logs(ctx, name, opt, func(l LogLine) error {
			select {
			case f.lines <- l:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return f
}

func (f *follower) next() LogLine {
	f.Helper()
	select {
	case l := <-f.lines:
		return l
	case err := <-f.ended:
		f.Fatal("following ended: ", err)
	case <-time.After(patience):
		f.Fatal("no line comes")
	}
	return LogLine{}
}

func TestFollowOverRotationAndRestart(t *testing.T) {
	g := newRig(t, Config{LogMaxBytes: 1000, LogKeep: 100})
	g.start(Spec{Argv: []string{"echo", "first"}})
	g.wait("c", Exited)
	g.output("c", "stdout", nil)
	f := follow(t, g.Runner, "c", LogOptions{Stream: "stdout"})
	if l := f.next(); l.Text != "first" || l.Stream != "stdout" {
		t.Fatalf("got %+v", l)
	}
	g.start(Spec{Argv: count(1, 200)})
	for i := 1; i <= 200; i++ {
		if l := f.next(); l.Text != fmt.Sprintf("%099d", i) {
			t.Fatalf("line %d is %q", i, l.Text)
		}
	}
	g.wait("c", Exited)
	g.start(Spec{Argv: count(201, 250)})
	for i := 201; i <= 250; i++ {
		if l := f.next(); l.Text != fmt.Sprintf("%099d", i) {
			t.Fatalf("line %d is %q", i, l.Text)
		}
	}
	f.stop()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestFollowBothAndEndOfRunner(t *testing.T) {
	g := newRig(t, Config{})
	g.sh("c", "read x; :")
	g.wait("c", Exited)
	f := follow(t, g.Runner, "c", LogOptions{})
	g.sh("c", "echo out; echo err >&2")
	got := []string{f.next().Text, f.next().Text}
	slices.Sort(got)
	if !slices.Equal(got, []string{"err", "out"}) {
		t.Fatalf("got %q", got)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-f.ended; err != nil {
		t.Fatalf("the end of the runner ends a follower without error, got %v", err)
	}
}

// TestEndOfRunnerWhileALineIsRead: the files of a follower may be closed while it reads.
func TestEndOfRunnerWhileALineIsRead(t *testing.T) {
	g := newRig(t, Config{})
	g.sh("c", "echo out")
	g.wait("c", Exited)
	err := g.Logs(t.Context(), "c", LogOptions{Follow: true}, func(LogLine) error { return g.stop() })
	if err != nil {
		t.Errorf("the end of the runner ends a follower without error, got %v", err)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	g := newRig(t, Config{})
	for range maxFollowers {
		if _, err := g.logs.follow("c"); err != nil {
			t.Fatal(err)
		}
	}
	err := g.Logs(t.Context(), "c", LogOptions{Follow: true}, func(LogLine) error { return nil })
	if !errors.Is(err, ErrTooManyFollowers) {
		t.Fatalf("got %v", err)
	}
}

// TestFullDiskDoesNotBlockTheChild fills a tiny file system. The child must
// write on, and the log must tell the gap once there is room again.
func TestFullDiskDoesNotBlockTheChild(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=128k", "none", logs).CombinedOutput(); err != nil {
		t.Skipf("cannot mount: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", logs).Run() })
	g := newRig(t, Config{Dir: dir})
	sh := "echo begin; head -c 1000000 /dev/zero | tr '\\0' x; echo full >&3; while [ ! -e " + dir + "/go ]; do sleep 0.01; done; echo end"
	g.start(Spec{Argv: []string{"sh", "-c", "exec 3>" + dir + "/told; " + sh}})
	eventually(t, "the child has written a megabyte to a full disk", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "told"))
		return string(b) == "full\n"
	})
	if err := os.Truncate(filepath.Join(logs, "c/stdout.log"), 6); err != nil { // "begin\n": an operator makes room
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "go"), "", 0o600)
	g.wait("c", Exited)
	text := g.output("c", "stdout", func(s string) bool { return strings.HasSuffix(s, "end\n") })
	if !strings.HasPrefix(text, "begin\n") || !strings.Contains(text, "bytes of output are missing here: ") || !strings.Contains(text, "no space left") {
		t.Fatalf("the gap is not told: %.300q", text)
	}
}

// TestLogThatCannotBeOpened needs no root: a folder stands where the log should be.
func TestLogThatCannotBeOpened(t *testing.T) {
	g := newRig(t, Config{})
	obstacle := filepath.Join(g.cfg.Dir, "logs/c/stdout.log")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "go")
	g.sh("c", "echo lost; echo written >&2; while [ ! -e "+fifo+" ]; do sleep 0.01; done; echo kept")
	g.output("c", "stderr", nil)
	eventually(t, "the loss is counted", func() bool {
		g.logs.mu.Lock()
		f := g.logs.files["c/stdout.log"]
		g.logs.mu.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.lost == 5
	})
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	writeFile(t, fifo, "", 0o600)
	g.wait("c", Exited)
	text := g.output("c", "stdout", func(s string) bool { return strings.HasSuffix(s, "kept\n") })
	if !strings.HasPrefix(text, "[selfware: 5 bytes of output are missing here: ") {
		t.Fatalf("got %q", text)
	}
}

func TestPipeHeldOpenDoesNotDelayTheEnd(t *testing.T) {
	needProgram(t, "setsid")
	t.Setenv("RUNNER_TEST_GROUPS", "1") // in a cgroup the helper would end too
	g := newRig(t, Config{})
	g.sh("c", "setsid sh -c 'echo $$; exec sleep 1000' & while ! read x < /proc/$!/comm || [ \"$x\" != sleep ]; do :; done; echo end")
	g.wait("c", Exited)
	text := g.output("c", "stdout", func(s string) bool { return strings.HasSuffix(s, "end\n") })
	holder := pids(t, strings.TrimSuffix(text, "end\n"))[0]
	defer func() { _ = syscall.Kill(holder, syscall.SIGKILL) }()
	eventually(t, "our end of the pipe is closed", func() bool {
		g.logs.mu.Lock()
		defer g.logs.mu.Unlock()
		return len(g.logs.streams) == 0
	})
	if !running(holder) {
		t.Fatal("the helper is gone, so nothing held the pipe")
	}
}
