package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Limits of Explain.
const (
	// MaxSchedules is how many children Explain takes at once.
	MaxSchedules = 200
	// maxCrashes ends a schedule that neither gives up nor repeats itself.
	maxCrashes = 5000
)

// Schedule is what becomes of one child that crashes at once, each time it starts.
type Schedule struct {
	Path        string                 `json:"path"`
	RestartType supervisor.RestartType `json:"restart_type"`
	// Supervisor it is a child of, and that one's strategy.
	Supervisor string              `json:"supervisor"`
	Strategy   supervisor.Strategy `json:"strategy"`
	// Budget of the child, still unused; Shared: its siblings spend it, too.
	Budget    supervisor.Budget  `json:"budget"`
	Shared    bool               `json:"shared,omitempty"`
	Backoff   supervisor.Backoff `json:"backoff"`
	MoveAfter int                `json:"move_after,omitempty"`
	// Exits are its exit rules. The crashes here are none that these name.
	Exits *supervisor.ExitRules `json:"exits,omitempty"`
	Steps []Step                `json:"steps"`
	// Significant says what follows when it has ended by itself and for good.
	Significant string `json:"significant,omitempty"`
	// Endless: it is restarted for ever. End says how it ends, or why it does not.
	Endless bool   `json:"endless,omitempty"`
	End     string `json:"end"`
}

// Step is one decision of a schedule.
type Step struct {
	At time.Duration `json:"at"`
	// Crash is the number of the child's crash that led to it.
	Crash   int                `json:"crash"`
	Path    string             `json:"path"` // about whom: the child, or a supervisor above
	Verdict supervisor.Verdict `json:"verdict"`
	Wait    time.Duration      `json:"wait"`
	Window  supervisor.Budget  `json:"window"`
	Node    string             `json:"node,omitempty"`
	// With are the children that restart along with it.
	With []string `json:"with,omitempty"`
	// Then says what follows, where it is more than a restart.
	Then string `json:"then,omitempty"`
}

