package main

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

// period of every window, and the step in which time passes. A charge counts when it is
// made and, as the boundary is inclusive, one step later.
const period = 10 * time.Second

// most is how many children a scope has, the root and those of all specs included.
const most = 8

// limits are how often something may happen on the way to a state.
type limits struct {
	// ends of processes by themselves; fatal ones are counted on their own, too.
	ends, fatals uint8
	// words of children: what should follow from their end, or that they be moved.
	words uint8
	// verbs of an operator: start, stop, restart, move, drain, edit, reset, delete.
	verbs uint8
	// losses of nodes: cut off, dead, agent begun anew, lease lapsed.
	losses uint8
}

// scope is what one exploration may do.
type scope struct {
	name string
	// specs: the tree's, and those that an operator may give it. Each has children of its
	// own memory, by which they are told apart.
	specs []supervisor.Spec
	hosts int
	limits
	// spawned: that a process executes is reported, too, apart from that it is up.
	spawned bool
	// deep scopes are explored by -deep only. Limit is the largest number of states to
	// visit there; 0: all.
	limit int

	// kin are the children, by spec; the same path has the same index in each.
	kin [][]kin
	by  map[string]int
}

// kin is one child of a spec, worker or supervisor; 0 is the root.
type kin struct {
	path      string
	in        bool // the spec has it
	ord       int  // its place among all but the root, in start order
	parent    int
	pos       int
	children  []int
	worker    bool
	exclusive bool
	restart   supervisor.RestartType
	strategy  supervisor.Strategy
	policy    supervisor.RestartPolicy
	max       int // its budget
	moveAfter int
	// significant: its end may be that of its supervisor; auto: a supervisor's say in it.
	significant bool
	auto        supervisor.AutoShutdown
}

// prepare derives the kin from the specs.
func (sc *scope) prepare() {
	sc.by = make(map[string]int)
	for _, s := range sc.specs {
		sc.enter(s.Name, s.Children)
	}
	if len(sc.by) > most {
		panic("explore: " + sc.name + " has too many children")
	}
	for i := range sc.specs {
		s := &sc.specs[i]
		family := make([]kin, len(sc.by))
		for path, k := range sc.by {
			family[k] = kin{path: path, parent: -1}
		}
		family[0].in, family[0].strategy, family[0].policy, family[0].auto = true, s.Strategy, s.RestartPolicy, s.AutoShutdown
		ord := 0
		sc.relate(family, 0, s.Children, s.Exclusive, &ord)
		sc.kin = append(sc.kin, family)
	}
}

func (sc *scope) enter(path string, children []supervisor.ChildSpec) {
	if _, known := sc.by[path]; !known {
		sc.by[path] = len(sc.by)
	}
	for i := range children {
		sc.enter(path+"/"+children[i].ID, children[i].Children)
	}
}

func (sc *scope) relate(family []kin, parent int, children []supervisor.ChildSpec, exclusive bool, ord *int) {
	for i := range children {
		c := &children[i]
		k := sc.by[family[parent].path+"/"+c.ID]
		x := &family[k]
		x.in, x.ord, x.parent, x.pos, x.worker, x.restart = true, *ord, parent, i, c.Program != nil, c.RestartType
		x.exclusive, x.max, x.moveAfter = exclusive || c.Exclusive, family[parent].policy.MaxRestarts, c.MoveAfter
		if c.MaxRestarts != nil {
			x.max = *c.MaxRestarts
		}
		x.significant = c.Significant
		*ord++
		family[parent].children = append(family[parent].children, k)
		if c.Supervisor != nil {
			x.strategy, x.policy, x.auto = c.Supervisor.Strategy, c.Supervisor.RestartPolicy, c.Supervisor.AutoShutdown
			sc.relate(family, k, c.Children, x.exclusive, ord)
		}
	}
}

// shares tells whether the children of s spend one budget.
func (k *kin) shares() bool { return k.policy.Scope == supervisor.ScopeSupervisor }

// gated tells whether the children of s wait for each other.
func (k *kin) gated() bool { return k.strategy != supervisor.OneForOne }
