package supervisor

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fact is an end of a life, or an operator's start or stop, as it happened.
type fact struct {
	path          string
	start, stop   bool
	normal, fatal bool
	at            time.Duration
}

// chronicle is OTP's rule for whole trees in the plainest words. It keeps every fact, and
// nothing else: what follows from the newest is found by telling all of them again from
// the first. No charge is ever forgotten; a supervisor that begins anew only counts from
// then on.
type chronicle struct {
	spec  Spec
	facts []fact
}

// told is where a telling has come to.
type told struct {
	*chronicle
	is      map[string]Phase // of workers: PhaseRunning if it runs or is about to
	down    map[string]Phase // of supervisors that do not run
	charges map[string][]time.Duration
	from    map[string]int // how many charges of an account lie before its present life
	failed  bool
	now     time.Duration
	said    map[string]Verdict // of the newest fact
	refused bool
}

// tell gives what all facts lead to, and the verdicts on the newest.
func (c *chronicle) tell() *told {
	t := &told{
		chronicle: c, is: make(map[string]Phase), down: make(map[string]Phase),
		charges: make(map[string][]time.Duration), from: make(map[string]int),
	}
	c.spec.each(func(path string, x *ChildSpec) {
		if x.Program != nil {
			t.is[path] = PhaseRunning
		}
	})
	for _, f := range c.facts {
		t.said, t.now, t.refused = make(map[string]Verdict), f.at, false
		switch {
		case f.stop:
			t.stop(f.path)
		case f.start:
			t.start(f.path)
		default:
			t.end(f)
		}
	}
	return t
}

// each calls f with every child, in start order.
func (s *Spec) each(f func(path string, x *ChildSpec)) {
	var visit func(parent string, children []ChildSpec)
	visit = func(parent string, children []ChildSpec) {
		for i := range children {
			f(parent+"/"+children[i].ID, &children[i])
			visit(parent+"/"+children[i].ID, children[i].Children)
		}
	}
	visit(s.Name, s.Children)
}

// at and below a path.
func (t *told) below(top string, f func(path string, x *ChildSpec)) {
	t.spec.each(func(path string, x *ChildSpec) {
		if underPath(path, top) {
			f(path, x)
		}
	})
}

func (t *told) child(path string) *ChildSpec { return t.spec.find(path) }

