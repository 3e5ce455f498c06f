package supervisor

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/selfware/selfware/internal/bug"
)

// onEvent takes what an agent saw of a life. An event of a life that is not the
// child's present one is stale: duplicates, late and reordered reports end here.
// fit: its node may go on with what follows.
func (t *Tree) onEvent(ev ChildEvent, fit bool) error {
	if ev.Type == EventRestarted {
		return t.onRestarted(ev)
	}
	n, err := t.find(ev.Path)
	if err != nil {
		return err
	}
	if !n.worker() || n.life.Epoch != ev.Epoch && !bug.On("dedupe-off") || !n.life.held() || ev.Restarts < n.life.Alone {
		return ErrStale
	}
	switch ev.Type {
	case EventSpawned:
		return t.onSpawned(n, ev)
	case EventStarted:
		return t.onStarted(n, ev)
	case EventExited, EventCrashed:
		t.onEnd(n, ev, fit)
		return nil
	case EventFenced:
		t.onFenced(n, ev)
		return nil
	case EventAsked:
		return t.onAsked(n, ev, fit)
	}
	return fmt.Errorf("%w: event type %q", ErrRefused, ev.Type)
}

func (t *Tree) onSpawned(n *node, ev ChildEvent) error {
	l := n.life
	if l.Phase != PhaseStarting || l.Spawned {
		return ErrStale
	}
	l.Spawned, l.PID = true, ev.PID
	t.become(n, l)
	return nil
}

func (t *Tree) onStarted(n *node, ev ChildEvent) error {
	l := n.life
	if l.Phase != PhaseStarting {
		return ErrStale
	}
	l.Phase, l.Spawned, l.PID = PhaseRunning, true, ev.PID
	t.become(n, l)
	t.decide(n, VerdictUp, Cause{Kind: CauseConfirmed}, n.path+" runs on "+l.Node+" (pid "+strconv.Itoa(ev.PID)+")")
	return nil
}

// onEnd is the ladder of a failure. Ordered: no failure. Fatal: the supervisor gives
// up, whatever the restart type. The child's own word, or else its exit rules: what they
// say. Restart type says finished: finish, and the supervisor with it if the child was
// significant (over). Otherwise the window decides (fail).
func (t *Tree) onEnd(n *node, ev ChildEvent, fit bool) {
	l := n.life
	n.remember(l)
	if l.Phase == PhaseStopping {
		t.stopped(n, ev, fit)
		return
	}
	normal := ev.Type == EventExited && ev.Reason == ExitNormal
	cause := Cause{Kind: CauseCrash, Path: n.path, Detail: describe(ev)}
	if normal {
		cause.Kind = CauseExit
	}
	said, why := n.spec.Exits.Ruling(&ev)
	if said != "" {
		cause.Detail += "; " + why
	}
	finished := said == VerdictFinish || said == "" && normal && n.spec.RestartType != Permanent && !ev.Fatal
	calm := n.paused() == nil
	if !calm && !finished && said != VerdictFail && n.spec.RestartType != Temporary {
		t.endPaused(n, ev, cause, said)
		return
	}
	trial := t.tries(n)
	l.Phase = PhasePending // over; what follows is yet to be decided on
	if !fit {
		l.Last, l.Node = l.Node, ""
	}
	if trial != nil && calm && !finished {
		t.become(n, l)
		if t.spoil(n, trial, cause) {
			return
		}
	}
	switch {
	case calm && (ev.Fatal || said == VerdictEscalate): // its window does not matter
		t.become(n, l)
		cause.Kind = CauseFatal
		t.giveUp(n, cause, t.prune(n))
	case said == VerdictFinish:
		cause.Kind = CauseWord
		t.rest(n, PhaseFinished)
		t.over(n, VerdictFinish, cause, fmt.Sprintf("%s ended as it should (%s): it is finished", n.path, cause.Detail))
	case said == VerdictFail:
		cause.Kind = CauseWord
		t.rest(n, PhaseFailed)
		t.over(n, VerdictFail, cause, fmt.Sprintf("%s failed for good (%s): it is not restarted", n.path, cause.Detail))
	case finished:
		t.rest(n, PhaseFinished)
		t.over(n, VerdictFinish, cause, fmt.Sprintf("%s ended as it should (%s); %s children are then finished",
			n.path, cause.Detail, n.spec.RestartType))
	case n.spec.RestartType == Temporary:
		t.rest(n, PhaseFailed)
		t.over(n, VerdictFail, cause, fmt.Sprintf("%s failed (%s); temporary children are never restarted", n.path, cause.Detail))
	default:
		t.become(n, l)
		t.fail(n, cause, said == VerdictMove)
	}
}

