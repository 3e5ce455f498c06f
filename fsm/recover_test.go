package fsm

import (
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// TestSuccessor: an older snapshot made to follow the present state has its trees,
// a clock that does not go back, and a generation that never was.
func TestSuccessor(t *testing.T) {
	h := running(t)
	old := h.snapshot()
	h.must(deleteTree("shop"), initial("c", 4))
	present, clock := h.snapshot(), time.Duration(h.index)*time.Second
	image, err := h.m.Successor(old, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if string(h.snapshot()) != string(present) {
		t.Error("Successor changed the machine")
	}
	next := &harness{failer: t, m: New(), index: h.index}
	if err := next.m.Restore(image); err != nil {
		t.Fatal(err)
	}
	next.m.View(func(v View) {
		if v.Generation() != 5 || v.Clock() != clock || v.ClusterID() != "c" {
			t.Errorf("generation %d, clock %v (want 5, %v)", v.Generation(), v.Clock(), clock)
		}
		if s, _ := v.Tree("shop").Child("shop/a"); s.Phase != supervisor.PhaseRunning {
			t.Errorf("shop/a is %s", s.Phase)
		}
	})
	next.must(event(next.ref("shop/a"), supervisor.EventExited))
	if got := next.ref("shop/a").Epoch.Index(); got != next.index {
		t.Errorf("a new life has the epoch of index %d, want %d", got, next.index)
	}
}

// TestSuccessorAsksForLives: after a restore a node's next hello ends the lives it
// does not hold, and charges nobody for them.
func TestSuccessorAsksForLives(t *testing.T) {
	h := running(t)
	image, err := h.m.Successor(h.snapshot(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.m.Restore(image); err != nil {
		t.Fatal(err)
	}
	before := h.ref("shop/a")
	h.must(nodeUp("n1", 1), nodeUp("n2", 1))
	h.m.View(func(v View) {
		s, _ := v.Tree("shop").Child("shop/a")
		if s.Epoch <= before.Epoch || s.Budget.Used != 0 {
			t.Errorf("shop/a has epoch %v after %v, budget %v", s.Epoch, before.Epoch, s.Budget)
		}
	})
}

// TestSuccessorOfANewerSnapshot: clock and generation are the greater of both.
func TestSuccessorOfANewerSnapshot(t *testing.T) {
	h := running(t)
	c := h.restored()
	c.must(initial("c", 9), initial("c", 9))
	image, err := h.m.Successor(c.snapshot(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.m.Restore(image); err != nil {
		t.Fatal(err)
	}
	h.m.View(func(v View) {
		if v.Generation() != 10 || v.Clock() != time.Duration(c.index)*time.Second {
			t.Errorf("generation %d, clock %v", v.Generation(), v.Clock())
		}
	})
}

// TestSuccessorOfAnotherCluster is refused.
func TestSuccessorOfAnotherCluster(t *testing.T) {
	other := &harness{failer: t, m: New()}
	other.must(initial("d", 1))
	h := running(t)
	untouched(t, h, "another cluster's snapshot", func() error { _, err := h.m.Successor(other.snapshot(), 0, 0); return err })
	untouched(t, h, "an empty snapshot", func() error { _, err := h.m.Successor(snapshotOf(t, New()), 0, 0); return err })
}

// TestRaise: a forced recovery has a new generation, in snapshots too.
func TestRaise(t *testing.T) {
	h := running(t)
	h.m.Raise(0)
	h.m.Raise(0)
	h.restored().m.View(func(v View) {
		if v.Generation() != 2000 {
			t.Errorf("generation %d, want 2000", v.Generation())
		}
	})
}

// TestRestoreTellsAll: after a restore a leader hears of every path and of the
// nodes, once.
func TestRestoreTellsAll(t *testing.T) {
	h := running(t)
	h.must(event(h.ref("shop/b"), supervisor.EventExited), verb("move", "shop/b", ""))
	h.m.TakeChanged()
	h = h.restored()
	first := make(follower)
	if _, nodes := h.m.TakeChanged(); !nodes {
		t.Error("the nodes are not told")
	}
	h = h.restored()
	first.follow(t, h.m)
	if paths, nodes := h.m.TakeChanged(); len(paths) > 0 || nodes {
		t.Errorf("told again: %v %v", paths, nodes)
	}
	h.must(drain("n2", true))
	if paths, nodes := h.m.TakeChanged(); len(paths) > 0 || !nodes {
		t.Errorf("after the drain of an idle node: %v %v", paths, nodes)
	}
}

// TestRecoveryAfterMissedRestores: the one node that is left may have missed restores.
// What it recovers has a generation that none of them had.
func TestRecoveryAfterMissedRestores(t *testing.T) {
	h := running(t)
	behind := h.restored()
	for range 9 {
		image, err := h.m.Successor(h.snapshot(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.m.Restore(image); err != nil {
			t.Fatal(err)
		}
	}
	behind.m.Raise(0)
	if a, b := behind.m.s.generation, h.m.s.generation; a <= b {
		t.Errorf("recovered is generation %d, lost was %d", a, b)
	}
}
