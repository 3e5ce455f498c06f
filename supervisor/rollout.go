package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// This file is the rolling change of specs; package doc, "Rolling updates", says what
// it promises. An Edit holds the changed children back (hold); proceed gives them
// their turns, some at a time, and Advance is the moment at which it may.

// RolloutPhase is where a rollout is.
type RolloutPhase string

const (
	RolloutUpdating  RolloutPhase = "updating"
	RolloutHalted    RolloutPhase = "halted"    // a child failed, or an operator paused it
	RolloutReverting RolloutPhase = "reverting" // children go back to the former spec
	RolloutReverted  RolloutPhase = "reverted"  // and have; kept until the next Edit
)

// rollout is an Edit that is carried out child by child.
type rollout struct {
	Phase RolloutPhase `json:"phase"`
	By    string       `json:"by,omitempty"`
	// Why it is halted or goes back.
	Why string `json:"why,omitempty"`
	// Base is what a revert goes back to: the spec before the first Edit that has not
	// come to its end. Nil while it goes back.
	Base *Spec `json:"base,omitempty"`
	// Policies are those of the supervisors in charge, by path. A revert keeps them,
	// since the former spec may have none.
	Policies map[string]UpdatePolicy `json:"policies,omitempty"`
	// Done of Total children have had their turn.
	Total int `json:"total,omitempty"`
	Done  int `json:"done,omitempty"`
}

// wave is the rollout below one supervisor with a policy; both lists in start order.
type wave struct {
	of      *node
	policy  UpdatePolicy
	held    []*node // wait for their turn, with their former spec
	watched []*node // have it
}

// former is what a child keeps of its former spec until its turn.
type former struct {
	Program   *Program  `json:"program"`
	Placement Placement `json:"placement"`
	Exclusive bool      `json:"exclusive,omitempty"`
}

// watch is a child's turn, since Since. Failed says why it is to be taken for a
// failure.
type watch struct {
	Since  time.Duration `json:"since"`
	Failed string        `json:"failed,omitempty"`
}

// active: children wait for their turn, or have it.
func (r *rollout) active() bool { return r != nil && r.Phase != RolloutReverted }

// moves: it goes on by itself.
func (r *rollout) moves() bool {
	return r != nil && (r.Phase == RolloutUpdating || r.Phase == RolloutReverting)
}

// governor is the nearest supervisor above n with a policy; nil if none has one.
func (r *rollout) governor(n *node) *node {
	for x := n.parent; x != nil; x = x.parent {
		if _, ok := r.Policies[x.path]; ok {
			return x
		}
	}
	return nil
}

// hold lets n keep its former program, place and exclusiveness until its turn. The
// rest of its new spec counts from now on.
func (n *node) hold(h former) {
	n.next = n.spec
	c := *n.next
	c.Program, c.Placement = h.Program, h.Placement
	n.spec, n.exclusive = &c, h.Exclusive
}

// kept is what n holds back; nil if nothing.
func (n *node) kept() *former {
	if n.next == nil {
		return nil
	}
	return &former{n.spec.Program, n.spec.Placement, n.exclusive}
}

// gather makes the waves of the children that are held or watched.
func (t *Tree) gather() {
	r := t.rollout
	t.waves, t.queued = nil, 0
	of := make(map[*node]*wave)
	t.root.walk(func(n *node) {
		g := r.governor(n)
		if n.next == nil && n.watch == nil || g == nil { // without: it is paused, and keeps its former spec so long
			return
		}
		w := of[g]
		if w == nil {
			w = &wave{of: g, policy: r.Policies[g.path]}
			of[g] = w
			t.waves = append(t.waves, w)
		}
		if n.watch != nil {
			w.watched = append(w.watched, n)
		} else {
			w.held = append(w.held, n)
			t.queued++
		}
	})
	slices.SortFunc(t.waves, func(a, b *wave) int { return byOrd(a.of, b.of) })
}

