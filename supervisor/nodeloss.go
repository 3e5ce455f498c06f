package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// onNodeLost: every life on the node is over, but for those kept and, while its
// lease may hold, for exclusive ones that may have a process: they stay what they
// are, and whoever needs them gone waits. It is not the children's fault: nothing
// is charged, and each supervisor acts once, whatever the number of its children
// that were there. A node that is only fenced keeps all but its exclusive lives.
func (t *Tree) onNodeLost(in NodeLost) error {
	keep := make(map[Ref]bool, len(in.Keep))
	for _, ref := range in.Keep {
		keep[ref] = true
	}
	cause := Cause{Kind: CauseNodeLost, Path: in.Node, Detail: in.Reason}
	var lost []*node
	for _, n := range t.livesOn(in.Node) {
		l := n.life
		if in.Apart && l.held() {
			t.holdBack(n, in.Node, in.Restarted)
		}
		if in.Restarted && l.Alone > 0 { // its agent counts from 0 again
			l.Alone = 0
			t.become(n, l)
		}
		switch {
		case in.Fenced && !(l.Exclusive && l.held()):
		case keep[Ref{n.path, l.Epoch}], in.Restarted && !l.held():
		case in.Leased && l.Exclusive && l.held() && !bug.On("start-before-fence"):
			t.decideOn(n, in.Node, VerdictWait, cause,
				fmt.Sprintf("%s may still run on %s (%s) until its lease has run out: it waits", n.path, in.Node, in.Reason))
		case l.Phase != PhaseStopping && n.paused() != nil && !bug.On("pause-moves-lost"):
			n.remember(l)
			t.lostPaused(n, cause)
		case l.Phase == PhaseStopping:
			n.remember(l)
			t.ended(n, !in.Restarted)
			t.decideOn(n, in.Node, VerdictStopped, cause, fmt.Sprintf("%s ended with %s (%s)", n.path, in.Node, in.Reason))
		default:
			n.remember(l)
			l.Phase = PhasePending // over, and not yet decided on
			t.become(n, l)
			if bug.On("node-lost-charges") {
				*n.charges() = append(*n.charges(), t.at.Time)
			}
			lost = append(lost, n)
		}
	}
	t.uproot(lost, renewal{stay: in.Restarted, start: "failover:" + in.Node}, cause)
	return nil
}

// refusedDelay is how long a life waits that follows one which never began for
// want of a lease: its node is placed again at once, and may still have none.
const refusedDelay = time.Second

// onFenced: an exclusive life was ended, or never begun, because its node's lease
// ran out. That is a node loss of this child alone, but for the node: it may have
// a lease again, so placement decides.
func (t *Tree) onFenced(n *node, ev ChildEvent) {
	l := n.life
	if l.Phase == PhaseStopping {
		t.stopped(n, ev, false)
		return
	}
	if n.paused() != nil {
		t.lostPaused(n, Cause{Kind: CauseNodeLost, Path: l.Node, Detail: describe(ev)})
		return
	}
	r := renewal{anywhere: true, start: "failover:" + l.Node}
	if !l.Spawned {
		r.notBefore = t.at.Time + refusedDelay
	}
	l.Phase = PhasePending // over, and not yet decided on
	t.become(n, l)
	t.uproot([]*node{n}, r, Cause{Kind: CauseNodeLost, Path: l.Node, Detail: describe(ev)})
}

// onDrain moves every life off the node: stopped there, started elsewhere.
func (t *Tree) onDrain(in Drain) error {
	cause := Cause{Kind: CauseDrain, Path: in.Node, Detail: "draining"}
	var leaving []*node
	for _, n := range t.livesOn(in.Node) {
		switch p := n.paused(); {
		case p != nil && n.life.Phase != PhaseStopping:
			t.decide(n, VerdictWait, cause, fmt.Sprintf("%s stays on %s, which is being drained: %v", n.path, in.Node, p))
			continue
		case n.life.Phase != PhaseStopping:
			leaving = append(leaving, n)
			continue
		}
		l := n.life
		l.Stay = false
		t.become(n, l)
	}
	t.uproot(leaving, renewal{start: string(CauseDrain)}, cause)
	return nil
}

// uproot starts the named children anew, by the strategy of each supervisor,
// once per supervisor. Supervisors act in start order, so one whose children
// were already taken along by an outer group has nothing left to do.
func (t *Tree) uproot(gone []*node, r renewal, cause Cause) {
	among := make(map[*node]bool, len(gone))
	of := make(map[*node][]*node) // supervisor -> its children gone, in start order
	for _, n := range gone {
		among[n] = true
		of[n.parent] = append(of[n.parent], n)
	}
	for _, s := range slices.SortedFunc(maps.Keys(of), byOrd) {
		members := of[s]
		switch {
		case s.down != "":
			continue // an outer group ended s for good
		case t.renewed(members[0]): // an outer group took all of s along
			for _, n := range members {
				t.renew(n, r)
			}
			continue
		}
		if s.strategy.gated() {
			members = group(s, members[0].pos)
		}
		for _, y := range members {
			if among[y] {
				t.replant(y, r, cause)
			} else {
				t.recycle(y, false, renewal{stay: true, start: string(CauseGroup)}, cause)
			}
		}
	}
}

// renewed tells whether this Step has already decided on a worker.
func (t *Tree) renewed(n *node) bool {
	return n.worker() && (n.life.Epoch == t.epoch || n.life.Phase == PhaseStopping && n.life.Next == t.epoch)
}

// replant gives a child that lost its place, or must leave it, a new life.
func (t *Tree) replant(n *node, r renewal, cause Cause) {
	host := n.life.Node
	if n.spec.RestartType == Temporary && cause.Kind == CauseNodeLost {
		t.rest(n, PhaseFailed)
		t.decideOn(n, host, VerdictFail, cause,
			fmt.Sprintf("%s was lost with %s (%s); temporary children are never restarted", n.path, host, cause.Detail))
		return
	}
	t.renew(n, r)
	verdict, what := VerdictMove, "it moves to another node"
	switch {
	case n.home != "" && !r.stay:
		verdict, what = VerdictRestart, "it waits for its node"
	case r.stay:
		verdict, what = VerdictRestart, "it restarts there"
	case r.anywhere:
		verdict, what = VerdictRestart, "it restarts, there or elsewhere"
	}
	t.decideOn(n, host, verdict, cause, fmt.Sprintf("%s loses its place on %s (%s): %s, uncharged", n.path, host, cause.Detail, what))
}
