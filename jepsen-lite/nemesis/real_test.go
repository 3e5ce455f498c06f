package nemesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

// realLab is five real nodes in namespaces.
func realLab(t *testing.T, cfg lab.Config) lab.Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("real processes: not in -short")
	}
	cfg.Dir = t.TempDir()
	if d := os.Getenv("LABLOGS"); d != "" {
		cfg.Dir = d
	}
	l, err := lab.New(cfg)
	if u := (*lab.Unable)(nil); errors.As(err, &u) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("cannot close the lab: %v", err)
		}
		for _, n := range l.Nodes() {
			if text, _ := os.ReadFile(n.Log()); t.Failed() {
				t.Logf("--- log of %s\n%s", n.Name(), text[max(0, len(text)-3000):])
			}
		}
	})
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// strikeAll does one fault after another: each must leave evidence, heal, and let
// the cluster become whole again.
func strikeAll(t *testing.T, l lab.Lab, names ...string) {
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			f, err := find(name).Inject(t.Context(), l, dice(uint64(i)), Any)
			if err != nil {
				t.Fatal(err)
			}
			evidence(t, f, 20*time.Second)
			if err := f.Heal(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			if err := lab.Settle(t.Context(), l, 60*time.Second); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %v; whole %v after healing", f.Record().What, f.Evidence(), time.Since(at).Round(time.Millisecond))
			if down, err := Restore(t.Context(), l); err != nil || len(down) > 0 {
				t.Errorf("down after healing: %v (%v)", down, err)
			}
		})
	}
}

// evidence waits until a fault has left traces.
func evidence(t *testing.T, f Fault, limit time.Duration) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !f.Evidence().Real() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s has left no trace within %v: %v", f.Record().What, limit, f.Evidence())
		}
	}
}

func TestRealFaults(t *testing.T) {
	l := realLab(t, lab.Config{Backend: "netns", Nodes: 5, Profile: "fast", Seed: 1})
	strikeAll(t, l, "kill-agent", "kill-keeper", "kill-leader", "kill-rolling", "pause-leader", "pause-keeper", "freeze-node",
		"pause-strobe", "partition-leader", "partition-ring", "partition-flapping", "slow-loss", "slow-rate",
		"restart-leader", "restart-rolling", "mixed", "upgrade-rolling")
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "jepsen-lite-*")); len(left) > 1 {
		t.Logf("other labs, or leftovers: %v", left)
	}
}

// write applies a tree again and again, each time another, so that disks have
// something to do.
func write(t *testing.T, l lab.Lab) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		acked := 0
		for i := 0; ctx.Err() == nil; i++ {
			if apply(ctx, l.Nodes()[i%len(l.Nodes())], i) == nil {
				acked++
			}
			rest(ctx.Done(), 20*time.Millisecond)
		}
		done <- acked
	}()
	t.Cleanup(func() {
		cancel()
		if acked := <-done; acked == 0 {
			t.Error("nothing was written at all")
		} else {
			t.Logf("%d writes were acknowledged", acked)
		}
	})
}

func apply(ctx context.Context, n lab.Node, i int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tree := fmt.Sprintf("name: load\nchildren:\n- {id: a, run: [sleep, \"%d\"]}\n", 1000+i)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, n.URL()+"/v1/trees/load", strings.NewReader(tree))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/yaml")
	res, err := n.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	return nil
}

func TestRealDisks(t *testing.T) {
	l := realLab(t, lab.Config{Backend: "netns", Nodes: 3, Profile: "fast", Seed: 1, PowerCuts: true})
	write(t, l)
	strikeAll(t, l, "disk-error-fsync", "disk-error-write", "disk-slow", "disk-stall", "disk-no-space", "disk-full", "power-cut", "power-cut-all")
}

func TestRealClocks(t *testing.T) {
	l := realLab(t, lab.Config{Backend: "netns", Nodes: 3, Profile: "fast", Seed: 1, Clocks: true})
	write(t, l)
	strikeAll(t, l, "clock-wall", "clock-strobe", "clock-drift", "clock-rate", "clock-jump")
}
