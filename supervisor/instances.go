package supervisor

import (
	"fmt"
	"slices"
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

// Pool makes a worker the template of instances whose number is changed while they run
// (OTP's simple_one_for_one). They have a policy of their own.
type Pool struct {
	// Size is how many there are until Scale says otherwise, and again once it changes.
	Size int `json:"size"`
	// Max is how many there may be.
	Max           int           `json:"max"`
	RestartPolicy RestartPolicy `json:"restart_policy"`
}

// DefaultPoolMax is how many instances a pool may have unless it says otherwise.
const DefaultPoolMax = 100

// Many tells whether the child stands for instances.
func (c *ChildSpec) Many() bool { return c.Replicas > 0 || c.Pool != nil || c.EachNode }

// most is how many instances the child may come to have in a cluster of so many nodes.
func (c *ChildSpec) most(nodes int) int {
	switch {
	case c.EachNode:
		return nodes
	case c.Pool != nil:
		return c.Pool.Max
	}
	return c.Replicas
}

// shaping is what decides on instances besides the spec. The zero value is the spec's
// own word.
type shaping struct {
	scaled  map[string]Scaled // by path
	members []Member          // by id
}

// names are those of the instances that the child at path has: numbers, or nodes.
func (sh shaping) names(path string, c *ChildSpec) []string {
	var names []string
	if c.EachNode {
		for i := range sh.members {
			if m := &sh.members[i]; m.fits(&c.Placement) {
				names = append(names, m.Name)
			}
		}
		slices.Sort(names)
		return names
	}
	number := c.Replicas
	if c.Pool != nil {
		number = c.Pool.Size
		if s, ok := sh.scaled[path]; ok {
			number = s.Size
		}
	}
	for i := range number {
		names = append(names, strconv.Itoa(i+1))
	}
	return names
}

// Expand gives the tree as it is supervised before anybody scales it, in a cluster
// without nodes: each child that stands for many is a supervisor of its instances. What has none is shared with the
// spec.
func (s Spec) Expand() Spec { return shaping{}.expand(s) }

func (sh shaping) expand(s Spec) Spec {
	s.Children, _ = sh.children(s.Name, s.RestartPolicy, s.Children)
	return s
}

// children gives those of the supervisor at path, of policy p, and whether they differ
// from those that it was given.
func (sh shaping) children(path string, p RestartPolicy, children []ChildSpec) (all []ChildSpec, differs bool) {
	for i := range children {
		c, changed, path := children[i], true, path+"/"+children[i].ID
		switch {
		case c.Many() && c.Supervisor == nil: // else it was expanded before
			c = instances(c, p, sh.names(path, &c))
		case c.Supervisor != nil:
			c.Children, changed = sh.children(path, c.Supervisor.RestartPolicy, c.Children)
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
// child's own supervisor, of which they are one child, or of their pool: whatever
// becomes of one of them is decided among them, until its budget is spent. Even a
// transient child's failure is never final for all of them at once, so this supervisor
// is permanent; temporary replicas do not come back with their group, as one such child
// would not. A pool is a supervisor by its own right, and begins anew with its group.
func instances(c ChildSpec, p RestartPolicy, names []string) ChildSpec {
	each := c
	each.Replicas, each.EachNode, each.Pool, each.Update = 0, false, nil, nil
	set := ChildSpec{
		ID: c.ID, RestartType: Permanent, MaxRestarts: c.MaxRestarts, Exclusive: c.Exclusive, Replicas: c.Replicas, EachNode: c.EachNode, Pool: c.Pool,
		Supervisor: &SupervisorSpec{Strategy: OneForOne, RestartPolicy: p, Update: c.Update},
		Children:   make([]ChildSpec, len(names)),
	}
	switch {
	case c.Pool != nil:
		set.Supervisor.RestartPolicy, set.MaxRestarts = c.Pool.RestartPolicy, nil
	case c.RestartType == Temporary:
		set.RestartType = Temporary
	}
	for i, name := range names {
		each.ID = name
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
		return fmt.Errorf("cannot use %s: only a worker has instances", path)
	case c.Replicas > 0 && c.Pool != nil, c.EachNode && (c.Replicas > 0 || c.Pool != nil):
		return fmt.Errorf("cannot use %s: it has two of replicas, each_node and a pool", path)
	case c.EachNode && (c.MoveAfter > 0 || a == ApartStrictly || c.Exits != nil && len(c.Exits.MoveOn) > 0):
		return fmt.Errorf("cannot use %s: an instance on each node neither moves nor shares a node, so move_after, move_on and spread mean nothing", path)
	case a != "" && a != ApartSoftly && a != ApartStrictly:
		return fmt.Errorf("cannot use %s: unknown spread %q", path, a)
	case a == ApartStrictly && !c.Many():
		return fmt.Errorf("cannot use %s: spread is for the instances of one child, and it has none", path)
	case c.Update != nil && !c.Many():
		return fmt.Errorf("cannot use %s: update is for a supervisor or for the instances of one child", path)
	case c.Pool == nil:
		return validUpdate(path, c.Update)
	case c.Pool.Max < 1 || c.Pool.Max > MaxChildren:
		return fmt.Errorf("cannot use %s: max of its pool must be 1 to %d", path, MaxChildren)
	case c.Pool.Size < 0 || c.Pool.Size > c.Pool.Max:
		return fmt.Errorf("cannot use %s: size of its pool must be 0 to %d, its max", path, c.Pool.Max)
	}
	return validSupervisor(path, OneForOne, c.Pool.RestartPolicy, c.Update)
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
