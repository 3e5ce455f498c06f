package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/selfware/selfware/fence"
)

// TestMain lets the test's own binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("BE_FENCED") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// life is a process of the program that counts when it is told to.
type life struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func begin(t *testing.T, file, token string) *life {
	t.Helper()
	cmd := exec.Command(os.Args[0], "--file", file, "--step")
	cmd.Env = append(os.Environ(), "BE_FENCED=1", fence.Env+"="+token)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &life{cmd, in, bufio.NewReader(out)}
}

// step lets it count once, and gives what it printed.
func (l *life) step() string {
	fmt.Fprintln(l.in)
	line, _ := l.out.ReadString('\n')
	return strings.TrimSpace(line)
}

// TestGhost: a life that sleeps through the whole of its successor's is refused, and
// the count is as that one left it. Nothing but the token could tell: both are alive
// and believe that they may count.
func TestGhost(t *testing.T) {
	const first, second = "00000001-0000000000050000", "00000001-0000000000090000"
	file := filepath.Join(t.TempDir(), "count")
	old := begin(t, file, first)
	for i := range 2 {
		if got := old.step(); got != fmt.Sprintf("%d by %s", i+1, first) {
			t.Fatalf("the first life printed %q", got)
		}
	}
	next := begin(t, file, second)
	if got := next.step(); got != "3 by "+second {
		t.Fatalf("the second life printed %q", got)
	}
	if got := old.step(); got != "" {
		t.Errorf("the ghost counted: %q", got)
	}
	var exit *exec.ExitError
	if err := old.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("the ghost ended with %v", err)
	}
	if got := next.step(); got != "4 by "+second {
		t.Errorf("after the ghost: %q", got)
	}
}

// TestWithoutToken: a program that is not told which life it is does nothing.
func TestWithoutToken(t *testing.T) {
	t.Setenv(fence.Env, "")
	file := filepath.Join(t.TempDir(), "count")
	err := run(t.Context(), []string{"--file", file, "--step"}, strings.NewReader("\n"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), fence.Env) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it counted")
	}
}

// TestRedis runs the script as its first lines say.
func TestRedis(t *testing.T) {
	for _, need := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skipf("no %s here", need)
		}
	}
	sock := filepath.Join(t.TempDir(), "redis")
	server := exec.Command("redis-server", "--port", "0", "--unixsocket", sock, "--save", "", "--dir", t.TempDir())
	out, err := server.StdoutPipe()
	if err := errors.Join(err, server.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	for log := bufio.NewScanner(out); ; {
		if !log.Scan() {
			t.Fatal("redis-server ended")
		}
		if strings.Contains(log.Text(), "connections at") {
			break
		}
	}
	for _, c := range []struct{ token, want string }{
		{"00000001-0000000000050000", "1"}, {"00000001-0000000000090000", "2"},
		{"00000001-0000000000050000", "FENCED a newer life"}, {"00000001-0000000000090000", "3"},
		{"00000002-0000000000000000", "4"}, {"00000001-00000000ffffffff", "FENCED a newer life"}, {"x", "FENCED that is no token"},
	} {
		got, _ := exec.Command("redis-cli", "-s", sock, "--eval", "fenced.lua", "counter", "counter:fence", ",", c.token).CombinedOutput()
		if !strings.Contains(string(got), c.want) {
			t.Errorf("%s: redis said %q, want %q", c.token, got, c.want)
		}
	}
}
