package simtest

import (
	"bytes"
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simnet"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// options say what a simulated cluster is like.
type options struct {
	seed    uint64
	nodes   int
	profile gossip.Profile
	// snapshots makes raft take a snapshot every so many entries; 0 = as usual.
	snapshots uint64
	// drift gives each machine a clock of its own; repeats is the probability that
	// a message of a session is said again; fsync is how long a write may take.
	drift   bool
	repeats float64
	fsync   time.Duration
	// function, if set, is what the nodes have instead of processes: all of them are
	// embedded, and have registered it as "f". It must end with the process.
	function func(p *process, ctx context.Context, life function.Life) error
	// verbose prints the trace and the nodes' log.
	verbose bool
}

// sim is one cluster in a bubble. The bubble's main goroutine drives it.
type sim struct {
	t        *testing.T
	opt      options
	began    time.Time
	net      *simnet.Net
	procs    *simproc.World
	machines []*machine
	nextIP   int
	log      *slog.Logger
	wg       sync.WaitGroup // all that processes run
	oracle   *oracle
	client   *client

	mu      sync.Mutex
	lines   []string
	failed  bool
	hash    hash.Hash64 // of all that was noted, to the nanosecond
	faults  faultCounts
	winner  time.Duration             // how long the next winner of an election is paused; 0: not
	retired map[string]*raftstore.Mem // the last disks that nodes lost, by id
	bites   map[string]int            // how often each kind of fault did something
	todo    agenda
}

// faultCounts shows that faults were there.
type faultCounts struct {
	agents, disks, stalled, torn, wiped, repeated, resets, winners int
}

// bit notes that a fault of a kind did something.
func (s *sim) bit(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bites[kind]++
}

func (s *sim) count(add func(*faultCounts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.faults)
}

var clusterKey = bytes.Repeat([]byte{7}, 32)

const clusterID = "sim"

// bubble runs f on a fresh cluster, none of whose machines runs yet, and ends
// all of it after f.
func bubble(t *testing.T, opt options, f func(s *sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, opt)
		defer s.end()
		f(s)
	})
}

func newSim(t *testing.T, opt options) *sim {
	s := &sim{
		t: t, opt: opt, began: time.Now(), net: simnet.New(opt.seed), procs: simproc.NewWorld(),
		log: slog.New(slog.DiscardHandler), retired: make(map[string]*raftstore.Mem),
		hash: fnv.New64a(), bites: make(map[string]int),
	}
	s.net.Classify(classes)
	if opt.verbose && testing.Verbose() {
		s.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	s.procs.Otherwise(simproc.Script{Latency: 3 * time.Millisecond, UpAfter: 10 * time.Millisecond, StopTime: 20 * time.Millisecond})
	s.oracle = newOracle(s)
	s.client = newClient(s)
	for i := range opt.nodes {
		s.machines = append(s.machines, newMachine(s, i))
	}
	return s
}

// end stops everything and waits: time stands still once the bubble's main
// goroutine has returned.
func (s *sim) end() {
	s.client.close()
	s.net.HealAll()
	for _, m := range s.machines {
		m.resume()
		m.mendDisk()
		m.crash()
		m.procs.KillAll()
	}
	s.wg.Wait()
	time.Sleep(2 * time.Minute) // memberlist.Shutdown does not wait for its goroutines
	if s.t.Failed() && !s.opt.verbose {
		s.t.Logf("trace of seed %d:\n%s", s.opt.seed, s.trace())
	}
}

// notef adds a line to the trace.
func (s *sim) notef(format string, args ...any) {
	line := fmt.Sprintf("%9.3fs ", time.Since(s.began).Seconds()) + fmt.Sprintf(format, args...)
	s.mark(line)
	s.mu.Lock()
	s.lines = append(s.lines, line)
	s.mu.Unlock()
	if s.opt.verbose {
		fmt.Fprintln(os.Stderr, line)
	}
}

// mark enters something into the hash of the trace.
func (s *sim) mark(what ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.hash, time.Since(s.began).Nanoseconds(), what)
}

// maxTrace bounds the lines that a failure prints.
const maxTrace = 400

func (s *sim) trace() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines[max(0, len(s.lines)-maxTrace):], "\n")
}

// failf fails the test once per sim; further findings go into the trace only.
func (s *sim) failf(format string, args ...any) {
	s.notef("FAILED: "+format, args...)
	s.mu.Lock()
	again := s.failed
	s.failed = true
	s.mu.Unlock()
	if !again {
		s.t.Errorf(format, args...)
	}
}

// bootAll starts all machines that are down.
func (s *sim) bootAll() {
	for _, m := range s.machines {
		m.reap()
		if m.p == nil {
			m.boot()
		}
	}
}

