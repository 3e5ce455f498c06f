package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// scene is a formed cluster with a tree "shop" of six independent permanent
// children at rest.
func scene(t *testing.T, opt options, f func(s *sim)) {
	t.Helper()
	opt.verbose = opt.verbose || verbose()
	bubble(t, opt, func(s *sim) {
		s.form()
		s.apply(flat("shop", supervisor.OneForOne, 6))
		s.rests(10 * time.Second)
		f(s)
		s.judged(&outcome{})
	})
}

// over makes a scene for each seed and both profiles.
func over(t *testing.T, nodes int, f func(s *sim)) {
	t.Helper()
	for _, profile := range []gossip.Profile{gossip.LAN, gossip.Fast} {
		t.Run(string(profile), func(t *testing.T) {
			for seed := range uint64(5) {
				scene(t, options{seed: seed + 1, nodes: nodes, profile: profile}, f)
			}
		})
	}
}

// silenceBound is how long the children of a silent node may be down.
func (s *sim) silenceBound() time.Duration {
	if s.opt.profile == gossip.Fast {
		return 1500 * time.Millisecond
	}
	return 4 * time.Second
}

// deathBound is how long the children of a killed node may be down: an election
// and half a second.
func (s *sim) deathBound() time.Duration {
	if s.opt.profile == gossip.Fast {
		return time.Second
	}
	return 2 * time.Second
}

// awayFrom waits until all children run on other machines than m, whatever still
// runs on m, and the log says why it was lost.
func (s *sim) awayFrom(m *machine, limit time.Duration) {
	s.t.Helper()
	took := s.within(limit, "all children run elsewhere", func() bool {
		s.oracle.look()
		for _, path := range workers(flat("shop", supervisor.OneForOne, 6)) {
			if st, ok := s.status(path); !ok || st.Phase != supervisor.PhaseRunning || st.Node == m.id {
				return false
			}
		}
		return true
	})
	s.t.Logf("seed %d: children ran elsewhere after %v (%s)", s.opt.seed, took, strings.Join(s.oracle.lost, "; "))
}

// lives counts the lives of a path that were ever begun.
func (s *sim) lives(path string) (n int) {
	for _, l := range s.procs.Lives() {
		if l.Path == path {
			n++
		}
	}
	return n
}

// where maps the tree's workers to nodes.
func (s *sim) where() string {
	out := ""
	for _, path := range workers(flat("shop", supervisor.OneForOne, 6)) {
		st, _ := s.status(path)
		out += fmt.Sprintf("%s@%v on %s, ", path, st.Epoch, st.Node)
	}
	return out
}

func (s *sim) noLoss() {
	s.t.Helper()
	s.oracle.look()
	if len(s.oracle.lost) > 0 {
		s.failf("a node was lost: %v", s.oracle.lost)
	}
}

func TestLeaderLossMovesItsChildren(t *testing.T) {
	over(t, 3, func(s *sim) {
		m := s.leader()
		m.crash()
		s.awayFrom(m, s.deathBound())
		if why := s.children(); why != "" {
			s.failf("%s", why)
		}
		m.boot()
		s.rests(30 * time.Second)
		s.promised()
	})
}

func TestFollowerLoss(t *testing.T) {
	over(t, 3, func(s *sim) {
		m := s.followers()[0]
		m.crash()
		s.awayFrom(m, 500*time.Millisecond)
		if why := s.children(); why != "" {
			s.failf("%s", why)
		}
		m.boot()
		s.rests(30 * time.Second)
		s.promised()
	})
}

func TestPausedLeader(t *testing.T) {
	over(t, 3, func(s *sim) {
		m := s.leader()
		s.net.Pause(m.ip)
		s.awayFrom(m, s.silenceBound())
		time.Sleep(5 * time.Second)
		s.net.Resume(m.ip)
		s.rests(30 * time.Second)
		s.promised()
	})
}

func TestFollowerSilence(t *testing.T) {
	over(t, 3, func(s *sim) {
		m := s.followers()[0]
		s.net.Pause(m.ip)
		s.awayFrom(m, s.silenceBound())
		time.Sleep(5 * time.Second)
		s.net.Resume(m.ip)
		s.rests(30 * time.Second)
		s.promised()
	})
}

