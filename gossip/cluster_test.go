package gossip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

func TestNodesConverge(t *testing.T) {
	for _, k := range []int{3, 5, 10} {
		bubble(t, uint64(k), LAN, func(t *testing.T, w *world) {
			w.grow(k)
			m := w.member("n2", "n3")
			if m.Name != "name-of-n3" || m.ClusterAddr != "10.0.0.3:7401" {
				t.Errorf("n2 knows n3 as %+v", m)
			}
			if len(w.nodes["n2"].Members()) != k {
				t.Errorf("members: %s", w.views())
			}
		})
	}
}

// TestDeathIsSeenInTime is the detection bound, and the regression test for memberlist skipping probes among three
// nodes (memberlist#350).
func TestDeathIsSeenInTime(t *testing.T) {
	for _, c := range []struct {
		p     Profile
		nodes int
		seeds uint64
	}{{LAN, 3, 40}, {LAN, 5, 20}, {Fast, 3, 40}, {Fast, 5, 20}, {WAN, 3, 10}} {
		t.Run(fmt.Sprintf("%s-%d", c.p, c.nodes), func(t *testing.T) {
			var worst, sum time.Duration
			for seed := range c.seeds {
				bubble(t, seed, c.p, func(t *testing.T, w *world) {
					w.grow(c.nodes)
					pass(10*time.Second + rand.N(3*time.Second))
					victim := fmt.Sprintf("n%d", 1+seed%uint64(c.nodes))
					w.kill(victim)
					d := w.within(time.Minute, "all see "+victim+" dead", w.allSee(victim, Dead))
					worst, sum = max(worst, d), sum+d
				})
			}
			t.Logf("mean %v, worst %v of %d", sum/time.Duration(c.seeds), worst, c.seeds)
			limit := Timing(c.p).Detect
			if c.nodes > 3 {
				limit = limit * 13 / 10 // see Timings.Detect
			}
			if worst > limit {
				t.Errorf("the worst took %v, the bound is %v", worst, limit)
			}
		})
	}
}

func TestPartitionHeals(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, seed, LAN, func(t *testing.T, w *world) {
			w.grow(5)
			w.noSeeds.Store(seed%2 == 0) // dead members alone must be enough
			w.net.Partition([]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.3", "10.0.0.4", "10.0.0.5"})
			pass(time.Minute)
			for _, pair := range [][2]string{{"n1", "n3"}, {"n1", "n5"}, {"n4", "n1"}, {"n5", "n2"}} {
				if s := w.state(pair[0], pair[1]); s != Dead {
					t.Errorf("after a minute %s sees %s %s", pair[0], pair[1], s)
				}
			}
			if s := w.state("n3", "n4"); s != Alive {
				t.Errorf("n3 sees n4, on its own side, %s", s)
			}
			w.net.HealAll()
			w.within(25*time.Second, "full view after the heal", w.full)
		})
	}
}

func TestIsolatedNodeComesBack(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.seeds = []string{"10.0.0.1:7400"}
		w.grow(3)
		w.net.Partition([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})
		pass(10 * time.Minute)
		w.net.HealAll()
		w.within(25*time.Second, "full view after ten minutes alone", w.full)
	})
}

func TestRestartWithAnotherAddress(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(3)
		w.kill("n2")
		w.start("n2", "10.0.0.99") // before anybody noticed
		w.within(2*time.Second, "the new boot counts", w.full)
		w.never(2*time.Minute, "the old boot's death hit the new one", func() bool { return !w.full() })
		if m := w.member("n1", "n2"); m.Conflict {
			t.Error("a restart was taken for a conflict")
		}
	})
}

func TestQuickRestartInPlaceIsNoticed(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(3)
		before := w.member("n1", "n2").BootID
		w.kill("n2")
		w.start("n2", "10.0.0.2")
		w.within(2*time.Second, "the new boot counts", w.full)
		if w.member("n1", "n2").BootID == before {
			t.Error("the boot id did not change")
		}
	})
}

// TestAllRestart is memberlist#311: after a mass restart some nodes stayed dead. Half of them move as well.
func TestAllRestart(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, seed, LAN, func(t *testing.T, w *world) {
			for i := range 7 {
				w.seeds = append(w.seeds, fmt.Sprintf("10.0.0.%d:7400", i+1))
			}
			w.grow(7)
			rng := rand.New(rand.NewPCG(seed, 0))
			order := rng.Perm(7)
			for _, i := range order {
				w.kill(fmt.Sprintf("n%d", i+1))
				if rng.IntN(2) == 0 {
					pass(time.Duration(rng.Int64N(5e9)))
				}
			}
			for _, i := range rng.Perm(7) {
				ip := fmt.Sprintf("10.0.0.%d", i+1)
				if i%2 == 1 {
					ip = fmt.Sprintf("10.0.1.%d", i+1)
				}
				w.start(fmt.Sprintf("n%d", i+1), ip)
				pass(time.Duration(rng.Int64N(2e9)))
			}
			w.within(30*time.Second, "full view after a mass restart", w.full)
		})
	}
}