// Explain gives the schedules of the workers at and below a path; of all of the tree
// for an empty one.
func Explain(spec supervisor.Spec, path string) ([]Schedule, error) {
	workers, err := workersBelow(spec, path)
	if err != nil {
		return nil, err
	}
	if len(workers) > MaxSchedules {
		return nil, fmt.Errorf("cannot explain %d children at once: give the path of a part of the tree with at most %d", len(workers), MaxSchedules)
	}
	all := make([]Schedule, len(workers))
	for i, w := range workers {
		if all[i], err = explain(spec, w); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// member is a worker with what the spec says of it and of those above it, outermost
// first.
type member struct {
	path       string
	child      *supervisor.ChildSpec
	parent     string
	supervisor supervisor.SupervisorSpec
	above      []string
}

// members lists the workers of a tree in start order.
func members(spec *supervisor.Spec) []member {
	root := supervisor.SupervisorSpec{Strategy: spec.Strategy, RestartPolicy: spec.RestartPolicy, AutoShutdown: spec.AutoShutdown}
	return membersOf(spec.Name, root, nil, spec.Expand().Children)
}

func membersOf(parent string, sup supervisor.SupervisorSpec, above []string, children []supervisor.ChildSpec) []member {
	above = append(slices.Clone(above), parent)
	var all []member
	for i := range children {
		c := &children[i]
		path := parent + "/" + c.ID
		if c.Supervisor != nil {
			all = append(all, membersOf(path, *c.Supervisor, above, c.Children)...)
		} else {
			all = append(all, member{path, c, parent, sup, above})
		}
	}
	return all
}

func workersBelow(spec supervisor.Spec, path string) ([]member, error) {
	all := members(&spec)
	var found []member
	for _, m := range all {
		if path == "" || m.path == path || strings.HasPrefix(m.path, path+"/") {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("cannot explain %q: tree %s has no worker there; it has %s", path, spec.Name, some(all))
	}
	return found, nil
}

// some names a few workers.
func some(all []member) string {
	var names []string
	for _, m := range all[:min(len(all), 5)] {
		names = append(names, m.path)
	}
	if len(all) > 5 {
		names = append(names, "…")
	}
	if len(names) == 0 {
		return "no worker at all"
	}
	return strings.Join(names, ", ")
}

func explain(spec supervisor.Spec, m member) (Schedule, error) {
	spec.After = nil // there is no other tree
	tree, err := supervisor.NewTree(spec)
	if err != nil {
		return Schedule{}, err
	}
	policy := m.supervisor.RestartPolicy
	s := Schedule{
		Path: m.path, RestartType: m.child.RestartType, Supervisor: m.parent, Strategy: m.supervisor.Strategy,
		Shared: policy.Scope == supervisor.ScopeSupervisor, Backoff: policy.Backoff, MoveAfter: m.child.MoveAfter, Exits: m.child.Exits,
		Significant: meaning(&spec, m),
	}
	status, _ := tree.Child(m.path)
	s.Budget = status.Budget
	l := &loop{tree: tree, spec: spec, target: m, s: &s, charged: make(map[string][]time.Duration), seen: make(map[string]time.Duration)}
	for _, w := range members(&spec) {
		l.workers = append(l.workers, w.path)
	}
	l.step(supervisor.Start{Path: spec.Name})
	for s.End == "" {
		if !l.pass() && s.End == "" {
			l.wait()
		}
	}
	return s, nil
}

// loop runs one tree while one of its children crashes.
type loop struct {
	tree    *supervisor.Tree
	spec    supervisor.Spec
	target  member
	workers []string
	s       *Schedule

	now   time.Duration
	index uint64
	crash int
	// charged is when whom a restart was charged, as far as it may count still.
	charged map[string][]time.Duration
	// seen is when all windows were as they are.
	seen map[string]time.Duration
}

func (l *loop) step(in supervisor.Input) []supervisor.Decision {
	l.index++
	// A refusal is of no matter: the orders that the input came from are asked for anew.
	ds, _ := l.tree.Step(in, supervisor.Stamp{Index: l.index, Time: l.now, Generation: 1})
	return ds
}

// pass does what can be done now: places, starts, stops and crashes. It returns false
// if there was nothing to do.
func (l *loop) pass() (busy bool) {
	for _, r := range l.tree.Unplaced() {
		l.step(supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: somewhere(r)})
		busy = true
	}
	for _, path := range l.workers {
		_, o, ok := l.tree.Order(path)
		st, _ := l.tree.Child(path)
		switch {
		case !ok:
		case o.Action == supervisor.Halt:
			l.event(o, supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Signal: "SIGTERM", Ordered: true})
			busy = true
		case st.Phase != supervisor.PhaseStarting && st.Phase != supervisor.PhaseBackoff || o.NotBefore > l.now:
		case path == l.target.path:
			l.onCrash(o)
			return true
		default:
			l.event(o, supervisor.ChildEvent{Type: supervisor.EventStarted})
			busy = true
		}
	}
	return busy
}

// somewhere is a node for a life: the one it had, unless it is to leave that.
func somewhere(r supervisor.Request) string {
	for _, node := range []string{r.Last, "n1", "n2"} {
		if node != "" && !slices.Contains(r.Avoid, node) {
			return node
		}
	}
	return "n3"
}

func (l *loop) event(o supervisor.Order, ev supervisor.ChildEvent) []supervisor.Decision {
	ev.Path, ev.Epoch = o.Path, o.Epoch
	return l.step(ev)
}

// wait goes on to the next start that is due, or ends the schedule.
func (l *loop) wait() {
	next := time.Duration(-1)
	for _, path := range l.workers {
		if _, o, ok := l.tree.Order(path); ok && o.NotBefore > l.now && (next < 0 || o.NotBefore < next) {
			next = o.NotBefore
		}
	}
	if next >= 0 {
		l.now = next
		return
	}
	switch st, _ := l.tree.Child(l.target.path); {
	case l.tree.Status() == supervisor.TreeFailed && l.spec.RetryAfter > 0:
		l.s.End = fmt.Sprintf("the tree has failed, all of it is stopped; %v later it starts again with empty windows (on_exhausted), and the same follows", l.spec.RetryAfter)
	case l.tree.Status() == supervisor.TreeFailed:
		l.s.End = "the tree has failed, all of it stays stopped (on_exhausted: stop) until it is started again by hand"
	case l.tree.Status() == supervisor.TreeFinished:
		l.s.End = "the tree has finished, all of it stays stopped until it is started again by hand"
	case st.Phase == supervisor.PhaseFailed:
		l.s.End = "it stays down; the rest of the tree goes on"
	default:
		l.s.End = fmt.Sprintf("it is %s", st.Phase)
	}
}

// onCrash lets the target begin and crash.
func (l *loop) onCrash(o supervisor.Order) {
	l.crash++
	l.event(o, supervisor.ChildEvent{Type: supervisor.EventSpawned})
	ds := l.event(o, unruled(l.target.child.Exits))
	for _, d := range ds {
		if d.Path == l.target.path && !along(d) || slices.Contains(l.target.above, d.Path) {
			l.note(d, ds)
		}
	}
	key := l.windows()
	if at, again := l.seen[key]; again {
		l.endless(l.now - at)
	} else if l.crash >= maxCrashes {
		l.s.Endless, l.s.End = true, fmt.Sprintf("after %d crashes in %v it has not given up", l.crash, l.now)
	}
	l.seen[key] = l.now
}

// unruled is a crash of which exit rules say nothing: with the first exit code that none
// of them names, or else by SIGKILL.
func unruled(rules *supervisor.ExitRules) supervisor.ChildEvent {
	ev := plainCrash
	for ; ev.Code <= 255; ev.Code++ {
		if said, _ := rules.Ruling(&ev); said == "" {
			return ev
		}
	}
	return supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Signal: "SIGKILL"}
}

