package agent

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/health"
)

func TestKey(t *testing.T) {
	for _, ref := range []supervisor.Ref{{Path: "shop/web/api", Epoch: 7}, {Path: "a@b", Epoch: 1<<64 - 1}} {
		if got, ok := ParseKey(Key(ref)); !ok || got != ref {
			t.Errorf("%v became %v, %v", ref, got, ok)
		}
	}
	for _, key := range []string{"", "@1", "shop", "shop@", "shop@-1", "shop@1x", "shop@18446744073709551616"} {
		if got, ok := ParseKey(key); ok {
			t.Errorf("%q became %v", key, got)
		}
	}
}

func TestExitOf(t *testing.T) {
	ref := supervisor.Ref{Path: "a", Epoch: 1}
	tests := []struct {
		in   Event
		want supervisor.ChildEvent
	}{
		{Event{Kind: runner.Exited, PID: 9}, supervisor.ChildEvent{Type: supervisor.EventExited, PID: 9, Reason: supervisor.ExitNormal, Detail: "exit code 0"}},
		{Event{Kind: runner.Exited, Code: 3}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 3, Detail: "exit code 3"}},
		{Event{Kind: runner.Exited, Code: 3, BeforeUp: true}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 3, Detail: "exit code 3, before it was up"}},
		{Event{Kind: runner.Exited, Code: -1, Signal: "SIGSEGV"}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Signal: "SIGSEGV", Detail: "killed by SIGSEGV"}},
		{Event{Kind: runner.Exited, Code: -1, Signal: "SIGKILL", Requested: true}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Signal: "SIGKILL", Detail: "killed by SIGKILL, on request"}},
		{Event{Kind: runner.Exited, Code: -1, Err: "its exit status is lost"}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: -1, Detail: "its exit status is lost"}},
		{Event{Kind: runner.Exited, Unwell: health.Unhealthy("no answer", health.Critical)}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitTimeout, Detail: "not well: no answer"}},
		{Event{Kind: runner.Exited, Code: -1, Signal: "SIGKILL", Unwell: health.Unhealthy("lost", health.Fatal)}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitTimeout, Signal: "SIGKILL", Detail: "not well: lost", Fatal: true}},
		{Event{Kind: runner.Exited, Code: 3, Word: "fail", Because: "caf\xe9"}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 3, Detail: "exit code 3", Word: "fail", Because: "caf?"}},
		{Event{Kind: runner.Failed, Err: "no such program", BeforeUp: true}, supervisor.ChildEvent{Type: supervisor.EventCrashed, Detail: "no such program"}},
		{Event{Kind: runner.Failed, Err: "stopped before it was started", Requested: true}, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Detail: "stopped before it was started"}},
	}
	for _, tt := range tests {
		tt.want.Path, tt.want.Epoch = "a", 1
		if got := exitOf(ref, tt.in); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v:\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

// TestExitSignals: the names that a tree file may have are those that ends are told with,
// and every signal that ends a process by itself has one.
func TestExitSignals(t *testing.T) {
	known := make(map[string]bool)
	for _, name := range supervisor.ExitSignals() {
		known[name] = true
		if sig := unix.SignalNum(name); sig == 0 || unix.SignalName(sig) != name {
			t.Errorf("%s is told as %s", name, unix.SignalName(unix.SignalNum(name)))
		}
	}
	harmless := []unix.Signal{unix.SIGCHLD, unix.SIGCONT, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG, unix.SIGWINCH}
	for sig := unix.Signal(1); sig < 32; sig++ {
		ends := true
		for _, h := range harmless {
			ends = ends && sig != h
		}
		if known[unix.SignalName(sig)] != ends {
			t.Errorf("%s ends a process: %v, and may be named: %v", unix.SignalName(sig), ends, known[unix.SignalName(sig)])
		}
	}
}

func TestClip(t *testing.T) {
	for _, s := range []string{"", "short", "bad \xff\xfe", strings.Repeat("é", 400), strings.Repeat("a", 511) + "世界", strings.Repeat("\xf0", 5000)} {
		got := clip(s)
		if !utf8.ValidString(got) || len(got) > maxDetail+3 {
			t.Errorf("%.20q became %d bytes, valid %v", s, len(got), utf8.ValidString(got))
		}
		if len(s) < maxDetail && utf8.ValidString(s) && got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	base := map[string]string{"A": "base", "B": "base", "SELFWARE_NODE": "forged"}
	o := &order{reason: "crash", attempt: 3, generation: 3, program: &supervisor.Program{Env: map[string]string{
		"B": "own", "C": "", "SELFWARE_EPOCH": "forged", "SELFWARE_FENCE": "forged", "SELFWARE_OTHER": "forged",
	}}}
	got := environment(base, "n1", supervisor.Ref{Path: "shop/api", Epoch: 1 << 40}, o)
	want := []string{
		"A=base", "B=own", "C=", "SELFWARE_ATTEMPT=3", "SELFWARE_CHILD=shop/api",
		"SELFWARE_EPOCH=1099511627776", "SELFWARE_FENCE=00000003-0000010000000000", "SELFWARE_GENERATION=3", "SELFWARE_NODE=n1", "SELFWARE_START_REASON=crash",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestSpecOf fails when a field of the tree's program gets lost on the way.
func TestSpecOf(t *testing.T) {
	umask := 0o27
	p := &supervisor.Program{
		Argv: []string{"api", "-v"}, EnvFile: "env", Dir: "/srv", User: "u", Group: "g", Umask: &umask,
		Limits:     map[string]supervisor.Limit{"nofile": {Soft: 10, Hard: -1}},
		StopSignal: "SIGINT", Grace: time.Second, MinUptime: time.Minute, Notify: true,
		Probe: &supervisor.Probe{TCP: "t", HTTP: "h", GRPC: "g", Exec: []string{"e"}, Notify: true, Interval: 1, Timeout: 2, StartTimeout: 3, SuccessThreshold: 4},
		Liveness: &supervisor.Liveness{
			TCP: "t", HTTP: "h", GRPC: "g", Exec: []string{"e"}, Heartbeat: 9, Interval: 1, Timeout: 2, FailureThreshold: 3, SuccessThreshold: 4,
			Severity: supervisor.SeverityFatal,
		},
	}
	want := runner.Spec{
		Key: "shop/api@5", Name: "shop/api", Argv: p.Argv, Env: []string{"A=b"}, EnvFile: "env", Dir: "/srv",
		User: "u", Group: "g", Umask: &umask, Limits: map[string]runner.Limit{"nofile": {Soft: 10, Hard: 1<<64 - 1}},
		StopSignal: "SIGINT", Grace: time.Second, MinUptime: time.Minute, Exclusive: true, Notify: true,
		Probe: &runner.Probe{TCP: "t", HTTP: "h", GRPC: "g", Exec: []string{"e"}, Notify: true, Interval: 1, Timeout: 2, StartTimeout: 3, SuccessThreshold: 4},
		Liveness: &runner.Liveness{
			TCP: "t", HTTP: "h", GRPC: "g", Exec: []string{"e"}, Heartbeat: 9, Interval: 1, Timeout: 2, FailureThreshold: 3, SuccessThreshold: 4,
			Severity: health.Fatal,
		},
	}
	got := specOf(Launch{Ref: supervisor.Ref{Path: "shop/api", Epoch: 5}, Program: p, Env: []string{"A=b"}, Exclusive: true})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for _, v := range []any{got, *got.Probe, *got.Liveness} {
		for i, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if reflect.ValueOf(v).Field(i).IsZero() {
				t.Errorf("%T.%s is not set", v, f.Name)
			}
		}
	}
}

// nobody is a table of processes without any.
type nobody struct{ adapter }

func (nobody) Live() []link.Life { return nil }

func TestConfigValidate(t *testing.T) {
	good := func() Config {
		return Config{
			Node: link.Node{ID: "i", Name: "n"}, Runner: nobody{},
			Dial: func(context.Context) (link.Link, error) { return nil, nil },
		}
	}
	if _, err := New(good()); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no id":     func(c *Config) { c.Node.ID = "" },
		"no name":   func(c *Config) { c.Node.Name = "" },
		"no runner": func(c *Config) { c.Runner = nil },
		"no dial":   func(c *Config) { c.Dial = nil },
		"backwards": func(c *Config) { c.Silence = -1 },
	} {
		c := good()
		spoil(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "cannot use agent config: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
