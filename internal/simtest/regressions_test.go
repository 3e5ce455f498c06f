package simtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// TestRegressions are lessons of other systems, by the name under which
// docs/reliability.md lists them.
func TestRegressions(t *testing.T) {
	for _, r := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"raft695-pause-leader", pauseLeader},
		{"raft612-pipeline-wedge", stallFollower},
		{"redisraft-failover-total-loss", killAfterSnapshot},
		{"redisraft-noop-stale-read", readsOfFreshLeaders},
		{"etcd17780-crash-in-compaction", crashInCompaction},
		{"etcd15271-watch-back-in-time", watchElsewhere},
		{"nomad12319-limits-forgotten", limitsWhileUnplaced},
		{"nomad24241-failed-never-down", diesDuringLeaderChange},
		{"nomad3035-mass-move-on-leader-change", noMassMove},
		{"nomad3890-two-acting-leaders", twoLeaders},
		{"nomad26424-flap-before-move", flapBeforeMove},
		{"nomad25946-self-stop-ignored", selfStop},
		{"nomad6977-leader-flap-deadlock", leaderFlap},
		{"memberlist311-mass-restart", restartOfSeven},
		{"memberlist-3node-probe-miss", probesOfThree},
		{"consul733-name-conflict", twoOfOneID},
		{"swarm-partial-partition", partialPartition},
		{"metastable-restart-storm", restartStorm},
	} {
		t.Run(r.name, r.run)
	}
}

// pauseLeader: raft#695, a leader that goes on after a pause writes into its
// successor's term. The replicas stay equal over a hundred pauses, of leaders under
// load and of nodes that have just won an election. Without raftnet's wrapper, a few of
// the latter are enough to make them differ.
func pauseLeader(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.Fast}, func(s *sim) {
		for i := range 100 {
			s.within(10*time.Second, "a leader", func() bool { return s.leader() != nil })
			m := s.leader()
			if i%2 == 0 {
				s.pauseWinner(800 * time.Millisecond)
				s.within(10*time.Second, "a leader after the one that stands still", func() bool {
					_, paused := s.winning()
					return !paused && s.leader() != nil
				})
			} else {
				m.pause()
			}
			for i := range 6 {
				s.client.send(drainCommand(s.machines[i%3].id, i%2 == 0))
				time.Sleep(100 * time.Millisecond)
			}
			m.resume()
			s.oracle.look()
			time.Sleep(100 * time.Millisecond)
		}
		for _, m := range s.machines {
			s.client.send(drainCommand(m.id, false))
		}
		s.rests(60 * time.Second)
		s.promised()
		if n, _ := s.winning(); n < 40 {
			s.t.Errorf("only %d winners were paused", n)
		}
		if c := s.oracle.total(); c.elections < 50 || c.compared < 100 {
			s.t.Errorf("nothing is shown by %v", c)
		}
	})
}

// winning counts the winners that were paused, and tells whether the next will be.
func (s *sim) winning() (paused int, next bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.winners, s.winner > 0
}

// stallFollower: raft#612, a follower that stood still is never replicated to again
// until the leader restarts.
func stallFollower(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
		m := s.followers()[0]
		s.net.Pause(m.ip)
		for range 60 {
			if err := s.verb("restart", "shop/c1", ""); err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
		}
		s.net.Resume(m.ip)
		s.within(10*time.Second, "the follower has caught up", func() bool { return m.index() == s.leader().index() })
		s.rests(30 * time.Second)
	})
}

// killAfterSnapshot: a Raft for Redis lost everything on failover, around the hand-over
// from snapshot to log.
func killAfterSnapshot(t *testing.T) {
	for seed := range uint64(4) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.Fast, snapshots: 5}, func(s *sim) {
			for i := range 6 {
				spec := flat(fmt.Sprintf("more%d", i), supervisor.OneForOne, 1)
				s.apply(spec)
				before := s.snapshots()
				s.within(60*time.Second, "another snapshot", func() bool {
					_ = s.verb("restart", spec.Name+"/c1", "")
					return s.snapshots() > before
				})
				s.leader().crash()
				s.within(10*time.Second, "another leader", func() bool { return s.leader() != nil })
				s.promised()
				s.bootAll()
				s.rests(30 * time.Second)
			}
			s.promised()
		})
	}
}

