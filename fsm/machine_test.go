package fsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// TestCrashRestartsAcrossSnapshot is the whole way once: apply, place, start,
// crash. The crash is decided by a restored copy.
func TestCrashRestartsAcrossSnapshot(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(tree("shop", "a", "b")))
	if reqs := h.pending(); len(reqs) != 2 {
		t.Fatalf("pending %v", reqs)
	}
	h.placeAll("n1")
	h = h.restored()
	before := h.ref("shop/a")
	res := h.must(event(before, supervisor.EventExited))
	if len(res[0].Decisions) != 1 || res[0].Decisions[0].Verdict != supervisor.VerdictRestart {
		t.Fatalf("decisions %+v", res[0].Decisions)
	}
	orders := h.orders("n1")
	if len(orders) != 2 || orders[0].Action != supervisor.Run || orders[0].Epoch <= before.Epoch {
		t.Fatalf("orders %+v", orders)
	}
}

// TestWindowSurvivesRestore: restarts are counted over a snapshot, so that the crash
// that goes beyond the budget is the same one with or without it (P3).
func TestWindowSurvivesRestore(t *testing.T) {
	for _, restores := range []bool{false, true} {
		h := newHarness(t, "n1")
		h.must(applyTree(tree("shop", "a")))
		h.placeAll("n1")
		crashes := 0
		for gaveUp := false; !gaveUp; crashes++ {
			if crashes > 100 {
				t.Fatalf("restored: %v: it never gives up", restores)
			}
			ref := h.ref("shop/a")
			res := h.must(event(ref, supervisor.EventExited))
			gaveUp = res[0].Decisions[0].Verdict == supervisor.VerdictEscalate
			if restores {
				h = h.restored()
			}
			if !gaveUp {
				h.must(event(h.ref("shop/a"), supervisor.EventStarted))
			}
		}
		if want := tree("shop", "a").RestartPolicy.MaxRestarts + 1; crashes != want {
			t.Errorf("restored: %v: it gave up at crash %d, want %d", restores, crashes, want)
		}
	}
}

// TestHash: equal states have equal hashes at the same index, others do not.
func TestHash(t *testing.T) {
	h := running(t)
	c := h.restored()
	index, sum, err := h.m.Hash()
	if err != nil || index != h.index || len(sum) != 64 {
		t.Fatalf("hash %d %q %v", index, sum, err)
	}
	if _, other, _ := c.m.Hash(); other != sum {
		t.Error("a restored copy has another hash")
	}
	h.must(drain("n1", true))
	c.must(drain("n2", true))
	_, sum, _ = h.m.Hash()
	if _, other, _ := c.m.Hash(); other == sum {
		t.Error("another state has the same hash")
	}
}

// TestClock: cluster time never goes back, whatever a leader stamps; wall time is
// shown as it is.
func TestClock(t *testing.T) {
	m := New()
	for i, at := range []time.Duration{5, 3, -9, 8} {
		data := encoded(t, Entry{Time: at * time.Second, Wall: int64(100 - i), Commands: []Command{initial("c", 1)}})
		if _, err := m.Apply(uint64(i+1), data); err != nil {
			t.Fatal(err)
		}
		m.View(func(v View) {
			if want := max(5, at) * time.Second; v.Clock() != want || v.Wall() != int64(100-i) || v.Index() != uint64(i+1) {
				t.Errorf("index %d: clock %v, wall %d; want %v, %d", v.Index(), v.Clock(), v.Wall(), want, 100-i)
			}
		})
	}
}

// TestEpochsWithinAnEntry: inputs of one entry make epochs of their own, and a
// node's loss counts as one input, whatever the number of trees.
func TestEpochsWithinAnEntry(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(tree("t", "a", "b")), applyTree(tree("u", "a")))
	h.placeAll("n1")
	h.must(lost("n1", 1), verb("restart", "t/a", ""), verb("restart", "t/b", ""))
	want := map[string]supervisor.Epoch{"u/a": 0, "t/a": 1, "t/b": 2}
	for path, pos := range want {
		if got := h.ref(path).Epoch; got != supervisor.Epoch(h.index<<16)+pos {
			t.Errorf("%s has epoch %v, want %d.%d", path, got, h.index, pos)
		}
	}
}