// up lists the machines that run, and takes away those that have ended themselves.
func (s *sim) up() []*machine {
	for _, m := range s.machines {
		m.reap()
	}
	return slices.DeleteFunc(slices.Clone(s.machines), func(m *machine) bool { return m.p == nil })
}

// leader gives the machine that leads and serves, in the highest term; nil if
// none does.
func (s *sim) leader() *machine {
	var best *machine
	for _, m := range s.up() {
		if m.p.node.Leads() && (best == nil || m.p.node.Term() > best.p.node.Term()) {
			best = m
		}
	}
	return best
}

// followers lists the running machines that do not lead.
func (s *sim) followers() []*machine {
	l := s.leader()
	return slices.DeleteFunc(s.up(), func(m *machine) bool { return m == l })
}

func (s *sim) named(name string) *machine {
	for _, m := range s.machines {
		if m.name == name || m.id == name {
			return m
		}
	}
	s.t.Fatalf("no machine %s", name)
	return nil
}

// view reads the state of the leader, or of the most advanced machine.
func (s *sim) view(look func(fsm.View)) {
	m := s.leader()
	if m == nil {
		for _, x := range s.up() {
			if m == nil || x.index() > m.index() {
				m = x
			}
		}
	}
	if m != nil {
		m.p.node.Machine().View(look)
	}
}

// within waits for a condition and gives the time it took; after the limit the
// test ends.
func (s *sim) within(limit time.Duration, what string, cond func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > limit {
			s.notef("not within %v: %s", limit, what)
			s.t.Fatalf("not within %v: %s\n%s", limit, what, s.picture())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(start)
}

// form boots all machines and waits until they are a cluster with all its voters.
func (s *sim) form() {
	s.t.Helper()
	s.bootAll()
	s.within(60*time.Second, "all nodes joined and all voters chosen", s.whole)
}

// whole: one leader, every machine alive in the state, in session, and as many
// voters as there should be, none of which has lost its disk.
func (s *sim) whole() bool {
	l := s.leader()
	if l == nil || len(s.up()) != len(s.machines) || len(l.voters()) != wantVoters(len(s.machines)) {
		return false
	}
	for _, id := range l.voters() {
		if !slices.ContainsFunc(s.machines, func(m *machine) bool { return m.id == id }) {
			return false
		}
	}
	alive := 0
	l.p.node.Machine().View(func(v fsm.View) {
		for _, m := range s.machines {
			if n, err := v.Node(m.id); err == nil && n.State == fsm.NodeAlive && n.Boot == m.p.boot {
				alive++
			}
		}
	})
	return alive == len(s.machines)
}

func wantVoters(nodes int) int {
	switch {
	case nodes >= 5:
		return 5
	case nodes >= 3:
		return 3
	}
	return 1
}

// picture describes the cluster to people.
func (s *sim) picture() string {
	var b strings.Builder
	for _, m := range s.machines {
		fmt.Fprintf(&b, "%s\n", m)
	}
	s.view(func(v fsm.View) {
		fmt.Fprintf(&b, "state at %d, cluster time %v\n", v.Index(), v.Clock())
		for _, n := range v.Nodes() {
			fmt.Fprintf(&b, "  node %s %s draining=%v boot=%s %s\n", n.Name, n.State, n.Draining, n.Boot, n.Reason)
		}
		for _, name := range v.TreeNames() {
			t := v.Tree(name)
			fmt.Fprintf(&b, "  tree %s %s\n", name, t.Status())
			for _, c := range t.Children() {
				fmt.Fprintf(&b, "    %s %s on %s epoch %v: %s\n", c.Path, c.Phase, c.Node, c.Epoch, c.Reason)
				if r, ok := cluster.Explain(v, c.Path); ok {
					fmt.Fprintf(&b, "      waits: %s\n", r.Why)
				}
			}
		}
	})
	for _, l := range s.procs.Running() {
		fmt.Fprintf(&b, "  life %s@%v on %s\n", l.Path, l.Epoch, l.Node)
	}
	return b.String()
}

// status gives a child's status as the leader sees it.
func (s *sim) status(path string) (st supervisor.Status, ok bool) {
	s.view(func(v fsm.View) {
		if t := v.Tree(supervisor.TreeName(path)); t != nil {
			st, ok = t.Child(path)
		}
	})
	return st, ok
}

// viewTree reads a tree, if there is one of that name.
func (s *sim) viewTree(name string, look func(*supervisor.Tree)) {
	s.view(func(v fsm.View) {
		if t := v.Tree(name); t != nil {
			look(t)
		}
	})
}

// treeStatus is empty if there is no such tree.
func (s *sim) treeStatus(name string) (st supervisor.TreeStatus) {
	s.view(func(v fsm.View) {
		if t := v.Tree(name); t != nil {
			st = t.Status()
		}
	})
	return st
}
