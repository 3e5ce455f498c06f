package supervisor

import "time"

// Name is the tree's name, the first part of every path.
func (t *Tree) Name() string { return t.spec.Name }

// Size counts the children of the spec, workers and supervisors; leaving those that
// left it and whose life has yet to end.
func (t *Tree) Size() (size, leaving int) { return t.size - 1, len(t.byPath) - t.size }

// Most counts the children that the tree may come to have: of a pool as many as it may.
func (t *Tree) Most() int { return t.most }

// Spec is what the tree was made from; not to be changed.
func (t *Tree) Spec() Spec { return t.spec }

// order is what n's node must make true for it now. Attempt is that of the life's
// beginning: its node counts on from there.
func (n *node) order() (string, Order, bool) {
	l := &n.life
	o := Order{
		Ref: Ref{n.path, l.Epoch}, Program: n.spec.Program, StartReason: l.Start, Attempt: l.Restarts - l.Alone,
		Exclusive: l.Exclusive, Generation: l.Generation, Instance: n.instance(),
	}
	switch {
	case l.Phase == PhaseStarting && l.Released:
		o.Action, o.NotBefore = Run, l.NotBefore
	case l.Phase == PhaseRunning, l.Phase == PhaseStopping && !l.Halted:
		o.Action = Run
	case l.Phase == PhaseStopping:
		o.Action = Halt
	default:
		return "", Order{}, false
	}
	if l.Phase != PhaseStopping && n.paused() == nil {
		if o.Local = n.lent(); o.Local != nil {
			o.Exits = n.spec.Exits
		}
	}
	return l.Node, o, true
}

// Order gives the node that must act for a child, and what it must make true;
// false if no node must.
func (t *Tree) Order(path string) (string, Order, bool) {
	if n := t.byPath[path]; n != nil && n.worker() {
		return n.order()
	}
	return "", Order{}, false
}

// Orders is the whole of what a node must make true for this tree, in start
// order.
func (t *Tree) Orders(host string) []Order {
	var orders []Order
	for _, n := range t.livesOn(host) {
		if _, o, ok := n.order(); ok {
			orders = append(orders, o)
		}
	}
	return orders
}

// request is the placement that n waits for.
func (n *node) request() (Request, bool) {
	l := &n.life
	if !n.worker() || l.Phase != PhasePending {
		return Request{}, false
	}
	return Request{
		Ref: Ref{n.path, l.Epoch}, Placement: n.spec.Placement, Func: funcOf(n.spec.Program), Last: l.Last, Avoid: l.Avoid, Only: l.Only, Kin: n.kin(), Home: n.home,
	}, true
}

// Request gives the placement that a child waits for; false if it waits for none.
func (t *Tree) Request(path string) (Request, bool) {
	if n := t.byPath[path]; n != nil {
		return n.request()
	}
	return Request{}, false
}

// Unplaced lists the lives that need a node, in start order.
func (t *Tree) Unplaced() []Request {
	var reqs []Request
	t.root.walk(func(n *node) {
		if r, ok := n.request(); ok {
			reqs = append(reqs, r)
		}
	})
	return reqs
}

// Placed gives where a child is, or is due, and what it asked for there.
func (t *Tree) Placed(path string) (host string, p Placement, ok bool) {
	n := t.byPath[path]
	if n == nil || !n.worker() || n.life.Node == "" {
		return "", Placement{}, false
	}
	return n.life.Node, n.spec.Placement, true
}

// On lists the paths of the children that a node holds, or has been chosen for.
func (t *Tree) On(host string) []string {
	var paths []string
	for _, n := range t.livesOn(host) {
		paths = append(paths, n.path)
	}
	return paths
}

// Leased tells whether a node may have a process of an exclusive life.
func (t *Tree) Leased(host string) bool { return t.leased[host] > 0 }

// Changed lists and forgets the paths whose order, request or status may have
// changed since the last call. Of a budget that siblings share it names only the
// child that spent it.
func (t *Tree) Changed() []string {
	paths := make([]string, len(t.changed))
	for i, n := range t.changed {
		n.dirty = false
		paths[i] = n.path
	}
	t.changed = t.changed[:0]
	return paths
}

// Children is the status of every child, supervisors included, in start order;
// children that are leaving come last.
func (t *Tree) Children() []Status {
	var all []Status
	t.root.walk(func(n *node) {
		if n.parent != nil {
			all = append(all, n.status())
		}
	})
	for _, n := range t.leaving() {
		all = append(all, n.status())
	}
	return all
}

// Child is the status of one child.
func (t *Tree) Child(path string) (Status, bool) {
	if n := t.byPath[path]; n != nil {
		return n.status(), true
	}
	return Status{}, false
}

// History is the chain of decisions behind a child's present state, oldest
// first, at most HistoryLimit.
func (t *Tree) History(path string) []Decision {
	if n := t.byPath[path]; n != nil {
		return n.history.list()
	}
	return nil
}

func (n *node) status() Status {
	l := &n.life
	s := Status{
		Path: n.path, Phase: l.Phase, Node: l.Node, Epoch: l.Epoch, Restarts: l.Restarts, Moves: l.Moves,
		Since: l.Since, Budget: n.budget(), Reason: l.Reason,
		Exclusive: n.exclusive || l.Exclusive, Generation: l.Generation, Turn: n.turn(), Paused: n.paused(),
	}
	if !n.worker() {
		s.Supervisor, s.Phase = true, n.phase()
		return s
	}
	if l.Phase == PhaseRunning || l.Phase == PhaseStarting || l.Phase == PhaseStopping {
		s.PID = l.PID
	}
	if l.Delayed && !l.Spawned && (l.Phase == PhaseStarting || l.Phase == PhasePending) {
		s.Phase = PhaseBackoff
	}
	if l.Away {
		s.Phase = PhaseAway
	}
	return s
}

// phase sums a supervisor up.
func (n *node) phase() Phase {
	switch {
	case n.ending > 0:
		return PhaseStopping
	case n.down != "":
		return n.down
	case n.unsettled > 0:
		return PhaseStarting
	}
	return PhaseRunning
}

// Status sums the tree up.
func (t *Tree) Status() TreeStatus {
	if t.failed {
		return TreeFailed
	}
	if t.root.down == PhaseStopped && t.root.ending == 0 {
		return TreeStopped
	}
	if t.root.down == PhaseFinished && t.root.ending == 0 {
		return TreeFinished
	}
	if t.root.unsettled > 0 {
		return TreeDegraded
	}
	status := TreeRunning
	t.root.walk(func(n *node) {
		if n.life.Phase == PhaseFailed || n.life.Phase == PhasePaused || n.down == PhaseFailed {
			status = TreeDegraded
		}
	})
	return status
}

// RetryAt is the cluster time at which a failed tree is to start again
// (on_exhausted: retry_after); false if it is not to.
func (t *Tree) RetryAt() (time.Duration, bool) {
	return t.failedAt + t.spec.RetryAfter, t.failed && t.spec.RetryAfter > 0 && t.root.pause == nil
}

// Gone: the tree was deleted and no life of it is left.
func (t *Tree) Gone() bool {
	return t.deleting && t.root.ending == 0 && len(t.leaving()) == 0
}