// TestVerbs: what an operator may ask for, and what is refused.
func TestVerbs(t *testing.T) {
	h := running(t)
	h.must(nodeUp("n3", 1), drain("n3", true), nodeUp("n4", 1), lost("n4", 1))
	for _, c := range []struct {
		want error
		cmd  Command
	}{
		{supervisor.ErrRefused, verb("sing", "shop/a", "")},
		{supervisor.ErrUnknown, verb("stop", "shop/z", "")},
		{ErrUnknownTree, verb("stop", "mall/a", "")},
		{ErrUnknownTree, verb("stop", "", "")},
		{ErrUnknownTree, deleteTree("mall")},
		{ErrUnknownNode, verb("move", "shop/a", "n9")},
		{supervisor.ErrRefused, verb("move", "shop/a", "n3")},
		{supervisor.ErrRefused, verb("move", "shop/a", "n4")},
		{supervisor.ErrRefused, verb("move", "shop/a", "n1")},
		{supervisor.ErrRefused, applyTree(tree("", "a"))},
		{supervisor.ErrRefused, applyTree(tree("shop", "a", "a"))},
		{supervisor.ErrRefused, initial("d", 1)},
		{ErrUnknownNode, drain("n9", true)},
		{ErrUnknownNode, left("n9")},
	} {
		before := h.ref("shop/a")
		h.refused(c.want, c.cmd)
		if h.ref("shop/a") != before {
			t.Errorf("%+v was refused and changed shop/a", c.cmd)
		}
	}
	h.must(verb("move", "shop/a", "n2"))
	h.must(event(h.ref("shop/a"), supervisor.EventExited))
	if reqs := h.pending(); len(reqs) != 1 || reqs[0].Only != "n2" {
		t.Errorf("after move to n2 pending is %+v", reqs)
	}
	h.must(verb("stop", "shop/b", ""), verb("restart", "shop", ""), verb("start", "shop/b", ""))
}

// TestAssignToWhomItMayConcern: an assign to a node that is unknown, lost or
// draining, or of a life that is over, changes nothing and is no error: the
// leader chooses again.
func TestAssignToWhomItMayConcern(t *testing.T) {
	h := newHarness(t, "n1", "n2", "n3")
	h.must(applyTree(tree("shop", "a")), lost("n2", 1), drain("n3", true))
	ref := h.ref("shop/a")
	for _, a := range []Command{
		assign(ref, "n2"), assign(ref, "n3"), assign(ref, "n9"), assign(ref, ""),
		assign(supervisor.Ref{Path: "shop/a", Epoch: ref.Epoch - 1}, "n1"),
		assign(supervisor.Ref{Path: "shop/z", Epoch: ref.Epoch}, "n1"),
		assign(supervisor.Ref{Path: "mall/a", Epoch: ref.Epoch}, "n1"),
	} {
		if res := h.must(a); len(res[0].Decisions) > 0 || len(h.pending()) != 1 {
			t.Errorf("%+v led to %+v", a.Assign, res[0].Decisions)
		}
	}
	h.must(assign(ref, "n1"))
	if len(h.pending()) != 0 || len(h.orders("n1")) != 1 {
		t.Error("a good assign was not done")
	}
}

// TestRepeatedEvents: one event, at most one decision, however often and in
// whatever order it comes (P7).
func TestRepeatedEvents(t *testing.T) {
	h := running(t)
	old := h.ref("shop/a")
	exit := event(old, supervisor.EventExited)
	exit.Events = append(exit.Events, exit.Events[0])
	if res := h.must(exit, event(old, supervisor.EventStarted), exit); len(res[0].Decisions) != 1 ||
		len(res[1].Decisions)+len(res[2].Decisions) != 0 {
		t.Errorf("decisions %+v", res)
	}
}

