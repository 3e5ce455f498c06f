package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RUNNER_SECRET", "of the node")
	t.Setenv("TZ", "UTC")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "env"), "# comment\n\nexport A=file\nB=\"two words\"\nC='x=y'\nTZ=file\n", 0o600)
	g := newRig(t, Config{})
	got := g.run(Spec{Argv: []string{"env"}, Dir: dir, EnvFile: "env", Env: []string{"A=spec", "D="}})
	lines := strings.Split(strings.TrimSpace(got), "\n")
	have := make(map[string]bool)
	for _, line := range lines {
		have[line] = true
	}
	for _, want := range []string{"A=spec", "B=two words", "C=x=y", "D=", "TZ=file", "PATH=" + os.Getenv("PATH"), g.keeper.marker} {
		if !have[want] {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "RUNNER_SECRET") {
		t.Error("the child sees the node's environment")
	}
}

func TestArgvIsNotExpanded(t *testing.T) {
	g := newRig(t, Config{})
	if got := g.run(Spec{Argv: []string{"printf", "%s|", "$HOME", "a b", "*", ";"}}); got != "$HOME|a b|*|;|\n" {
		t.Fatalf("got %q", got)
	}
}

func TestWorkingDir(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "prog"), "#!/bin/sh\npwd\n", 0o755)
	g := newRig(t, Config{})
	if got := g.run(Spec{Argv: []string{"./prog"}, Dir: dir}); got != dir+"\n" {
		t.Fatalf("got %q, want %q", got, dir)
	}
}

func TestPathIsTheChilds(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "only-here"), "#!/bin/sh\necho found\n", 0o755)
	g := newRig(t, Config{})
	if got := g.run(Spec{Argv: []string{"only-here"}, Env: []string{"PATH=/nowhere:" + dir + ":/bin"}}); got != "found\n" {
		t.Fatalf("got %q", got)
	}
}

func TestUmask(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	mask := 0o157
	g := newRig(t, Config{})
	if got := g.run(Spec{Key: "own", Argv: []string{"sh", "-c", "umask"}, Umask: &mask}); got != "0157\n" {
		t.Errorf("got %q", got)
	}
	if got := g.run(Spec{Key: "none", Argv: []string{"sh", "-c", "umask"}}); got != "0022\n" {
		t.Errorf("the next child got %q", got)
	}
	limits := map[string]Limit{"core": {}}
	if got := g.run(Spec{Key: "helper", Argv: []string{"sh", "-c", "umask"}, Umask: &mask, Limits: limits}); got != "0157\n" {
		t.Errorf("through the helper got %q", got)
	}
	if now := syscall.Umask(0o022); now != 0o022 {
		t.Errorf("the node's own umask became %#o", now)
	}
}

func TestLimits(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	got := g.run(Spec{
		Argv: []string{"sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c; pwd; cat /proc/$$/stat"}, Dir: dir,
		Limits: map[string]Limit{"nofile": {Soft: 64, Hard: 128}, "core": {}},
	})
	lines := strings.Split(got, "\n")
	if strings.Join(lines[:4], " ") != "64 128 0 "+dir {
		t.Fatalf("got %q", got)
	}
	if stat := strings.Fields(lines[4]); stat[4] != stat[0] { // pid (name) state parent group
		t.Errorf("the child does not lead its group: %s", lines[4])
	}
}

// TestFileLimitIsInherited pins what the runner leans on: Go raises the soft
// limit of open files for itself and gives children the one it found.
func TestFileLimitIsInherited(t *testing.T) {
	dir := t.TempDir()
	node := startNode(t, dir, "ulimit -Sn 256 && exec \"$0\" \"$@\"", "sh -c 'ulimit -Sn'")
	node.line("exited")
	// Exited does not wait for the output to be written.
	if got := numbers(t, filepath.Join(dir, "logs/child0/stdout.log"), 1); got[0] != 256 {
		t.Fatalf("got %d", got[0])
	}
}

