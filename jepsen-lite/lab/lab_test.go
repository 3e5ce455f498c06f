package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds selfware-node once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "selfware-lab-test-")
	if err != nil {
		return "", err
	}
	built = dir
	out := filepath.Join(dir, "selfware-node")
	return out, Build(context.Background(), out, "")
})

var built string // the folder of the binary, once there is one

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// start makes a lab and waits until it lives.
func start(t *testing.T, cfg Config) Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("real processes: not in -short")
	}
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Clocks {
		cfg.Binary = bin
	}
	cfg.Dir = t.TempDir()
	l, err := New(cfg)
	if u := (*Unable)(nil); errors.As(err, &u) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("cannot close the lab: %v", err)
		}
		if t.Failed() {
			for _, n := range l.Nodes() {
				text, _ := os.ReadFile(n.Log())
				t.Logf("--- log of %s\n%s", n.Name(), text[max(0, len(text)-4000):])
			}
		}
	})
	at := time.Now()
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes by %s after %v; it can %v", len(l.Nodes()), cfg.Backend, time.Since(at).Round(time.Millisecond), l.Can())
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNetns: the whole life of a lab: kill, start, freeze, cut, heal, join,
// leave; and nothing is left behind.
func TestNetns(t *testing.T) {
	l := start(t, Config{Backend: "netns", Nodes: 3, Profile: "fast"})
	leader, err := Leader(t.Context(), l)
	must(t, err)

	t.Run("cut", func(t *testing.T) {
		for _, n := range l.Nodes() {
			if n.Name() != leader.Name() {
				must(t, l.Network().Set(leader.Name(), n.Name(), AllPorts, Rule{Cut: true}))
				must(t, l.Network().Set(n.Name(), leader.Name(), AllPorts, Rule{Cut: true}))
			}
		}
		var last string
		must(t, await(t.Context(), 20*time.Second, "another leads", func() string {
			for _, n := range l.Nodes() {
				var s struct{ Cluster struct{ Leader string } }
				if n.Name() != leader.Name() && Ask(t.Context(), n, "/v1/status", &s) == nil && s.Cluster.Leader != leader.Name() {
					last = s.Cluster.Leader
					return ""
				}
			}
			return "none does"
		}))
		var s struct{}
		if err := Ask(t.Context(), leader, "/v1/status", &s); err == nil {
			t.Error("a leader alone answers a linearizable read")
		}
		sum, err := l.Network().Traffic("", "")
		must(t, err)
		t.Logf("%s took over; traffic %+v", last, sum)
		if sum.Cut == 0 {
			t.Error("the cut dropped nothing")
		}
		must(t, l.Network().Heal())
		must(t, Settle(t.Context(), l, 30*time.Second))
	})

	n := l.Nodes()[1]
	t.Run("kill and start", func(t *testing.T) {
		k, err := n.Keeper()
		must(t, err)
		must(t, n.Kill())
		if _, err := State(k); err == nil {
			t.Error("a killed node's process is there")
		}
		must(t, n.Start(t.Context()))
		if n.Boot() != 2 {
			t.Errorf("boot %d after the second start", n.Boot())
		}
		must(t, Settle(t.Context(), l, 30*time.Second))
	})
	t.Run("freeze", func(t *testing.T) {
		must(t, n.Freeze())
		a, err := n.Agent()
		must(t, err)
		must(t, Await(a, "T", time.Second))
		if Ask(t.Context(), n, "/v1/health", &struct{}{}) == nil {
			t.Error("a frozen node answers")
		}
		must(t, n.Thaw())
		must(t, Settle(t.Context(), l, 30*time.Second))
	})
	t.Run("disk full", func(t *testing.T) {
		bytes, err := n.Disk().Fill()
		must(t, err)
		t.Logf("filled with %d bytes", bytes)
		must(t, n.Disk().Free())
	})
	t.Run("join and leave", func(t *testing.T) {
		more, err := l.Join(t.Context())
		must(t, err)
		must(t, l.Leave(t.Context(), more))
		if !more.Left() {
			t.Error("it has not left")
		}
	})
	at := time.Now()
	must(t, l.Close())
	t.Logf("closed after %v", time.Since(at))
	if _, err := os.Stat(l.Witness().Here); err == nil {
		t.Error("the lab's folder is there after it was closed")
	}
}

// TestPowerCut: what was synced is there, what was not is gone, and the cluster
// comes back from the disks of a cut of all nodes at once.
func TestPowerCut(t *testing.T) {
	l := start(t, Config{Backend: "netns", Nodes: 3, Profile: "fast", PowerCuts: true})
	lost, err := l.PowerCut(t.Context(), l.Nodes()...)
	must(t, err)
	if lost.Kept != 3 || lost.Gone != 3 {
		t.Errorf("the power cut of three nodes: %+v", lost)
	}
	for _, n := range l.Nodes() {
		must(t, n.Start(t.Context()))
	}
	must(t, Settle(t.Context(), l, 30*time.Second))
}

// TestLoopback needs no root, and can do less.
func TestLoopback(t *testing.T) {
	l := start(t, Config{Backend: "loopback", Nodes: 3, Profile: "fast"})
	if l.Network() != nil || l.Can().Has(CanCut) {
		t.Error("loopback says that it can cut")
	}
	n := l.Nodes()[2]
	a, err := n.Agent()
	must(t, err)
	must(t, Signal(a, syscall.SIGSTOP))
	must(t, Await(a, "T", time.Second))
	must(t, Signal(a, syscall.SIGCONT))
	must(t, n.Stop(t.Context()))
	must(t, n.Start(t.Context()))
	must(t, Settle(t.Context(), l, 30*time.Second))
}

// TestStartTwice: two faults that both want a node up do not stand in each other's way.
func TestStartTwice(t *testing.T) {
	me, err := procOf(os.Getpid())
	must(t, err)
	n := &procNode{name: "n1", keeper: me, done: make(chan struct{}), boot: 1}
	if err := n.Start(t.Context()); err != nil || n.Boot() != 1 {
		t.Errorf("a node that runs: %v, boot %d", err, n.Boot())
	}
}

// TestClocksNeedTheModule: outside of it there is nothing to build, and the error says
// where it would be, as no other binary helps.
func TestClocksNeedTheModule(t *testing.T) {
	must(t, Clocks())
	other := t.TempDir()
	must(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module other\n"), 0o644))
	for _, dir := range []string{t.TempDir(), other} {
		t.Chdir(dir)
		err := Clocks()
		if u := (*Unable)(nil); !errors.As(err, &u) || !strings.Contains(err.Error(), "no --binary is") || !strings.Contains(err.Error(), "selfware's module as its working directory") {
			t.Errorf("in %s: %v", dir, err)
		}
	}
}
