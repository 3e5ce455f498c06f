package simtest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// These scenarios show what nodes do without a leader, and that the windows know of
// it afterwards (P3).

// cutScene is a cluster whose tree "t" of six independent children has a long window.
func cutScene(t *testing.T, seed uint64, nodes int, profile gossip.Profile, f func(s *sim)) {
	t.Helper()
	bubble(t, options{seed: seed, nodes: nodes, profile: profile, verbose: verbose(), snapshots: 20 * (seed % 2)}, func(s *sim) {
		s.form()
		spec := flat("t", supervisor.OneForOne, 6)
		spec.RestartPolicy.MaxSeconds = 10 * time.Minute
		s.apply(spec)
		s.rests(10 * time.Second)
		f(s)
		s.promised()
	})
}

// anyOn gives a child that runs on a machine.
func (s *sim) anyOn(m *machine) string {
	s.t.Helper()
	for _, l := range s.procs.Running() {
		if l.Node == m.name {
			return l.Path
		}
	}
	s.t.Fatalf("nothing runs on %s", m.name)
	return ""
}

// aloneOf counts the restarts of a path that nodes made alone.
func (s *sim) aloneOf(path string) (n int) {
	for _, l := range s.procs.Lives() {
		if l.Path == path && l.Alone > 0 {
			n++
		}
	}
	return n
}

// spend crashes a child until its tree has failed, and gives how often it was
// restarted before.
func (s *sim) spend(path string) (restarts int) {
	s.t.Helper()
	for {
		s.crashOnce(path)
		if s.treeStatus("t") == supervisor.TreeFailed {
			return restarts
		}
		restarts++
	}
}

// told: a decision about a path says that a node acted alone.
func (s *sim) told(path string) (told bool) {
	s.viewTree("t", func(t *supervisor.Tree) {
		for _, d := range t.History(path) {
			told = told || d.Cause.Kind == supervisor.CauseAutonomy
		}
	})
	return told
}

// TestAutonomyMinority: a node that is cut off for a minute restarts a child that
// goes on crashing, as often as it is lent and no more; the child runs elsewhere
// meanwhile. When the node is back its restarts are charged, and the next failures
// escalate exactly at the budget.
func TestAutonomyMinority(t *testing.T) {
	for _, profile := range []gossip.Profile{gossip.LAN, gossip.Fast} {
		for seed := range uint64(4) {
			cutScene(t, seed+1, 3, profile, func(s *sim) {
				m := s.followers()[0]
				path := s.anyOn(m)
				undo := s.cut(m, "alone")
				for range 60 {
					time.Sleep(time.Second)
					m.p.procs.Kill(path, "SIGKILL")
				}
				if n := s.aloneOf(path); n != 2 {
					s.failf("%s was restarted %d times alone, lent 2", path, n)
				}
				if st, _ := s.status(path); st.Node == m.id || st.Budget.Used != 0 || st.Budget.Held != 2 {
					s.failf("while its node is cut off: %s on %s, budget %v", st.Phase, st.Node, st.Budget)
				}
				undo()
				s.rests(30 * time.Second)
				s.within(5*time.Second, "the budget is whole again", func() bool {
					st, _ := s.status(path)
					return st.Budget.Used == 2 && st.Budget.Held == 0
				})
				if !s.told(path) {
					s.failf("nothing tells what was done alone")
				}
				if n := s.spend(path); n != 3 {
					s.failf("%d restarts after the 2 alone, of 5", n)
				}
				s.rests(30 * time.Second)
			})
		}
	}
}

// TestAutonomyNoLeader: without a quorum nothing is decided, and what crashes is
// restarted all the same, in the life that it had.
func TestAutonomyNoLeader(t *testing.T) {
	for _, profile := range []gossip.Profile{gossip.LAN, gossip.Fast} {
		for seed := range uint64(4) {
			cutScene(t, seed+1, 3, profile, func(s *sim) {
				s.cut(s.machines[0], "alone")
				s.cut(s.machines[1], "pair")
				s.cut(s.machines[2], "alone")
				time.Sleep(10 * time.Second)
				index, before := s.machines[0].index(), s.epochs()
				for _, path := range workers(flat("t", supervisor.OneForOne, 6)) {
					s.killOnce(path)
				}
				time.Sleep(time.Second)
				if n := len(s.procs.Running()); n != 6 {
					s.failf("%d of 6 children run, with nobody to ask", n)
				}
				time.Sleep(30 * time.Second)
				if now := s.machines[0].index(); now != index {
					s.failf("without a quorum the state went from %d to %d", index, now)
				}
				s.net.HealAll()
				s.rests(60 * time.Second)
				s.within(5*time.Second, "all is told", func() bool {
					return !slices.ContainsFunc(slices.Collect(maps.Keys(before)), func(path string) bool { return !s.told(path) })
				})
				s.rests(5 * time.Second)
				for path, epoch := range before {
					if st, _ := s.status(path); st.Epoch != epoch || st.Budget.Used != 1 || st.Restarts != 1 {
						s.failf("%s@%v is now @%v, budget %v, restarts %d", path, epoch, st.Epoch, st.Budget, st.Restarts)
					}
				}
				s.noLoss()
			})
		}
	}
}

// epochs of all children.
func (s *sim) epochs() map[string]supervisor.Epoch {
	all := make(map[string]supervisor.Epoch)
	s.viewTree("t", func(t *supervisor.Tree) {
		for _, c := range t.Children() {
			all[c.Path] = c.Epoch
		}
	})
	return all
}

// TestAutonomyToldTwice: a report is lost with its session time and again, and every
// restart is charged once.
func TestAutonomyToldTwice(t *testing.T) {
	for seed := range uint64(4) {
		cutScene(t, seed+1, 3, gossip.LAN, func(s *sim) {
			m := s.followers()[0]
			path := s.anyOn(m)
			undo := s.cut(m, "alone")
			for range 20 {
				time.Sleep(time.Second)
				m.p.procs.Kill(path, "SIGKILL")
			}
			undo()
			for i := range 100 {
				time.Sleep(time.Duration(i) * time.Millisecond)
				m.p.dropSession()
			}
			s.rests(30 * time.Second)
			s.within(5*time.Second, "all is told", func() bool { return s.told(path) })
			if st, _ := s.status(path); st.Budget.Used != 2 || s.aloneOf(path) != 2 {
				s.failf("%d restarts alone, told over and over: budget %v", s.aloneOf(path), st.Budget)
			}
		})
	}
}

// TestAutonomyInDoubt: a child crashes at about the moment its node is cut off, so
// the log may have decided on the same end that the node answers. It is charged once.
func TestAutonomyInDoubt(t *testing.T) {
	for i := range 12 {
		cutScene(t, uint64(i+1), 3, gossip.Fast, func(s *sim) {
			m := s.followers()[0]
			path := s.anyOn(m)
			m.p.procs.Kill(path, "SIGKILL")
			time.Sleep(time.Duration(i) * 500 * time.Microsecond)
			undo := s.cut(m, "alone")
			time.Sleep(5 * time.Second) // alone, and lost
			undo()
			s.rests(30 * time.Second)
			time.Sleep(2 * time.Second)
			if st, _ := s.status(path); st.Budget.Used != 1 || st.Budget.Held != 0 {
				s.failf("crashed once, %d restarts alone: budget %v", s.aloneOf(path), st.Budget)
			}
		})
	}
}
