package simtest

import (
	"errors"
	"testing"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// crashOnce kills the child's life and waits until the log tells of it.
func (s *sim) crashOnce(path string) {
	s.t.Helper()
	was, _ := s.status(path)
	s.within(10*time.Second, "there is a life of "+path+" to kill", func() bool { return s.killOnce(path) })
	s.within(10*time.Second, "the crash of "+path+" is decided on", func() bool {
		s.oracle.look()
		now, _ := s.status(path)
		return now.Epoch != was.Epoch && now.Phase == supervisor.PhaseRunning || now.Phase == supervisor.PhaseFailed
	})
}

// TestWindowSurvivesLeaderChange: 4 crashes of 5, another leader, one more
// restarts, and the next one is over budget.
func TestWindowSurvivesLeaderChange(t *testing.T) {
	for _, snapshots := range []uint64{0, 5} {
		opt := options{seed: 1, nodes: 3, profile: gossip.LAN, snapshots: snapshots}
		scene(t, opt, func(s *sim) {
			path := "shop/c1"
			if st, _ := s.status(path); st.Node == s.leader().id { // the child itself is to stay where it is
				if err := s.verb("move", path, ""); err != nil {
					s.t.Fatal(err)
				}
				s.rests(10 * time.Second)
			}
			for range 4 {
				s.crashOnce(path)
			}
			old := s.leader()
			old.crash()
			s.within(10*time.Second, "another leader", func() bool { return s.leader() != nil })
			s.crashOnce(path)
			if st, _ := s.status(path); st.Phase != supervisor.PhaseRunning || st.Budget.Used != 5 {
				s.failf("after 5 crashes it is %s, budget %v", st.Phase, st.Budget)
			}
			old.boot()
			s.rests(30 * time.Second)
			s.crashOnce(path)
			s.within(5*time.Second, "the tree has failed", func() bool { return s.treeStatus("shop") == supervisor.TreeFailed })
			s.rests(30 * time.Second)
			if lives := s.procs.Running(); len(lives) > 0 {
				s.failf("the tree has failed and %v runs", &lives[0])
			}
		})
	}
}

// TestAgentRestartKeepsNode: a node that is back within its grace keeps its
// children, and one that only lost its session keeps their lives.
func TestAgentRestartKeepsNode(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		before := s.where()
		for range 3 {
			s.followers()[0].p.dropSession()
			time.Sleep(3 * time.Second)
		}
		s.leader().p.dropSession()
		time.Sleep(3 * time.Second)
		if now := s.where(); now != before {
			s.failf("a lost session changed lives: %s -> %s", before, now)
		}
		m := s.followers()[0]
		mine := nodesOf(s, m.id)
		m.crash()
		time.Sleep(100 * time.Millisecond)
		m.boot()
		s.rests(20 * time.Second)
		s.noLoss()
		for path := range mine {
			if st, _ := s.status(path); st.Node != m.id {
				s.failf("%s went to %s although its node came back in time", path, st.Node)
			}
		}
		if len(mine) == 0 {
			s.t.Error("the node had no children, so nothing is shown")
		}
		s.promised()
	})
}

// nodesOf gives the paths on a node.
func nodesOf(s *sim, id string) map[string]bool {
	on := make(map[string]bool)
	for _, path := range workers(flat("shop", supervisor.OneForOne, 6)) {
		if st, _ := s.status(path); st.Node == id {
			on[path] = true
		}
	}
	return on
}

// TestHangUpIsNoDeath: a session that ends while the network is slow says nothing
// of its node: the leader knocks before it believes in a death.
func TestHangUpIsNoDeath(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		s.net.SetLatency(100*time.Millisecond, 10*time.Millisecond)
		time.Sleep(5 * time.Second)
		for range 5 {
			s.followers()[0].p.dropSession()
			time.Sleep(5 * time.Second)
		}
		s.noLoss()
	})
}

// handOver transfers leadership until another machine has it.
func (s *sim) handOver() (old *machine) {
	s.t.Helper()
	s.within(20*time.Second, "a leader", func() bool { return s.leader() != nil })
	old = s.leader()
	for range 20 { // raft may give the same node another term
		s.flap("leader-flap", 1)
		s.within(20*time.Second, "a leader", func() bool { return s.leader() != nil })
		if s.leader() != old {
			return old
		}
	}
	s.t.Fatal("leadership does not change hands")
	return nil
}

