package main

import (
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// due is what a failure must lead to, by OTP's rules over a naive list of all charges.
type due struct {
	// escalates are the children whose budget is spent, from the failed one upwards.
	escalates []string
	// restarts is the child that is restarted with its group; -1 if none is. downs is the
	// supervisor that ends with all below it; -1 if none does.
	restarts, downs int
	// account is whose window is charged.
	charged int
}

// expect says what the report of an end must lead to; nil if it is not that of a failure.
func (w *world) expect(in supervisor.Input) *due {
	ev, ok := in.(supervisor.ChildEvent)
	if last, gone := in.(supervisor.LastWord); gone {
		ev, ok = supervisor.ChildEvent(last), true
	}
	if !ok || ev.Type != supervisor.EventExited && ev.Type != supervisor.EventCrashed {
		return nil
	}
	k := w.by[ev.Path]
	n := w.node(k)
	if n == nil || n.Life.Epoch != ev.Epoch || !held(n) || n.Life.Phase == supervisor.PhaseStopping {
		return nil
	}
	d := &due{restarts: -1, downs: -1, charged: -1}
	if ev.Word != supervisor.VerdictFinish && w.tries(k, n) && (ev.Fatal || ev.Word != "" || ev.Reason != supervisor.ExitNormal ||
		w.family()[k].restart == supervisor.Permanent) {
		return nil // the former spec is the answer
	}
	switch x := &w.family()[k]; {
	case ev.Word == supervisor.VerdictFinish, ev.Word == supervisor.VerdictFail:
		w.over(d, k)
	case ev.Fatal, ev.Word == supervisor.VerdictEscalate:
		d.escalates = append(d.escalates, x.path)
		w.above(d, k)
	case x.restart == supervisor.Temporary, x.restart == supervisor.Transient && ev.Reason == supervisor.ExitNormal && ev.Word == "":
		w.over(d, k)
	default:
		w.fails(d, k)
	}
	return d
}

// tries: the child has a new spec that it has yet to stand the test of, and its failure
// gives the tree the former one back.
func (w *world) tries(k int, n *supervisor.NodeState) bool {
	r := w.st.Rollout
	if n.Watch == nil || r == nil || r.Phase != supervisor.RolloutUpdating {
		return false
	}
	p := r.Policies[w.family()[w.family()[k].parent].path]
	return p.AutoRevert && !(n.Life.Phase == supervisor.PhaseRunning && w.now >= n.Life.Since+p.MinReady)
}

// fails: a child of a supervisor is over and should not be.
func (w *world) fails(d *due, k int) {
	x := &w.family()[k]
	charges := w.own[k]
	if w.family()[x.parent].shares() {
		charges = w.shared[x.parent]
	}
	used := len(w.recent(charges))
	if n := w.node(k); n != nil {
		for _, l := range n.Loans {
			if l.Until == 0 || l.Until >= w.now {
				used += l.Share
			}
		}
	}
	if used+1 > x.max {
		d.escalates = append(d.escalates, x.path)
		w.above(d, k)
		return
	}
	d.restarts, d.charged = k, k
}

// above: k's supervisor gives up.
func (w *world) above(d *due, k int) {
	s := w.family()[k].parent
	switch {
	case s == 0:
		d.downs = s
	case w.family()[s].restart != supervisor.Permanent:
		d.downs = s
		w.over(d, s)
	default:
		w.fails(d, s)
	}
}

// over: k has ended by itself and for good. If it is significant, that may be the end of
// its supervisor, which is one by itself, too.
func (w *world) over(d *due, k int) {
	x := &w.family()[k]
	s := &w.family()[max(0, x.parent)]
	if !x.significant || s.auto != supervisor.AutoAny && s.auto != supervisor.AutoAll {
		return
	}
	for _, y := range s.children {
		if s.auto == supervisor.AutoAll && y != k && w.family()[y].significant && w.goesOn(y) {
			return
		}
	}
	switch {
	case x.parent == 0:
		d.downs = 0
	case s.restart == supervisor.Permanent:
		d.downs = -1
		w.fails(d, x.parent)
	default:
		d.downs = x.parent
		w.over(d, x.parent)
	}
}

// goesOn: it runs, or is to.
func (w *world) goesOn(k int) bool {
	n := w.node(k)
	if !w.family()[k].worker {
		return n.Down == ""
	}
	l := &n.Life
	return l.Phase == supervisor.PhaseRunning || !settled(n) && !(l.Phase == supervisor.PhaseStopping && l.Then != supervisor.PhasePending)
}

// follow keeps what an operator stopped, and the naive list of charges.
func (w *world) follow(e *event) {
	if e.due != nil && e.due.charged >= 0 {
		k := e.due.charged
		if p := w.family()[k].parent; w.family()[p].shares() {
			w.shared[p] = append(slices.Clip(w.recent(w.shared[p])), w.now)
		} else {
			w.own[k] = append(slices.Clip(w.recent(w.own[k])), w.now)
		}
	}
	w.forget(e)
	switch in := e.in.(type) {
	case supervisor.Stop:
		w.mark(w.by[in.Path], true)
	case supervisor.Delete:
		w.mark(0, true)
	case supervisor.Start:
		if in.By != supervisor.RetryBy {
			w.mark(w.by[in.Path], false)
		}
	case supervisor.Restart:
		k := w.by[in.Path]
		if w.family()[k].worker || w.downIn(e.before, e.variant, k) {
			w.mark(k, false)
		}
	case supervisor.Edit:
		for k := range w.stopped {
			w.stopped[k] = w.stopped[k] && k < len(w.family()) && w.family()[k].in
		}
	}
}

// mark notes what an operator stopped, or started, at and below k.
func (w *world) mark(k int, stopped bool) {
	w.below(k, func(x int) {
		if w.family()[x].worker {
			w.stopped[x] = stopped
		}
	})
}

// below calls f with k and all below it.
func (w *world) below(k int, f func(x int)) {
	f(k)
	for _, c := range w.family()[k].children {
		w.below(c, f)
	}
}

// forget empties windows: a supervisor that begins anew has new ones for its children,
// and one that an operator starts again after it had ended is as new itself.
func (w *world) forget(e *event) {
	_, start := e.in.(supervisor.Start)
	_, restart := e.in.(supervisor.Restart)
	if reset, ok := e.in.(supervisor.Reset); ok {
		w.below(w.by[reset.Path], func(x int) {
			if w.own[x] = nil; x > 0 && w.family()[w.family()[x].parent].shares() {
				w.shared[w.family()[x].parent] = nil
			}
		})
	}
	for k := range w.family() {
		x := &w.family()[k]
		if !x.in || x.worker {
			continue
		}
		begun := w.st.Begun
		if n := w.node(k); n != nil {
			begun = n.Begun
		}
		if begun == e.at.Epoch() {
			w.shared[k] = nil
			for _, c := range x.children {
				w.own[c], w.shared[c] = nil, nil
			}
		}
		if (start || restart) && w.downIn(e.before, e.variant, k) && !w.downIn(&w.st, w.variant, k) {
			w.below(k, func(c int) { w.own[c], w.shared[c] = nil, nil })
		}
	}
	for k := range w.family() {
		if w.node(k) == nil && k > 0 {
			w.own[k], w.shared[k] = nil, nil // it left the tree
		}
	}
}

// downIn tells whether a supervisor does not run.
func (w *world) downIn(st *supervisor.State, variant, k int) bool {
	if k == 0 {
		return st.Down != ""
	}
	n := w.nodeOf(st, variant, k)
	return n != nil && n.Down != ""
}
