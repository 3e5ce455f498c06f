package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// violation is a promise that does not hold.
type violation struct {
	promise, what string
}

func (v *violation) String() string { return v.promise + ": " + v.what }

// violate notes the first promise found broken.
func (w *world) violate(promise, format string, args ...any) {
	if w.broken == nil {
		w.broken = &violation{promise, fmt.Sprintf(format, args...)}
	}
}

// event is one input that the tree took, and what came of it.
type event struct {
	in        supervisor.Input
	at        supervisor.Stamp
	before    *supervisor.State
	variant   int // before
	decisions []supervisor.Decision
	due       *due // what a failure must lead to; nil if it is none
}

// judge holds what came of an input against the promises.
func (w *world) judge(e *event) {
	w.follow(e)
	w.judgeDecisions(e)
	w.judgeEpochs(e)
	w.judgeWindows(e)
	w.judgeGroup(e)
	w.judgeTurns(e)
	w.judgeRollout()
	w.workers(func(k int, n *supervisor.NodeState) {
		l := &n.Life
		if w.stopped[k] && l.Phase != supervisor.PhaseStopped && !(l.Phase == supervisor.PhaseStopping && l.Then == supervisor.PhaseStopped) {
			w.violate("P11", "%s was stopped by an operator and is %s, then %q", n.Path, l.Phase, l.Then)
		}
	})
}

// begins are the verdicts that settle what becomes of a child.
var begins = []supervisor.Verdict{
	supervisor.VerdictStart, supervisor.VerdictRestart, supervisor.VerdictMove, supervisor.VerdictFinish,
	supervisor.VerdictFail, supervisor.VerdictStop, supervisor.VerdictRemove,
}

// judgeDecisions: at most one of them for each child and stamp (P1), and who gives up is
// who must (P10).
func (w *world) judgeDecisions(e *event) {
	var escalated []string
	for i, d := range e.decisions {
		if d.Verdict == supervisor.VerdictEscalate {
			escalated = append(escalated, d.Path)
		}
		if !slices.Contains(begins, d.Verdict) {
			continue
		}
		for _, other := range e.decisions[:i] {
			if other.Path == d.Path && slices.Contains(begins, other.Verdict) {
				w.violate("P1", "%s is decided on twice: %s, and %s", d.Path, other.Sentence, d.Sentence)
			}
		}
	}
	var want []string
	if e.due != nil {
		want = e.due.escalates
	}
	if !slices.Equal(escalated, want) {
		w.violate("P10", "%v give up, by their budgets %v must", escalated, want)
	}
}

// judgeEpochs: they only grow, and a new one is that of the stamp, or of the stop before (P1).
func (w *world) judgeEpochs(e *event) {
	w.workers(func(k int, n *supervisor.NodeState) {
		old := w.nodeOf(e.before, e.variant, k)
		if old == nil || n.Life.Epoch == old.Life.Epoch {
			return
		}
		now, was := n.Life.Epoch, &old.Life
		if now < was.Epoch || now != e.at.Epoch() && !(was.Phase == supervisor.PhaseStopping && now == was.Next) {
			w.violate("P1", "%s has epoch %v after %v, at %v", n.Path, now, was.Epoch, e.at.Epoch())
		}
	})
}

// judgeWindows: they hold all charges and nothing else, and never more than the budget (P3).
func (w *world) judgeWindows(e *event) {
	for k := range w.family() {
		x, n := &w.family()[k], w.node(k)
		shared := w.st.Shared
		if n != nil {
			shared = n.Shared
			if x.in && !w.family()[x.parent].shares() {
				w.judgeWindow("the window of "+x.path, n.Window, w.own[k], x.max)
			}
		}
		if x.in && x.shares() {
			w.judgeWindow("the window of all in "+x.path, shared, w.shared[k], x.policy.MaxRestarts)
		}
	}
}

func (w *world) judgeWindow(what string, got, want []time.Duration, budget int) {
	a, b := w.recent(got), w.recent(want)
	if !slices.Equal(a, b) {
		w.violate("P3", "%s has charges %v, should have %v", what, a, b)
	}
	if len(a) > budget {
		w.violate("P3", "%s has %d charges of %d", what, len(a), budget)
	}
}

// judgeRollout: no more children have their turn than may at a time (P5).
func (w *world) judgeRollout() {
	turns := make(map[int]int)
	w.workers(func(k int, n *supervisor.NodeState) {
		if n.Watch != nil && w.family()[k].in {
			turns[w.family()[k].parent]++
		}
	})
	for s, n := range turns {
		if p := w.specs[w.variant].Update; p != nil && s == 0 && n > p.Parallel {
			w.violate("P5", "%d children have their turn, %d may", n, p.Parallel)
		}
	}
}

