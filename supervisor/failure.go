package supervisor

import (
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// fail is what a parent does about a child that is over and should not be: charge
// the child's window; within it restart the group or move the child, beyond it
// give up. n's old life has ended; a supervisor's workers may still live. elsewhere: its
// next life must begin on another node.
func (t *Tree) fail(n *node, cause Cause, elsewhere bool) {
	before := t.prune(n)
	if before.spent() && !(bug.On("escalate-late") && before.Used == before.Max) {
		t.giveUp(n, cause, before)
		return
	}
	charges := n.charges()
	*charges = append(*charges, t.at.Time)
	if bug.On("charge-twice") {
		*charges = append(*charges, t.at.Time)
	}
	n.answered()
	d := Decision{
		Stamp: t.at, Path: n.path, Verdict: VerdictRestart, Epoch: t.epoch, Node: n.life.Node,
		Cause: cause, Before: before, After: n.budget(),
	}
	why := ""
	elsewhere = elsewhere && n.home == "" // the instance of a node goes nowhere
	d.Delay, why = t.paced(n, n.parent.policy.Backoff.Duration(before.Used))
	r := renewal{stay: true, start: string(CauseCrash)}
	if cause.Kind == CauseShutdown {
		r.start = string(CauseShutdown)
	}
	if d.Delay > 0 {
		r.notBefore = t.at.Time + d.Delay
	}
	if n.worker() && n.life.Node != "" && (t.tooOftenHere(n, before) || elsewhere) {
		d.Verdict = VerdictMove
		r.stay, r.avoid, r.start = false, []string{n.life.Node}, "move"
	}
	if d.Sentence = sentence(n, d, elsewhere); why != "" {
		d.Sentence += "; " + why
	}
	t.record(n, d)
	t.restartGroup(n, r)
}

// Pace changes the wait before a restart after a crash, whose epoch is given, and
// may say why. It must depend on nothing but what is replicated.
type Pace func(path string, epoch Epoch, delay time.Duration) (time.Duration, string)

// SetPace makes the next Steps wait as p says; nil is as the policy says.
func (t *Tree) SetPace(p Pace) { t.pace = p }

func (t *Tree) paced(n *node, delay time.Duration) (time.Duration, string) {
	if t.pace == nil {
		return delay, ""
	}
	return t.pace(n.path, t.epoch, delay)
}

// sentence words the restart or move of n.
func sentence(n *node, d Decision, elsewhere bool) string {
	where := ""
	if n.worker() && d.Node != "" {
		where = " on " + d.Node
	}
	does := ": restart it"
	switch {
	case d.Verdict != VerdictMove:
	case elsewhere:
		does = ": move it to another node"
	default:
		does = fmt.Sprintf("; %d crashes in a row there: move it to another node", n.spec.MoveAfter)
	}
	if len(n.parent.children) > 1 {
		switch n.parent.strategy {
		case OneForAll:
			does += " and all its siblings"
		case RestForOne:
			does += " and the siblings started after it"
		}
	}
	if d.Delay > 0 {
		does += " after " + d.Delay.String()
	}
	return n.path + " " + d.Cause.ended() + where + " (" + d.Cause.Detail + ")" + does + "; budget " + d.After.String() + " used"
}

// prune forgets the charges that lie before the window and gives what is left.
// The boundary is inclusive: a charge exactly one period old still counts (OTP
// supervisor:in_period/2).
func (t *Tree) prune(n *node) Budget {
	from := t.at.Time - n.parent.policy.MaxSeconds
	charges := n.charges()
	i := 0
	for i < len(*charges) && (*charges)[i] < from {
		i++
	}
	*charges = slices.Delete(*charges, 0, i)
	t.expire(n)
	return n.budget()
}

// charges is the window that n's restarts are charged to.
func (n *node) charges() *[]time.Duration {
	if n.parent.policy.shared() {
		return &n.parent.shared
	}
	return &n.window
}

// forget empties what n has charged: its own window, and that of its children.
func (n *node) forget() { n.window, n.shared = nil, nil }

// budget is n's window as of the last charge; a root has none.
func (n *node) budget() Budget {
	if n.parent == nil || n.spec == nil {
		return Budget{}
	}
	b := Budget{Used: len(*n.charges()), Max: n.parent.policy.MaxRestarts, Period: n.parent.policy.MaxSeconds}
	if n.spec.MaxRestarts != nil {
		b.Max = *n.spec.MaxRestarts
	}
	for _, l := range n.loans {
		b.Held += l.Share
	}
	return b
}

// tooOftenHere counts a crash on the present node. Crashes are in a row while
// the window holds an earlier one.
func (t *Tree) tooOftenHere(n *node, before Budget) bool {
	if before.Used == 0 {
		n.life.Crashes = 0
	}
	n.life.Crashes++
	return n.spec.MoveAfter > 0 && n.life.Crashes >= n.spec.MoveAfter
}

// restartGroup starts n anew and, by its parent's strategy, its siblings.
func (t *Tree) restartGroup(n *node, r renewal) {
	cause := Cause{Kind: CauseGroup, Path: n.path}
	sibling := renewal{stay: true, start: string(CauseGroup), notBefore: r.notBefore}
	for _, y := range group(n.parent, n.pos) {
		switch {
		case y != n:
			t.recycle(y, false, sibling, cause)
		case n.worker():
			n.life.Restarts++
			t.renew(n, r)
		default:
			why := CauseEscalation
			if r.start == string(CauseShutdown) {
				why = CauseShutdown
			}
			t.restartSupervisor(n, renewal{stay: true, start: string(why), notBefore: r.notBefore}, Cause{Kind: why, Path: n.path})
		}
	}
}

// group lists, in start order, the siblings that share the fate of the child at
// pos.
func group(s *node, pos int) []*node {
	switch s.strategy {
	case OneForAll:
		return s.children
	case RestForOne:
		return s.children[pos:]
	}
	return s.children[pos : pos+1]
}

// recycle stops y and starts it again with its group. fresh: y's supervisor
// starts anew, so temporary children come back too and windows are empty.
// What an operator stopped stays stopped (P11; OTP would start it).
func (t *Tree) recycle(y *node, fresh bool, r renewal, cause Cause) {
	if y.paused() != nil {
		t.passBy(y, fresh, cause)
		return
	}
	if fresh {
		y.forget()
		y.tallies = nil
		t.setLoans(y, nil)
		t.touch(y)
	}
	if !y.worker() {
		t.recycleSupervisor(y, fresh, r, cause)
		return
	}
	switch {
	case y.life.stopped() && !bug.On("stopped-starts-again"):
		t.rejoin(y)
	case y.life.Epoch == t.epoch, y.life.returning() && y.life.Next == t.epoch: // it begins already, in this batch
	case y.spec.RestartType == Temporary && !fresh:
		t.endTemporary(y, cause)
	case y.life.Phase == PhaseFailed && !fresh: // for good
	default:
		y.life.Restarts++
		t.renew(y, r)
		t.decide(y, VerdictRestart, cause, fmt.Sprintf("%s restarts%s", y.path, origin(cause)))
	}
}

// origin names what a group restart goes back to.
func origin(c Cause) string {
	switch c.Kind {
	case CauseOperator, CauseUpdate, CauseRevert:
		return " (" + because(c) + ")"
	case CauseDependency:
		return " because of " + c.Path + ", which its tree comes after (" + c.Detail + ")"
	}
	return " because of " + c.Path
}

// endTemporary stops a temporary child whose group restarts (OTP removes it).
func (t *Tree) endTemporary(y *node, cause Cause) {
	switch l := y.life; {
	case l.Phase == PhaseFinished, l.Phase == PhaseFailed:
		return
	case l.Phase == PhaseStopping && l.Then == PhaseFinished:
		t.rejoin(y) // decided before
		return
	}
	t.end(y, PhaseFinished, renewal{})
	t.decide(y, VerdictStop, cause,
		fmt.Sprintf("%s stops%s; temporary children are not restarted", y.path, origin(cause)))
}

func (t *Tree) recycleSupervisor(y *node, fresh bool, r renewal, cause Cause) {
	temporary := y.spec.RestartType == Temporary && !fresh
	switch {
	case y.down == PhaseStopped, y.down != "" && temporary:
		t.rejoin(y)
	case temporary:
		t.takeDown(y, PhaseFinished, cause)
	default:
		t.restartSupervisor(y, r, cause)
	}
}

// rejoin makes the stops under way at and below y part of this batch: the group
// waits for them, although nothing follows them.
func (t *Tree) rejoin(y *node) {
	for _, n := range y.workers() {
		if n.life.Phase == PhaseStopping {
			t.end(n, n.life.Then, renewal{})
		}
	}
}

// restartSupervisor starts all children of s as a new supervisor process would.
func (t *Tree) restartSupervisor(s *node, r renewal, cause Cause) {
	s.down, s.begun, s.born, s.shared = "", t.epoch, t.epoch, nil
	t.touch(s)
	for _, c := range s.children {
		t.recycle(c, true, r, cause)
	}
}

// giveUp: n is over budget, or its failure is fatal, so its supervisor stops its
// children and fails as a child of its own parent. A supervisor that is over budget ends with reason
// shutdown, which is a normal end: only a permanent one is restarted (OTP).
func (t *Tree) giveUp(n *node, cause Cause, before Budget) {
	s := n.parent
	why, said := fmt.Sprintf("its budget is spent (%v)", before), "spent its budget"
	if cause.Kind == CauseFatal {
		why, said = "that is fatal", "failed for good"
	}
	t.record(n, Decision{
		Stamp: t.at, Path: n.path, Verdict: VerdictEscalate, Epoch: n.life.Epoch, Node: n.life.Node,
		Cause: cause, Before: before, After: before,
		Sentence: fmt.Sprintf("%s %s (%s) and %s: %s gives up", n.path, cause.ended(), cause.Detail, why, s.path),
	})
	if n.worker() {
		t.rest(n, PhaseFailed)
	}
	up := Cause{Kind: CauseEscalation, Path: n.path, Detail: fmt.Sprintf("%s %s: %s", n.path, said, cause.Detail)}
	switch {
	case s.parent == nil:
		t.failTree(up)
	case s.spec.RestartType != Permanent:
		t.endAll(s, PhaseFailed)
		t.over(s, VerdictFail, up, notRestarted(s, up))
	default:
		t.fail(s, up, false)
	}
}

// takeDown ends a temporary supervisor whose group restarts, and all below it.
func (t *Tree) takeDown(s *node, phase Phase, cause Cause) {
	t.endAll(s, phase)
	t.decide(s, VerdictFail, cause, notRestarted(s, cause))
}

func notRestarted(s *node, cause Cause) string {
	return fmt.Sprintf("%s ends because of %s; %s supervisors are not restarted", s.path, cause.Path, s.spec.RestartType)
}

// failTree stops everything: nobody is left to escalate to.
func (t *Tree) failTree(cause Cause) {
	t.failed, t.failedAt = true, t.at.Time
	t.endAll(t.root, PhaseFailed)
	what := fmt.Sprintf("%s has failed: %s; all its children stop", t.spec.Name, cause.Detail)
	if t.spec.RetryAfter > 0 {
		what += fmt.Sprintf("; it starts again after %v", t.spec.RetryAfter)
	}
	t.decide(t.root, VerdictFail, cause, what)
}

// endAll ends every life at and below s that runs or is due. What finished or
// was stopped before, or is about to, keeps that.
func (t *Tree) endAll(s *node, then Phase) {
	s.walk(func(n *node) {
		if !n.worker() {
			if n.down != PhaseStopped {
				n.down = then
			}
			t.touch(n)
			return
		}
		switch l := n.life; {
		case l.Phase == PhasePaused:
			t.rest(n, then)
		case l.settled() && !l.held() && !l.Away:
		case l.Phase == PhaseStopping && l.Then != PhasePending: // as if it had ended
			t.rejoin(n)
		default:
			t.end(n, then, renewal{})
		}
	})
}
