package runner

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestParseWord: what a program may write.
func TestParseWord(t *testing.T) {
	for value, want := range map[string]word{
		"finish": {"finish", ""}, "fail: no disk": {"fail", "no disk"}, "move too hot ": {"move", "too hot"}, "escalate:x": {"escalate", "x"},
		"none": {}, "none: of it": {}, "finish:": {"finish", ""}, "finish: a\tb\x1b[1mc\xff": {"finish", "a b [1mc?"},
	} {
		if got, ok := parseWord(value); !ok || got != want {
			t.Errorf("%q: %q, %v; want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", ":", "Finish", "finished", "sing: a song", " finish"} {
		if got, ok := parseWord(value); ok {
			t.Errorf("%q is taken for %q", value, got)
		}
	}
	for _, long := range []string{strings.Repeat("x", 4000), strings.Repeat("\xf0", 4000), strings.Repeat("世", 4000)} {
		if got, ok := parseWord("fail: " + long); !ok || len(got.Because) > maxBecause+10 || !utf8.ValidString(got.Because) {
			t.Errorf("%d bytes, valid %v", len(got.Because), utf8.ValidString(got.Because))
		}
	}
}

// TestWord: the last word before the end goes with it, however soon the end comes after.
func TestWord(t *testing.T) {
	g := newRig(t, Config{})
	for i, c := range []struct {
		words, want string
	}{
		{"X_SELFWARE=finish: all done", "finish all done"},
		{"X_SELFWARE=fail|X_SELFWARE=escalate: really\nSTATUS=x", "escalate really"},
		{"X_SELFWARE=fail: why|X_SELFWARE=none", " "},
		{"X_SELFWARE=fail: why|X_SELFWARE=sing", "fail why"},
		{"STATUS=x", " "},
	} {
		for n := range 5 { // the end and the word race
			s := speaker(t, append(strings.Split(c.words, "|"), fmt.Sprint("EXIT:", n))...)
			s.Key, s.Probe, s.Notify = fmt.Sprint("c", i, n), nil, true
			g.start(s)
			if e := g.wait(s.Key, Exited); e.Word+" "+e.Because != c.want || e.Code != n {
				t.Errorf("%q: %q %q, code %d", c.words, e.Word, e.Because, e.Code)
			}
		}
	}
	// The next life of the same child has said nothing yet.
	g.start(Spec{Key: "c00", Argv: []string{"false"}, Notify: true})
	if e := g.wait("c00", Exited); e.Word != "" {
		t.Errorf("the life after: %+v", e)
	}
}

// TestWordOfTheLastMoment: more is said at the end than is read at a time.
func TestWordOfTheLastMoment(t *testing.T) {
	g := newRig(t, Config{})
	words := []string{"READY=1"}
	for i := range 5 * noticesAtOnce {
		words = append(words, fmt.Sprintf("X_SELFWARE=fail: %d", i))
	}
	g.start(speaker(t, append(words, "X_SELFWARE=finish", "EXIT:1")...))
	if e := g.wait("c", Exited); e.Word != "finish" || e.Code != 1 {
		t.Errorf("got %+v", e)
	}
}

// TestAsks: a child that runs is heard at once, and once; one that is about to end speaks
// of its end.
func TestAsks(t *testing.T) {
	g := newRig(t, Config{})
	file := filepath.Join(t.TempDir(), "go")
	g.start(speaker(t, "READY=1", "X_SELFWARE=move: too hot", "X_SELFWARE=move: hotter", "X_SELFWARE=move", "@"+file, "EXIT:2"))
	if e := g.wait("c", Asked); e.Word != "move" || e.Because != "too hot" || e.PID == 0 {
		t.Errorf("asked: %+v", e)
	}
	touch(t, file)
	if e := g.wait("c", Exited); e.Word != "move" || e.Because != "" || e.Code != 2 {
		t.Errorf("ended: %+v", e)
	}
	for _, e := range g.seen {
		if e.Kind == Asked {
			t.Errorf("asked again: %+v", e)
		}
	}
	for i, words := range [][]string{{"READY=1", "STOPPING=1", "X_SELFWARE=move", "EXIT:3"}, {"READY=1", "X_SELFWARE=move\nSTOPPING=1", "EXIT:3"}} {
		s := speaker(t, words...)
		s.Key = fmt.Sprint("ends", i)
		g.start(s)
		if e := g.wait(s.Key, Asked, Exited); e.Kind != Exited || e.Word != "move" {
			t.Errorf("%q: %+v", words, e)
		}
	}
}

// TestWordOutlivesTheAgent: the keeper has what was said before the agent's death, and the
// socket what was said after it; and an end that is told again is told with the word.
func TestWordOutlivesTheAgent(t *testing.T) {
	h := newHeirs(t, 3)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	before := speaker(t, "READY=1", "X_SELFWARE=escalate: before", "+"+at("before"), "@"+at("go"), "EXIT:4")
	after := speaker(t, "READY=1", "@"+at("go"), "X_SELFWARE=finish: after", "EXIT:5")
	asks := speaker(t, "READY=1", "X_SELFWARE=move: asks", "@"+at("never"))
	before.Key, after.Key, asks.Key = "before", "after", "asks"
	g := h.next()
	for _, s := range []Spec{before, after, asks} {
		g.start(s)
	}
	pids := []int{g.wait("before", Up).PID, g.wait("after", Up).PID}
	g.wait("asks", Asked)
	made(t, at("before"))
	eventually(t, "it is heard", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.byKey["before"].word.Verdict == "escalate"
	})
	h.crash(g)
	touch(t, at("go"))
	for _, pid := range pids {
		eventually(t, "it is gone", func() bool { return !running(pid) })
	}
	for range 2 {
		g = h.next()
		if e := g.wait("before", Exited); e.Word != "escalate" || e.Because != "before" || e.Code != 4 {
			t.Errorf("got %+v", e)
		}
		if e := g.wait("after", Exited); e.Word != "finish" || e.Because != "after" || e.Code != 5 {
			t.Errorf("got %+v", e)
		}
		if e := g.wait("asks", Asked); e.Because != "asks" {
			t.Errorf("got %+v", e)
		}
		if len(h.conns) > 0 {
			h.crash(g)
		}
	}
}

// TestWordOfSystemdNotify: what Debian ships says it, unmodified, from a shell.
func TestWordOfSystemdNotify(t *testing.T) {
	needProgram(t, "systemd-notify")
	g := newRig(t, Config{})
	g.start(Spec{Argv: []string{"sh", "-c", `systemd-notify X_SELFWARE="finish: all files are in" && exit 3; exit 1`}, Notify: true})
	if e := g.wait("c", Exited); e.Word != "finish" || e.Because != "all files are in" || e.Code != 3 {
		t.Errorf("got %+v", e)
	}
}

// TestStrangersHaveNoWord: nobody else says what follows from a child's end.
func TestStrangersHaveNoWord(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	g.start(Spec{Argv: []string{"sh", "-c", "echo $NOTIFY_SOCKET; while [ ! -e " + dir + "/go ]; do sleep 0.01; done; exit 7"}, Notify: true})
	name := strings.TrimSpace(g.output("c", "stdout", nil))
	stranger := speaker(t, "X_SELFWARE=escalate", "X_SELFWARE=move", "+"+dir+"/go", "EXIT:0")
	stranger.Key, stranger.Probe, stranger.Env = "stranger", nil, append(stranger.Env, "NOTIFY_SOCKET="+name)
	g.start(stranger)
	if e := g.wait("c", Asked, Exited); e.Kind != Exited || e.Word != "" || e.Code != 7 {
		t.Errorf("got %+v", e)
	}
}
