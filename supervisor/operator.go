package supervisor

import (
	"cmp"
	"fmt"
	"slices"
)

// member finds what an operator may name: not a child that is leaving.
func (t *Tree) member(path string) (*node, error) {
	n, err := t.find(path)
	if err == nil && n.parent == nil && n != t.root {
		return nil, fmt.Errorf("%w: %s is leaving the tree", ErrRefused, path)
	}
	return n, err
}

// standing refuses an operator's verb where a supervisor above does not run.
func (t *Tree) standing(n *node) error {
	if t.deleting {
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	}
	for s := n.parent; s != nil; s = s.parent {
		if s.down != "" {
			return fmt.Errorf("%w: supervisor %s is %s; start it first", ErrRefused, s.path, s.down)
		}
	}
	return nil
}

// onStart starts what does not run. A supervisor that had failed or was stopped
// starts as new, with empty windows; in one that runs, what was stopped starts.
func (t *Tree) onStart(in Start) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.standing(n); err != nil {
		return err
	}
	if err := n.awake(); err != nil {
		return err
	}
	cause := startCause(in.By)
	switch {
	case cause.Kind == CauseRetry && (n.parent != nil || !t.failed):
		return ErrStale // someone has seen to the tree since
	case n.worker():
		t.startWorker(n, cause)
		return nil
	case n.parent == nil:
		t.failed = false
	}
	t.startAll(n, false, cause)
	return nil
}

// startAll starts what does not run at and below n; asNew if a supervisor above
// starts as new. What an operator stopped waits for an operator, not for a retry.
func (t *Tree) startAll(n *node, asNew bool, cause Cause) {
	if cause.Kind == CauseRetry && (n.down == PhaseStopped || n.worker() && n.life.stopped()) {
		t.rejoin(n)
		return
	}
	if n.worker() {
		if asNew {
			n.forget()
		}
		phase := n.life.Phase
		if phase == PhaseStopping { // where it will be: what is finished then is not started now
			phase = n.life.Then
		}
		if asNew || phase == PhaseStopped || phase == PhaseFailed {
			t.startWorker(n, cause)
		}
		return
	}
	if n.down != "" {
		n.forget()
		n.down, asNew = "", true
	}
	if asNew || cause.Kind == CauseInitial {
		n.born = t.epoch
	}
	t.touch(n)
	for _, c := range n.children {
		t.startAll(c, asNew, cause)
	}
}

// RetryBy names on_exhausted: retry_after as the author of a Start.
const RetryBy = "on_exhausted"

func startCause(by string) Cause {
	switch by {
	case "":
		return Cause{Kind: CauseInitial}
	case RetryBy:
		return Cause{Kind: CauseRetry, Detail: "retry_after has passed"}
	}
	return Cause{Kind: CauseOperator, Detail: by}
}

func (t *Tree) startWorker(n *node, cause Cause) {
	switch l := n.life; {
	case l.Phase == PhasePending, l.Phase == PhaseStarting, l.Phase == PhaseRunning, l.returning():
		return // it runs, or is about to
	}
	if n.paused() != nil {
		t.postpone(n, cause)
		return
	}
	t.renew(n, renewal{stay: true, start: string(cause.Kind)})
	t.decide(n, VerdictStart, cause, n.path+" starts ("+because(cause)+")")
}

func because(c Cause) string {
	switch {
	case c.Kind == CauseOperator:
		return "asked by " + c.Detail
	case c.Kind == CauseUpdate:
		return "new spec by " + c.Detail
	case c.Detail != "":
		return c.Detail
	}
	return string(c.Kind)
}

// onStop ends every life below the path. It stays so until a Start.
func (t *Tree) onStop(in Stop) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if t.deleting {
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	}
	if n.parent == nil {
		t.failed = false
	}
	t.stopAll(n, Cause{Kind: CauseOperator, Detail: in.By})
	return nil
}

func (t *Tree) stopAll(n *node, cause Cause) {
	n.walk(func(x *node) {
		if !x.worker() {
			x.down = PhaseStopped
			t.touch(x)
			return
		}
		if x.life.Phase == PhaseStopped || x.life.Phase == PhaseStopping && x.life.Then == PhaseStopped {
			return
		}
		if x.life.returning() || x.life.Phase == PhaseStopping && x.life.Then == PhasePaused {
			t.redirect(x, PhaseStopped, renewal{})
		} else {
			t.end(x, PhaseStopped, renewal{})
		}
		t.decide(x, VerdictStop, cause, x.path+" stops ("+because(cause)+")")
	})
}

// onDelete stops the tree for good.
func (t *Tree) onDelete(in Delete) error {
	t.failed, t.deleting = false, true
	t.stopAll(t.root, Cause{Kind: CauseOperator, Detail: in.By})
	return nil
}

// onRestart renews a worker alone (OTP restart_child), or all below a
// supervisor; uncharged.
func (t *Tree) onRestart(in Restart) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.standing(n); err != nil {
		return err
	}
	if err := n.awake(); err != nil {
		return err
	}
	cause := Cause{Kind: CauseOperator, Path: in.Path, Detail: in.By}
	switch {
	case n.down != "" || n.worker() && !n.life.held() && n.life.settled():
		return t.onStart(Start(in))
	case n.worker():
		if !n.life.returning() { // else it restarts already, and its group waits for it
			t.renew(n, renewal{stay: true, start: string(CauseOperator)})
		}
		t.decide(n, VerdictRestart, cause, fmt.Sprintf("%s restarts (%s)", n.path, because(cause)))
	default:
		t.restartSupervisor(n, renewal{stay: true, start: string(CauseOperator)}, cause)
	}
	return nil
}

// onMove sends a worker, or every worker below a supervisor, to another node.
func (t *Tree) onMove(in Move) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.standing(n); err != nil {
		return err
	}
	if err := n.awake(); err != nil {
		return err
	}
	movable := false
	for _, x := range n.workers() {
		if x.home == "" && !x.life.atRest() && x.paused() == nil && !(in.To != "" && x.life.Node == in.To) {
			movable = true
		}
	}
	if n.home != "" || n.spec != nil && n.spec.EachNode {
		return fmt.Errorf("%w: %s runs on each node, and its instances nowhere else", ErrRefused, in.Path)
	}
	if !movable {
		return fmt.Errorf("%w: nothing to move: no child of %s runs elsewhere", ErrRefused, in.Path)
	}
	cause := Cause{Kind: CauseOperator, Detail: in.By}
	for _, x := range n.workers() {
		if x.home != "" || x.life.atRest() || x.paused() != nil || in.To != "" && x.life.Node == in.To {
			continue
		}
		r := renewal{start: "move", only: in.To}
		if in.To == "" { // anywhere but here; not nil, which would keep an earlier To
			r.avoid = slices.DeleteFunc([]string{cmp.Or(x.life.Node, x.life.Last)}, func(s string) bool { return s == "" })
		}
		if x.life.returning() {
			t.redirect(x, PhasePending, r)
		} else {
			t.renew(x, r)
		}
		t.decide(x, VerdictMove, cause, fmt.Sprintf("%s moves (%s)", x.path, because(cause)))
	}
	return nil
}