// note adds a decision about the target, or about a supervisor above, to the schedule.
func (l *loop) note(d supervisor.Decision, all []supervisor.Decision) {
	step := Step{At: l.now, Crash: l.crash, Path: d.Path, Verdict: d.Verdict, Wait: d.Delay, Window: d.After, Node: d.Node}
	if d.After.Used > d.Before.Used {
		l.charged[d.Path] = append(l.charged[d.Path], l.now)
	}
	switch d.Verdict {
	case supervisor.VerdictRestart, supervisor.VerdictMove:
		step.With = restartedWith(d.Path, l.target.path, all)
		if d.Path != l.target.path {
			l.forgetBelow(d.Path)
			step.Then = "what is below it begins anew, with empty windows"
		}
	case supervisor.VerdictEscalate:
		step.Then = parent(d.Path) + " gives up"
	case supervisor.VerdictShutdown:
		step.Then = parent(d.Path) + " ends (auto_shutdown)"
	case supervisor.VerdictFinish:
		step.Then = l.failure(d)
	case supervisor.VerdictFail:
		step.Then = l.failure(d)
	}
	l.s.Steps = append(l.s.Steps, step)
}

// failure says why what failed is not restarted.
func (l *loop) failure(d supervisor.Decision) string {
	switch {
	case d.Path == l.spec.Name:
		return "everything stops"
	case d.Path == l.target.path:
		return fmt.Sprintf("%s children are never restarted", l.s.RestartType)
	}
	return "it is not restarted, and what is below it stops"
}

// restartedWith lists who restarts because of path, but for the one that crashed.
func restartedWith(path, crashed string, all []supervisor.Decision) (with []string) {
	for _, d := range all {
		if d.Verdict == supervisor.VerdictRestart && d.Cause.Path == path && d.Path != path && d.Path != crashed {
			with = append(with, d.Path)
		}
	}
	return with
}

// forgetBelow: a supervisor that begins anew has children with empty windows.
func (l *loop) forgetBelow(path string) {
	for p := range l.charged { // order-free: each is looked at alone
		if strings.HasPrefix(p, path+"/") {
			delete(l.charged, p)
		}
	}
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return path
}

// windows describes all that decides on what follows: the ages of what is charged to
// the target and to those above it, and where the target is, for how many crashes.
func (l *loop) windows() string {
	var b strings.Builder
	for _, path := range append(slices.Clone(l.target.above), l.target.path) {
		st, _ := l.tree.Child(path)
		l.charged[path] = slices.DeleteFunc(l.charged[path], func(at time.Duration) bool { return l.now-at > st.Budget.Period })
		fmt.Fprint(&b, path, " ")
		for _, at := range l.charged[path] {
			fmt.Fprint(&b, l.now-at, " ")
		}
	}
	here := 0
	for _, s := range slices.Backward(l.s.Steps) {
		if s.Verdict == supervisor.VerdictMove {
			break
		}
		here++
	}
	if l.s.MoveAfter > 0 {
		fmt.Fprint(&b, min(here, l.s.MoveAfter))
	}
	return b.String()
}

// endless ends a schedule that would go round for ever: who is charged last is never
// over budget, since its window is too short for that.
func (l *loop) endless(round time.Duration) {
	top, most := l.target.path, supervisor.Budget{}
	for _, s := range l.s.Steps {
		switch {
		case s.Verdict != supervisor.VerdictRestart && s.Verdict != supervisor.VerdictMove:
		case len(s.Path) < len(top):
			top, most = s.Path, s.Window
		case s.Path == top && s.Window.Used > most.Used:
			most = s.Window
		}
	}
	l.s.Endless = true
	l.s.End = fmt.Sprintf("it never ends: the same repeats every %v, and the window of %s never holds more than %d of %d in %v",
		round, top, most.Used, most.Max, most.Period)
}
