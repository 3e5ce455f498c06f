package dev

import (
	"bytes"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/api"
)

func TestFreeBlock(t *testing.T) {
	busy := errors.New("busy")
	tests := []struct {
		name  string
		taken map[string]bool
		want  string
		err   error
	}{
		{"all free", nil, "127.0.0.11", nil},
		{"the first is taken", map[string]bool{"127.0.0.11": true}, "127.0.1.11", busy},
		{"two are taken", map[string]bool{"127.0.0.11": true, "127.0.1.11": true}, "127.0.2.11", busy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, err := freeBlock(3, func(ip net.IP) error {
				if tt.taken[ip.String()] {
					return busy
				}
				return nil
			})
			if first.String() != tt.want || err != tt.err {
				t.Errorf("got %v, %v; want %s, %v", first, err, tt.want, tt.err)
			}
		})
	}
	if first, err := freeBlock(3, func(net.IP) error { return busy }); first != nil || err != busy {
		t.Errorf("got %v, %v with nothing free", first, err)
	}
}

// TestTaken: the error names the address and the process that has it.
func TestTaken(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	port := lis.Addr().(*net.TCPAddr).Port
	err = taken(net.IPv4(127, 0, 0, 1), port, 1)
	if err == nil || !strings.Contains(err.Error(), lis.Addr().String()+" is in use by ") ||
		!strings.HasSuffix(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v, want that pid %d uses %v", err, os.Getpid(), lis.Addr())
	}
}

func status(children ...api.ChildStatus) api.Status {
	return api.Status{
		Cluster: api.ClusterStatus{Leader: "n2"},
		Nodes:   []api.NodeStatus{{Name: "n1", Status: "alive"}, {Name: "n2", Status: "alive"}},
		Trees:   []api.TreeStatus{{Name: "shop", Children: children}},
	}
}

func TestSettled(t *testing.T) {
	child := func(s string) api.ChildStatus { return api.ChildStatus{Path: "shop/a", Status: s} }
	tests := []struct {
		name      string
		status    api.Status
		processes int
		want      bool
	}{
		{"nothing to run", status(), 2, true},
		{"all runs", status(child("running")), 2, true},
		{"one was stopped", status(child("running"), child("stopped")), 2, true},
		{"one starts", status(child("running"), child("starting")), 2, false},
		{"one waits out its back-off", status(child("backoff")), 2, false},
		{"a node is not found lost yet", status(child("running")), 1, false},
		{"a node is not back yet", status(child("running")), 3, false},
		{"no leader", api.Status{}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := settled(tt.status, tt.processes); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestTellNext: what to kill is said once things are settled, again only when it
// has changed, and not without anything to kill.
func TestTellNext(t *testing.T) {
	var out bytes.Buffer
	d := &dev{cfg: Config{Out: &out}, members: []*member{{name: "n1", pid: 11}, {name: "n2", pid: 12}}}
	say := func(l look) string {
		out.Reset()
		d.tellNext(l)
		return out.String()
	}
	running := status(api.ChildStatus{Path: "shop/web", Supervisor: true, Status: "running"},
		api.ChildStatus{Path: "shop/web/a", Status: "running", PID: 4711, Node: "n1"})
	got := say(look{status: running})
	if !strings.Contains(got, "kill -9 4711     # child shop/web/a on n1\n  kill -9 12       # node n2, which leads\n") {
		t.Errorf("said %q", got)
	}
	if got := say(look{status: running}); got != "" || !d.changed.IsZero() {
		t.Errorf("said %q twice", got)
	}
	running.Trees[0].Children[1].PID = 4712
	if got := say(look{status: running}); !strings.Contains(got, "kill -9 4712") {
		t.Errorf("said %q after the pid had changed", got)
	}
	running.Trees[0].Children[1].Status = "starting"
	if got := say(look{status: running}); got != "" || d.changed.IsZero() {
		t.Errorf("said %q while a child starts", got)
	}
	if got := say(look{err: errors.New("no answer")}); got != "" || d.changed.IsZero() {
		t.Errorf("said %q without an answer", got)
	}
}

// TestEventsOnce: every node tells every event; it is printed once, in order.
func TestEventsOnce(t *testing.T) {
	var out bytes.Buffer
	d := &dev{cfg: Config{Out: &out}}
	for _, e := range []api.Event{{Index: 1}, {Index: 2}, {Index: 2, N: 1}, {Index: 1}, {Index: 2}, {Index: 2, N: 1}, {Index: 3}} {
		e.Sentence = "at " + strconv.Itoa(int(e.Index)) + "." + strconv.Itoa(e.N)
		d.event(e)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimSpace(line[strings.Index(line, "at "):]))
	}
	if want := "at 1.0,at 2.0,at 2.1,at 3.0"; strings.Join(got, ",") != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestConfig(t *testing.T) {
	c := Config{Binary: "/bin/x"}
	if err := c.Validate(); err != nil || c.Nodes != 3 || c.LogLevel != "info" || c.Out == nil {
		t.Errorf("got %v, %+v", err, c)
	}
	for _, c := range []Config{{Binary: "/bin/x", Nodes: -1}, {Binary: "/bin/x", Nodes: maxNodes + 1}, {}} {
		if c.Validate() == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestNodeThatDoesNotStart: the error has the node's last words, and nothing is
// left.
func TestNodeThatDoesNotStart(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	program := temp + "-program"
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho the disk is full; exit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(program)
	began := time.Now()
	err := Run(t.Context(), Config{Binary: program, Nodes: 1})
	if err == nil || !strings.Contains(err.Error(), "cannot start n1 (exit status 3)") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(temp); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	if took := time.Since(began); took > startTime/2 {
		t.Errorf("it took %v", took)
	}
}
