package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// State is a whole Tree as plain data: what a snapshot holds. Everything else
// in a Tree is derived from it.
type State struct {
	Spec     Spec            `json:"spec"`
	Failed   bool            `json:"failed,omitempty"`
	FailedAt time.Duration   `json:"failed_at,omitempty"`
	Deleting bool            `json:"deleting,omitempty"`
	Rollout  *rollout        `json:"rollout,omitempty"`
	Down     Phase           `json:"down,omitempty"` // of the root
	Pause    *PauseStatus    `json:"pause,omitempty"`
	Begun    Epoch           `json:"begun,omitempty"`
	Shared   []time.Duration `json:"shared,omitempty"`
	History  []Decision      `json:"history,omitempty"`
	// Scaled are the pools whose size is an operator's, by path.
	Scaled  []Scaled     `json:"scaled,omitempty"`
	Born    Epoch        `json:"born,omitempty"`
	Deps    []Dependency `json:"deps,omitempty"`
	Follows []Followed   `json:"follows,omitempty"`
	Unbegun bool         `json:"unbegun,omitempty"`
	// Members are the nodes of the cluster, by id, if a child wants each node.
	Members []Member `json:"members,omitempty"`
	// Nodes are all children in start order; Leaving those that left the spec
	// and whose life has yet to end.
	Nodes   []NodeState `json:"nodes"`
	Leaving []NodeState `json:"leaving,omitempty"`
}

// NodeState is one child. Its fields are the core's own; see life.
type NodeState struct {
	Path    string          `json:"path"`
	Down    Phase           `json:"down,omitempty"`
	Pause   *PauseStatus    `json:"pause,omitempty"`
	Begun   Epoch           `json:"begun,omitempty"`
	Born    Epoch           `json:"born,omitempty"`
	Window  []time.Duration `json:"window,omitempty"`
	Shared  []time.Duration `json:"shared,omitempty"`
	Loans   []loan          `json:"loans,omitempty"`
	Tallies []tally         `json:"tallies,omitempty"`
	Asked   time.Duration   `json:"asked,omitempty"`
	Life    life            `json:"life"`
	History []Decision      `json:"history,omitempty"`
	Spec    *ChildSpec      `json:"spec,omitempty"` // of leaving ones
	Held    *former         `json:"held,omitempty"`
	Watch   *watch          `json:"watch,omitempty"`
}

// State exports the tree. The result shares memory with the tree: encode it
// before the next Step.
func (t *Tree) State() State {
	s := State{
		Spec: t.spec, Failed: t.failed, FailedAt: t.failedAt, Deleting: t.deleting, Rollout: t.rollout,
		Down: t.root.down, Pause: t.root.pause, Begun: t.root.begun, Shared: t.root.shared, History: t.root.history.list(), Scaled: t.Scaled(), Members: t.members,
		Born: t.root.born, Deps: t.deps, Follows: t.follows, Unbegun: t.unbegun,
	}
	t.root.walk(func(n *node) {
		if n.parent != nil {
			s.Nodes = append(s.Nodes, n.state())
		}
	})
	for _, n := range t.leaving() {
		ns := n.state()
		ns.Spec = n.spec
		s.Leaving = append(s.Leaving, ns)
	}
	return s
}

func (n *node) state() NodeState {
	return NodeState{
		Path: n.path, Down: n.down, Begun: n.begun, Born: n.born, Window: n.window, Shared: n.shared, Loans: n.loans, Tallies: n.tallies,
		Asked: n.askedUntil, Life: n.life, History: n.history.list(), Held: n.kept(), Watch: n.watch, Pause: n.pause,
	}
}

// leaving lists the children that left the spec, by path.
func (t *Tree) leaving() []*node {
	if len(t.byPath) == t.size {
		return nil
	}
	var gone []*node
	for _, path := range slices.Sorted(maps.Keys(t.byPath)) {
		if n := t.byPath[path]; n.parent == nil && n != t.root {
			gone = append(gone, n)
		}
	}
	return gone
}

// FromState makes the tree that State described. An error means that the data
// is no State of ours.
func FromState(s State) (*Tree, error) {
	sh := shaping{scaled: make(map[string]Scaled, len(s.Scaled)), members: s.Members}
	for _, p := range s.Scaled {
		sh.scaled[p.Path] = p
	}
	t, err := newTree(s.Spec, sh)
	if err != nil {
		return nil, err
	}
	if len(s.Nodes) != t.size-1 {
		return nil, fmt.Errorf("cannot restore tree %s: %d children in its state, %d in its spec", s.Spec.Name, len(s.Nodes), t.size-1)
	}
	t.failed, t.failedAt, t.deleting = s.Failed, s.FailedAt, s.Deleting
	t.root.pause = s.Pause
	t.root.down, t.root.begun, t.root.shared, t.root.history = s.Down, s.Begun, s.Shared, history{ring: s.History}
	t.root.born, t.deps, t.follows = s.Born, s.Deps, s.Follows
	t.gate()
	t.unbegun = s.Unbegun
	for _, ns := range s.Nodes {
		n := t.byPath[ns.Path]
		if n == nil {
			return nil, fmt.Errorf("cannot restore tree %s: its spec has no %q", s.Spec.Name, ns.Path)
		}
		t.adopt(n, ns)
	}
	for _, ns := range s.Leaving {
		if ns.Spec == nil || t.byPath[ns.Path] != nil {
			return nil, fmt.Errorf("cannot restore tree %s: bad leaving child %q", s.Spec.Name, ns.Path)
		}
		n := &node{path: ns.Path, spec: ns.Spec, ord: t.size}
		t.byPath[ns.Path] = n
		t.adopt(n, ns)
	}
	t.recount()
	return t, t.goOn(s)
}

// goOn takes up the rollout that a State was saved in.
func (t *Tree) goOn(s State) error {
	if s.Rollout != nil {
		r := *s.Rollout
		t.rollout = &r
	}
	for _, ns := range s.Nodes {
		n := t.byPath[ns.Path]
		if ns.Held == nil && ns.Watch == nil {
			continue
		}
		if ns.Watch == nil && n.worker() && n.paused() != nil && !t.governed(n) {
			n.hold(*ns.Held)
			continue
		}
		if !t.rollout.active() || !n.worker() || t.rollout.governor(n) == nil {
			return fmt.Errorf("cannot restore tree %s: %q has a place in a rollout that is not there", s.Spec.Name, ns.Path)
		}
		if n.watch = ns.Watch; ns.Held != nil {
			n.hold(*ns.Held)
		}
	}
	if t.rollout != nil {
		t.gather()
	}
	return nil
}

// adopt gives a node its saved state and enters it into the indexes.
func (t *Tree) adopt(n *node, ns NodeState) {
	n.down, n.begun, n.born, n.window, n.shared, n.life, n.history = ns.Down, ns.Begun, ns.Born, ns.Window, ns.Shared, ns.Life, history{ring: ns.History}
	n.askedUntil = ns.Asked
	n.pause = ns.Pause
	if n.loans, n.tallies = ns.Loans, ns.Tallies; len(n.loans) > 0 {
		t.lenders[n] = true
	}
	if bug.On("snapshot-forgets-window") {
		n.forget()
	}
	t.index(n, "", n.life.Node)
	t.countLeased(n.life, +1)
	t.wait(n)
	t.touch(n)
}