// TestDeleteAndApplyAgain: a deleted tree goes once its last life has ended, and
// a new one of its name begins with newer epochs.
func TestDeleteAndApplyAgain(t *testing.T) {
	h := running(t)
	a, b := h.ref("shop/a"), h.ref("shop/b")
	h.must(deleteTree("shop"))
	h.refused(supervisor.ErrRefused, applyTree(tree("shop", "a")))
	h.must(event(a, supervisor.EventExited), event(b, supervisor.EventExited))
	h.m.View(func(v View) {
		if names := v.TreeNames(); len(names) != 0 || v.Tree("shop") != nil || v.Used("n1") != (Used{}) {
			t.Errorf("left over: trees %v, used %+v", names, v.Used("n1"))
		}
	})
	h.must(event(a, supervisor.EventExited)) // of a tree that is gone
	h.must(applyTree(tree("shop", "a")))
	if got := h.ref("shop/a").Epoch; got <= a.Epoch {
		t.Errorf("the new tree's epoch %v is not after %v", got, a.Epoch)
	}
}

// TestRetryAfter: a failed tree says when it is to start again; the leader's
// start does so once.
func TestRetryAfter(t *testing.T) {
	h := newHarness(t, "n1")
	spec := tree("shop", "a")
	spec.RestartPolicy.MaxRestarts, spec.RetryAfter = 0, 30*time.Second
	h.must(applyTree(spec))
	h.placeAll("n1")
	h.must(event(h.ref("shop/a"), supervisor.EventExited))
	failedAt := time.Duration(h.index) * time.Second
	h = h.restored()
	h.m.View(func(v View) {
		tr := v.Tree("shop")
		if at, ok := tr.RetryAt(); !ok || at != failedAt+30*time.Second || tr.Status() != supervisor.TreeFailed {
			t.Errorf("the tree is %s, retry at %v %v", tr.Status(), at, ok)
		}
	})
	retry := verb("start", "shop", "")
	retry.By = supervisor.RetryBy
	res := h.must(retry)
	if len(res[0].Decisions) != 1 || res[0].Decisions[0].Cause.Kind != supervisor.CauseRetry {
		t.Errorf("decisions %+v", res[0].Decisions)
	}
	h.refused(supervisor.ErrStale, retry)
	h.m.View(func(v View) {
		if _, ok := v.Tree("shop").RetryAt(); ok {
			t.Error("the tree runs and is still to be tried again")
		}
	})
}

// TestLimitOfTrees: beyond MaxTrees a new tree is refused and an old one can
// still be edited.
func TestLimitOfTrees(t *testing.T) {
	h := newHarness(t)
	for i := 0; i < MaxTrees; i += 100 {
		var cmds []Command
		for k := range 100 {
			cmds = append(cmds, applyTree(tree(fmt.Sprint("t", i+k), "a")))
		}
		h.must(cmds...)
	}
	err := h.refused(supervisor.ErrRefused, applyTree(tree("more", "a")))
	if !strings.Contains(err.Error(), "limit") {
		t.Errorf("the refusal is %q", err)
	}
	h.must(applyTree(tree("t7", "a", "b")), deleteTree("t8"))
	h.must(applyTree(tree("more", "a")))
}

// TestInit: the first init names the cluster; a repeat changes nothing, and the
// generation never falls.
func TestInit(t *testing.T) {
	h := newHarness(t)
	h.must(initial("c", 3), initial("c", 2), initial("c", 0))
	h.refused(supervisor.ErrRefused, initial("d", 9))
	h.m.View(func(v View) {
		if v.ClusterID() != "c" || v.Generation() != 3 {
			t.Errorf("cluster %q, generation %d", v.ClusterID(), v.Generation())
		}
	})
	if _, err := h.m.Apply(h.index+1, nil); err == nil || errors.Is(err, supervisor.ErrRefused) {
		t.Errorf("an empty entry gave %v", err)
	}
}
