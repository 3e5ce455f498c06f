package runner

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/supervisor/health"
)

// speakerMain is a program that says what its arguments are, one after the other, with
// the client of go-systemd. Others are commands: @FILE waits for a file, +FILE makes one,
// TERM waits for that signal, EXIT:N exits, BEATS:N sends so many heartbeats at half of
// the time it is given.
func speakerMain(words []string) {
	terminated := make(chan os.Signal, 1)
	for _, word := range words {
		verb, n, _ := strings.Cut(word, ":")
		count, _ := strconv.Atoi(n)
		switch {
		case word[0] == '@':
			for _, err := os.Stat(word[1:]); err != nil; _, err = os.Stat(word[1:]) {
				<-time.After(2 * time.Millisecond)
			}
		case word[0] == '+':
			os.WriteFile(word[1:], nil, 0o600)
		case word == "HEED":
			signal.Notify(terminated, unix.SIGTERM)
		case word == "TERM":
			<-terminated
		case verb == "EXIT":
			os.Exit(count)
		case verb == "BEATS":
			every, err := daemon.SdWatchdogEnabled(false)
			for range count {
				<-time.After(every / 2)
				say(daemon.SdNotifyWatchdog)
			}
			if every == 0 || err != nil {
				fmt.Println("no watchdog:", err)
				os.Exit(9)
			}
		default:
			say(word)
		}
	}
	select {}
}

func say(word string) {
	if sent, err := daemon.SdNotify(false, word); !sent || err != nil {
		fmt.Println("not said:", err)
		os.Exit(8)
	}
}

// speaker is a Spec of it.
func speaker(t *testing.T, words ...string) Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Argv: append([]string{self}, words...), Env: []string{"RUNNER_TEST_MODE=speaker"}, Probe: &Probe{Notify: true}}
}

// touch makes a file that a speaker waits for, or waits for one that it makes.
func touch(t *testing.T, path string) { writeFile(t, path, "", 0o600) }

func made(t *testing.T, path string) {
	t.Helper()
	eventually(t, path, func() bool { _, err := os.Stat(path); return err == nil })
}

// TestNotify: a child is up when it says so, and not before; so says the client that
// programs in Go use.
func TestNotify(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	said, go1 := filepath.Join(dir, "said"), filepath.Join(dir, "go")
	s := speaker(t, "STATUS=about to\x01 begin", "READY=0", "+"+said, "@"+go1, "READY=1\nSTATUS=at work")
	s.MinUptime = 10 * time.Millisecond
	g.start(s)
	g.wait("c", Spawned)
	made(t, said)
	eventually(t, "it is heard", func() bool { return strings.HasPrefix(g.Live()[0].Status, "about to") })
	if g.Live()[0].Up {
		t.Error("up before it says so")
	}
	touch(t, go1)
	g.wait("c", Up)
	eventually(t, "its status", func() bool { return g.Live()[0].Status == "at work" })
	g.Stop("c", "test")
	g.wait("c", Exited)
}

// TestNotifyDeadlines: a start has its time, which the child may put off, and so has a
// stop.
func TestNotifyDeadlines(t *testing.T) {
	g := newRig(t, Config{})
	const limit = time.Second
	silent := speaker(t)
	silent.Key, silent.Probe.StartTimeout = "silent", limit
	g.start(silent)
	late := filepath.Join(t.TempDir(), "late")
	slow := speaker(t, "HEED", "EXTEND_TIMEOUT_USEC=60000000", "@"+late, "READY=1", "TERM", "EXTEND_TIMEOUT_USEC=60000000", "@"+late+"r", "EXIT:4")
	slow.Key, slow.Probe.StartTimeout, slow.Grace = "slow", limit, limit
	g.start(slow)
	begun := g.wait("slow", Spawned).At
	if e := g.wait("silent", Failed); e.Err != "not ready within 1s: it has not said READY=1" {
		t.Errorf("got %s", e)
	}
	<-time.After(time.Until(begun.Add(limit + limit/2)))
	touch(t, late)
	g.wait("slow", Up)
	g.Stop("slow", "test")
	<-time.After(limit + limit/2)
	touch(t, late+"r")
	if e := g.wait("slow", Exited); e.Code != 4 || !e.Requested {
		t.Errorf("got %s", e)
	}
}

