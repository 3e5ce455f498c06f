package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// This file is the pause of a path; package doc, "Pauses", says what holds meanwhile.

// Pause is an operator's word that nothing is to begin at and below a path until its
// Resume: what runs goes on, what ends waits.
type Pause struct {
	Path string `json:"path"`
	By   string `json:"by,omitempty"`
	Why  string `json:"why,omitempty"`
}

// Resume ends a Pause of the same path: what should run and does not is started.
type Resume struct {
	Path string `json:"path"`
	By   string `json:"by,omitempty"`
	Why  string `json:"why,omitempty"`
	// Draining are nodes that are being drained: what a pause kept there leaves now.
	Draining []string `json:"draining,omitempty"`
}

func (Pause) input()  {}
func (Resume) input() {}

// PauseStatus is a pause that a child is under: its own, or that of one above.
type PauseStatus struct {
	Path  string        `json:"path"` // that was paused
	By    string        `json:"by,omitempty"`
	Why   string        `json:"why,omitempty"`
	Since time.Duration `json:"since,omitempty"` // cluster time
}

func (p *PauseStatus) String() string {
	said := ""
	if who := asked(p.By, p.Why); who != "" {
		said = " by " + who
	}
	return p.Path + " is paused" + said
}

// paused gives the pause that n is under, the nearest if there are many; nil if none.
func (n *node) paused() *PauseStatus {
	for x := n; x != nil; x = x.parent {
		if x.pause != nil {
			return x.pause
		}
	}
	return nil
}

// awake refuses a verb that would begin lives where nothing may.
func (n *node) awake() error {
	if p := n.paused(); p != nil {
		return fmt.Errorf("%w: %v, and nothing begins there; first: selfware-node resume %s", ErrRefused, p, p.Path)
	}
	return nil
}

func (t *Tree) onPause(in Pause) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.changeable(in.Why); err != nil {
		return err
	}
	if n.pause != nil {
		return fmt.Errorf("%w: %v already", ErrRefused, n.pause)
	}
	already := n.paused() != nil
	n.pause = &PauseStatus{Path: n.path, By: in.By, Why: in.Why, Since: t.at.Time}
	cause := Cause{Kind: CauseOperator, Path: n.path, Detail: asked(in.By, in.Why)}
	t.decide(n, VerdictPause, cause, fmt.Sprintf("%s is paused (%s): what runs goes on, nothing begins", n.path, because(cause)))
	n.walk(func(x *node) {
		if t.touch(x); x.worker() && !already {
			t.suspend(x, cause)
		}
	})
	return nil
}

// suspend calls back what x was about to begin. A start that its node may have obeyed
// already goes on.
func (t *Tree) suspend(x *node, cause Cause) {
	switch l := x.life; {
	case l.Phase == PhasePending, l.Phase == PhaseStarting && !l.Released:
		t.shelve(x, l.Owed)
	case l.Phase == PhaseStarting && !l.Spawned && l.NotBefore > t.at.Time:
		t.end(x, PhasePaused, renewal{})
	case l.returning():
		t.redirect(x, PhasePaused, renewal{stay: l.Stay, only: l.Only, avoid: l.Avoid, start: l.Start})
	default:
		return
	}
	t.decide(x, VerdictWait, cause, fmt.Sprintf("%s was to start: it waits for the resume of %s", x.path, cause.Path))
}

// shelve puts n, of which no process can exist, where a life is due on resume. owed: its
// last one ended meanwhile, so its group shares that fate then.
func (t *Tree) shelve(n *node, owed bool) {
	t.rest(n, PhasePaused)
	l := n.life
	l.Owed = owed
	t.become(n, l)
}

// endPaused is the end of a life below a pause that is to be followed by another: later,
// and uncharged. Its node may not know of the pause, and answer the end alone: what it
// was lent is held back.
func (t *Tree) endPaused(n *node, ev ChildEvent, cause Cause, said Verdict) {
	host := n.life.Node
	if !ev.Ordered && !bug.On("pause-forgets-loan") {
		t.holdBack(n, host, false)
	}
	if l := n.life; said == VerdictMove {
		l.Avoid = []string{host}
		t.become(n, l)
	}
	t.await(n, host, cause, fmt.Sprintf("%s ended on %s (%s)", n.path, host, cause.Detail))
}

