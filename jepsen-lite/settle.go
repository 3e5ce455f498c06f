package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// settle waits until every child has exactly one life and keeps it for two
// seconds, and says what is missing if ctx ends before.
func (t *tester) settle(ctx context.Context) (missing string) {
	since, lives := time.Now(), -1
	for {
		if missing = t.missing(); missing != "" || t.witness.Lives() != lives {
			since, lives = time.Now(), t.witness.Lives()
		}
		if missing == "" && time.Since(since) >= settled {
			return ""
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			if missing == "" {
				missing = "lives come and go"
			}
			return missing
		}
	}
}

const settled = 500 * time.Millisecond

// agents waits until every node has its agent: one that ended with the last fault is
// started again within its keeper's back-off, and the cluster may hold the node for
// alive meanwhile.
func (t *tester) agents(ctx context.Context) (missing string) {
	for {
		missing = lab.WithoutAgent(t.here())
		if missing == "" || pause(ctx, 20*time.Millisecond) != nil {
			return missing
		}
	}
}

func (t *tester) missing() string {
	running := t.witness.Running()
	for _, c := range t.run.Children {
		if n := running[c.Path]; n != 1 {
			return fmt.Sprintf("%s has %d lives", c.Path, n)
		}
	}
	return ""
}

// converge waits until the replicas of all nodes say the same of the same index,
// for the disks to be worth a comparison. It is no judgement.
func (t *tester) converge(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for pause(ctx, 200*time.Millisecond) == nil {
		seen := make(map[string]bool)
		for _, n := range t.lab.Nodes() {
			if n.Left() {
				continue
			}
			c, err := client.New(client.Config{API: n.URL(), HTTP: n.HTTP(), Timeout: 2 * time.Second})
			if err == nil {
				h, err := c.Hash(ctx)
				seen[fmt.Sprint(h, err)] = true
			}
		}
		if len(seen) == 1 {
			return
		}
	}
}

// watch samples from now on, until stop is called. A cluster that comes up on a busy
// machine has elections that reach into the trial: the reason for them is to be known.
func (t *tester) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { t.sample(ctx) })
	return func() { cancel(); all.Wait() }
}

// sample writes down at once, and then each second, what agents use.
func (t *tester) sample(ctx context.Context) {
	for first := true; first || pause(ctx, time.Second) == nil; first = false {
		for _, n := range t.lab.Nodes() {
			if p, err := n.Agent(); err == nil {
				if s, ok := sampleOf(n, p); ok {
					t.samples.Put(s)
				}
			}
		}
	}
}

// sampleOf reads /proc; false if the process is gone.
func sampleOf(n lab.Node, p lab.Proc) (history.Sample, bool) {
	s := history.Sample{Time: history.Now(), Node: n.Name(), PID: p.PID}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID))
	if err != nil {
		return s, false
	}
	s.Files = len(files)
	s.Waited = waited(p.PID)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		first, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		number, _ := strconv.ParseInt(first, 10, 64)
		switch name {
		case "Threads":
			s.Threads = int(number)
		case "VmRSS":
			s.Memory = number << 10
		}
	}
	return s, err == nil && s.Memory > 0
}

// waited is for how long the threads of a process had to wait for a processor.
func waited(pid int) (sum time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is sound
	for _, file := range threads {
		var ran, waited time.Duration
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread is gone
		}
		if _, err := fmt.Sscan(string(text), &ran, &waited); err == nil {
			sum += waited
		}
	}
	return sum
}