func TestUser(t *testing.T) {
	needRoot(t)
	g := newRig(t, Config{})
	for name, limits := range map[string]map[string]Limit{"plain": nil, "helper": {"nofile": {Soft: 64, Hard: 64}}} {
		got := g.run(Spec{Key: name, Argv: []string{"sh", "-c", "id -un; id -gn; echo $USER $HOME"}, User: "daemon", Limits: limits})
		if got != "daemon\ndaemon\ndaemon /usr/sbin\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := g.run(Spec{Key: "numbers", Argv: []string{"sh", "-c", "id -u; id -g; id -G"}, User: "54321", Group: "12345"}); got != "54321\n12345\n12345\n" {
		t.Errorf("got %q", got)
	}
	// A change of user clears the death signal; it must be set after it.
	g.start(Spec{Key: "dead", Argv: []string{"sleep", "1000"}, User: "daemon", Limits: map[string]Limit{"core": {}}})
	pid := g.wait("dead", Up).PID
	if err := g.stop(); err != nil || running(pid) {
		t.Errorf("child of another user outlives Run: %v", err)
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain := writeFile(t, filepath.Join(dir, "plain"), "#!/bin/sh\n", 0o644)
	noInterp := writeFile(t, filepath.Join(dir, "nointerp"), "#!/no/such/shell\n", 0o755)
	noFormat := writeFile(t, filepath.Join(dir, "noformat"), "neither ELF nor script\n", 0o755)
	badEnv := writeFile(t, filepath.Join(dir, "bad.env"), "A=1\n# fine\nno equals sign\n", 0o600)
	openQuote := writeFile(t, filepath.Join(dir, "quote.env"), "A=\"1\n", 0o600)
	mask := 0o1000
	true_ := []string{"true"}
	cases := []struct {
		spec Spec
		want string
	}{
		{Spec{}, "cannot start: no command is given"},
		{Spec{Argv: []string{"foo"}, Env: []string{"PATH=/usr/bin:/bin"}}, `cannot start "foo": not found in PATH /usr/bin:/bin`},
		{Spec{Argv: []string{"./foo"}, Dir: dir}, `cannot start "./foo": there is no file ` + dir + "/foo"},
		{Spec{Argv: []string{"plain"}, Env: []string{"PATH=" + dir}}, plain + " is not executable (mode -rw-r--r--)"},
		{Spec{Argv: []string{plain}}, "is not executable"},
		{Spec{Argv: []string{dir}}, "is a directory"},
		{Spec{Argv: []string{noInterp}}, "interpreter"},
		{Spec{Argv: []string{noFormat}}, "not a program"},
		{Spec{Argv: true_, Dir: "/no/such"}, "working dir /no/such does not exist"},
		{Spec{Argv: true_, Dir: plain}, "is not a directory"},
		{Spec{Argv: true_, User: "nobody-at-all"}, `user "nobody-at-all" does not exist`},
		{Spec{Argv: true_, Group: "no-group"}, `group "no-group" does not exist`},
		{Spec{Argv: true_, EnvFile: "/no/env"}, "cannot read env_file: open /no/env: no such file"},
		{Spec{Argv: true_, EnvFile: badEnv}, "bad.env, line 3: \"no equals sign\" has no ="},
		{Spec{Argv: true_, EnvFile: openQuote}, "line 1: the quote of the value of A is never closed"},
		{Spec{Argv: true_, Env: []string{"nonsense"}}, "is not KEY=VALUE"},
		{Spec{Argv: true_, StopSignal: "SIGNONE"}, `stop signal "SIGNONE" is not known`},
		{Spec{Argv: true_, Umask: &mask}, "umask"},
		{Spec{Argv: true_, Name: "../up"}, "not a slash-separated name"},
		{Spec{Argv: true_, Probe: &Probe{}}, "exactly one of"},
		{Spec{Argv: true_, Grace: -1}, "must not be negative"},
		{Spec{Argv: true_, Limits: map[string]Limit{"files": {}}}, `there is no limit "files"; the limits are as, core`},
		{Spec{Argv: true_, Limits: map[string]Limit{"core": {Soft: 2, Hard: 1}}}, "soft 2 above hard 1"},
		{Spec{Argv: []string{noInterp}, Limits: map[string]Limit{"core": {}}}, "interpreter"},
		{Spec{Argv: []string{"true", strings.Repeat("x", 3<<20)}}, "too long"},
	}
	g := newRig(t, Config{})
	for i, c := range cases {
		c.spec.Key = fmt.Sprint("k", i)
		g.start(c.spec)
		e := g.wait(c.spec.Key, Failed, Exited)
		if e.Kind != Failed || !strings.Contains(e.Err, c.want) || !strings.HasPrefix(e.Err, "cannot start") || e.Requested || !e.BeforeUp {
			t.Errorf("%+v: want %q, got %s", c.spec, c.want, e)
		}
	}
	if err := g.Start(Spec{}); err == nil {
		t.Error("an empty key is accepted")
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]Limit{
		"0": {}, "1024": {1024, 1024}, "5:10": {5, 10}, "unlimited": {Unlimited, Unlimited}, "7:unlimited": {7, Unlimited},
	} {
		if got, err := ParseLimit(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "10:5", "1:2:3", "unlimited:5", "1:"} {
		if got, err := ParseLimit(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