// stands: a supervisor above n does not run, or it is paused, so the rollout leaves n
// alone.
func (n *node) stands() bool { return n.under() || n.paused() != nil }

// under: a supervisor above n does not run.
func (n *node) under() bool {
	for s := n.parent; s != nil; s = s.parent {
		if s.down != "" {
			return true
		}
	}
	return false
}

// over: n's turn is, or will be, over without a process of its new spec.
func (n *node) over() bool {
	l := &n.life
	return l.stopped() || l.settled() && l.Phase != PhaseRunning
}

// readyAt is when n, which runs, has run its new spec for long enough.
func (n *node) readyAt(p UpdatePolicy) time.Duration {
	if bug.On("update-without-min-ready") {
		return n.life.Since
	}
	return n.life.Since + p.MinReady
}

// proved: n has run its new spec for long enough.
func (t *Tree) proved(n *node, p UpdatePolicy) bool {
	return n.life.Phase == PhaseRunning && t.at.Time >= n.readyAt(p)
}

// dueAt is when something is to be done about a child in its turn; false if time
// alone changes nothing.
func (r *rollout) dueAt(n *node, p UpdatePolicy) (time.Duration, bool) {
	switch {
	case n.stands():
		return 0, false
	case n.over(), n.watch.Failed != "" && r.Phase == RolloutUpdating:
		return 0, true
	case n.life.Phase == PhaseRunning:
		return n.readyAt(p), true
	}
	return n.watch.Since + p.Deadline, r.Phase == RolloutUpdating
}

// first is the place in held of the child whose turn is next; -1 if there is no room
// for one, or none can have it now.
func (w *wave) first() int {
	if len(w.watched) >= w.policy.Parallel && !bug.On("update-parallel-ignored") {
		return -1
	}
	return slices.IndexFunc(w.held, func(n *node) bool { return !n.stands() })
}

// NextAt is the cluster time at which an Advance is due; false if none is.
func (t *Tree) NextAt() (at time.Duration, ok bool) {
	r := t.rollout
	if !r.moves() || t.deleting {
		return 0, false
	}
	left := 0
	for _, w := range t.waves {
		if left += len(w.held) + len(w.watched); w.first() >= 0 {
			return 0, true
		}
		for _, n := range w.watched {
			if d, due := r.dueAt(n, w.policy); due && (!ok || d < at) {
				at, ok = d, true
			}
		}
	}
	return at, ok || left == 0
}

// onAdvance does what time alone has made due. One that comes early, or twice, is
// stale.
func (t *Tree) onAdvance() error {
	at, ok := t.NextAt()
	if !ok || at > t.at.Time {
		return ErrStale
	}
	if n, w, cause := t.overdue(); n != nil {
		t.spoil(n, w, cause)
		return nil
	}
	t.proceed()
	return nil
}

// overdue finds the first child that has failed in its turn without an end of its
// life in this Step.
func (t *Tree) overdue() (*node, *wave, Cause) {
	r := t.rollout
	for _, w := range t.waves {
		for _, n := range w.watched {
			at, due := r.dueAt(n, w.policy)
			if r.Phase != RolloutUpdating || !due || at > t.at.Time || n.over() {
				continue
			}
			c := Cause{Kind: CauseUpdate, Path: n.path, Detail: n.watch.Failed}
			if c.Detail == "" && n.life.Phase != PhaseRunning {
				c.Detail = fmt.Sprintf("it was not up within %v", w.policy.Deadline)
			}
			if c.Detail != "" {
				return n, w, c
			}
		}
	}
	return nil, nil, Cause{}
}