// stopped confirms a stop that was ordered; it is no failure (OTP). On a node that is
// not fit, such as one whose lease ran out in the meantime, nothing follows: it is
// placed anew.
func (t *Tree) stopped(n *node, ev ChildEvent, fit bool) {
	host := n.life.Node
	if !ev.Ordered && !(n.life.Then == PhasePending && n.life.Stay) {
		t.holdBack(n, host, false) // it may answer this end itself
	}
	t.ended(n, !fit)
	t.decideOn(n, host, VerdictStopped, Cause{Kind: CauseOrdered, Detail: describe(ev)},
		n.path+" has stopped on "+host+" as ordered ("+describe(ev)+")")
}

// onAssign gives a pending life its node.
func (t *Tree) onAssign(in Assign) error {
	n, err := t.find(in.Path)
	if err != nil {
		return err
	}
	l := n.life
	if !n.worker() || l.Phase != PhasePending || l.Epoch != in.Epoch || n.home != "" && in.Node != n.home {
		return ErrStale
	}
	if in.Node == "" {
		return fmt.Errorf("%w: no node for %s", ErrRefused, in.Path)
	}
	if l.Last != "" && l.Last != in.Node {
		l.Moves++
		l.Crashes = 0
	}
	l.Phase, l.Node, l.Avoid, l.Only = PhaseStarting, in.Node, nil, ""
	t.become(n, l)
	sentence := n.path + " goes to " + in.Node
	if in.Why != "" {
		sentence += ": " + in.Why
	}
	t.decide(n, VerdictPlace, Cause{Kind: CausePlacement, Detail: in.Why}, sentence)
	return nil
}

// describe says how a life ended.
func describe(ev ChildEvent) string {
	switch {
	case ev.Detail != "":
		return ev.Detail
	case ev.Type == EventFenced:
		return "its lease ran out"
	case ev.Reason == ExitNormal:
		return "exit code 0"
	case ev.Signal != "":
		return "killed by " + ev.Signal
	case ev.Reason == ExitTimeout:
		return "not up in time"
	case ev.Type == EventExited:
		return fmt.Sprintf("exit code %d", ev.Code)
	}
	return "could not be started"
}

// decide records a decision about n as it is now.
func (t *Tree) decide(n *node, v Verdict, c Cause, sentence string) *Decision {
	return t.decideOn(n, n.life.Node, v, c, sentence)
}

func (t *Tree) decideOn(n *node, host string, v Verdict, c Cause, sentence string) *Decision {
	b := n.budget()
	d := Decision{
		Stamp: t.at, Path: n.path, Verdict: v, Epoch: n.life.Epoch, Node: host,
		Cause: c, Before: b, After: b, Sentence: sentence,
	}
	if n.life.returning() {
		d.Epoch = n.life.Next
	}
	t.record(n, d)
	return &t.out[len(t.out)-1]
}

func (t *Tree) record(n *node, d Decision) {
	n.history.add(d)
	n.life.Reason = d.Sentence
	t.out = append(t.out, d)
	t.touch(n)
}

// history is the last decisions about a child, at most HistoryLimit, in a ring.
type history struct {
	ring   []Decision
	oldest int
}

func (h *history) add(d Decision) {
	if len(h.ring) < HistoryLimit {
		if h.ring == nil {
			h.ring = make([]Decision, 0, 4) // to start, to place, up; and how it ended
		}
		h.ring = append(h.ring, d)
		return
	}
	h.ring[h.oldest] = d
	h.oldest = (h.oldest + 1) % HistoryLimit
}

// list gives them oldest first. It may share memory with the ring.
func (h *history) list() []Decision {
	if h.oldest == 0 {
		return h.ring
	}
	return slices.Concat(h.ring[h.oldest:], h.ring[:h.oldest])
}