// snapshots counts those on the leader's disk, by the index of the newest.
func (s *sim) snapshots() uint64 {
	l := s.leader()
	if l == nil {
		return 0
	}
	var index uint64
	_, _ = fmt.Sscan(l.p.node.Stats()["last_snapshot_index"], &index)
	return index
}

// readsOfFreshLeaders: a leader that just began, or that was paused and goes on,
// serves no read that lacks what was acknowledged before (Redis-Raft's missing no-op,
// etcd#20418).
func readsOfFreshLeaders(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.Fast}, func(s *sim) {
		reads := 0
		for i := range 60 {
			s.within(10*time.Second, "a leader", func() bool { return s.leader() != nil })
			old := s.leader()
			s.net.Pause(old.ip)
			name := fmt.Sprintf("t%d", i)
			s.apply(flat(name, supervisor.OneForOne, 1)) // acknowledged by a successor
			s.net.Resume(old.ip)
			for range 30 {
				for _, m := range s.machines {
					reads += s.readSees(m, name)
				}
				time.Sleep(5 * time.Millisecond)
			}
			if _, err := s.client.do(fsm.Command{Type: fsm.TypeDeleteTree, Name: name}); err != nil {
				s.t.Fatal(err)
			}
		}
		if reads < 500 {
			s.t.Errorf("only %d reads were answered: nothing is shown", reads)
		}
	})
}

// readSees reads on one machine; 1 if it answers, and then it must know the tree.
func (s *sim) readSees(m *machine, tree string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if m.p.node.Verify(ctx) != nil {
		return 0
	}
	m.p.node.Machine().View(func(v fsm.View) {
		if v.Tree(tree) == nil {
			s.failf("P6: %s reads a state without %s, which was acknowledged before", m.name, tree)
		}
	})
	return 1
}

// crashInCompaction: etcd#17780 and #19179, a crash while the log is cut short takes
// acknowledged entries along. Here a snapshot is taken every five entries.
func crashInCompaction(t *testing.T) {
	for seed := range uint64(3) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.Fast, snapshots: 5}, func(s *sim) {
			for i := range 30 {
				m := s.machines[i%3]
				var high uint64
				s.view(func(v fsm.View) { high = v.Index() })
				for j := range 4 + i%7 {
					s.client.send(drainCommand(s.machines[(i+1)%3].id, j%2 == 0))
				}
				time.Sleep(time.Duration(i*37%200) * time.Millisecond)
				m.crash()
				s.within(10*time.Second, "the others go on from where they were", func() bool {
					l := s.leader()
					return l != nil && l.index() >= high
				})
				m.boot()
				s.within(20*time.Second, "it has caught up", func() bool { return m.index() >= high })
			}
			for _, m := range s.machines {
				s.client.send(drainCommand(m.id, false))
			}
			s.rests(60 * time.Second)
			s.promised()
		})
	}
}

// watchElsewhere: etcd#15271, a watcher that goes on at another node is told of old
// events again. Everywhere the stream is the same, from every place in it.
func watchElsewhere(t *testing.T) {
	scene(t, options{seed: 1, nodes: 3, profile: gossip.Fast, snapshots: 10}, func(s *sim) {
		type place struct {
			index uint64
			n     int
		}
		var seen []place
		at := place{}
		for i := range 90 {
			s.client.send(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: "restart", Path: "shop/c1"}})
			if i%10 == 5 {
				s.flap("leader-flap", 1)
			}
			time.Sleep(100 * time.Millisecond)
			m := s.machines[i%3] // who is behind has nothing new
			m.p.node.Machine().View(func(v fsm.View) {
				records, complete := v.Records(at.index, at.n, 1000)
				if !complete {
					s.failf("%s cannot go on at %v", m.name, at)
				}
				for _, r := range records {
					if now := (place{r.Index, r.N}); now.index < at.index || now.index == at.index && now.n <= at.n {
						s.failf("%s tells of %v after %v", m.name, now, at)
					} else {
						at = now
						seen = append(seen, now)
					}
				}
			})
			if i == 40 {
				m.crash()
				m.boot()
			}
		}
		s.rests(30 * time.Second)
		var whole []place
		s.view(func(v fsm.View) {
			records, _ := v.Records(0, 0, 100_000)
			for _, r := range records {
				whole = append(whole, place{r.Index, r.N})
			}
		})
		if len(seen) < 50 || !slices.Equal(seen, whole[:len(seen)]) {
			s.failf("a watcher that changed nodes saw %d events, which are not the first of the %d there are", len(seen), len(whole))
		}
	})
}

