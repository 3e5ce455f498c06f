package supervisor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// This file is what a node may decide without the log: restarts that it is lent
// for a life, and how they come into the window afterwards. Package doc, "Alone",
// says why no window is exceeded.

const (
	// MaxShare bounds the restarts that a node is lent for one life, and with them
	// the ages in one EventRestarted.
	MaxShare = 64
	// maxTallies is how many former lives a child remembers the restarts of: all that
	// lost nodes may tell of, as far as there is room.
	maxTallies = 4
)

// LocalBudget is what a node may do about the ends of one life while no leader
// answers it. It is lent with the order, and never more than half of the budget:
// the log keeps the rest for the life that it starts elsewhere if the node is lost.
type LocalBudget struct {
	// Left restarts in any Period are allowed while charges of before may still
	// count: until the node has had this budget for a whole Period. Then Share.
	Left   int           `json:"left,omitempty"`
	Share  int           `json:"share"`
	Period time.Duration `json:"period"`
	// Used charges of before make the first back-offs longer.
	Used    int     `json:"used,omitempty"`
	Backoff Backoff `json:"backoff"`
	// MoveAfter crashes in a row would move the child, which a node cannot;
	// Crashes of them came before.
	MoveAfter int `json:"move_after,omitempty"`
	Crashes   int `json:"crashes,omitempty"`
	// Transient: a normal end is final.
	Transient bool `json:"transient,omitempty"`
}

// Next says whether the node may answer an end with another restart. ages are those
// of its restarts of this life, oldest first, row how many of them came in a row,
// held how long it has had the budget. It gives the back-off, and the row of this
// restart. A wait that is not 0 means: no, and ask again after it, or once a leader
// has answered.
func (b *LocalBudget) Next(ages []time.Duration, row int, held time.Duration) (backoff time.Duration, newRow int, wait time.Duration) {
	recent := b.Recent(ages)
	limit, used := b.Share, len(recent)
	young := held <= b.Period
	if young {
		limit, used = b.Left, used+b.Used
	}
	switch {
	case len(recent) > 0:
	case young && b.Used > 0:
		row = b.Crashes
	default:
		row = 0
	}
	if len(recent) < limit && (b.MoveAfter == 0 || row+1 < b.MoveAfter) {
		return b.Backoff.Duration(used), row + 1, 0
	}
	if young {
		wait = b.Period - held + 1
	}
	if len(recent) > 0 && (wait == 0 || b.Period-recent[0]+1 < wait) {
		wait = b.Period - recent[0] + 1
	}
	return 0, row, max(wait, 1)
}

// Sure tells whether the log, asked about an end after so many restarts alone, surely
// restarts the life where it is, whenever it is asked. Only then may a node answer an
// end that it has told the log of: else the child may have left it, unknown to it.
func (b *LocalBudget) Sure(count int) bool {
	return count < b.Left && (b.MoveAfter == 0 || b.Crashes+count+1 < b.MoveAfter)
}

// Recent gives the ages that are within the window, its boundary included.
func (b *LocalBudget) Recent(ages []time.Duration) []time.Duration {
	i := 0
	for i < len(ages) && ages[i] > b.Period {
		i++
	}
	return ages[i:]
}

// loan is what a child's budget holds back for a node that may be restarting a
// former life of it, and cannot be asked.
type loan struct {
	Node  string `json:"node"`
	Share int    `json:"share"`
	// Until is when the last restart that was not reported has left every window;
	// 0 while there may be more.
	Until time.Duration `json:"until,omitempty"`
	// Forgotten: not all that Node may tell of can be charged any more.
	Forgotten bool `json:"forgotten,omitempty"`
}

// open: what was lent to host may be in use.
func (l loan) open(host string) bool { return l.Node == host && l.Until == 0 }

// tally is how many ends of a former life have been answered with a restart that
// is in the window: by the log, or by its node alone. It makes a report that comes
// twice, or after the log has decided on the same end, charge each restart once.
type tally struct {
	Epoch Epoch  `json:"epoch"`
	Node  string `json:"node"`
	Count int    `json:"count,omitempty"`
}