// TestFormerLeaderIsNotCondemned: who leads twice running must not count the
// silence of the leader before its own first term. A, then B, then B again: C is
// down and A's log is shorter, so nobody else can win.
func TestFormerLeaderIsNotCondemned(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		a := s.handOver()
		b := s.leader()
		time.Sleep(25 * time.Second) // longer than Times.Unreachable
		for _, c := range s.followers() {
			if c != a {
				c.crash()
			}
		}
		time.Sleep(5 * time.Second)
		term := b.p.node.Term()
		s.net.Cut(a.ip, b.ip, false)
		s.client.send(drainCommand(b.id, false)) // an entry that only B has
		time.Sleep(time.Second)
		s.net.Heal(a.ip, b.ip)
		s.within(20*time.Second, "the same leader again", func() bool { return s.leader() == b && b.p.node.Term() > term })
		time.Sleep(2 * time.Second)
		s.oracle.look()
		if len(s.oracle.lost) != 1 {
			s.failf("lost, of one that died: %v", s.oracle.lost)
		}
	})
}

func TestDrainEmptiesNode(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		for _, m := range s.machines {
			if err := s.drain(m.name, true); err != nil {
				s.t.Fatal(err)
			}
			s.within(10*time.Second, m.name+" is empty", func() bool { return len(nodesOf(s, m.id)) == 0 })
			s.rests(10 * time.Second)
			for _, l := range s.procs.Running() {
				if l.Node == m.name {
					s.failf("%v runs on a drained node", &l)
				}
			}
			if err := s.drain(m.name, false); err != nil {
				s.t.Fatal(err)
			}
		}
		s.oracle.look()
		if s.oracle.counts.restarts > 0 {
			s.failf("a drain was charged or restarted something: %v", s.oracle.total())
		}
	})
}

func TestDuplicateRequestIsDoneOnce(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN, snapshots: 5}, func(s *sim) {
		restart := fsm.Command{Type: fsm.TypeVerb, Request: "once", Verb: &fsm.Verb{Verb: "restart", Path: "shop/c1"}}
		refused := fsm.Command{Type: fsm.TypeVerb, Request: "never", Verb: &fsm.Verb{Verb: "restart", Path: "shop/nobody"}}
		for i := range 4 {
			if _, err := s.client.do(restart); err != nil {
				s.t.Errorf("restart, time %d: %v", i+1, err)
			}
			if _, err := s.client.do(refused); !errors.Is(err, supervisor.ErrUnknown) {
				s.t.Errorf("restart of nobody, time %d: %v", i+1, err)
			}
			s.rests(30 * time.Second)
			if n := s.lives("shop/c1"); n != 2 {
				s.failf("a restart asked for %d times under one id made %d lives", i+1, n)
			}
			if i == 1 { // ask the next leader, too
				s.leader().crash()
				s.within(10*time.Second, "another leader", func() bool { return s.leader() != nil })
				if n := s.lives("shop/c1"); n != 2 {
					return // it was on the dead leader: its new life is no repeat
				}
				s.bootAll()
			}
		}
	})
}

// leaderFlap: nomad#6977, deadlock on fast changes of leadership. The bubble
// itself fails if a goroutine stays.
func leaderFlap(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.Fast}, func(s *sim) {
		before := s.where()
		for range 20 {
			s.flap("leader-flap", 10)
			s.oracle.look()
		}
		s.rests(30 * time.Second)
		s.noLoss()
		if s.oracle.counts.elections < 20 {
			s.t.Errorf("only %d elections: nothing is shown", s.oracle.counts.elections)
		}
		if now := s.where(); now != before {
			s.failf("changes of leadership moved children: %s -> %s", before, now)
		}
		s.promised()
	})
}

// noMassMove: nomad#3840. A leader change alone touches nobody
// that lives.
func noMassMove(t *testing.T) {
	over(t, 5, func(s *sim) {
		old := s.leader()
		mine := nodesOf(s, old.id)
		before := make(map[string]supervisor.Status)
		for _, path := range workers(flat("shop", supervisor.OneForOne, 6)) {
			before[path], _ = s.status(path)
		}
		old.crash()
		s.awayFrom(old, s.deathBound())
		time.Sleep(10 * time.Second)
		for path, was := range before {
			if now, _ := s.status(path); !mine[path] && now.Epoch != was.Epoch {
				s.failf("%s was not on the lost node and has a new life", path)
			}
		}
	})
}