// TestShortPauseKillsNobody: promise P16 in profile lan. memberlist itself gives the node up for an instant in some
// of these runs; Confirm is what keeps that from being a death. With memberlist's own RetransmitMult of 4 the news
// that the node is back misses one of five nodes in a few of 100 pauses, which then takes it for dead for seconds.
func TestShortPauseKillsNobody(t *testing.T) {
	for _, k := range []int{3, 5} {
		for seed := range uint64(5) {
			bubble(t, seed, LAN, func(t *testing.T, w *world) {
				w.grow(k)
				for range 10 {
					pass(10*time.Second + rand.N(2*time.Second))
					w.net.Pause("10.0.0.2")
					time.AfterFunc(2*time.Second, func() { w.net.Resume("10.0.0.2") })
					w.never(6*time.Second, "a 2 s pause was taken for a death", w.anyDead)
				}
			})
		}
	}
}

func TestLossKillsNobody(t *testing.T) {
	for seed := range uint64(2) {
		bubble(t, seed, LAN, func(t *testing.T, w *world) {
			w.grow(5)
			w.net.SetLoss(0.1)
			w.never(10*time.Minute, "10 % loss was taken for a death", w.anyDead)
		})
	}
}

func TestSlowLinksKillNobody(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(5)
		w.net.SetLatency(95*time.Millisecond, 10*time.Millisecond) // 200 ms round trips
		w.never(10*time.Minute, "200 ms round trips were taken for a death", w.anyDead)
	})
}

func TestLeaveIsNoDeath(t *testing.T) {
	for seed := range uint64(5) {
		bubble(t, seed, LAN, func(t *testing.T, w *world) {
			w.grow(5)
			start := time.Now()
			if err := w.nodes["n2"].Leave(0); err != nil || time.Since(start) > 3*time.Second {
				t.Errorf("leave: %v after %v", err, time.Since(start))
			}
			if err := w.nodes["n2"].Leave(0); err != nil {
				t.Errorf("second leave: %v", err)
			}
			w.kill("n2") // Run has returned by itself, kill only collects it
			w.within(time.Second, "all see n2 left", w.allSee("n2", Left))
			w.never(time.Minute, "n2 did not stay left", func() bool { return !w.allSee("n2", Left)() })
		})
	}
}

func TestUpdateMetaSpreads(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(3)
		n2 := w.nodes["n2"]
		for len(w.nodes["n1"].Changed()) > 0 {
			<-w.nodes["n1"].Changed()
		}
		if err := n2.UpdateMeta(Meta{Name: "renamed"}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-w.nodes["n1"].Changed()
		if m := w.member("n1", "n2"); m.Name != "renamed" || m.BootID != n2.cfg.BootID || time.Since(start) > time.Second {
			t.Errorf("n1 knows %+v after %v", m, time.Since(start))
		}
		if err := n2.UpdateMeta(Meta{NodeID: "n3"}); err == nil {
			t.Error("a node took another's id")
		}
	})
}

func TestCopiedDataDirIsVisible(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(3)
		twin := w.config("n2", "10.0.0.50")
		w.boots++
		n, err := w.open(twin)
		if err != nil {
			t.Fatal(err)
		}
		n.done <- nil
		w.nodes["twin"] = n
		if err := n.Join(t.Context(), "10.0.0.1:7400"); err != nil {
			t.Fatal(err)
		}
		conflict := func() bool { m := w.member("n1", "n2"); return m.Conflict && m.BootID == twin.BootID }
		if d := w.within(time.Minute, "n1 sees a conflict", conflict); d < 25*time.Second {
			t.Errorf("a conflict after %v could be a restart", d)
		}
		w.kill("twin")
	})
}

func TestRejoinResolvesNamesAnew(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.seeds = []string{"gossip.example:7400"}
		var where atomic.Value
		where.Store("10.0.0.77")
		w.lookup = func(context.Context, string) ([]string, error) { return []string{where.Load().(string)}, nil }
		w.start("n1", "10.0.0.1")
		w.start("n2", "10.0.0.2")
		w.never(time.Minute, "the name leads nowhere", w.full)
		where.Store("10.0.0.1")
		w.within(15*time.Second, "n2 finds n1 by name", w.full)
	})
}
