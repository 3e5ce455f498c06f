package simtest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/simtest/simproc"
)

// outcome is what a run was like.
type outcome struct {
	simulated time.Duration
	healed    time.Duration // from the heal to rest
	counts    counts
	faults    faultCounts
	bites     map[string]int // of each kind of fault
	keepers   simproc.Counts
	acked     int
	reads     int
	overlap   time.Duration // of lives of an exclusive child, after a freeze
	ordered   int           // pairs of lives whose order was compared
	stopped   int           // pairs of which one was to end before the other ended, or began
	exclusive int           // lives of exclusive children
	trace     uint64        // hash of all that was noted
}

// runPlan carries out a plan in a bubble.
func runPlan(t *testing.T, p Plan, verbose bool) (out outcome) {
	opt := options{seed: p.Seed, nodes: p.Nodes, profile: p.Profile, snapshots: p.Snapshots, verbose: verbose,
		drift: p.Drift, repeats: p.Repeats, fsync: p.Fsync}
	bubble(t, opt, func(s *sim) {
		start := time.Now()
		s.form()
		for path, script := range p.Scripts {
			s.procs.Script(path, script)
		}
		for _, tree := range p.Trees {
			s.client.send(fsm.Command{Type: fsm.TypeApplyTree, Tree: &tree})
		}
		s.net.SetLatency(p.Latency, p.Latency/4)
		s.net.SetLoss(p.Loss)
		s.net.SetPackets(p.Twice, p.Late)
		s.client.readEvery(p.lookEvery() * 10)
		s.safety(p)
		s.heal(p)
		out.healed = s.rests(p.calm())
		s.promised()
		s.oracle.look()
		s.judged(&out)
		if p.Benign && len(s.oracle.lost) > 0 {
			s.failf("P16: %s", strings.Join(s.oracle.lost, "; "))
		}
		out.simulated = time.Since(start)
		s.notef("at rest %v after the heal; %v", out.healed, out.counts)
	})
	return out
}

// lookEvery is how often the oracles look, besides what each replica tells them.
func (p Plan) lookEvery() time.Duration {
	if p.Day {
		return 5 * time.Second
	}
	return 100 * time.Millisecond
}

// judged fills in what a run was like.
func (s *sim) judged(out *outcome) {
	out.overlap, out.ordered, out.stopped = s.alone(), s.inOrder()+s.inTurn(), s.stopsInOrder()
	for _, l := range s.procs.Lives() {
		if l.Exclusive {
			out.exclusive++
		}
	}
	out.counts, out.acked, out.reads = s.oracle.total(), s.client.answered(), s.client.reads
	out.keepers = s.procs.Counts()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.faults, out.bites, out.trace = s.faults, maps.Clone(s.bites), s.hash.Sum64()
}

// step is one entry of the agenda.
type step struct {
	at time.Time
	do func()
}

// agenda holds what is still to be done, in order of time.
type agenda []step

func (a *agenda) add(at time.Time, do func()) {
	i, _ := slices.BinarySearchFunc(*a, at, func(s step, at time.Time) int {
		if s.at.After(at) {
			return 1
		}
		return -1 // after what is due at the same time
	})
	*a = slices.Insert(*a, i, step{at, do})
}

// safety lets the faults happen.
func (s *sim) safety(p Plan) {
	start := time.Now()
	for _, f := range p.Faults {
		s.after(f.At, func() {
			s.notef("fault %v", f)
			if undo := s.inflict(f); undo != nil {
				s.after(f.For, undo)
			}
		})
	}
	for time.Since(start) < p.Safety {
		s.oracle.look()
		s.operate()
		for len(s.todo) > 0 && !s.todo[0].at.After(time.Now()) {
			do := s.todo[0].do
			s.todo = s.todo[1:]
			do()
		}
		next := p.lookEvery()
		if len(s.todo) > 0 {
			next = min(next, max(0, time.Until(s.todo[0].at)))
		}
		time.Sleep(next)
	}
}

// after has something done, if the faults last that long.
func (s *sim) after(d time.Duration, do func()) { s.todo.add(time.Now().Add(d), do) }

// heal ends all faults.
func (s *sim) heal(p Plan) {
	s.notef("heal")
	s.net.HealAll()
	s.net.SetLoss(0)
	s.net.SetLatency(300*time.Microsecond, 100*time.Microsecond)
	s.net.SetPackets(0, 0)
	for _, m := range s.machines {
		m.thaw()
		m.mendDisk()
		m.mute.Store(false)
	}
	s.bootAll()
	for _, paths := range append([]Fault{{}}, p.Faults...) {
		if paths.Tree != nil {
			for _, path := range workers(*paths.Tree) {
				s.procs.Script(path, healthy)
			}
		}
	}
	for path := range p.Scripts {
		s.procs.Script(path, healthy)
	}
	for _, m := range s.machines {
		s.client.send(drainCommand(m.id, false))
	}
}

// healthy is how a program behaves that has no fault.
var healthy = simproc.Script{Latency: 3 * time.Millisecond, UpAfter: 10 * time.Millisecond, StopTime: 20 * time.Millisecond}

// who resolves a fault's machine; nil if there is none just now.
func (s *sim) who(name string) *machine {
	switch name {
	case "leader":
		return s.leader()
	case "follower":
		if f := s.followers(); len(f) > 0 {
			return f[0]
		}
		return nil
	}
	if m := s.named(name); m.p != nil {
		return m
	}
	return nil
}