// lendable: a node may restart n alone. In the other strategies a restart needs the
// siblings, an exclusive child needs the lease, and a shared budget would have to be
// lent to every node.
func (n *node) lendable() bool {
	return n.worker() && n.parent != nil && n.parent.strategy == OneForOne && !n.parent.policy.shared() && n.spec.RestartType != Temporary &&
		(!n.exclusive && !n.life.Exclusive || bug.On("exclusive-restarts-alone"))
}

// share is what the node of n's life is lent: half of what is not lent already.
func (n *node) share() int {
	if !n.lendable() {
		return 0
	}
	b := n.budget()
	share := min((b.Max-b.Held)/2, MaxShare)
	if n.spec.MoveAfter > 0 {
		share = min(share, n.spec.MoveAfter-1)
	}
	return max(0, share)
}

// lent is the budget that goes with n's order; nil if there is none.
func (n *node) lent() *LocalBudget {
	share := n.share()
	if share == 0 {
		return nil
	}
	b := n.budget()
	return &LocalBudget{
		Left: max(0, min(share, b.Max-b.Used-b.Held)), Share: share, Period: b.Period, Used: b.Used,
		Backoff: n.parent.policy.Backoff, MoveAfter: n.spec.MoveAfter, Crashes: n.life.Crashes,
		Transient: n.spec.RestartType == Transient,
	}
}

// holdBack keeps what host was lent for n's life out of the budget: until it
// returns, or, if the agent that had it is gone, until its restarts have left every
// window.
func (t *Tree) holdBack(n *node, host string, gone bool) {
	share := n.share()
	if share == 0 || bug.On("loan-forgotten") {
		return
	}
	l := loan{Node: host, Share: share}
	if gone {
		l.Until = t.at.Time + n.parent.policy.MaxSeconds
	}
	n.loans = append(n.loans, l)
	t.lenders[n] = true
	t.touch(n)
}

// onReturned: what a node was lent before is void.
func (t *Tree) onReturned(in Returned) error {
	found := false
	for _, n := range slices.SortedFunc(maps.Keys(t.lenders), byOrd) {
		found = t.callIn(n, in) || found
	}
	if !found {
		return ErrStale
	}
	return nil
}

// callIn ends what n's budget holds back for a node.
func (t *Tree) callIn(n *node, in Returned) (found bool) {
	if n.parent == nil { // it is leaving, for good
		return false
	}
	until := t.at.Time + n.parent.policy.MaxSeconds
	kept := n.loans[:0]
	for _, l := range n.loans {
		switch {
		case !l.open(in.Node):
		case !in.Unreported && !l.Forgotten:
			found = true
			continue
		default:
			l.Until, found = until, true
		}
		kept = append(kept, l)
	}
	t.setLoans(n, kept)
	if found {
		t.touch(n)
	}
	return found
}

// Lent tells whether budgets hold back what a node was lent, until it is back.
func (t *Tree) Lent(host string) bool {
	for n := range t.lenders { // order-free: any of them
		if n.lentTo(host) {
			return true
		}
	}
	return false
}

// setLoans replaces n's loans.
func (t *Tree) setLoans(n *node, loans []loan) {
	if n.loans = loans; len(loans) == 0 {
		n.loans = nil
		delete(t.lenders, n)
	}
}

// expire forgets the loans whose time is over.
func (t *Tree) expire(n *node) {
	if n.loans != nil {
		t.setLoans(n, slices.DeleteFunc(n.loans, func(l loan) bool { return l.Until != 0 && l.Until < t.at.Time }))
	}
}

// remember keeps the count of a life that is over for the log; its node may not
// know that yet.
func (n *node) remember(l life) {
	if !n.lendable() || !l.held() {
		return
	}
	if len(n.tallies) >= maxTallies {
		n.dropTally()
	}
	n.tallies = append(n.tallies, tally{Epoch: l.Epoch, Node: l.Node, Count: l.Alone})
}

// dropTally makes room for another: it forgets the oldest that no lost node may tell
// of, or else the oldest of all. What its node tells of it is then stale, so that what
// the node was lent is held back until that has left every window.
func (n *node) dropTally() {
	i := max(0, slices.IndexFunc(n.tallies, func(y tally) bool { return !n.lentTo(y.Node) }))
	for j := range n.loans {
		if l := &n.loans[j]; l.open(n.tallies[i].Node) {
			l.Forgotten = true
		}
	}
	n.tallies = slices.Delete(n.tallies, i, i+1)
}