// proceed ends the turns that are over and begins the next ones; when all are, the
// rollout is done.
func (t *Tree) proceed() {
	for _, w := range t.waves {
		w.watched = slices.DeleteFunc(w.watched, func(n *node) bool {
			done := !n.stands() && (n.over() || t.proved(n, w.policy))
			if done {
				t.unwatch(n)
			}
			return done
		})
		for i := w.first(); i >= 0; i = w.first() {
			t.turn(w, i)
		}
	}
	t.waves = slices.DeleteFunc(t.waves, func(w *wave) bool { return len(w.held)+len(w.watched) == 0 })
	t.touch(t.root)
	if len(t.waves) == 0 {
		t.complete()
	}
}

// unwatch ends n's turn.
func (t *Tree) unwatch(n *node) {
	n.watch = nil
	t.rollout.Done++
	t.touch(n)
	t.touch(t.root)
}

// turn gives the child at a place in held its new spec, alone, as an Edit without a
// rollout does. What an operator stopped begins with it when it is started.
func (t *Tree) turn(w *wave, at int) {
	r, n := t.rollout, w.held[at]
	if t.queued--; at == 0 {
		w.held = w.held[1:]
	} else {
		w.held = slices.Delete(w.held, at, at+1)
	}
	stay := same(n.spec.Placement, n.next.Placement)
	n.spec, n.exclusive, n.next = n.next, n.parent.exclusive || n.next.Exclusive, nil
	t.touch(n)
	if n.life.stopped() {
		r.Done++
		return
	}
	n.watch = &watch{Since: t.at.Time}
	i, _ := slices.BinarySearchFunc(w.watched, n, byOrd)
	w.watched = slices.Insert(w.watched, i, n)
	cause, what := Cause{Kind: CauseUpdate, Detail: r.By}, "changed: it restarts with its new spec"
	if r.Phase == RolloutReverting {
		cause, what = Cause{Kind: CauseRevert, Detail: r.Why}, "goes back to its former spec"
	}
	t.renew(n, renewal{stay: stay, start: string(cause.Kind)})
	t.decide(n, VerdictRestart, cause, fmt.Sprintf("%s %s (%d of %d)", n.path, what, r.Total-t.queued, r.Total))
}

// complete ends the rollout. What came of a revert is remembered until the next Edit.
func (t *Tree) complete() {
	r := t.rollout
	if r.Phase == RolloutReverting {
		t.rollout = &rollout{Phase: RolloutReverted, By: r.By, Why: r.Why, Total: r.Total, Done: r.Done}
		t.decide(t.root, VerdictUpdate, Cause{Kind: CauseRevert, Detail: r.Why},
			fmt.Sprintf("%s has its former spec again: %s", t.spec.Name, r.Why))
		return
	}
	t.rollout = nil
	t.decide(t.root, VerdictUpdate, Cause{Kind: CauseUpdate, Detail: r.By},
		fmt.Sprintf("%s is updated: %d of %d children have their new spec", t.spec.Name, r.Done, r.Total))
}

// tries gives the wave in which n tries its new spec, if its end now is a failure of
// the rollout. It ends the turn of a child that had stood the test.
func (t *Tree) tries(n *node) *wave {
	r := t.rollout
	if n.watch == nil || !r.moves() {
		return nil
	}
	g := r.governor(n)
	i := slices.IndexFunc(t.waves, func(w *wave) bool { return w.of == g })
	switch w := t.waves[i]; {
	case t.proved(n, w.policy):
		w.watched = slices.DeleteFunc(w.watched, func(x *node) bool { return x == n })
		t.unwatch(n)
	case r.Phase == RolloutUpdating:
		return w
	}
	return nil
}

// spoil is what follows when n has failed in its turn. It tells whether that was
// the answer to the failure: a revert is, and a halt is none.
func (t *Tree) spoil(n *node, w *wave, cause Cause) bool {
	if w.policy.AutoRevert && !bug.On("update-never-reverts") {
		return t.revert(n, cause)
	}
	t.halt(cause, fmt.Sprintf("%s failed with its new spec (%s)", n.path, cause.Detail))
	return false
}

