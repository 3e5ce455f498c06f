package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
	"github.com/selfware/selfware/jepsen-lite/witness"
)

// The test binary is the witness too, as jepsen-lite is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "witness" {
		os.Exit(witness.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestRuns are the runs that gate: a minute each on five real nodes, two at a
// time. A failure is told with its seed; the folder is kept.
func TestRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes for a minute each: not in -short")
	}
	bin := filepath.Join(t.TempDir(), "selfware-node")
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "../cmd/selfware-node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the node: %v\n%s", err, out)
	}
	runs := []struct{ name, workload, nemesis, profile string }{
		{"exclusive", "exclusive", "kill-leader,pause-agent,partition-halves", "lan"},
		{"register", "register", "partition-majority,pause-leader,partition-raft,pause-strobe", "fast"},
		{"storm", "storm", "kill-leader,kill-agent,disk-error-fsync,disk-full", "fast"},
		{"etcd-lock-pause", "fenced", "freeze-node,partition-one,partition-leader,pause-keeper", "fast"},
	}
	two := make(chan struct{}, 2)
	t.Run("all", func(t *testing.T) {
		for i, r := range runs {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				two <- struct{}{}
				defer func() { <-two }()
				gate(t, bin, r.workload, r.nemesis, r.profile, uint64(i+1))
			})
		}
	})
}

// gate does one run. Where the machine cannot have namespaces it runs on loopback,
// with what faults there are, and says so loudly.
func gate(t *testing.T, bin, work, nemeses, profile string, seed uint64) {
	dir, err := os.MkdirTemp("", "jepsen-lite-")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--workload", work, "--nemesis", nemeses, "--profile", profile, "--seed", fmt.Sprint(seed), "--binary", bin, "--dir", dir}
	args = here(t, args)
	valid, err := runCommand(context.Background(), args)
	switch {
	case err != nil:
		t.Fatalf("jepsen-lite run %s: could not test: %v", strings.Join(args, " "), err)
	case !valid:
		t.Fatalf("jepsen-lite run %s: not valid; see %s", strings.Join(args, " "), filepath.Join(dir, fileResults))
	}
	r, err := history.LoadOne[results](dir, fileResults)
	if err != nil || !r.Valid || len(r.Checkers) < 9 {
		t.Errorf("results.json: %v, %v, %d checkers", err, r.Valid, len(r.Checkers))
	}
	if again, err := checkCommand([]string{dir}); err != nil || !again {
		t.Errorf("judged again: %v, %v", again, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// here fits a run to this machine.
func here(t *testing.T, args []string) []string {
	l, err := lab.New(lab.Config{Dir: t.TempDir()})
	if err == nil {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return args
	}
	o, parsed := parse(args)
	if parsed != nil {
		t.Fatal(parsed)
	}
	loop, unable := lab.New(lab.Config{Backend: "loopback", Dir: t.TempDir()})
	if unable != nil {
		t.Fatal(unable)
	}
	defer loop.Close()
	var can, cannot []string
	for _, s := range o.nemeses {
		if loop.Can().Has(s.needs()) {
			can = append(can, s.asked)
		} else {
			cannot = append(cannot, s.asked)
		}
	}
	if len(can) == 0 {
		can = []string{"kill-node"}
	}
	t.Logf("ATTENTION: %v. On loopback, without %v, with %v.", err, cannot, can)
	args = slices.Clone(args)
	args[3] = strings.Join(can, ",")
	return append(args, "--backend", "loopback")
}