// lentTo: n's budget holds back what host was lent, until it is back.
func (n *node) lentTo(host string) bool {
	return slices.ContainsFunc(n.loans, func(l loan) bool { return l.open(host) })
}

// answered counts one end of n's life as answered with a charged restart.
func (n *node) answered() {
	if i := len(n.tallies) - 1; i >= 0 && n.tallies[i].Epoch == n.life.Epoch {
		n.tallies[i].Count++
	}
}

// counted finds the count of a life, and its node; nil if it is not known.
func (n *node) counted(e Epoch) (count *int, host string) {
	if n.life.Epoch == e && n.life.held() {
		return &n.life.Alone, n.life.Node
	}
	for i := len(n.tallies) - 1; i >= 0; i-- {
		if n.tallies[i].Epoch == e {
			return &n.tallies[i].Count, n.tallies[i].Node
		}
	}
	return nil, ""
}

// onRestarted merges what a node did alone into the window. The report names the
// total, so that each restart is charged once however often it arrives; ages are
// those of the newest. Cluster time stood still while there was no leader, so a
// moment may lie before the life's own beginning: it leaves the window when, by any
// clock, a whole period has passed since the restart.
func (t *Tree) onRestarted(ev ChildEvent) error {
	n, err := t.find(ev.Path)
	if err != nil {
		return err
	}
	if !n.worker() || n.parent == nil {
		return ErrStale
	}
	count, host := n.counted(ev.Epoch)
	if count == nil || ev.Restarts <= *count {
		return ErrStale
	}
	fresh := ev.Restarts - *count
	*count = ev.Restarts
	before := t.prune(n)
	charged := t.charge(n, ev.Ages[max(0, len(ev.Ages)-fresh):])
	if l := n.life; l.Epoch == ev.Epoch && l.held() {
		if t.tries(n) != nil { // what follows is for Advance
			n.watch.Failed = fmt.Sprintf("%s restarted it alone: %s", host, cmp.Or(ev.Detail, "it had ended"))
		}
		t.goesOn(n, before.Used == 0, fresh, charged)
	}
	d := Decision{
		Stamp: t.at, Path: n.path, Verdict: VerdictRestart, Epoch: ev.Epoch, Node: host,
		Cause: Cause{Kind: CauseAutonomy, Path: host, Detail: ev.Detail}, Before: before, After: n.budget(),
	}
	d.Sentence = aloneSentence(n, d, fresh, ev)
	t.record(n, d)
	return nil
}

// goesOn follows n's life, which its node began again: it is not up before the node
// says so.
func (t *Tree) goesOn(n *node, rowEnded bool, fresh, charged int) {
	l := n.life
	if rowEnded {
		l.Crashes = 0
	}
	l.Crashes, l.Restarts, l.Delayed = l.Crashes+charged, l.Restarts+fresh, false
	if l.Phase == PhaseRunning || l.Phase == PhaseStarting {
		l.Phase, l.Spawned, l.PID, l.Asked = PhaseStarting, false, 0, false
	}
	t.become(n, l)
}

// charge puts restarts of these ages into the window, which keeps the newest: with
// as many as the budget has it is full, and older ones would change nothing.
func (t *Tree) charge(n *node, ages []time.Duration) (charged int) {
	b, window := n.budget(), n.charges()
	for _, age := range ages {
		if age > b.Period {
			continue
		}
		at := max(0, t.at.Time-max(0, age))
		i, _ := slices.BinarySearch(*window, at)
		*window = slices.Insert(*window, i, at)
		charged++
	}
	if over := len(*window) - b.Max; over > 0 {
		*window = slices.Delete(*window, 0, over)
	}
	return charged
}

func aloneSentence(n *node, d Decision, fresh int, ev ChildEvent) string {
	times := "once"
	if fresh > 1 {
		times = fmt.Sprintf("%d times", fresh)
	}
	what := fmt.Sprintf("%s was restarted %s by %s alone, without a leader", n.path, times, d.Node)
	if ev.Detail != "" {
		what += fmt.Sprintf(" (last because of %s)", ev.Detail)
	}
	if n.life.Epoch != ev.Epoch {
		what += "; that life is over"
	}
	return fmt.Sprintf("%s; budget %v used", what, d.After)
}
