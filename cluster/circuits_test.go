package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// badNode is a cluster of n1, n2 and n3 whose n2 five children have failed on, and
// twelve others that wait for a node.
func badNode(t *testing.T) *state {
	s := newState(t)
	for _, id := range []string{"n1", "n2", "n3"} {
		s.node(id, nil)
	}
	spec := shopOf("a", "b", "c", "d", "e")
	spec.RestartPolicy.MaxRestarts = 9
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: spec})
	var assigns []supervisor.Assign
	var crashes []supervisor.ChildEvent
	s.m.View(func(v fsm.View) {
		for _, r := range v.Pending(9) {
			assigns = append(assigns, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n2"})
			crashes = append(crashes, supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1})
		}
	})
	s.apply(fsm.Command{Type: fsm.TypeAssign, Assign: assigns}, fsm.Command{Type: fsm.TypeEvents, Events: crashes})
	more := shopOf("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12")
	more.Name = "more"
	for i := range more.Children {
		more.Children[i].Placement.Nodes = []string{"n2"}
	}
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: more})
	return s
}

// placed counts what the leader would place now, by node, and gives the last reason.
func (s *state) placed(now time.Duration) (count map[string]int, why string) {
	count = make(map[string]int)
	for _, cmd := range s.next(inputs{now: now}) {
		for _, a := range cmd.Assign {
			count[a.Node]++
			why = a.Why
		}
	}
	return count, why
}

// TestBadNodeGetsNothing: the leader places nothing on a node whose circuit is open,
// three children once it is half-open, and says why; by cluster time, entries or not.
func TestBadNodeGetsNothing(t *testing.T) {
	s := badNode(t)
	count, why := s.placed(29 * time.Second)
	if count["n2"] != 0 || count["n1"]+count["n3"] != 12 || !strings.Contains(why, "without n2 (its circuit is open: 5 children failed there") {
		t.Errorf("open: %v, %q", count, why)
	}
	cmds := s.next(inputs{now: 30 * time.Second})
	if count, why = s.placed(30 * time.Second); count["n2"] != 3 || count["n1"]+count["n3"] != 9 {
		t.Errorf("half-open: %v, %q", count, why)
	}
	s.clock = 30 * time.Second
	s.apply(cmds...)
	s.m.View(func(v fsm.View) {
		if c := v.Circuit("n2", s.clock); c.Room != 0 {
			t.Errorf("with three trials under way there is room for %d", c.Room)
		}
	})
}

// TestUnwellNodes: nothing is placed on an unhealthy node, and on a degraded one only what
// fits nowhere else; both say why. What a node repeats is not proposed again.
func TestUnwellNodes(t *testing.T) {
	s := newState(t)
	for _, id := range []string{"n1", "n2", "n3"} {
		s.node(id, nil)
	}
	s.says("n1", link.Health{Level: link.HealthUnhealthy, Reason: "disk: full"})
	s.says("n2", link.Health{Level: link.HealthDegraded, Reason: "memory: tight"})
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopOf("a", "b", "c", "d")})
	count, why := s.placed(100 * time.Second)
	if count["n3"] != 4 || !strings.Contains(why, "without n1 (its circuit is open: the node is unhealthy: disk: full)") {
		t.Errorf("placed %v, %q", count, why)
	}
	s.apply(fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "n3", On: true}})
	if count, why = s.placed(100 * time.Second); count["n2"] != 4 {
		t.Errorf("with n3 draining: %v, %q", count, why)
	}
	s.m.View(func(v fsm.View) {
		if news(v, "n1", &link.Health{Level: link.HealthUnhealthy, Reason: "disk: full"}) || !news(v, "n1", &link.Health{}) || !news(v, "n3", &link.Health{Level: link.HealthDegraded}) {
			t.Error("what is no news is proposed, or news are not")
		}
	})
}

func (s *state) says(id string, h link.Health) {
	var boot string
	s.m.View(func(v fsm.View) {
		n, _ := v.Node(id)
		boot = n.Boot
	})
	s.apply(fsm.Command{Type: fsm.TypeNodeHealth, Node: &fsm.NodeRef{ID: id, Boot: boot}, Health: &h})
}

// TestOnlyBadNodesAreLeft: where no other node fits, the bad one serves, and says so.
func TestOnlyBadNodesAreLeft(t *testing.T) {
	s := badNode(t)
	for _, id := range []string{"n1", "n3"} {
		s.apply(fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: id, On: true}})
	}
	count, why := s.placed(time.Second)
	if count["n2"] != 12 || !strings.Contains(why, "the least bad, for no node fits whose circuit is closed (its circuit is open") {
		t.Errorf("placed %v, %q", count, why)
	}
	s.m.View(func(v fsm.View) {
		if r, ok := Explain(v, "more/1"); !ok || !strings.Contains(fmt.Sprint(r), "the least bad") {
			t.Errorf("explained as %+v", r)
		}
	})
}
