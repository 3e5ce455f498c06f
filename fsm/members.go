package fsm

import (
	"fmt"
	"maps"
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// This file tells trees of the nodes, for children that have an instance on each.

// members are the nodes of the cluster, lost ones among them: all that may come back
// under their name.
func (s *state) members() []supervisor.Member {
	members := make([]supervisor.Member, 0, len(s.nodes))
	for _, id := range s.nodeIDs() {
		if n := s.nodes[id]; n.State != NodeGone && !n.Succeeded {
			members = append(members, supervisor.Member{ID: n.ID, Name: n.Name, Labels: n.Labels, Here: n.Eligible()})
		}
	}
	return members
}

// tellNodes has the trees that follow the nodes learn of a change. It takes a position in
// the entry, as the command that changed them does, but only where there is such a tree.
func (s *state) tellNodes() (all []supervisor.Decision) {
	var in *supervisor.Nodes
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		t := s.trees[name]
		if !t.FollowsNodes() {
			continue
		}
		if in == nil {
			in = &supervisor.Nodes{Members: s.members()}
		}
		ds, _ := s.stepHere(t, *in) // stale, if none of it concerns the tree
		all = append(all, ds...)
	}
	if in != nil {
		s.pos++
	}
	return all
}

// roomForNode refuses a node that is new if its instances would be too many.
func (s *state) roomForNode(old *Node) error {
	more := 0
	for _, t := range s.trees { // order-free: a sum, and any that is too large
		if more += t.EachNode(); old == nil && t.EachNode() > 0 && t.Most()+t.EachNode() > supervisor.MaxChildren {
			return fmt.Errorf("%w: with one more node a tree would have more than %d children, the limit", supervisor.ErrRefused, supervisor.MaxChildren)
		}
	}
	if n := s.others("") + more; old == nil && more > 0 && n > MaxLives {
		return fmt.Errorf("%w: with one more node the cluster would have %d children, the limit is %d", supervisor.ErrRefused, n, MaxLives)
	}
	return nil
}