// halt stops the rollout where it is. Who has a turn keeps it.
func (t *Tree) halt(cause Cause, why string) {
	r := t.rollout
	r.Phase, r.Why = RolloutHalted, why
	t.decide(t.root, VerdictUpdate, cause,
		fmt.Sprintf("the update of %s is halted after %d of %d children: %s", t.spec.Name, r.Done, r.Total, why))
}

// revert gives the tree its former spec back. n, if not nil, failed: it begins anew
// with it at once, uncharged. False: it cannot be, and the rollout is halted.
func (t *Tree) revert(n *node, cause Cause) bool {
	r, base := t.rollout, *t.rollout.Base
	base.After = t.spec.After // not of a child: others may have come after this tree since
	why := because(cause)
	if n != nil {
		why = fmt.Sprintf("%s failed with its new spec (%s)", n.path, cause.Detail)
	}
	sh := t.shaping(&base)
	if err := t.editable(base, sh); err != nil {
		t.halt(cause, fmt.Sprintf("%s, and there is no way back: %v", why, err))
		return false
	}
	if n != nil && n.life.Phase == PhasePending && n.life.Node != "" {
		if c := sh.expand(base).find(n.path); c != nil && !same(c.Placement, n.spec.Placement) {
			t.holdBack(n, n.life.Node, false) // its node may answer the end itself
		}
	}
	t.decide(t.root, VerdictUpdate, cause, fmt.Sprintf("%s goes back to its former spec: %s", t.spec.Name, why))
	t.edit(base, n, Cause{Kind: CauseRevert, Detail: why}, &rollout{
		Phase: RolloutReverting, By: r.By, Why: why, Policies: r.Policies,
	})
	return true
}

// find gives the spec of a child of a plain tree; nil if there is none of that path.
func (s Spec) find(path string) *ChildSpec {
	children := s.Children
	var found *ChildSpec
	for _, id := range strings.Split(path, "/")[1:] {
		i := slices.IndexFunc(children, func(c ChildSpec) bool { return c.ID == id })
		if i < 0 {
			return nil
		}
		found = &children[i]
		children = found.Children
	}
	return found
}

// onRollout is an operator's word about the rollout of a tree.
func (t *Tree) onRollout(in Rollout) error {
	n, err := t.member(in.Path)
	r, cause := t.rollout, Cause{Kind: CauseOperator, Detail: in.By}
	switch {
	case err != nil:
		return err
	case n != t.root:
		return fmt.Errorf("%w: an update is of a whole tree; name %s", ErrRefused, t.spec.Name)
	case t.deleting:
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	case !r.active():
		return fmt.Errorf("%w: no update of %s is under way", ErrRefused, t.spec.Name)
	case r.Phase == RolloutReverting:
		return fmt.Errorf("%w: %s already goes back to its former spec; apply a file to change it", ErrRefused, t.spec.Name)
	}
	switch in.Verb {
	case RolloutPause:
		if r.Phase == RolloutHalted {
			return fmt.Errorf("%w: the update of %s is halted already", ErrRefused, t.spec.Name)
		}
		t.halt(cause, because(cause))
	case RolloutResume:
		if r.Phase != RolloutHalted {
			return fmt.Errorf("%w: the update of %s is not halted", ErrRefused, t.spec.Name)
		}
		t.resume(cause)
	case RolloutRevert:
		t.revert(nil, cause)
	default:
		return fmt.Errorf("%w: unknown verb %q", ErrRefused, in.Verb)
	}
	return nil
}

// resume goes on with a halted rollout; who has a turn begins it anew.
func (t *Tree) resume(cause Cause) {
	r := t.rollout
	r.Phase, r.Why = RolloutUpdating, ""
	for _, w := range t.waves {
		for _, n := range w.watched {
			n.watch = &watch{Since: t.at.Time}
		}
	}
	t.decide(t.root, VerdictUpdate, cause, fmt.Sprintf("the update of %s goes on (%s)", t.spec.Name, because(cause)))
}