func above(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// supervisor gives the strategy, policy and children of one, the root included.
func (t *told) supervisor(path string) (Strategy, RestartPolicy, []ChildSpec) {
	if path == t.spec.Name {
		return t.spec.Strategy, t.spec.RestartPolicy, t.spec.Children
	}
	x := t.child(path)
	return x.Supervisor.Strategy, x.Supervisor.RestartPolicy, x.Children
}

func (t *told) end(f fact) {
	x := t.child(f.path)
	switch {
	case f.fatal:
		t.said[f.path], t.is[f.path] = VerdictEscalate, PhaseFailed
		t.giveUp(above(f.path))
	case f.normal && x.RestartType != Permanent:
		t.said[f.path], t.is[f.path] = VerdictFinish, PhaseFinished
	case x.RestartType == Temporary:
		t.said[f.path], t.is[f.path] = VerdictFail, PhaseFailed
	default:
		t.fail(f.path)
	}
}

// account is what the failures of a child are charged to.
func (t *told) account(path string) string {
	if _, p, _ := t.supervisor(above(path)); p.shared() {
		return above(path) + "/*"
	}
	return path
}

func (t *told) fail(path string) {
	_, p, _ := t.supervisor(above(path))
	x, account := t.child(path), t.account(path)
	budget, used := p.MaxRestarts, 0
	if x.MaxRestarts != nil {
		budget = *x.MaxRestarts
	}
	for _, at := range t.charges[account][t.from[account]:] {
		if t.now-at <= p.MaxSeconds {
			used++
		}
	}
	if used+1 > budget {
		if t.said[path] = VerdictEscalate; x.Program != nil {
			t.is[path] = PhaseFailed
		}
		t.giveUp(above(path))
		return
	}
	t.charges[account] = append(t.charges[account], t.now)
	t.said[path] = VerdictRestart
	t.group(path)
}

func (t *told) giveUp(s string) {
	switch {
	case s == t.spec.Name:
		t.failed = true
		t.allEnd(s, PhaseFailed)
		t.said[s] = VerdictFail
	case t.child(s).RestartType != Permanent:
		t.allEnd(s, PhaseFailed)
		t.said[s] = VerdictFail
	default:
		t.fail(s)
	}
}

// allEnd: what runs ends, and what an operator stopped stays stopped.
func (t *told) allEnd(top string, how Phase) {
	if top == t.spec.Name {
		t.down[top] = how
	}
	t.below(top, func(path string, x *ChildSpec) {
		switch {
		case x.Program != nil && t.is[path] == PhaseRunning:
			t.is[path] = how
		case x.Supervisor != nil && t.down[path] != PhaseStopped:
			t.down[path] = how
		}
	})
}

// group restarts a child, and those siblings that its supervisor's strategy names.
func (t *told) group(path string) {
	strategy, _, children := t.supervisor(above(path))
	past := false
	for i := range children {
		y := &children[i]
		sibling := above(path) + "/" + y.ID
		switch past = past || sibling == path; {
		case sibling == path && y.Program != nil:
			t.is[path] = PhaseRunning
		case sibling == path:
			t.anew(path)
		case strategy == OneForAll, strategy == RestForOne && past:
			t.shares(sibling, y)
		}
	}
}

// shares: y shares the fate of a sibling that restarts.
func (t *told) shares(path string, y *ChildSpec) {
	temporary := y.RestartType == Temporary
	switch {
	case t.is[path] == PhaseStopped, t.down[path] == PhaseStopped:
	case y.Program != nil && !temporary:
		t.is[path], t.said[path] = PhaseRunning, VerdictRestart
	case y.Program != nil:
		if t.is[path] == PhaseRunning {
			t.is[path], t.said[path] = PhaseFinished, VerdictStop
		}
	case !temporary:
		t.anew(path)
	case t.down[path] == "":
		t.allEnd(path, PhaseFinished)
		t.said[path] = VerdictFail
	}
}

// anew begins a supervisor as if it had never run, but for what an operator stopped.
func (t *told) anew(s string) {
	delete(t.down, s)
	t.forget(s + "/*")
	_, _, children := t.supervisor(s)
	for i := range children {
		path := s + "/" + children[i].ID
		t.forget(path)
		t.forget(path + "/*")
		switch {
		case t.is[path] == PhaseStopped, t.down[path] == PhaseStopped:
		case children[i].Program != nil:
			t.is[path], t.said[path] = PhaseRunning, VerdictRestart
		default:
			t.anew(path)
		}
	}
}

func (t *told) forget(account string) { t.from[account] = len(t.charges[account]) }

func (t *told) stop(top string) {
	if top == t.spec.Name {
		t.failed, t.down[top] = false, PhaseStopped
	}
	t.below(top, func(path string, x *ChildSpec) {
		switch {
		case x.Supervisor != nil:
			t.down[path] = PhaseStopped
		case t.is[path] != PhaseStopped:
			t.is[path], t.said[path] = PhaseStopped, VerdictStop
		}
	})
}

// start starts what does not run. A supervisor that does not run begins as new, and then
// all below it does; in one that runs, what finished stays finished.
func (t *told) start(top string) {
	for s := top; s != t.spec.Name; {
		if s = above(s); t.down[s] != "" {
			t.refused = true
			return
		}
	}
	if top == t.spec.Name {
		t.failed = false
	}
	t.startAt(top, false, true)
}

func (t *told) startAt(path string, asNew, named bool) {
	if x := t.child(path); x != nil && x.Program != nil {
		if asNew {
			t.forget(path)
		}
		if p := t.is[path]; p != PhaseRunning && (named || asNew || p != PhaseFinished) {
			t.is[path], t.said[path] = PhaseRunning, VerdictStart
		}
		return
	}
	if t.down[path] != "" {
		delete(t.down, path)
		t.forget(path)
		t.forget(path + "/*")
		asNew = true
	}
	_, _, children := t.supervisor(path)
	for i := range children {
		t.startAt(path+"/"+children[i].ID, asNew, false)
	}
}

// TestNestedReference compares the verdicts of whole trees, and who runs afterwards, with
// what the chronicle of every event says.
func TestNestedReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawPlain(rt)
		w, c := newWalk(rt, spec), &chronicle{spec: spec}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "do") {
			case 0:
				w.now += pauses.Draw(rt, "pause")
			case 1, 2, 3:
				w.obey(allNodes)
			default:
				w.happen(rt, c)
			}
		}
	})
}