// TestNotifyIsNoOtherProbe: who is asked is not up for having said so.
func TestNotifyIsNoOtherProbe(t *testing.T) {
	g := newRig(t, Config{})
	s := speaker(t, "READY=1\nSTATUS=said")
	s.Probe = &Probe{Exec: []string{"false"}, Interval: probeOften, StartTimeout: 1500 * time.Millisecond}
	s.Liveness = &Liveness{Heartbeat: time.Hour}
	g.start(s)
	g.wait("c", Spawned)
	eventually(t, "it is heard", func() bool {
		live := g.Live()
		return len(live) == 1 && live[0].Status == "said"
	})
	if e := g.wait("c", Failed); !strings.Contains(e.Err, "not ready within") {
		t.Errorf("got %s", e)
	}
}

// TestNotifySender: a helper may speak for its child, and nobody else. It stays: whose it
// was when it has ended before it is read, nobody can tell.
func TestNotifySender(t *testing.T) {
	g := newRig(t, Config{})
	s := speaker(t)
	self, file := s.Argv[0], filepath.Join(t.TempDir(), "go")
	s.Argv = []string{"sh", "-c", "trap 'exit 3' TERM; " + self + " STATUS=hello @" + file + " READY=1; while :; do sleep 0.01; done"}
	g.start(s)
	pid := g.wait("c", Spawned).PID
	eventually(t, "it is heard", func() bool { return g.Live()[0].Status == "hello" })
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	_, name, ok := bytes.Cut(env, []byte("NOTIFY_SOCKET="))
	name, _, _ = bytes.Cut(name, []byte{0})
	if err != nil || !ok || len(name) < 30 {
		t.Fatalf("NOTIFY_SOCKET is %q, %v", name, err)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: string(name), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 40 { // more than are read at once
		if _, err := conn.Write([]byte("READY=1\nSTATUS=forged")); err != nil {
			t.Fatal(err)
		}
	}
	conn.Write(bytes.Repeat([]byte("STATUS=long\n"), maxNotice))
	touch(t, file)
	g.wait("c", Up)
	if s := g.Live()[0].Status; s != "hello" {
		t.Errorf("a stranger was heeded: %s", s)
	}
}

// TestHeartbeat: as long as they come a child lives, and when they fail to it is stopped.
func TestHeartbeat(t *testing.T) {
	g := newRig(t, Config{})
	const every, beats = 400 * time.Millisecond, 4
	s := speaker(t, "READY=1", "BEATS:"+strconv.Itoa(beats))
	s.Liveness = &Liveness{Heartbeat: every, Severity: health.Fatal}
	g.start(s)
	up := g.wait("c", Up).At
	e := g.wait("c", Exited)
	if e.Unwell.Severity != health.Fatal || !strings.Contains(e.Unwell.Reason, "one is due every 400ms") || e.Requested {
		t.Errorf("got %s", e)
	}
	if lived := e.At.Sub(up); lived < beats*every/2+2*every-every/2 {
		t.Errorf("it lived %s", lived)
	}
	for _, word := range []string{"WATCHDOG=trigger", "WATCHDOG_USEC=1000"} {
		s = speaker(t, "READY=1", word)
		s.Liveness = &Liveness{Heartbeat: time.Hour}
		if word != "WATCHDOG=trigger" {
			s.Liveness.Heartbeat = 400 * time.Millisecond // looked at every 50 ms
		}
		g.start(s)
		if e := g.wait("c", Exited); e.Unwell.Severity != health.Critical {
			t.Errorf("%s: %s", word, e)
		}
	}
}

// TestSaysStopping: a child that says that it ends is not asked any more, but has no
// more than its grace.
func TestSaysStopping(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	s := speaker(t, "READY=1", "STOPPING=1", "@"+filepath.Join(dir, "go"), "EXIT:3")
	s.Liveness = &Liveness{Heartbeat: 300 * time.Millisecond}
	g.start(s)
	up := g.wait("c", Up).At
	<-time.After(time.Until(up.Add(700 * time.Millisecond)))
	touch(t, filepath.Join(dir, "go"))
	if e := g.wait("c", Exited); e.Code != 3 || !e.Unwell.IsHealthy() || e.Requested {
		t.Errorf("got %s", e)
	}
	s = speaker(t, "READY=1", "STOPPING=1")
	s.Grace = 50 * time.Millisecond
	g.start(s)
	if e := g.wait("c", Exited); e.Signal != "SIGKILL" || e.Requested {
		t.Errorf("got %s", e)
	}
}

// TestNotifyOutlivesTheAgent: the socket's name is that of the keeper's copy, so what is
// said while nobody listens is heard by the next runner, and so are heartbeats.
func TestNotifyOutlivesTheAgent(t *testing.T) {
	h := newHeirs(t, 3)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	late := speaker(t, "@"+at("go"), "READY=1", "+"+at("said"), "BEATS:8")
	late.Key, late.Liveness = "late", &Liveness{Heartbeat: 200 * time.Millisecond}
	early := speaker(t, "READY=1")
	early.Key, early.MinUptime = "early", 500*time.Millisecond
	leaves := speaker(t, "READY=1", "STOPPING=1", "+"+at("leaves"))
	leaves.Key, leaves.Grace, leaves.Liveness = "leaves", time.Second, &Liveness{Heartbeat: time.Second}
	g := h.next()
	for _, s := range []Spec{late, early, leaves} {
		g.start(s)
	}
	g.wait("late", Spawned)
	g.wait("leaves", Up)
	made(t, at("leaves"))
	eventually(t, "both are heard", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		early, leaves := g.byKey["early"], g.byKey["leaves"]
		return early != nil && early.ready && leaves != nil && leaves.leaving
	})
	h.crash(g)
	touch(t, at("go"))
	made(t, at("said"))

	g = h.next()
	g.wait("late", Up)
	g.wait("early", Up)
	if e := g.wait("leaves", Exited); e.Signal != "SIGKILL" || !e.Unwell.IsHealthy() {
		t.Errorf("got %s", e)
	}
	if e := g.wait("late", Exited); !strings.Contains(e.Unwell.Reason, "heartbeat") {
		t.Errorf("got %s", e)
	}
}