// await has n, whose life is over, wait for the resume.
func (t *Tree) await(n *node, host string, cause Cause, what string) {
	t.shelve(n, true)
	t.decideOn(n, host, VerdictWait, cause, fmt.Sprintf("%s; %v: it waits for the resume, uncharged", what, n.paused()))
}

// lostPaused is the loss of a life below a pause, with its node or its lease.
func (t *Tree) lostPaused(n *node, cause Cause) {
	host := n.life.Node
	if n.spec.RestartType != Temporary {
		t.await(n, host, cause, fmt.Sprintf("%s was lost with %s (%s)", n.path, host, cause.Detail))
		return
	}
	t.rest(n, PhaseFailed)
	t.decideOn(n, host, VerdictFail, cause,
		fmt.Sprintf("%s was lost with %s (%s); temporary children are never restarted", n.path, host, cause.Detail))
}

// postpone has a start that somebody asked for, or that a supervisor above brings, wait.
func (t *Tree) postpone(n *node, cause Cause) {
	switch l := n.life; {
	case l.Phase == PhasePaused, l.Phase == PhaseStopping && l.Then == PhasePaused:
		return
	case l.Phase == PhaseStopping:
		t.end(n, PhasePaused, renewal{})
	default:
		t.shelve(n, false)
	}
	t.decide(n, VerdictWait, cause, fmt.Sprintf("%s is to start (%s); %v: it waits for the resume", n.path, because(cause), n.paused()))
}

// passBy is what a group restart, or a supervisor above that begins anew, does to y
// below a pause: what runs goes on, and what would come back with the others is due on
// resume.
func (t *Tree) passBy(y *node, fresh bool, cause Cause) {
	stays := y.spec.RestartType == Temporary && !fresh
	switch {
	case y.worker():
		l := y.life
		over := l.Phase
		if over == PhaseStopping {
			over = l.Then
		}
		if !stays && (over == PhaseFinished || over == PhaseFailed && fresh) {
			t.postpone(y, cause)
		}
	case y.down != "" && y.down != PhaseStopped && !stays:
		y.down = ""
		t.touch(y)
		for _, c := range y.children {
			t.passBy(c, true, cause)
		}
	}
	t.rejoin(y)
}

// keepFormer has a child that an Edit changed go on as it is: it gets its new spec on
// resume. One that has no process gets it at once.
func (t *Tree) keepFormer(n *node, was former, now bool, cause Cause) {
	l := n.life
	switch {
	case l.held() && l.Phase != PhaseStopping:
		n.hold(was)
		t.decide(n, VerdictWait, cause, fmt.Sprintf("%s changed; %v: it keeps its former spec until the resume", n.path, n.paused()))
	case now:
		t.postpone(n, cause)
	}
}

// governed: n has its turn, or waits for it, in a rollout.
func (t *Tree) governed(n *node) bool {
	return t.rollout.active() && n.parent != nil && t.rollout.governor(n) != nil
}

// catchUp gives n the spec that it was to have on resume. It tells whether it had to.
func (t *Tree) catchUp(n *node) (changed, fits bool) {
	if n.next == nil || n.parent == nil || t.governed(n) {
		return false, true
	}
	fits = same(n.spec.Placement, n.next.Placement)
	n.spec, n.exclusive, n.next = n.next, n.parent.exclusive || n.next.Exclusive, nil
	t.touch(n)
	return true, fits
}

func (t *Tree) onResume(in Resume) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.changeable(in.Why); err != nil {
		return err
	}
	p := n.paused()
	switch {
	case p == nil:
		return fmt.Errorf("%w: %s is not paused", ErrRefused, n.path)
	case n.pause == nil:
		return fmt.Errorf("%w: %v; resume that", ErrRefused, p)
	}
	n.pause = nil
	cause := Cause{Kind: CauseResume, Path: n.path, Detail: asked(in.By, in.Why)}
	t.decide(n, VerdictResume, cause, t.resumeSentence(n, p, cause))
	n.walk(func(x *node) { t.touch(x) })
	if n.paused() == nil {
		w := waking{t: t, top: n, cause: cause, draining: in.Draining}
		w.wake()
	}
	return nil
}

