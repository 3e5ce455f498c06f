package simtest

import (
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// lone is a scene with a tree "one" of three exclusive children besides, on machines
// whose clocks differ. f gets a machine that one of them runs on: the leader's, or
// another.
func lone(t *testing.T, leads bool, f func(s *sim, m *machine, path string)) {
	t.Helper()
	for _, profile := range []gossip.Profile{gossip.LAN, gossip.Fast} {
		for seed := range uint64(4) {
			scene(t, options{seed: seed + 1, nodes: 3, profile: profile, drift: true}, func(s *sim) {
				spec := flat("one", supervisor.OneForOne, 3) // one on each
				spec.Exclusive = true
				s.apply(spec)
				s.rests(20 * time.Second)
				for _, path := range workers(spec) {
					st, _ := s.status(path)
					if m := s.named(st.Node); (m == s.leader()) == leads {
						f(s, m, path)
						s.rests(30 * time.Second)
						s.promised()
						return
					}
				}
				s.t.Fatal("no exclusive child is where it should be")
			})
		}
	}
}

// elsewhere waits until a child runs on another machine, and no longer than promised.
func (s *sim) elsewhere(m *machine, path string) {
	s.t.Helper()
	took := s.within(s.fenceBound(), path+" runs elsewhere", func() bool {
		st, _ := s.status(path)
		return st.Phase == supervisor.PhaseRunning && st.Node != m.id
	})
	s.t.Logf("seed %d, %s: elsewhere after %v", s.opt.seed, s.opt.profile, took)
}

// TestExclusiveOfPausedAgent: the agent stands still, be it the leader's; its keeper
// ends the exclusive life before another begins.
func TestExclusiveOfPausedAgent(t *testing.T) {
	for _, leads := range []bool{false, true} {
		lone(t, leads, func(s *sim, m *machine, path string) {
			m.pause()
			s.elsewhere(m, path)
			if s.procs.Counts().Fenced == 0 {
				s.failf("no keeper has ended an exclusive life")
			}
			time.Sleep(10 * time.Second)
			m.resume()
		})
	}
}

// TestExclusiveOfKilledAgent: an agent that is soon back finds its children as they
// were; of one that stays away, the keeper ends the exclusive ones.
func TestExclusiveOfKilledAgent(t *testing.T) {
	lone(t, false, func(s *sim, m *machine, path string) {
		was, _ := s.status(path)
		m.killAgent()
		time.Sleep(100 * time.Millisecond)
		m.boot()
		s.rests(20 * time.Second)
		if now, _ := s.status(path); now.Epoch != was.Epoch || s.procs.Counts().Adopted == 0 {
			s.failf("%s@%v is @%v after the agent's restart; %d lives adopted", path, was.Epoch, now.Epoch, s.procs.Counts().Adopted)
		}
		m.killAgent()
		s.elsewhere(m, path)
		m.boot()
	})
}

// TestExclusiveOfDeadLeader: the machine that leads loses its power.
func TestExclusiveOfDeadLeader(t *testing.T) {
	lone(t, true, func(s *sim, m *machine, path string) {
		m.power()
		s.elsewhere(m, path)
		m.boot()
	})
}

// TestExclusiveOfFrozenMachine: a whole machine stands still for longer than its lease.
// The old life may run beside the new one after the thaw, for less than 100 ms, and
// does: else this would show nothing.
func TestExclusiveOfFrozenMachine(t *testing.T) {
	longest, runs := time.Duration(0), 0
	lone(t, false, func(s *sim, m *machine, path string) {
		s.procs.Script(path, simproc.Script{Hang: true})
		m.freeze()
		s.elsewhere(m, path)
		time.Sleep(5 * time.Second)
		m.thaw()
		time.Sleep(time.Second)
		longest = max(longest, s.alone())
		runs++
	})
	t.Logf("longest overlap after a thaw, of %d: %v", runs, longest)
	if longest == 0 {
		t.Error("no life overlapped another: nothing is shown")
	}
}

// TestExclusiveOfCutSession: only the session is cut; the node's other children stay
// until it is lost, its exclusive ones do not.
func TestExclusiveOfCutSession(t *testing.T) {
	for _, way := range []string{"", "-in", "-out"} {
		lone(t, false, func(s *sim, m *machine, path string) {
			undo := s.cutClass(m, "session", way)
			s.elsewhere(m, path)
			undo()
		})
	}
}
