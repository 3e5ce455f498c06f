package supervisor

import (
	"fmt"
	"strconv"
	"strings"
)

// This file is what a child that stands for many is to the core: a supervisor like any
// other, one_for_one, whose children are its instances. expand makes the plain tree of
// a spec; everything else supervises that, and knows of no instances.

// Apartness says how far the instances of one child keep from each other.
type Apartness string

const (
	// ApartSoftly puts instances on different nodes while there are enough (the
	// default; empty means the same).
	ApartSoftly Apartness = "node"
	// ApartStrictly lets an instance wait where every node that fits has one.
	ApartStrictly Apartness = "strict"
)

// Many tells whether the child stands for instances.
func (c *ChildSpec) Many() bool { return c.Replicas > 0 }

// most is how many instances the child may come to have.
func (c *ChildSpec) most() int { return c.Replicas }

// Expand gives the tree as it is supervised: each child that stands for many is a
// supervisor of its instances. What has none is shared with the spec.
func (s Spec) Expand() Spec {
	s.Children, _ = expand(s.RestartPolicy, s.Children)
	return s
}

// expand gives the children of a supervisor of policy p, and whether they differ from
// those that it was given.
func expand(p RestartPolicy, children []ChildSpec) (all []ChildSpec, differs bool) {
	for i := range children {
		c, changed := children[i], true
		switch {
		case c.Many():
			c = instances(c, p)
		case c.Supervisor != nil:
			c.Children, changed = expand(c.Supervisor.RestartPolicy, c.Children)
		default:
			changed = false
		}
		if changed && !differs {
			all, differs = append([]ChildSpec(nil), children...), true
		}
		if changed {
			all[i] = c
		}
	}
	if !differs {
		return children, false
	}
	return all, true
}

// instances makes the supervisor of a child's instances. They have the policy of the
// child's own supervisor, of which they are one child: whatever becomes of one of them
// is decided among them, until its budget is spent. Even a transient child's failure
// is never final for all of them at once, so this supervisor is permanent; a temporary
// one does not come back with its group, as its instances would not.
func instances(c ChildSpec, p RestartPolicy) ChildSpec {
	each := c
	each.Replicas, each.Update = 0, nil
	set := ChildSpec{
		ID: c.ID, RestartType: Permanent, MaxRestarts: c.MaxRestarts, Exclusive: c.Exclusive, Replicas: c.Replicas,
		Supervisor: &SupervisorSpec{Strategy: OneForOne, RestartPolicy: p, Update: c.Update},
		Children:   make([]ChildSpec, c.Replicas),
	}
	if c.RestartType == Temporary {
		set.RestartType = Temporary
	}
	for i := range set.Children {
		each.ID = strconv.Itoa(i + 1)
		set.Children[i] = each
	}
	return set
}

// validMany checks what is said of instances.
func validMany(path string, c *ChildSpec) error {
	switch a := c.Placement.Instances; {
	case c.Replicas < 0 || c.Replicas > MaxChildren:
		return fmt.Errorf("cannot use %s: replicas must be 0 to %d", path, MaxChildren)
	case c.Many() && c.Program == nil:
		return fmt.Errorf("cannot use %s: only a worker has replicas", path)
	case a != "" && a != ApartSoftly && a != ApartStrictly:
		return fmt.Errorf("cannot use %s: unknown spread %q", path, a)
	case a == ApartStrictly && !c.Many():
		return fmt.Errorf("cannot use %s: spread is for the instances of one child, and it has none", path)
	case c.Update != nil && !c.Many():
		return fmt.Errorf("cannot use %s: update is for a supervisor or for the instances of one child", path)
	}
	return validUpdate(path, c.Update)
}

// Kin is the path of the child that the one at path is an instance of; empty if it is of
// none.
func (t *Tree) Kin(path string) string {
	if n := t.byPath[path]; n != nil {
		return n.kin()
	}
	return ""
}

// kin is the path of the child that n is an instance of; empty if it is of none.
func (n *node) kin() string {
	if s := n.parent; s != nil && s.spec != nil && s.spec.Many() {
		return s.path
	}
	return ""
}

// instance is what tells n from the others of its kind.
func (n *node) instance() string {
	if n.kin() == "" {
		return ""
	}
	return n.path[strings.LastIndexByte(n.path, '/')+1:]
}
