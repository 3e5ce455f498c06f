package supervisor

import (
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// This file is the only one that changes a life. Counters, indexes and the list
// of waiting children follow here and nowhere else.

// become replaces n's life and keeps every count above it true.
func (t *Tree) become(n *node, l life) {
	old := n.life
	l.Away = l.Phase == PhasePending && t.away(n)
	if old.Phase != l.Phase {
		l.Since = t.at.Time
	}
	n.life = l
	t.count(n, bool2int(!l.settled())-bool2int(!old.settled()),
		bool2int(l.Phase == PhaseStopping)-bool2int(old.Phase == PhaseStopping), bool2int(n.wrong(&l))-bool2int(n.wrong(&old)))
	t.countBatch(n, old, -1)
	t.countBatch(n, l, +1)
	t.countLeased(old, -1)
	t.countLeased(l, +1)
	if old.Node != l.Node {
		t.index(n, old.Node, l.Node)
	}
	t.wait(n)
	t.touch(n)
}

// wait puts n on the list that release looks over, if its order is held back.
func (t *Tree) wait(n *node) {
	l := &n.life
	held := l.Phase == PhaseStarting && !l.Released || l.Phase == PhaseStopping && !l.Halted
	if held && !n.waits {
		n.waits = true
		t.waiting = append(t.waiting, n)
	}
}

func bool2int(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (t *Tree) count(n *node, unsettled, ending, amiss int) {
	if unsettled == 0 && ending == 0 && amiss == 0 {
		return
	}
	for x := n; x != nil; x = x.parent {
		x.unsettled += unsettled
		x.ending += ending
		x.amiss += amiss
		t.touch(x) // a supervisor's status is the sum of these
	}
}

// batch names the lives of one batch at and below a node.
type batch struct {
	under *node
	epoch Epoch
}

func (t *Tree) countBatch(n *node, l life, d int) {
	if l.Phase != PhaseStopping {
		return
	}
	for x := n; x != nil; x = x.parent {
		b := batch{x, l.Next}
		if t.stopping[b] += d; t.stopping[b] == 0 {
			delete(t.stopping, b)
		}
	}
}

// countLeased counts, per node, the exclusive lives that may have a process.
func (t *Tree) countLeased(l life, d int) {
	if !l.Exclusive || !l.held() {
		return
	}
	if t.leased[l.Node] += d; t.leased[l.Node] == 0 {
		delete(t.leased, l.Node)
	}
}

func (t *Tree) index(n *node, from, to string) {
	if from != "" {
		delete(t.onNode[from], n)
		if len(t.onNode[from]) == 0 {
			delete(t.onNode, from)
		}
	}
	if to != "" {
		if t.onNode[to] == nil {
			t.onNode[to] = make(map[*node]bool)
		}
		t.onNode[to][n] = true
	}
}

// touch notes that n's order, request or status may differ from before.
func (t *Tree) touch(n *node) {
	if !n.dirty {
		n.dirty = true
		t.changed = append(t.changed, n)
	}
}

// renewal says how the next life of a child begins.
type renewal struct {
	// stay starts it on the node of the present life, if there is one; anywhere
	// says that it may come back there, for the record.
	stay      bool
	anywhere  bool
	avoid     []string
	only      string
	notBefore time.Duration
	start     string
}

// due is the life that begins after l: on l's node, or waiting for one.
func (t *Tree) due(l life, r renewal) life {
	next := life{
		Phase: PhasePending, Epoch: t.epoch, Last: l.Last,
		Avoid: r.avoid, Only: r.only, NotBefore: r.notBefore, Delayed: r.notBefore > t.at.Time,
		Start: r.start, Restarts: l.Restarts, Moves: l.Moves, Crashes: l.Crashes, Reason: l.Reason,
	}
	if l.Node != "" {
		next.Last = l.Node
	}
	if r.stay && l.Node != "" {
		next.Phase, next.Node = PhaseStarting, l.Node
	}
	return next
}

// renew makes n begin a new life of this Step's batch: at once if no process of
// the old one can exist, otherwise after its stop.
func (t *Tree) renew(n *node, r renewal) {
	if n.watch != nil {
		n.watch.Since = t.at.Time
	}
	l := n.life
	leaving := l.Phase == PhaseStopping && !l.Stay
	if (leaving || l.Phase == PhasePending && l.Node == "") && r.only == "" && r.avoid == nil {
		// It was on its way elsewhere, and still is: its node may be draining.
		r.stay, r.only, r.avoid = false, l.Only, l.Avoid
	}
	if l.held() && !bug.On("start-before-stop-confirmed") {
		t.end(n, PhasePending, r)
		return
	}
	next := t.due(l, r)
	next.Exclusive = n.exclusive
	t.become(n, next)
}

// end orders n's life to end and says what follows. Lives already ending join
// this Step's batch.
func (t *Tree) end(n *node, then Phase, r renewal) {
	l := n.life
	if !l.held() {
		t.rest(n, then)
		return
	}
	next := t.due(l, r)
	l.Phase, l.Next, l.Then, l.Stay = PhaseStopping, t.epoch, then, r.stay
	l.Avoid, l.Only, l.NotBefore, l.Delayed, l.Start = next.Avoid, next.Only, next.NotBefore, next.Delayed, next.Start
	t.become(n, l)
}

// redirect changes what follows a stop under way. Unlike with end, the life stays in its
// batch: the group that it stops with waits for its end, whatever an operator wants.
func (t *Tree) redirect(n *node, then Phase, r renewal) {
	l := n.life
	l.Then, l.Stay, l.Only, l.Avoid, l.Start = then, r.stay, r.only, r.avoid, r.start
	t.become(n, l)
}

// ended follows the end of a stopping life. lost: its node is gone too, or not
// surely fit to go on.
func (t *Tree) ended(n *node, lost bool) {
	l := n.life
	if lost && n.watch != nil {
		n.watch.Since = t.at.Time
	}
	if l.Then != PhasePending {
		t.rest(n, l.Then)
		return
	}
	next := life{
		Phase: PhasePending, Epoch: l.Next, Last: l.Node,
		Avoid: l.Avoid, Only: l.Only, NotBefore: l.NotBefore, Delayed: l.Delayed, Start: l.Start,
		Restarts: l.Restarts, Moves: l.Moves, Crashes: l.Crashes, Reason: l.Reason, Exclusive: n.exclusive,
	}
	if l.Stay && !lost {
		next.Phase, next.Node = PhaseStarting, l.Node
	}
	t.become(n, next)
}

// rest puts n where no life is and none is due.
func (t *Tree) rest(n *node, phase Phase) {
	l := n.life
	last := l.Last
	if l.Node != "" {
		last = l.Node
	}
	next := life{
		Phase: phase, Epoch: l.Epoch, Generation: l.Generation, Last: last, Start: l.Start,
		Restarts: l.Restarts, Moves: l.Moves, Reason: l.Reason,
	}
	if phase == PhasePaused { // another follows, as it was to
		next.Avoid, next.Only, next.Crashes, next.Owed = l.Avoid, l.Only, l.Crashes, l.Owed
	}
	t.become(n, next)
	t.catchUp(n)
	if phase == phaseRemoved && n.parent == nil {
		t.setLoans(n, nil)
		delete(t.byPath, n.path)
	}
}

// release gives the orders whose turn has come. It runs once per Step; what is
// held back stays in t.waiting.
func (t *Tree) release() {
	if len(t.waiting) == 0 {
		return
	}
	t.scanned++
	t.waiting = slices.DeleteFunc(t.waiting, func(n *node) bool {
		n.waits = false
		switch l := &n.life; {
		case l.Phase == PhaseStarting && !l.Released:
			if n.waits = !t.mayStart(n); n.waits {
				return false
			}
			l.Released, l.Generation = true, t.at.Generation
			t.countLeased(*l, +1)
			t.touch(n)
		case l.Phase == PhaseStopping && !l.Halted:
			if n.waits = !t.mayStop(n); n.waits {
				return false
			}
			l.Halted = true
			t.touch(n)
		}
		return true
	})
}

// mayStart: at each level that orders its children, every sibling started before
// it is settled, and no life of its batch below another sibling has yet to end. A
// supervisor that began anew in this batch begins when all of it has ended. What the
// tree comes after is up, and what comes after it has ended.
func (t *Tree) mayStart(n *node) bool {
	if bug.On("group-order-ignored") {
		return true
	}
	if t.shut && !bug.On("dependency-not-awaited") || t.obstructed(n, n.life.Epoch) && !bug.On("dependents-not-awaited") {
		return false
	}
	for x := n; x.parent != nil; x = x.parent {
		s, e := x.parent, n.life.Epoch
		if s.begun == e && t.stopping[batch{s, e}] > 0 {
			return false
		}
		if !s.strategy.gated() {
			continue
		}
		if t.scan(s).firstUnready < x.pos || t.stopping[batch{s, e}] > t.stopping[batch{x, e}] {
			return false
		}
	}
	return true
}

// mayStop: no sibling started after it, at each level that orders its children,
// has yet to end, nor has what comes after a tree or path that begins anew with it.
func (t *Tree) mayStop(n *node) bool {
	if bug.On("stop-order-ignored") {
		return true
	}
	if t.obstructed(n, n.life.Next) {
		return false
	}
	for x := n; x.parent != nil; x = x.parent {
		if x.parent.strategy.gated() && t.scan(x.parent).lastEnding > x.pos {
			return false
		}
	}
	return true
}

// scan looks over the children of a gated supervisor once per release pass.
func (t *Tree) scan(s *node) *node {
	if s.scanned == t.scanned {
		return s
	}
	s.scanned, s.firstUnready, s.lastEnding = t.scanned, len(s.children), -1
	for i, c := range s.children {
		if c.unsettled > 0 && i < s.firstUnready {
			s.firstUnready = i
		}
		if c.ending > 0 {
			s.lastEnding = i
		}
	}
	return s
}