// limitsWhileUnplaced: nomad#12319, limits were forgotten when no node was
// eligible for a while.
func limitsWhileUnplaced(t *testing.T) {
	bubble(t, options{seed: 1, nodes: 3, profile: gossip.LAN, verbose: verbose()}, func(s *sim) {
		s.form()
		spec := flat("shop", supervisor.OneForOne, 1)
		spec.RestartPolicy.MaxSeconds = 10 * time.Minute
		s.apply(spec)
		s.rests(10 * time.Second)
		for range 3 {
			s.crashOnce("shop/c1")
		}
		for _, m := range s.machines {
			if err := s.drain(m.name, true); err != nil {
				s.t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if len(s.procs.Running()) > 0 {
			s.t.Fatal("it runs on a drained node, so nothing is shown")
		}
		if err := s.drain("n2", false); err != nil {
			s.t.Fatal(err)
		}
		s.within(10*time.Second, "it runs again", func() bool { return s.children() == "" })
		for range 2 {
			s.crashOnce("shop/c1")
		}
		if st, _ := s.status("shop/c1"); st.Budget.Used != 5 {
			s.failf("after 5 crashes the budget is %v", st.Budget)
		}
		s.crashOnce("shop/c1")
		s.within(5*time.Second, "the tree has failed", func() bool { return s.treeStatus("shop") == supervisor.TreeFailed })
	})
}

// twoLeaders: nomad#3890, two servers that both acted as the leader. Who was
// replaced unknowingly acknowledges nothing and orders nothing.
func twoLeaders(t *testing.T) {
	for seed := range uint64(5) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
			old := s.leader()
			index := old.index()
			undo := s.cut(old, "alone")
			node := old.p.node
			errs := make(chan error, 100)
			for range 100 {
				s.wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
					defer cancel()
					_, err := node.Submit(ctx, drainCommand(old.id, true))
					errs <- err
				})
				time.Sleep(20 * time.Millisecond)
			}
			s.within(5*time.Second, "another leads, and the old one has noticed", func() bool {
				return s.leader() != nil && s.leader() != old && !node.Leads()
			})
			time.Sleep(5 * time.Second)
			for range 100 {
				if err := <-errs; err == nil {
					s.failf("the leader without a quorum acknowledged")
				}
			}
			if now := old.index(); now != index {
				s.failf("the leader without a quorum applied up to %d, from %d", now, index)
			}
			undo()
			s.rests(30 * time.Second)
			s.promised()
		})
	}
}

// selfStop: nomad#25946, a client that is cut off does not stop what it must, or
// late. Cut off, a node ends its exclusive children by itself, before the others
// begin them.
func selfStop(t *testing.T) {
	over(t, 3, func(s *sim) {
		spec := flat("one", supervisor.OneForOne, 3)
		spec.Exclusive = true
		s.apply(spec)
		s.rests(20 * time.Second)
		st, _ := s.status("one/c1")
		m := s.named(st.Node)
		undo := s.cut(m, "alone")
		took := s.within(s.fenceBound(), "all exclusive children run elsewhere", func() bool {
			for _, path := range workers(spec) {
				if st, ok := s.status(path); !ok || st.Phase != supervisor.PhaseRunning || st.Node == m.id {
					return false
				}
			}
			return true
		})
		s.t.Logf("seed %d: exclusive children ran elsewhere after %v", s.opt.seed, took)
		time.Sleep(10 * time.Second)
		undo()
		s.rests(30 * time.Second)
		for _, both := range s.procs.Overlaps(true) {
			if both[:4] == "one/" {
				s.failf("P13: %s", both)
			}
		}
		s.promised()
	})
}

