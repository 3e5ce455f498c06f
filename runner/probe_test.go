package runner

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const probeOften = 5 * time.Millisecond

func TestProbeTCP(t *testing.T) {
	g := newRig(t, Config{})
	// Take a free port and give it back: the probe fails until we listen again.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	g.start(Spec{Argv: []string{"sleep", "1000"}, Probe: &Probe{TCP: address, Interval: probeOften}})
	g.wait("c", Spawned)
	if p := g.Live()[0]; p.Up {
		t.Fatalf("up before anything listens: %+v", p)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g.wait("c", Up)
}

func TestProbeHTTP(t *testing.T) {
	g := newRig(t, Config{})
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, req, "http://127.0.0.1:1/nobody", http.StatusFound)
	}))
	defer server.Close()
	g.start(Spec{Argv: []string{"sleep", "1000"}, Probe: &Probe{HTTP: server.URL, Interval: probeOften}})
	g.wait("c", Up)
	if n := asked.Load(); n != 3 {
		t.Fatalf("asked %d times, want 3: two refusals and a redirect, which passes", n)
	}
}

func TestProbeExec(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	g.start(Spec{
		Argv: []string{"sh", "-c", "echo ready > flag; exec sleep 1000"}, Dir: dir, Env: []string{"FLAG=flag"},
		Probe: &Probe{Exec: []string{"sh", "-c", "test -s $FLAG"}, Interval: probeOften},
	})
	g.wait("c", Spawned)
	g.wait("c", Up)
	if live := g.Live(); len(live) != 1 {
		t.Fatalf("probes show among the live: %v", live)
	}
}

func TestProbeThatNeverPasses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for want, probe := range map[string]*Probe{
		"connection refused":        {TCP: "127.0.0.1:1"},
		"answers 404 Not Found":     {HTTP: server.URL},
		"false exited with 1":       {Exec: []string{"false"}},
		"sh ended by SIGTERM":       {Exec: []string{"sh", "-c", "kill $$"}},
		"sleep did not end in time": {Exec: []string{"sleep", "1000"}, Timeout: 20 * time.Millisecond},
		"not found in PATH":         {Exec: []string{"no-such-probe"}},
	} {
		g := newRig(t, Config{})
		probe.Interval, probe.StartTimeout = probeOften, 300*time.Millisecond
		g.start(Spec{Argv: []string{"sleep", "1000"}, Probe: probe})
		pid := g.wait("c", Spawned).PID
		e := g.wait("c", Failed, Exited, Up)
		if e.Kind != Failed || !e.BeforeUp || e.Requested || !strings.HasPrefix(e.Err, "not ready within 300ms: ") || !strings.Contains(e.Err, want) {
			t.Errorf("want %q, got %s", want, e)
		}
		if running(pid) {
			t.Errorf("%s: the child still runs", want)
		}
	}
}

func TestProbeEndsWithItsChild(t *testing.T) {
	g := newRig(t, Config{})
	probe := &Probe{Exec: []string{"sleep", "1000"}, Timeout: time.Hour, StartTimeout: time.Hour}
	g.start(Spec{Key: "dies", Argv: []string{"sleep", "0.05"}, Probe: probe})
	if e := g.wait("dies", Exited); !e.BeforeUp || e.Code != 0 {
		t.Errorf("got %+v", e)
	}
	g.start(Spec{Key: "stopped", Argv: []string{"sleep", "1000"}, Probe: probe})
	g.wait("stopped", Spawned)
	g.Stop("stopped", "test")
	if e := g.wait("stopped", Exited); !e.Requested || !e.BeforeUp {
		t.Errorf("got %+v", e)
	}
	eventually(t, "the probes have ended too", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.byKey) == 0
	})
}

func TestProbeAndMinUptime(t *testing.T) {
	g := newRig(t, Config{})
	const least = 80 * time.Millisecond
	g.start(Spec{Argv: []string{"sleep", "1000"}, MinUptime: least, Probe: &Probe{Exec: []string{"true"}}})
	g.wait("c", Spawned)
	born := g.Live()[0].Since // Spawned is told a moment later
	if up := g.wait("c", Up); up.At.Sub(born) < least {
		t.Fatalf("up after %s", up.At.Sub(born))
	}
}

func TestProbesAreBounded(t *testing.T) {
	g := newRig(t, Config{})
	var now, most atomic.Int32
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		for n := now.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		<-hold
		now.Add(-1)
	}))
	defer server.Close()
	const children = maxProbes + 8
	for i := range children {
		g.start(Spec{Key: fmt.Sprint(i), Argv: []string{"sleep", "1000"}, Probe: &Probe{HTTP: server.URL, Timeout: time.Hour}})
	}
	for i := range children {
		g.wait(fmt.Sprint(i), Spawned)
	}
	eventually(t, "probes run", func() bool { return now.Load() == maxProbes })
	close(hold)
	for i := range children {
		g.wait(fmt.Sprint(i), Up)
	}
	if most.Load() > maxProbes {
		t.Fatalf("%d probes at once", most.Load())
	}
}

func TestProbeRunsInTheChildsFolder(t *testing.T) {
	g := newRig(t, Config{})
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "check"), "#!/bin/sh\ntest \"$A\" = 1\n", 0o755)
	g.start(Spec{
		Argv: []string{"sleep", "1000"}, Dir: dir, Env: []string{"A=1"},
		Probe: &Probe{Exec: []string{"./check"}, Interval: probeOften, StartTimeout: 5 * time.Second},
	})
	g.wait("c", Up)
}
