package fsm

import (
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// lending is a cluster of two nodes with one child, on n1, of a budget of 5 in 60 s.
func lending(t *testing.T) (*harness, supervisor.Ref) {
	t.Helper()
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(supervisor.Spec{
		Name: "t", Strategy: supervisor.OneForOne, RestartPolicy: supervisor.RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute},
		Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"x"}}}},
	}))
	h.placeAll("n1")
	return h, h.ref("t/a")
}

// budget fails unless the child's budget has so many used and held, and n1 is to
// say that it is back.
func (h *harness) budget(used, held int, lent bool) {
	h.Helper()
	h.m.View(func(v View) {
		if st, _ := v.Tree("t").Child("t/a"); st.Budget.Used != used || st.Budget.Held != held || v.Lent("n1") != lent {
			h.Fatalf("budget %v, lent %v; want %d used, %d held, %v", st.Budget, v.Lent("n1"), used, held, lent)
		}
	})
}

// crash ends the child and starts it again where it was.
func (h *harness) crash() {
	h.Helper()
	ref := h.ref("t/a")
	h.must(Command{Type: TypeEvents, Events: []supervisor.ChildEvent{{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1,
	}}})
	h.must(event(h.ref("t/a"), supervisor.EventStarted))
}

func apart(id string, seq uint64) Command {
	c := lost(id, seq)
	c.Node.Apart = true
	return c
}

func backAgain(id string, seq uint64) Command {
	return Command{Type: TypeReturned, Node: &NodeRef{ID: id, Boot: boot(id, seq)}}
}

// TestLostNodeActsAlone: what a lost node was lent is held back until it has told.
func TestLostNodeActsAlone(t *testing.T) {
	h, was := lending(t)
	h.must(apart("n1", 1))
	h.placeAll("n2")
	h.budget(0, 2, true)
	h.refused(supervisor.ErrStale, backAgain("n1", 1)) // it is lost
	h = h.restored()
	h.must(nodeUp("n1", 1))
	h.budget(0, 2, true) // it has not told yet
	told := supervisor.ChildEvent{
		Path: was.Path, Epoch: was.Epoch, Type: supervisor.EventRestarted, Restarts: 2,
		Ages: []time.Duration{2 * time.Second, time.Second},
	}
	h.must(Command{Type: TypeEvents, Events: []supervisor.ChildEvent{told, told}})
	h.budget(2, 2, true)
	h.refused(supervisor.ErrStale, backAgain("n1", 2))
	h = h.restored()
	h.must(backAgain("n1", 1))
	h.budget(2, 0, false)
	h.refused(supervisor.ErrStale, backAgain("n1", 1))
}

// TestLostNodeCannotTell: if its agent began anew, if it left for good, or if another
// took its place, what it was lent is held back for one period more.
func TestLostNodeCannotTell(t *testing.T) {
	for name, cmd := range map[string]Command{
		"another agent": nodeUp("n1", 2), "left": left("n1"), "succeeded": nodeAs("n9", "n1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := lending(t)
			h.must(apart("n1", 1))
			h.placeAll("n2")
			h.index += 1000
			h.must(cmd)
			h.budget(0, 2, false)
			h.apply(backAgain("n1", 2)) // does not end it early
			h.index += 50
			h.crash()
			h.budget(1, 2, false)
			h = h.restored()
			h.index += 20
			h.crash()
			h.budget(2, 0, false)
		})
	}
}

// TestAnotherAgentCannotTell: a node that was not lost may have been without a leader
// all the same.
func TestAnotherAgentCannotTell(t *testing.T) {
	for _, apart := range []bool{false, true} {
		h, ref := lending(t)
		up := nodeUp("n1", 2, ref)
		up.Up.Apart = apart
		h.must(up)
		if h.ref("t/a") != ref {
			t.Error("it was kept and yet has a new life")
		}
		if apart {
			h.budget(0, 2, false)
		} else {
			h.budget(0, 0, false)
		}
	}
}

// TestAnotherAgentCannotTellOfWhatMoved: the child may have left a node that is well,
// and that did not know of it. If the node's agent began anew since, the one before may
// have restarted the child, and nobody tells.
func TestAnotherAgentCannotTellOfWhatMoved(t *testing.T) {
	h, ref := lending(t)
	h.must(verb("move", "t/a", "n2"))
	h.must(Command{Type: TypeEvents, Events: []supervisor.ChildEvent{{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1,
	}}})
	h.placeAll("n2")
	h.budget(0, 2, true)
	up := nodeUp("n1", 2)
	up.Up.Apart = true
	h.must(up)
	h.budget(0, 2, false)
	h.refused(supervisor.ErrStale, backAgain("n1", 2)) // does not end it early
	h.budget(0, 2, false)
}