// fenceBound is how long the exclusive children of a lost node may be down.
func (s *sim) fenceBound() time.Duration {
	if s.opt.profile == gossip.Fast {
		return 3 * time.Second
	}
	return 8 * time.Second
}

// restartOfSeven: memberlist#311, nodes stay dead for each other after all have
// restarted.
func restartOfSeven(t *testing.T) {
	for seed := range uint64(3) {
		scene(t, options{seed: seed + 1, nodes: 7, profile: gossip.LAN}, func(s *sim) {
			s.everyone("crash-all")
			time.Sleep(time.Second)
			r := chanceOf(seed)
			for _, i := range r.Perm(7) {
				s.machines[i].boot()
				time.Sleep(r.between(0, 500*time.Millisecond))
			}
			s.within(30*time.Second, "everybody sees everybody", func() bool {
				for _, m := range s.machines {
					alive := 0
					for _, g := range m.p.gossip.Members() {
						if g.State == gossip.Alive {
							alive++
						}
					}
					if alive != 7 {
						return false
					}
				}
				return true
			})
			s.rests(30 * time.Second)
		})
	}
}

// probesOfThree: with three nodes some 2.6 % of memberlist's probes were skipped,
// so a death could be found late. The slowest of many is within the bound.
func probesOfThree(t *testing.T) {
	for seed := range uint64(10) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
			m := s.followers()[0]
			time.Sleep(time.Duration(seed) * 45 * time.Millisecond)
			s.net.Pause(m.ip)
			s.awayFrom(m, s.silenceBound())
			s.net.Resume(m.ip)
			s.rests(30 * time.Second)
		})
	}
}

// twoOfOneID: consul#733, two nodes of one identity push each other out in turn.
// A copy of a node, and one with nothing on its disk, are refused, and nobody else
// notices.
func twoOfOneID(t *testing.T) {
	for seed := range uint64(4) {
		scene(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN}, func(s *sim) {
			before := s.where()
			original := s.followers()[0]
			twin := newMachine(s, len(s.machines))
			twin.id, twin.name, twin.twin, twin.seq = original.id, original.name, true, original.seq-1
			if seed%2 == 0 {
				twin.disk = original.disk.Copy()
			}
			twin.boot()
			index := original.index()
			for range 20 {
				if err := s.drain(s.leader().name, false); err != nil { // an entry without effect
					s.t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			s.noLoss()
			if original.index() < index+20 {
				s.failf("the original was at %d and is at %d: its raft traffic goes to the copy", index, original.index())
			}
			twin.crash()
			s.rests(30 * time.Second)
			if now := s.where(); now != before {
				s.failf("a copied node changed lives: %s -> %s", before, now)
			}
		})
	}
}

// restartStorm: a storm that feeds itself goes on when its trigger has ended. Five
// hundred children crash at once on a slow network; all run soon after.
func restartStorm(t *testing.T) {
	bubble(t, options{seed: 1, nodes: 3, profile: gossip.LAN, verbose: verbose()}, func(s *sim) {
		s.form()
		spec := flat("shop", supervisor.OneForOne, 500)
		s.apply(spec)
		s.rests(60 * time.Second)
		s.net.SetLatency(20*time.Millisecond, 10*time.Millisecond)
		for range 3 {
			for _, path := range workers(spec) {
				s.killOnce(path)
			}
			time.Sleep(2 * time.Second)
		}
		s.net.SetLatency(300*time.Microsecond, 0)
		if took := s.rests(30 * time.Second); took > 10*time.Second {
			s.failf("at rest only %v after the storm", took)
		}
		s.noLoss()
		if c := s.oracle.total(); c.restarts < 1000 {
			s.t.Errorf("%d restarts: nothing is shown", c.restarts)
		}
	})
}
