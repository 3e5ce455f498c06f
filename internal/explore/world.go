package main

import (
	"reflect"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// hostNames are those of the nodes.
var hostNames = [...]string{"n1", "n2"}

// reach is what is left of a node's agent, and who hears of it.
type reach uint8

const (
	up   reach = iota // it runs, and has a session
	cut               // it runs, and hears nobody
	dead              // it does not run, and no process does
)

// host is one node.
type host struct {
	reach reach
	// down, fenced and draining are the log's word. expired: its lease has run out, as
	// it knows itself.
	down, fenced, draining, expired bool
	// orders are those that it knew when it was cut off.
	orders []order
}

// order is what a node must make true for one child.
type order struct {
	who       int
	epoch     supervisor.Epoch
	halt      bool
	exclusive bool
	notBefore time.Duration
}

// ending says how a process ended.
type ending uint8

const (
	running ending = iota
	normal
	failed
	fatal
	fenced // for want of a lease
	halted // as ordered
	// With a word of its own about what should follow.
	saysFinish
	saysFail
	saysMove
	saysEscalate
)

// proc is a process on a node, or the report of its end.
type proc struct {
	who, host int
	epoch     supervisor.Epoch
	end       ending
	exclusive bool
	// adrift: the log has given up its life, and whatever follows does not wait for it.
	adrift bool
	// sent: its report was on its way when its node was cut off.
	sent bool
}

// world is a tree and all it speaks to.
type world struct {
	*scope
	tree *supervisor.Tree
	lent bool // tree is another world's, too, and not to be changed
	// st is the tree's state, without what only explains.
	st      supervisor.State
	variant int // of the specs
	now     time.Duration
	index   uint64
	hosts   [len(hostNames)]host
	procs   []proc // by child, node and epoch
	left    limits

	// past is the newest life of each child that is over.
	past [most]supervisor.Epoch
	// stopped are the workers that an operator stopped.
	stopped [most]bool
	// haltedFor is the batch for which each child was ordered to stop.
	haltedFor [most]supervisor.Epoch
	// own and shared are all charges in the windows, by the naive reckoning.
	own, shared [most][]time.Duration
	broken      *violation
}

// begin is the world before anything has happened, but that the tree is started.
func (sc *scope) begin() *world {
	w := &world{scope: sc, now: period, left: sc.limits}
	tree, err := supervisor.NewTree(sc.specs[0])
	if err != nil {
		panic(err)
	}
	w.tree, w.st = tree, lean(tree.State())
	if err := w.step(supervisor.Start{Path: sc.specs[0].Name}); err != nil {
		panic(err)
	}
	return w
}

// lean drops what only explains: it does not follow a tree's way to a state.
func lean(s supervisor.State) supervisor.State {
	s.History = nil
	for i := range s.Nodes {
		s.Nodes[i].History, s.Nodes[i].Life.Reason = nil, ""
	}
	for i := range s.Leaving {
		s.Leaving[i].History, s.Leaving[i].Life.Reason = nil, ""
	}
	return s
}

// copied shares no memory with s that a tree changes.
func copied(s supervisor.State) supervisor.State {
	part := func(nodes []supervisor.NodeState) []supervisor.NodeState {
		nodes = slices.Clone(nodes)
		for i := range nodes {
			n := &nodes[i]
			n.Window, n.Shared, n.Loans, n.Tallies = slices.Clone(n.Window), slices.Clone(n.Shared), slices.Clone(n.Loans), slices.Clone(n.Tallies)
			if n.Watch != nil {
				watch := *n.Watch
				n.Watch = &watch
			}
			apart(reflect.ValueOf(n).Elem(), nodeRest)
		}
		return nodes
	}
	if s.Rollout != nil {
		rollout := *s.Rollout
		s.Rollout = &rollout
	}
	s.Nodes, s.Leaving, s.Shared = part(s.Nodes), part(s.Leaving), slices.Clone(s.Shared)
	apart(reflect.ValueOf(&s).Elem(), stateRest)
	return s
}

// apart copies what fields that are not known here point to.
func apart(v reflect.Value, fields []int) {
	for _, i := range fields {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Pointer && !f.IsNil():
			c := reflect.New(f.Type().Elem())
			c.Elem().Set(f.Elem())
			f.Set(c)
		case f.Kind() == reflect.Slice && !f.IsNil():
			c := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
			reflect.Copy(c, f)
			f.Set(c)
		}
	}
}