// drawPlain draws a tree of up to 12 children, 4 levels deep, without what would make a
// child more than its restart type.
func drawPlain(rt *rapid.T) Spec {
	spec := drawSpec(rt)
	spec.Update, spec.AutoShutdown = nil, ""
	spec.each(func(_ string, x *ChildSpec) {
		x.MoveAfter, x.Exits, x.Update, x.Replicas, x.Pool, x.Significant, x.EachNode = 0, nil, nil, 0, nil, false, false
		if x.Supervisor != nil {
			x.Supervisor.Update, x.Supervisor.AutoShutdown = nil, ""
		}
	})
	return spec
}

// happen lets a life end, or an operator say something, and compares.
func (w *walk) happen(rt *rapid.T, c *chronicle) {
	w.Helper()
	paths := []string{c.spec.Name}
	c.spec.each(func(path string, _ *ChildSpec) { paths = append(paths, path) })
	f := fact{path: rapid.SampledFrom(paths).Draw(rt, "path"), at: w.now}
	n := w.tree.byPath[f.path]
	var in Input
	switch do := rapid.IntRange(0, 9).Draw(rt, "what"); {
	case do == 0:
		f.stop, in = true, Stop{Path: f.path, By: "ann"}
	case do <= 2 || w.tree.failed:
		f.start, in = true, Start{Path: f.path, By: "ann"}
	case !n.worker() || !n.life.held() || n.life.Phase == PhaseStopping:
		return
	default:
		f.normal, f.fatal = do == 3, do == 4
		ev := ChildEvent{Path: f.path, Epoch: n.life.Epoch, Type: EventExited, Reason: ExitError, Code: 1, Fatal: f.fatal}
		if f.normal {
			ev.Reason, ev.Code = ExitNormal, 0
		}
		in = ev
	}
	c.facts = append(c.facts, f)
	want := c.tell()
	ds, err := w.step(in)
	if want.refused != errors.Is(err, ErrRefused) || !want.refused && err != nil {
		rt.Fatalf("%+v: %v, by the chronicle it is refused: %v", in, err, want.refused)
	}
	got := make(map[string]Verdict)
	for _, d := range ds {
		got[d.Path] = d.Verdict
	}
	if want.refused {
		c.facts = c.facts[:len(c.facts)-1]
		return
	}
	if !maps.Equal(got, want.said) {
		rt.Fatalf("%+v at %v: %v, by the chronicle %v", in, w.now, got, want.said)
	}
	w.runsAs(want)
}

// runsAs: each child is where the chronicle says.
func (w *walk) runsAs(want *told) {
	w.Helper()
	if w.tree.failed != want.failed {
		w.Fatalf("the tree has failed: %v, by the chronicle: %v", w.tree.failed, want.failed)
	}
	want.spec.each(func(path string, x *ChildSpec) {
		n := w.tree.byPath[path]
		is := n.life.Phase
		switch {
		case x.Supervisor != nil:
			if n.down != want.down[path] {
				w.Fatalf("supervisor %s is %q, by the chronicle %q", path, n.down, want.down[path])
			}
			return
		case is == PhaseStopping && n.life.Then != PhasePending:
			is = n.life.Then
		case is == PhaseStopping || is == PhasePending || is == PhaseStarting:
			is = PhaseRunning
		}
		if is != want.is[path] {
			w.Fatalf("%s is %s, by the chronicle %s", path, is, want.is[path])
		}
	})
}
