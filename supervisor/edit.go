package supervisor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// onEdit gives the tree a new spec. A child whose program and placement are as
// before, and that is as exclusive as before, keeps its life, its window and its
// history; a changed one restarts alone; a new one starts; one that is gone stops
// and leaves.
func (t *Tree) onEdit(in Edit) error {
	sh := t.shaping(&in.Spec)
	if in.Spec.EachNode() && in.Members != nil {
		sh.members = sorted(in.Members)
	}
	if err := t.editable(in.Spec, sh); err != nil {
		return err
	}
	t.members = sh.members
	base := t.spec
	r := &rollout{Phase: RolloutUpdating, By: in.By, Base: &base, Policies: in.Spec.Expand().policies()}
	if t.rollout.active() && t.rollout.Base != nil {
		r.Base = t.rollout.Base
	}
	t.edit(in.Spec, nil, Cause{Kind: CauseUpdate, Detail: in.By}, r)
	return nil
}

// edit carries an Edit out, or the revert of one, for which failed, if not nil, is to
// begin anew. r is the rollout that follows, if children have to wait for their turn.
func (t *Tree) edit(spec Spec, failed *node, cause Cause, r *rollout) {
	sh := t.shaping(&spec)
	wasFailed := t.failed
	t.failed, t.rollout = false, r
	e := t.reshape(spec, sh, cause, failed)
	t.forgetDeps()
	e.begin(wasFailed)
	e.rollOut(wasFailed)
}

// reshape makes the tree that of a spec and of what decides on its instances. What is
// new and what changed is yet to begin.
func (t *Tree) reshape(spec Spec, sh shaping, cause Cause, failed *node) *edit {
	old := t.byPath
	e := &edit{t: t, old: old, cause: cause, failed: failed}
	t.spec, t.shape, t.scaled, t.members = spec, sh.expand(spec).Children, sh.scaled, sh.members
	t.byPath = make(map[string]*node, len(old))
	t.root.strategy, t.root.exclusive, t.root.auto = spec.Strategy, spec.Exclusive, spec.AutoShutdown
	t.root.follow(spec.RestartPolicy)
	t.byPath[t.root.path] = t.root
	t.root.children = e.children(t.root, t.shape)
	t.number()
	e.dismiss()
	t.recount()
	return e
}

// editable refuses what Edit cannot do, before anything changes.
func (t *Tree) editable(s Spec, sh shaping) error {
	switch err := s.Validate(); {
	case t.deleting:
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	case err != nil:
		return fmt.Errorf("%w: %v", ErrRefused, err)
	case s.Name != t.spec.Name:
		return fmt.Errorf("%w: the tree's name is %s, not %s", ErrRefused, t.spec.Name, s.Name)
	}
	if err := fitsOn(&s, len(sh.members)); err != nil {
		return fmt.Errorf("%w: %v", ErrRefused, err)
	}
	return t.sameKinds(s.Name, sh.expand(s).Children)
}

func (t *Tree) sameKinds(parent string, children []ChildSpec) error {
	for i := range children {
		c := &children[i]
		path := parent + "/" + c.ID
		switch n := t.byPath[path]; {
		case n == nil || n.worker() == (c.Program != nil):
		case c.Many() || n.spec.Many():
			return fmt.Errorf("%w: %s cannot turn from one worker into instances of it or back; give it a new id", ErrRefused, path)
		default:
			return fmt.Errorf("%w: %s cannot turn from worker to supervisor or back; give it a new id", ErrRefused, path)
		}
		if err := t.sameKinds(path, c.Children); err != nil {
			return err
		}
	}
	return nil
}

// edit is one Edit under way.
type edit struct {
	t       *Tree
	old     map[string]*node
	cause   Cause
	failed  *node
	added   []*node
	changed []change
}

// change is a worker to be renewed; stay keeps it on its node. now: its turn is at
// once, whatever the policy; was is what it keeps until its turn otherwise. waited: it
// was waiting for its turn already.
type change struct {
	n      *node
	stay   bool
	now    bool
	waited bool
	was    former
}