// recent are the charges that count.
func (w *world) recent(charges []time.Duration) []time.Duration {
	i := 0
	for i < len(charges) && charges[i] < w.now-period {
		i++
	}
	return charges[i:]
}

// judgeBegin: a process begins, and nothing of what it follows runs any more.
func (w *world) judgeBegin(p *proc) {
	path := w.family()[p.who].path
	for i := range w.procs {
		q := &w.procs[i]
		switch {
		case q.end != running:
		case q.who == p.who && (p.exclusive && q.exclusive):
			w.violate("P13", "%s is exclusive, begins as %v on %s and still runs as %v on %s", path, p.epoch, hostNames[p.host], q.epoch, hostNames[q.host])
		case q.adrift || p.adrift:
		case q.who == p.who:
			w.violate("P4", "%s begins as %v on %s before %v on %s has ended", path, p.epoch, hostNames[p.host], q.epoch, hostNames[q.host])
		case q.epoch < p.epoch && w.sameBatch(p, q):
			w.violate("P4", "%s begins as %v before %s, of the same group, has ended", path, p.epoch, w.family()[q.who].path)
		}
	}
}

// sameBatch: q's life ends, or is over by the tree's word, for the batch that p is of,
// below another child of a supervisor that orders its children.
func (w *world) sameBatch(p, q *proc) bool {
	n := w.node(q.who)
	if n == nil || !w.family()[q.who].in || !w.family()[p.who].in {
		return false
	}
	if n.Life.Epoch != p.epoch && !(n.Life.Phase == supervisor.PhaseStopping && n.Life.Next == p.epoch) {
		return false
	}
	s, _, _ := w.fork(p.who, q.who)
	return w.family()[s].gated()
}

// fork gives the lowest supervisor above both, and its children that lead to them.
func (w *world) fork(a, b int) (s, towardsA, towardsB int) {
	f := w.family()
	for x := a; x > 0; x = f[x].parent {
		for y := b; y > 0; y = f[y].parent {
			if f[x].parent == f[y].parent && x != y {
				return f[x].parent, x, y
			}
		}
	}
	return 0, a, b
}

// judgeHalt: a process is stopped on order, and none that was started after it, and is to
// stop as well, still runs. An order that was given before the group's stays.
func (w *world) judgeHalt(p *proc) {
	f := w.family()
	if !f[p.who].in {
		return
	}
	for i := range w.procs {
		q := &w.procs[i]
		n := w.node(q.who)
		if q.end != running || q.adrift || p.adrift || q.who == p.who || n == nil || !f[q.who].in ||
			n.Life.Epoch != q.epoch || n.Life.Phase != supervisor.PhaseStopping {
			continue
		}
		s, a, b := w.fork(p.who, q.who)
		if next := w.node(p.who).Life.Next; f[s].gated() && f[b].pos > f[a].pos && n.Life.Next == next && w.haltedFor[p.who] == next {
			w.violate("P4", "%s stops before %s, which was started after it", f[p.who].path, f[q.who].path)
		}
	}
}

// repeats: reports of lives that are over, and what has been taken already, come again in
// this state. They must be stale (P7).
func (w *world) repeats() {
	w.workers(func(k int, n *supervisor.NodeState) {
		l := &n.Life
		if old := w.past[k]; old != 0 && (old != l.Epoch || !held(n)) {
			for _, what := range []supervisor.EventType{supervisor.EventExited, supervisor.EventStarted, supervisor.EventFenced} {
				w.repeat(supervisor.ChildEvent{Path: n.Path, Epoch: old, Type: what, Reason: supervisor.ExitError, Code: 1})
			}
			if old != l.Epoch {
				w.repeat(supervisor.Assign{Path: n.Path, Epoch: old, Node: hostNames[0]})
			}
		}
		if l.Phase == supervisor.PhaseRunning {
			w.repeat(supervisor.ChildEvent{Path: n.Path, Epoch: l.Epoch, Type: supervisor.EventStarted, PID: 7})
		}
		if l.Node != "" {
			w.repeat(supervisor.Assign{Path: n.Path, Epoch: l.Epoch, Node: hostNames[0]})
		}
	})
}

func (w *world) repeat(in supervisor.Input) {
	if w.broken != nil {
		return
	}
	ds, err := w.tree.Step(in, supervisor.Stamp{Index: w.index + 1, Time: w.now, Generation: 1})
	if errors.Is(err, supervisor.ErrStale) {
		return
	}
	said := []string{fmt.Sprint(err)}
	for _, d := range ds {
		said = append(said, d.Sentence)
	}
	w.violate("P7", "%+v comes again and is answered %s", in, strings.Join(said, "; "))
}
