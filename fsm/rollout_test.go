package fsm

import (
	"bytes"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// rolling is shop with a version, whose workers change one after the other.
func rolling(version string) supervisor.Spec {
	s := tree("shop", "a", "b")
	s.Update = &supervisor.UpdatePolicy{Parallel: 1, MinReady: 10 * time.Second, Deadline: time.Minute, AutoRevert: true}
	for i := range s.Children {
		s.Children[i].Program = &supervisor.Program{Argv: []string{version}}
	}
	return s
}

func advance() Command { return verb(VerbAdvance, "shop", "") }

// rollout is where the rollout of shop is; empty if there is none.
func (h *harness) rollout() (phase supervisor.RolloutPhase) {
	h.m.View(func(v View) {
		r, _ := v.Tree("shop").Rollout()
		phase = r.Phase
	})
	return phase
}

// TestRollout: verbs and the leader's advance reach the tree, a machine that was restored
// in the midst goes on as the other, and the tag is that of the spec that is aimed at.
func TestRollout(t *testing.T) {
	h := newHarness(t, "n1")
	h.must(applyTree(rolling("v1")))
	h.placeAll("n1")
	h.refused(supervisor.ErrStale, advance())
	h.must(applyTree(rolling("v2")))
	h.refused(supervisor.ErrStale, advance())
	other := h.restored()
	h.also = []*Machine{other.m}
	h.refused(supervisor.ErrRefused, verb("rollout-dance", "shop", ""))
	h.must(verb("rollout-pause", "shop", ""), verb("rollout-resume", "shop", ""))
	h.must(event(h.ref("shop/a"), supervisor.EventExited))
	h.must(event(h.ref("shop/a"), supervisor.EventStarted))
	for range 9 {
		h.refused(supervisor.ErrStale, advance())
	}
	h.must(advance())
	h.must(event(h.ref("shop/b"), supervisor.EventExited)) // as ordered
	if h.rollout() != supervisor.RolloutUpdating {
		t.Fatalf("the rollout is %q", h.rollout())
	}
	h.must(Command{Type: TypeApplyTree, Tree: ptr(rolling("v2")), If: Tag(rolling("v2")), By: "ann"})
	h.must(event(h.ref("shop/b"), supervisor.EventExited)) // it fails
	h.refused(ErrChanged, Command{Type: TypeApplyTree, Tree: ptr(rolling("v3")), If: Tag(rolling("v2")), By: "ann"})
	h.must(Command{Type: TypeApplyTree, Tree: ptr(rolling("v1")), If: Tag(rolling("v1")), By: "ann"})
	if a, b := h.snapshot(), snapshotOf(t, other.m); !bytes.Equal(a, b) {
		t.Error("the machine that was restored in the midst differs")
	}
	h.must(deleteTree("shop"))
	h.refused(supervisor.ErrRefused, verb("rollout-revert", "shop", ""))
}

func ptr[T any](v T) *T { return &v }