// children rebuilds the children of s, taking over the nodes that were there.
func (e *edit) children(s *node, specs []ChildSpec) []*node {
	nodes := make([]*node, 0, len(specs))
	for i := range specs {
		c := &specs[i]
		path := s.path + "/" + c.ID
		n := e.old[path]
		exclusive := s.exclusive || c.Exclusive
		if n == nil {
			n = e.t.build(path, s, c, nil)
			n.born = e.t.epoch
			n.comeDown(s.down)
			e.added = append(e.added, n)
		} else {
			e.update(n, c, exclusive, e.t.home(s, c))
		}
		n.parent, n.spec, n.exclusive = s, c, exclusive
		if c.Supervisor != nil {
			n.strategy, n.auto = c.Supervisor.Strategy, c.Supervisor.AutoShutdown
			n.follow(c.Supervisor.RestartPolicy)
			n.children = e.children(n, c.Children)
		}
		e.t.byPath[path] = n
		nodes = append(nodes, n)
	}
	return nodes
}

// follow gives a supervisor a new policy. Children that begin to share a budget have
// spent of it what each of them has; of a budget that is shared no more nobody knows
// whose it was.
func (n *node) follow(p RestartPolicy) {
	switch {
	case p.shared() && !n.policy.shared():
		for _, c := range n.children {
			n.shared = append(n.shared, c.window...)
			c.window = nil
		}
		slices.Sort(n.shared)
	case !p.shared():
		n.shared = nil
	}
	n.policy = p
}

// comeDown: a child added to a supervisor that does not run shares its state, and
// starts with it.
func (n *node) comeDown(down Phase) {
	switch {
	case down == "":
	case n.worker():
		n.life.Phase = down
	default:
		n.down = down
	}
}

func (e *edit) update(n *node, c *ChildSpec, exclusive bool, home string) {
	if !n.worker() {
		return
	}
	waited := n.next != nil
	n.next = nil
	leaving := n.parent == nil // and wanted again
	moves := n.home != home    // another node has the name
	fits := same(n.spec.Placement, c.Placement) && !moves && funcOf(n.spec.Program) == funcOf(c.Program)
	over := n.life.Phase // or about to be
	if over == PhaseStopping {
		over = n.life.Then
	}
	revive := c.RestartType == Permanent && (over == PhaseFinished || over == PhaseFailed) &&
		(n.spec.RestartType != Permanent || !same(n.spec.Exits, c.Exits)) // else it ended for good by its own word, or its exit rules
	now := leaving || revive || moves || n == e.failed
	n.home = home
	if now || !fits || n.exclusive != exclusive || !same(n.spec.Program, c.Program) {
		e.changed = append(e.changed, change{n, fits, now, waited, former{n.spec.Program, n.spec.Placement, n.exclusive}})
	}
}

// same compares two values as their encodings would be: nil and empty are one, so
// that a restored tree takes the same children for changed.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// dismiss detaches the children that the new spec does not have. They leave
// their group at once, so nobody waits for them; a life of theirs still ends in
// order of its own.
func (e *edit) dismiss() {
	var gone []*node
	for path, n := range e.old { // order-free: sorted below
		if e.t.byPath[path] == nil {
			gone = append(gone, n)
		}
	}
	slices.SortFunc(gone, func(a, b *node) int { return byOrd(b, a) })
	for _, n := range gone {
		already := n.parent == nil
		n.parent, n.children, n.ord, n.exclusive, n.next, n.watch, n.pause = nil, nil, e.t.size, false, nil, nil, nil
		if !n.worker() || already {
			if already {
				e.t.byPath[n.path] = n
			}
			continue
		}
		e.t.byPath[n.path] = n
		e.t.decide(n, VerdictRemove, e.cause, fmt.Sprintf("%s leaves the tree (%s)", n.path, because(e.cause)))
		e.t.end(n, phaseRemoved, renewal{})
	}
}

