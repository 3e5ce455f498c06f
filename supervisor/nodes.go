package supervisor

import (
	"cmp"
	"fmt"
	"slices"
)

// This file is what a tree knows of the cluster's nodes: only what each_node needs, and
// nothing if no child of it says each_node.

// Member is a node of the cluster. Names and ids are unique.
type Member struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	// Here: children may run there now. One that is lost, or drained, is still a member.
	Here bool `json:"here,omitempty"`
}

// Nodes says which nodes the cluster has, all of them. A child with each_node gets an
// instance on each new one that fits; that of one that has left leaves. The instance of
// a node that is not here waits for it.
type Nodes struct {
	Members []Member `json:"members"`
}

func (Nodes) input() {}

// fits: the child has an instance on the node. Its preferred nodes, if it names any, are
// the only ones.
func (m *Member) fits(p *Placement) bool {
	for key, want := range p.Needs { // order-free: all must hold
		if have, ok := m.Labels[key]; !ok || have != want {
			return false
		}
	}
	return len(p.Nodes) == 0 || slices.Contains(p.Nodes, m.Name) || slices.Contains(p.Nodes, m.ID)
}

// EachNode tells whether any child of the spec wants an instance on every node.
func (s *Spec) EachNode() bool { return countEach(s.Children) > 0 }

func countEach(children []ChildSpec) (n int) {
	for i := range children {
		n += bool2int(children[i].EachNode) + countEach(children[i].Children)
	}
	return n
}

// EachNode counts the children that have an instance on every node.
func (t *Tree) EachNode() int { return t.each }

// home is the id of the node that an instance of s belongs to; empty if it belongs to none.
func (t *Tree) home(s *node, c *ChildSpec) string {
	if s == nil || s.spec == nil || !s.spec.EachNode {
		return ""
	}
	i := slices.IndexFunc(t.members, func(m Member) bool { return m.Name == c.ID })
	return t.members[i].ID // it has the name from there
}

// NewTreeOn is NewTree in a cluster of these nodes.
func NewTreeOn(spec Spec, members []Member) (*Tree, error) {
	if !spec.EachNode() {
		return NewTree(spec)
	}
	if err := fitsOn(&spec, len(members)); err != nil {
		return nil, err
	}
	return newTree(spec, shaping{members: sorted(members)})
}

// fitsOn refuses what would be too many children on so many nodes.
func fitsOn(spec *Spec, nodes int) error {
	if most := spec.SizeOn(nodes); most > MaxChildren {
		return fmt.Errorf("tree %s would have %d children on %d nodes, the limit is %d", spec.Name, most, nodes, MaxChildren)
	}
	return nil
}

// FollowsNodes tells whether the tree is to be told of the cluster's nodes.
func (t *Tree) FollowsNodes() bool { return t.each > 0 || t.members != nil }

// known gives the members as far as a spec wants them, or one that the tree may yet go
// back to.
func (t *Tree) known(spec *Spec) []Member {
	if spec.EachNode() || t.each > 0 || t.rollout.active() && t.rollout.Base != nil && t.rollout.Base.EachNode() {
		return t.members
	}
	return nil
}

// away: n belongs to a node that is not here, so it waits where it is.
func (t *Tree) away(n *node) bool {
	if n.home == "" {
		return false
	}
	i, found := slices.BinarySearchFunc(t.members, n.home, func(m Member, id string) int { return cmp.Compare(m.ID, id) })
	return !found || !t.members[i].Here
}

// sorted gives members by id, as a tree keeps them.
func sorted(members []Member) []Member {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// onNodes follows the cluster. Stale: nothing that concerns the tree has changed.
func (t *Tree) onNodes(in Nodes) error {
	members := sorted(in.Members)
	if t.deleting || !t.FollowsNodes() || same(t.members, members) {
		return ErrStale
	}
	if err := fitsOn(&t.spec, len(members)); err != nil {
		return fmt.Errorf("%w: %v", ErrRefused, err)
	}
	sh := t.shaping(&t.spec)
	sh.members = members
	t.reshape(t.spec, sh, Cause{Kind: CauseNodes, Detail: "the nodes of the cluster have changed"}, nil).begin(false)
	t.regroup()
	t.awaitNodes()
	return nil
}

// awaitNodes counts anew who waits for a node that is not here.
func (t *Tree) awaitNodes() {
	t.root.walk(func(n *node) {
		if n.home != "" && n.life.Phase == PhasePending && n.life.Away != t.away(n) {
			t.become(n, n.life)
		}
	})
}