// diesDuringLeaderChange: nomad#24241, nodes that fail while nobody leads
// are never marked down.
func diesDuringLeaderChange(t *testing.T) {
	for seed := range uint64(4) {
		scene(t, options{seed: seed + 1, nodes: 5, profile: gossip.LAN}, func(s *sim) {
			follower := s.followers()[0]
			s.leader().crash()
			time.Sleep(time.Duration(seed) * 300 * time.Millisecond)
			follower.crash()
			s.within(6*time.Second, "all children run on the three that are left", func() bool { return s.children() == "" })
			s.bootAll()
			s.rests(30 * time.Second)
			s.promised()
		})
	}
}

// flapBeforeMove: nomad#26424 and #25923, a node that comes back at any step
// of a move leaves exactly one life of each child.
func flapBeforeMove(t *testing.T) {
	for after := 50 * time.Millisecond; after < 2*time.Second; after += 150 * time.Millisecond {
		scene(t, options{seed: uint64(after), nodes: 3, profile: gossip.LAN}, func(s *sim) {
			for range 2 {
				m := s.followers()[0]
				m.crash()
				time.Sleep(after)
				m.boot()
				time.Sleep(after)
			}
			s.rests(30 * time.Second)
			s.promised()
		})
	}
}

// partialPartition: A and B do not see each other, all others see both. No
// child runs twice for longer than the cut, and the cluster stays able to act.
func partialPartition(t *testing.T) {
	for _, shape := range []string{"pair", "bridge", "ring"} {
		t.Run(shape, func(t *testing.T) {
			for seed := range uint64(3) {
				scene(t, options{seed: seed + 1, nodes: 5, profile: gossip.LAN}, func(s *sim) {
					undo := s.cut(s.leader(), shape)
					time.Sleep(40 * time.Second)
					if err := s.verb("restart", "shop/c1", ""); err != nil {
						s.failf("restart under a partial partition: %v", err)
					}
					undo()
					s.rests(30 * time.Second)
					s.promised()
				})
			}
		})
	}
}

// TestRecoverAfterLostQuorum: two of three disks are gone; the third goes on
// alone, in a new generation, and takes new nodes in.
func TestRecoverAfterLostQuorum(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		for _, m := range s.machines {
			m.crash()
		}
		m := s.machines[1]
		store, err := m.disk.Open(raftstore.Config{})
		if err != nil {
			s.t.Fatal(err)
		}
		if err := cluster.Recover(store, m.id, m.ip+":7401"); err != nil {
			s.t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			s.t.Fatal(err)
		}
		for _, lost := range []*machine{s.machines[0], s.machines[2]} {
			lost.id, lost.name, lost.first, lost.disk, lost.seq = lost.id+"new", lost.name+"new", false, raftstore.NewMem(), 0
		}
		s.oracle.another()
		m.boot()
		s.within(30*time.Second, "all children run on the one node", func() bool { return s.children() == "" })
		s.view(func(v fsm.View) {
			if v.Generation() < 2 {
				s.failf("the generation is %d", v.Generation())
			}
		})
		s.bootAll()
		s.rests(30 * time.Second)
		s.promised()
	})
}

// TestPauseDuringLeaderChange: a node stands still just when a new leader begins,
// before it could open a session, on a slow network. It is given the time to
// (P16): its silence is the pause, and the round trips of a dial after it.
func TestPauseDuringLeaderChange(t *testing.T) {
	for seed := range uint64(6) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
			s.net.SetLatency(100*time.Millisecond, 10*time.Millisecond)
			time.Sleep(10 * time.Second)
			old := s.handOver()
			time.Sleep(time.Duration(seed) * 100 * time.Millisecond)
			s.net.Pause(old.ip)
			time.Sleep(1950 * time.Millisecond)
			s.net.Resume(old.ip)
			time.Sleep(10 * time.Second)
			s.noLoss()
			s.net.SetLatency(300*time.Microsecond, 0)
			s.rests(20 * time.Second)
		})
	}
}