// TestShortPauseLosesNobody: each node in turn, the leader included, stands still
// for just under 2 s (P16).
func TestShortPauseLosesNobody(t *testing.T) {
	for seed := range uint64(3) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
			for _, m := range s.machines {
				s.net.Pause(m.ip)
				time.Sleep(1950 * time.Millisecond)
				s.net.Resume(m.ip)
				time.Sleep(8 * time.Second)
			}
			s.rests(10 * time.Second)
			s.noLoss()
		})
	}
}

func TestPartitionHealsAndHashesAgree(t *testing.T) {
	for seed := range uint64(4) {
		scene(t, options{seed: seed + 1, nodes: 5, profile: gossip.LAN}, func(s *sim) {
			undo := s.cut(s.leader(), "halves") // the leader is with the minority
			time.Sleep(45 * time.Second)        // longer than memberlist remembers the dead
			undo()
			s.rests(30 * time.Second)
			s.promised()
			s.oracle.look()
			if len(s.oracle.lost) != 2 {
				s.failf("lost, of a minority of two: %v", s.oracle.lost)
			}
		})
	}
}

// TestMinorityActsOnNothing: P12.
func TestMinorityActsOnNothing(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		m := s.leader()
		for _, x := range s.followers() {
			x.crash()
		}
		time.Sleep(3 * time.Second)
		begun := func() (n int) { // those that a node restarted alone are lives of before
			for _, l := range s.procs.Lives() {
				n += min(1, max(0, 1-l.Alone))
			}
			return n
		}
		before, index := begun(), m.index()
		path := ""
		for _, l := range s.procs.Running() {
			path = l.Path
			m.p.procs.Kill(path, "SIGKILL")
			break
		}
		if path == "" {
			s.t.Fatal("nothing ran on the leader, so nothing is shown")
		}
		answer := s.client.send(drainCommand(m.id, true))
		time.Sleep(40 * time.Second)
		if now := m.index(); now != index || begun() != before {
			s.failf("without a quorum the state went from %d to %d, lives from %d to %d", index, now, before, begun())
		}
		if len(s.procs.Running()) == 0 {
			s.failf("without a quorum what ran was stopped")
		}
		s.bootAll()
		if a := <-answer; a.err != nil {
			s.failf("drain, once there is a quorum: %v", a.err)
		}
		s.rests(30 * time.Second)
	})
}

func TestRestartWithNewAddress(t *testing.T) {
	over(t, 3, func(s *sim) {
		for _, name := range []string{"n1", "n2", "n3", "n1"} { // one after another: in the end nobody is where it was
			m := s.named(name)
			m.crash()
			time.Sleep(time.Second)
			m.move()
			m.boot()
			s.rests(60 * time.Second)
			for _, server := range s.leader().p.node.Servers() {
				if want := s.named(string(server.ID)).ip + ":7401"; string(server.Address) != want {
					s.within(10*time.Second, "raft knows the new address "+want, func() bool { return s.addressed() })
				}
			}
		}
		s.promised()
	})
}

// addressed: raft's configuration has everybody's present address.
func (s *sim) addressed() bool {
	l := s.leader()
	if l == nil {
		return false
	}
	for _, server := range l.p.node.Servers() {
		if string(server.Address) != s.named(string(server.ID)).ip+":7401" {
			return false
		}
	}
	return true
}

// TestAllNodesRestart: memberlist#311 too, nodes that stay dead after all restart.
func TestAllNodesRestart(t *testing.T) {
	for _, move := range []bool{false, true} {
		t.Run(fmt.Sprintf("new addresses %v", move), func(t *testing.T) {
			for seed := range uint64(3) {
				scene(t, options{seed: seed + 1, nodes: 5, profile: gossip.LAN}, func(s *sim) {
					s.everyone("crash-all")
					time.Sleep(time.Duration(seed+1) * 10 * time.Second)
					for _, m := range s.machines {
						if move {
							m.move()
						}
						m.boot()
						time.Sleep(100 * time.Millisecond)
					}
					s.rests(30 * time.Second)
					s.promised()
				})
			}
		})
	}
}