// clone gives a world that goes its own way. The tree is w's until it changes.
func (w *world) clone() *world {
	c := *w
	c.lent = true
	for h := range c.hosts {
		c.hosts[h].orders = slices.Clone(c.hosts[h].orders)
	}
	c.procs = slices.Clone(w.procs)
	return &c // charges and the state are never changed in place
}

// wake makes the world's tree from its state.
func (w *world) wake() {
	tree, err := supervisor.FromState(copied(w.st))
	if err != nil {
		panic(err) // a state of ours
	}
	w.tree, w.lent = tree, false
}

// family are the children of the present spec.
func (w *world) family() []kin { return w.kin[w.variant] }

// node is the tree's state of a child; nil if it has none, as of the root.
func (w *world) node(k int) *supervisor.NodeState { return w.nodeOf(&w.st, w.variant, k) }

func (w *world) nodeOf(st *supervisor.State, variant, k int) *supervisor.NodeState {
	x := &w.kin[variant][k]
	if x.in {
		if k == 0 {
			return nil
		}
		return &st.Nodes[x.ord]
	}
	for i := range st.Leaving {
		if st.Leaving[i].Path == x.path {
			return &st.Leaving[i]
		}
	}
	return nil
}

// worker tells whether the child, if the tree has it or it is leaving, is one.
func (w *world) worker(k int) bool {
	for v := range w.kin {
		if x := &w.kin[v][k]; x.in {
			return x.worker
		}
	}
	return false
}

// workers calls f with each worker that the tree has, those leaving included.
func (w *world) workers(f func(k int, n *supervisor.NodeState)) {
	for k := range w.family() {
		if n := w.node(k); n != nil && w.worker(k) {
			f(k, n)
		}
	}
}

// held tells whether a process of the child's life may exist, by the tree's word.
func held(n *supervisor.NodeState) bool {
	l := &n.Life
	return l.Phase == supervisor.PhaseRunning || l.Phase == supervisor.PhaseStopping || l.Phase == supervisor.PhaseStarting && l.Released
}

// settled: the child is where it stays.
func settled(n *supervisor.NodeState) bool {
	switch n.Life.Phase {
	case supervisor.PhaseRunning, supervisor.PhaseFinished, supervisor.PhaseFailed, supervisor.PhaseStopped:
		return true
	}
	return false
}

// ordered gives what a node must do about a child, as far as the node knows.
func (w *world) ordered(k, h int) (order, bool) {
	if w.hosts[h].reach == up {
		name, o, ok := w.tree.Order(w.family()[k].path)
		if !ok || name != hostNames[h] {
			return order{}, false
		}
		return order{k, o.Epoch, o.Action == supervisor.Halt, o.Exclusive, o.NotBefore}, true
	}
	for _, o := range w.hosts[h].orders {
		if o.who == k {
			return o, true
		}
	}
	return order{}, false
}

// find gives the process of a life on a node, or its report.
func (w *world) find(k, h int, e supervisor.Epoch) *proc {
	for i := range w.procs {
		if p := &w.procs[i]; p.who == k && p.host == h && p.epoch == e {
			return p
		}
	}
	return nil
}

// runs gives the process of a child that runs on a node.
func (w *world) runs(k, h int) *proc {
	for i := range w.procs {
		if p := &w.procs[i]; p.who == k && p.host == h && p.end == running {
			return p
		}
	}
	return nil
}

// drop forgets the processes and reports that which names; their lives are past.
func (w *world) drop(which func(p *proc) bool) {
	w.procs = slices.DeleteFunc(w.procs, func(p proc) bool {
		if !which(&p) {
			return false
		}
		w.past[p.who] = max(w.past[p.who], p.epoch)
		return true
	})
}

// step gives the tree one input and judges what comes of it.
func (w *world) step(in supervisor.Input) error {
	if w.lent {
		w.wake()
	}
	w.index++
	e := event{in: in, at: supervisor.Stamp{Index: w.index, Time: w.now, Generation: 1}, variant: w.variant}
	e.due = w.expect(in)
	ds, err := w.tree.Step(in, e.at)
	if err != nil {
		return err
	}
	before := w.st
	e.before, e.decisions = &before, ds
	w.st, w.variant = lean(w.tree.State()), w.present()
	w.judge(&e)
	return nil
}

// present is which of the specs the tree has.
func (w *world) present() int {
	now := w.tree.Spec().Children
	return slices.IndexFunc(w.specs, func(s supervisor.Spec) bool { return &s.Children[0] == &now[0] })
}

// hostOf is the index of a node; -1 if it is none.
func hostOf(name string) int { return slices.Index(hostNames[:], name) }