// TestNotifyNeedsNoFiles: nothing is spent on children that do not speak, and nothing is
// left of those that did.
func TestNotifyNeedsNoFiles(t *testing.T) {
	g := newRig(t, Config{})
	if out := g.run(Spec{Argv: []string{"sh", "-c", "echo $NOTIFY_SOCKET-$WATCHDOG_USEC"}, Env: []string{"A=b"}}); out != "-\n" {
		t.Errorf("told of a socket: %s", out)
	}
	s := Spec{Key: "d", Argv: []string{"sh", "-c", "echo $NOTIFY_SOCKET $WATCHDOG_USEC"}, Env: []string{"NOTIFY_SOCKET=/forged"}}
	s.Liveness = &Liveness{Heartbeat: 3 * time.Second}
	if out := g.run(s); !strings.HasPrefix(out, "@selfware/notify/") || !strings.HasSuffix(out, " 3000000\n") {
		t.Errorf("told %s", out)
	}
	sockets, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Fields(g.output("d", "stdout", nil))[0]
	if bytes.Contains(sockets, []byte(name)) {
		g.Settle("d") // the keeper may hold it until then
		eventually(t, "the socket is gone", func() bool {
			sockets, _ := os.ReadFile("/proc/net/unix")
			return !bytes.Contains(sockets, []byte(name))
		})
	}
}

// TestNotifyOfOtherPrograms: what Debian ships.
func TestNotifyOfOtherPrograms(t *testing.T) {
	t.Run("systemd-notify", func(t *testing.T) {
		needProgram(t, "systemd-notify")
		g := newRig(t, Config{})
		// It waits for the answer to BARRIER=1, five seconds at most, and fails without.
		g.start(Spec{Argv: []string{"sh", "-c", "systemd-notify --ready --status=done && echo heard; exec sleep 1000"}, Probe: &Probe{Notify: true}})
		g.wait("c", Up)
		g.output("c", "stdout", func(s string) bool { return s == "heard\n" })
		if s := g.Live()[0].Status; s != "done" {
			t.Errorf("its status is %q", s)
		}
	})
	t.Run("redis", func(t *testing.T) {
		needProgram(t, "redis-server")
		g := newRig(t, Config{})
		dir := t.TempDir()
		redis := []string{"redis-server", "--port", "0", "--unixsocket", "redis.sock", "--save", "", "--supervised", "systemd"}
		g.start(Spec{Argv: redis, Dir: dir, Probe: &Probe{Notify: true}})
		g.wait("c", Up)
		if _, err := os.Stat(filepath.Join(dir, "redis.sock")); err != nil {
			t.Errorf("up, and does not serve: %v", err)
		}
		eventually(t, "its status", func() bool { return strings.Contains(g.Live()[0].Status, "Ready to accept connections") })
		g.Stop("c", "test")
		if e := g.wait("c", Exited); e.Code != 0 || !e.Requested {
			t.Errorf("got %s", e)
		}
	})
	t.Run("as another user", func(t *testing.T) {
		needRoot(t)
		needProgram(t, "systemd-notify")
		g := newRig(t, Config{})
		if err := os.Chmod(g.cfg.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		g.start(Spec{Argv: []string{"sh", "-c", "systemd-notify --ready; exec sleep 1000"}, User: "nobody", Probe: &Probe{Notify: true}})
		g.wait("c", Up)
	})
}