// begin starts what is new, restarts what changed and, after a failure of the
// tree, starts everything.
func (e *edit) begin(wasFailed bool) {
	t := e.t
	if wasFailed {
		t.restartSupervisor(t.root, renewal{stay: true, start: string(e.cause.Kind)}, e.cause)
	}
	for _, c := range e.changed {
		switch down := c.n.parent.down; {
		case c.waited && !c.now && (e.cause.Kind == CauseOperator || e.cause.Kind == CauseNodes): // no new spec
			c.n.hold(c.was)
			continue
		case down != "":
			if c.n.life.Then == phaseRemoved { // wanted again, but not now
				t.end(c.n, down, renewal{})
			}
			continue
		case c.n.life.stopped(), wasFailed && c.stay:
			continue
		case !c.now && !wasFailed && e.waits(c.n):
			c.n.hold(c.was)
			continue
		case c.n.paused() != nil:
			t.keepFormer(c.n, c.was, c.now, e.cause)
			continue
		}
		t.renew(c.n, renewal{stay: c.stay, start: string(e.cause.Kind)})
		if !wasFailed {
			t.decide(c.n, VerdictRestart, e.cause, e.renewed(c.n))
		}
	}
	for _, n := range e.added {
		if n.worker() && n.parent.down == "" {
			t.startWorker(n, e.cause)
		}
	}
}

// renewed says why n begins anew at once.
func (e *edit) renewed(n *node) string {
	switch {
	case n == e.failed:
		return e.cause.Detail + ": it goes back to its former spec, uncharged"
	case e.cause.Kind == CauseRevert:
		return n.path + " goes back to its former spec"
	}
	if e.cause.Kind != CauseUpdate {
		return n.path + " is wanted again: it restarts once it has stopped (" + because(e.cause) + ")"
	}
	return n.path + " changed: it restarts with its new spec"
}

// waits tells whether a changed child waits for its turn. One that has its turn goes
// on with it, so that no other begins beside it.
func (e *edit) waits(n *node) bool {
	return n.watch == nil && !n.under() && e.t.rollout.active() && e.t.rollout.governor(n) != nil
}

// rollOut begins the rollout of what waits for its turn. Without any it is over.
func (e *edit) rollOut(wasFailed bool) {
	t, r := e.t, e.t.rollout
	t.root.walk(func(n *node) {
		if n.watch != nil && (wasFailed || r.governor(n) == nil) {
			n.watch = nil
		}
		if n.watch != nil {
			n.watch = &watch{Since: t.at.Time}
			r.Total++
		}
	})
	t.gather()
	r.Total += t.queued
	switch {
	case r.Total > 0:
		if r.Phase == RolloutUpdating {
			t.decide(t.root, VerdictUpdate, e.cause, fmt.Sprintf("%s gets its new spec child by child, %d of them", t.spec.Name, r.Total))
		}
		t.proceed()
	case r.Phase == RolloutReverting:
		t.complete()
	default:
		t.rollout = nil
	}
	keeps := "changed: it keeps its former spec"
	if r.Phase == RolloutReverting {
		keeps = "is to go back: it keeps its new spec"
	}
	for _, w := range t.waves {
		for _, n := range w.held {
			t.decide(n, VerdictWait, e.cause,
				fmt.Sprintf("%s %s until its turn (update of %s, %d at a time)", n.path, keeps, w.of.path, w.policy.Parallel))
		}
	}
}

// recount rebuilds every counter after the shape of the tree changed.
func (t *Tree) recount() {
	var sum func(n *node)
	sum = func(n *node) {
		n.unsettled, n.ending, n.amiss = 0, 0, 0
		if n.worker() {
			n.unsettled, n.ending, n.amiss = bool2int(!n.life.settled()), bool2int(n.life.Phase == PhaseStopping), bool2int(n.wrong(&n.life))
		}
		for _, c := range n.children {
			sum(c)
			n.unsettled, n.ending, n.amiss = n.unsettled+c.unsettled, n.ending+c.ending, n.amiss+c.amiss
		}
	}
	sum(t.root)
	clear(t.stopping)
	for _, n := range t.byPath { // order-free: sums
		t.countBatch(n, n.life, +1)
	}
	t.root.walk(func(n *node) { t.touch(n) })
}