func (t *Tree) resumeSentence(n *node, was *PauseStatus, cause Cause) string {
	what := fmt.Sprintf("%s goes on after %v (asked by %s)", n.path, t.at.Time-was.Since, cause.Detail)
	if p := n.paused(); p != nil {
		return fmt.Sprintf("%s, but %v still", what, p)
	}
	var still []string
	n.walk(func(x *node) {
		if x.pause != nil {
			still = append(still, x.path)
		}
	})
	if len(still) > 0 {
		what += "; still paused: " + strings.Join(still, ", ")
	}
	return what
}

// waking is one Resume under way.
type waking struct {
	t        *Tree
	top      *node
	cause    Cause
	draining []string
}

func (w *waking) wake() {
	t := w.t
	var owed, rest, ending []*node
	for _, n := range w.top.workers() {
		if n.paused() != nil {
			continue
		}
		changed, fits := t.catchUp(n)
		switch l := n.life; {
		case l.Phase == PhaseStopping && l.Then == PhasePaused:
			if !fits {
				l.Stay = false
				t.become(n, l)
			}
			ending = append(ending, n)
		case l.Phase == PhasePaused && l.Owed:
			owed = append(owed, n)
		case l.Phase == PhasePaused:
			rest = append(rest, n)
		case changed && l.held() && l.Phase != PhaseStopping:
			t.renew(n, renewal{stay: fits, start: string(CauseUpdate)})
			t.decide(n, VerdictRestart, w.cause, fmt.Sprintf("%s changed while it was paused: it restarts with its new spec", n.path))
		}
	}
	w.groups(owed)
	for _, n := range ending {
		if l := n.life; l.Phase == PhaseStopping && l.Then == PhasePaused { // no group has taken it along
			t.redirect(n, PhasePending, renewal{stay: l.Stay, only: l.Only, avoid: l.Avoid, start: string(CauseResume)})
			t.decide(n, VerdictStart, w.cause, w.starts(n))
		}
	}
	for _, n := range rest {
		w.start(n)
	}
	for _, host := range w.draining {
		w.leave(host)
	}
}

func (w *waking) starts(n *node) string {
	return fmt.Sprintf("%s starts: %s is resumed (by %s)", n.path, w.cause.Path, w.cause.Detail)
}

// start begins what is due, unless a group has taken it along already.
func (w *waking) start(n *node) {
	if l := n.life; l.Phase == PhasePaused {
		w.t.renew(n, renewal{only: l.Only, avoid: l.Avoid, start: string(CauseResume)})
		w.t.decide(n, VerdictStart, w.cause, w.starts(n))
	}
}

// groups starts those whose life ended meanwhile, by the strategy of each supervisor,
// once per supervisor, as after the loss of a node.
func (w *waking) groups(owed []*node) {
	among, of := make(map[*node]bool), make(map[*node][]*node)
	for _, n := range owed {
		among[n] = true
		of[n.parent] = append(of[n.parent], n)
	}
	for _, s := range slices.SortedFunc(maps.Keys(of), byOrd) {
		members := of[s]
		cause := Cause{Kind: CauseGroup, Path: members[0].path}
		if s.strategy.gated() {
			members = group(s, members[0].pos)
		}
		for _, y := range members {
			switch {
			case among[y]:
				w.start(y)
			case !w.t.renewed(y):
				w.t.recycle(y, false, renewal{stay: true, start: string(CauseGroup)}, cause)
			}
		}
	}
}

// leave moves what the pause kept on a node that is being drained.
func (w *waking) leave(host string) {
	t, r := w.t, renewal{start: string(CauseDrain)}
	var leaving []*node
	for _, n := range t.livesOn(host) {
		switch l := n.life; {
		case !n.below(w.top) || n.paused() != nil:
		case l.Phase == PhaseStopping:
			l.Stay = false
			t.become(n, l)
		case t.renewed(n):
			t.renew(n, r)
		default:
			leaving = append(leaving, n)
		}
	}
	t.uproot(leaving, r, Cause{Kind: CauseDrain, Path: host, Detail: "draining"})
}

// below: n is at or below top.
func (n *node) below(top *node) bool {
	for x := n; x != nil; x = x.parent {
		if x == top {
			return true
		}
	}
	return false
}
