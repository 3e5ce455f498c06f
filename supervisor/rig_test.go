package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// failer is what *testing.T, *testing.B and *rapid.T share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// rig drives one tree the way the replicated state does: a log index and a
// cluster time with each input. It hands every input to a restored copy as well,
// and checks after every input whatever must hold of any tree at any time.
type rig struct {
	failer
	tree  *Tree
	twin  *Tree // restored from tree's state at some time, and fed the same since
	now   time.Duration
	index uint64
	last  Input
	log   []entry
	// lives are the epochs that each path has had, oldest first.
	lives map[string][]Epoch
	// charges are the times charged to each account, and never pruned.
	charges map[string][]time.Duration
	// members are the nodes that the tree was told of last.
	members []Member
	// lost are the nodes that were lost and whose lease may hold: nobody obeys there.
	lost map[string]bool
	// counts are the ends of each life that were answered with a charge.
	counts map[Ref]int
	// asked is until when a path is not moved for the asking again.
	asked map[string]time.Duration
}

// entry is one input as the log holds it.
type entry struct {
	in Input
	at Stamp
}

func newRig(f failer, spec Spec) (*rig, error) {
	members := cluster(allNodes...)
	tree, err := NewTreeOn(spec, members)
	if err != nil {
		return nil, err
	}
	r := &rig{
		failer: f, tree: tree, members: members,
		lives: make(map[string][]Epoch), charges: make(map[string][]time.Duration),
		lost: make(map[string]bool), counts: make(map[Ref]int), asked: make(map[string]time.Duration),
	}
	r.refresh()
	return r, nil
}

// cluster makes members of names; one with a ! before it is not here.
func cluster(names ...string) []Member {
	var members []Member
	for _, name := range names {
		id, away := strings.CutPrefix(name, "!")
		members = append(members, Member{ID: id, Name: id, Labels: map[string]string{"label": "on-" + id}, Here: !away})
	}
	return members
}

// encode gives the bytes of a tree's whole state.
func encode(f failer, t *Tree) string {
	f.Helper()
	return marshal(f, t.State())
}

// brief is encode without the history, which is most of it.
func brief(f failer, t *Tree) string {
	f.Helper()
	s := t.State()
	for i := range s.Nodes {
		s.Nodes[i].History = nil
	}
	for i := range s.Leaving {
		s.Leaving[i].History = nil
	}
	s.History = nil
	return marshal(f, s)
}

func marshal(f failer, s State) string {
	f.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		f.Fatalf("cannot encode the state: %v", err)
	}
	return string(data)
}

// restore makes a tree from the bytes of another's state, as a replica does from
// a snapshot.
func restore(f failer, data string) *Tree {
	f.Helper()
	var s State
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		f.Fatalf("cannot decode the state: %v", err)
	}
	t, err := FromState(s)
	if err != nil {
		f.Fatalf("cannot restore: %v", err)
	}
	t.Changed() // all of it, after a restore
	return t
}

// refresh makes a new twin, and checks that it is one, derived figures included.
func (r *rig) refresh() {
	r.Helper()
	data := encode(r, r.tree)
	if old := r.twin; old != nil && encode(r, old) != data {
		r.Fatalf("the restored tree has come to differ (P8):\n%s\n%s", data, encode(r, old))
	}
	r.twin = restore(r, data)
	if again := encode(r, r.twin); again != data {
		r.Fatalf("a restored tree differs (P8):\n%s\n%s", data, again)
	}
	if a, b := batches(r.tree), batches(r.twin); !maps.Equal(a, b) {
		r.Fatalf("lives that end, by batch: %v; a recount gives %v", a, b)
	}
}

// batches are the counts of lives that end, by batch and path.
func batches(t *Tree) map[string]int {
	counts := make(map[string]int)
	for b, n := range t.stopping {
		counts[fmt.Sprintf("%v under %s", b.epoch, b.under.path)] = n
	}
	return counts
}

// step gives the tree and its twin one input, and checks everything about it.
func (r *rig) step(in Input) ([]Decision, error) {
	r.Helper()
	r.index++
	r.last = in
	if nodes, ok := in.(Nodes); ok && r.tree.FollowsNodes() && !r.tree.deleting {
		r.members = nodes.Members
	}
	if word, ok := in.(LastWord); ok {
		r.last = ChildEvent(word)
	}
	at := Stamp{Index: r.index, Time: r.now, Generation: 1 + r.index/64}
	r.log = append(r.log, entry{in, at})
	before, seen, bound, held := brief(r, r.tree), views(r.tree), leased(r.tree), heldBack(r.tree)
	stood := standing(r.tree)
	r.forgetCounts(in)
	paused := calmed(r.tree)
	ds, err := r.tree.Step(in, at)
	twinDs, twinErr := r.twin.Step(in, at)
	after := brief(r, r.tree)
	if err != nil && (after != before || len(ds) > 0) {
		r.Fatalf("%+v failed (%v) and yet changed the tree:\n%s\n%s", in, err, before, after)
	}
	if err != nil && !errors.Is(err, ErrStale) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrRefused) {
		r.Fatalf("%+v: error of no known kind: %v", in, err)
	}
	changed, twinChanged := sortedChanges(r.tree), sortedChanges(r.twin)
	if fmt.Sprint(err) != fmt.Sprint(twinErr) || !reflect.DeepEqual(ds, twinDs) || after != brief(r, r.twin) ||
		!slices.Equal(changed, twinChanged) {
		r.Fatalf("a restored tree answers %+v otherwise (P8):\n%v %+v %v\n%v %+v %v\n%s\n%s",
			in, err, ds, changed, twinErr, twinDs, twinChanged, after, brief(r, r.twin))
	}
	if lost, ok := in.(NodeLost); ok && !lost.Fenced && (lost.Leased || r.lost[lost.Node]) {
		r.lost[lost.Node] = lost.Leased
	}
	if reset, ok := in.(Reset); ok && err == nil {
		r.forgotten(reset, ds, held)
	}
	r.checkPaused(paused, ds)
	r.checkLeased(bound, r.last)
	r.checkChanged(seen, changed)
	r.checkDecisions(ds, at)
	r.checkShutdowns(ds, stood)
	r.checkTree()
	return ds, err
}

// forgetCounts: an agent that began anew counts its restarts of each life from 0.
func (r *rig) forgetCounts(in Input) {
	lost, ok := in.(NodeLost)
	if !ok || !lost.Restarted {
		return
	}
	for _, n := range r.tree.livesOn(lost.Node) {
		delete(r.counts, Ref{n.path, n.life.Epoch})
	}
}

// leased are the exclusive lives that may have a process, and their nodes.
func leased(t *Tree) map[Ref]string {
	lives := make(map[Ref]string)
	for path, n := range t.byPath {
		if n.life.Exclusive && n.life.held() {
			lives[Ref{path, n.life.Epoch}] = n.life.Node
		}
	}
	return lives
}

// checkLeased: an exclusive life that may have a process is over, and followed by
// another, only once its agent has said so, or its node is lost without a lease
// (P13).
func (r *rig) checkLeased(before map[Ref]string, in Input) {
	r.Helper()
	after := leased(r.tree)
	perNode := make(map[string]int)
	for _, host := range after {
		perNode[host]++
	}
	if !maps.Equal(perNode, r.tree.leased) {
		r.Fatalf("exclusive lives counted %v, there are %v", r.tree.leased, perNode)
	}
	for ref, host := range before {
		if now, still := after[ref]; still {
			if now != host {
				r.Fatalf("the exclusive life %v went from %s to %s", ref, host, now)
			}
			continue
		}
		over := false
		switch in := in.(type) {
		case ChildEvent:
			over = in.Path == ref.Path && in.Epoch == ref.Epoch && in.Type != EventSpawned && in.Type != EventStarted && in.Type != EventAsked
		case NodeLost:
			over = in.Node == host && !in.Leased && !slices.Contains(in.Keep, ref)
		}
		if !over {
			r.Fatalf("the exclusive life %v on %s is taken to be over after %+v (P13)", ref, host, in)
		}
	}
}

func sortedChanges(t *Tree) []string {
	paths := t.Changed()
	slices.Sort(paths)
	return paths
}

// view is what others see of one child.
type view struct {
	status  Status
	order   Order
	host    string
	request Request
	ordered bool
	waiting bool
}

func views(t *Tree) map[string]view {
	all := make(map[string]view, len(t.byPath))
	for path, n := range t.byPath {
		var v view
		v.status, _ = t.Child(path)
		if n.parent != nil && n.parent.policy.shared() {
			v.status.Budget = Budget{} // of all its siblings: not told of each
		}
		v.host, v.order, v.ordered = t.Order(path)
		v.request, v.waiting = t.Request(path)
		all[path] = v
	}
	return all
}

// checkChanged: whatever looks different now, Changed has named.
func (r *rig) checkChanged(before map[string]view, changed []string) {
	r.Helper()
	after := views(r.tree)
	for path, v := range after {
		if old, ok := before[path]; (!ok || !reflect.DeepEqual(old, v)) && !slices.Contains(changed, path) {
			r.Fatalf("%s changed and Changed() does not say so: %+v, before %+v", path, v, old)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok && !before[path].status.Supervisor && !slices.Contains(changed, path) {
			r.Fatalf("%s left and Changed() does not say so", path)
		}
	}
}

// begins are the verdicts that settle what becomes of a child. Step gives one of
// them at most to each child; a confirmation or an escalation may come before it.
var begins = []Verdict{VerdictStart, VerdictRestart, VerdictMove, VerdictFinish, VerdictFail, VerdictStop, VerdictRemove}

// checkDecisions: each explains itself, one per child (P1, P7), and no window is
// exceeded: the charge that would do so escalates, and no other does (P3, P10).
func (r *rig) checkDecisions(ds []Decision, at Stamp) {
	r.Helper()
	decided := make(map[string]bool)
	for _, d := range ds {
		if d.Stamp != at || d.Sentence == "" || d.Cause.Kind == "" || d.Path == "" {
			r.Fatalf("a decision that explains nothing: %+v", d)
		}
		if slices.Contains(begins, d.Verdict) {
			if decided[d.Path] {
				r.Fatalf("%s is decided on twice: %+v", d.Path, ds)
			}
			decided[d.Path] = true
		}
		if d.Verdict != VerdictReset { // forgotten looks at them
			r.checkCharge(d)
		}
		r.checkWord(d)
	}
	_, edited := r.last.(Edit)
	for path, n := range r.tree.byPath {
		for account, window := range map[string][]time.Duration{path: n.window, path + shares: n.shared} {
			if window == nil || edited || r.wasReset(path) { // an edit may change what counts together
				r.charges[account] = slices.Clone(window)
			}
		}
	}
}

// shares marks the account that the children of a supervisor share.
const shares = "/*"

// account names what the restarts of a path are charged to.
func (r *rig) account(path string) string {
	if n := r.tree.byPath[path]; n.parent != nil && n.parent.policy.shared() {
		return n.parent.path + shares
	}
	return path
}

// checkCharge counts the charges in the window anew, from the list of all.
func (r *rig) checkCharge(d Decision) {
	r.Helper()
	if ev, ok := r.last.(ChildEvent); ok && ev.Type == EventRestarted {
		r.checkMerged(d, ev)
		return
	}
	charged := d.After.Used != d.Before.Used
	if !charged && (d.Verdict != VerdictEscalate || d.Cause.Kind == CauseFatal) {
		return
	}
	used, account := 0, r.account(d.Path)
	for _, c := range r.charges[account] {
		if c >= d.Time-d.Before.Period {
			used++
		}
	}
	switch over := used+d.Before.Held >= d.Before.Max; {
	case used != d.Before.Used:
		r.Fatalf("%s: %d charges in its window, not %d: %+v", d.Path, used, d.Before.Used, d)
	case over != (d.Verdict == VerdictEscalate):
		r.Fatalf("%s: %d charges of %d and the verdict is %s (P10)", d.Path, used, d.Before.Max, d.Verdict)
	case charged && d.After.Used != used+1:
		r.Fatalf("%s: charged more than once: %+v", d.Path, d)
	}
	if charged {
		r.charges[account] = append(r.charges[account], d.Time)
		if ev, ok := r.last.(ChildEvent); ok && ev.Path == d.Path {
			r.counts[Ref{ev.Path, ev.Epoch}]++
		}
	}
}

// checkMerged merges what a node did alone into the list of all charges: those of
// the report that are new, each at its own time. A window that is full drops its
// oldest.
func (r *rig) checkMerged(d Decision, ev ChildEvent) {
	r.Helper()
	ref := Ref{ev.Path, ev.Epoch}
	fresh := ev.Restarts - r.counts[ref]
	if fresh <= 0 {
		r.Fatalf("%+v is merged, and %d of its restarts were before", ev, r.counts[ref])
	}
	r.counts[ref] = ev.Restarts
	var window []time.Duration
	account := r.account(d.Path)
	for _, c := range r.charges[account] {
		if c >= d.Time-d.Before.Period {
			window = append(window, c)
		}
	}
	if len(window) != d.Before.Used {
		r.Fatalf("%s: %d charges in its window: %+v", d.Path, len(window), d)
	}
	for _, age := range ev.Ages[max(0, len(ev.Ages)-fresh):] {
		if age <= d.Before.Period {
			window = append(window, max(0, d.Time-age))
		}
	}
	slices.Sort(window)
	window = window[max(0, len(window)-d.Before.Max):]
	r.charges[account] = window
	if got := *r.tree.byPath[d.Path].charges(); !slices.Equal(got, window) || d.After.Used != len(window) {
		r.Fatalf("%s: the window is %v, should be %v: %+v", d.Path, got, window, d)
	}
}

// checkTree holds the tree's derived figures against a recount, and the epochs
// against those seen before.
func (r *rig) checkTree() {
	r.Helper()
	t := r.tree
	counts := recounted(t)
	onNode := make(map[string][]string)
	for path, n := range t.byPath {
		if n.path != path {
			r.Fatalf("%s is filed under %s", n.path, path)
		}
		if n.parent == nil && n != t.root && n.life.Phase != PhaseStopping {
			r.Fatalf("%s left the tree, has no life that ends and is still there", path)
		}
		if c := counts[n]; (n == t.root || n.parent != nil) && c != [3]int{n.unsettled, n.ending, n.amiss} {
			r.Fatalf("%s counts %d unsettled, %d ending and %d amiss; a recount gives %v", path, n.unsettled, n.ending, n.amiss, c)
		}
		if n.worker() {
			r.checkLife(n)
		}
		if (len(n.loans) > 0) != t.lenders[n] || len(n.tallies) > maxTallies || len(n.window) > MaxRestarts {
			r.Fatalf("%s: %d loans, in the list: %v; %d tallies; %d charges", path, len(n.loans), t.lenders[n], len(n.tallies), len(n.window))
		}
		if n.life.Node != "" {
			onNode[n.life.Node] = append(onNode[n.life.Node], path)
		}
	}
	r.checkIndexes(onNode)
}

// recounted counts, for every node, the unsettled and the ending workers below, and those
// that are amiss: stopped, or failed though somebody would restart them.
func recounted(t *Tree) map[*node][3]int {
	counts := make(map[*node][3]int)
	t.root.walk(func(n *node) {
		if !n.worker() {
			return
		}
		for x := n; x != nil; x = x.parent {
			c, p := counts[x], n.life.Phase
			amiss := p == PhaseStopped || p == PhasePaused || p == PhaseFailed && n.spec.RestartType != Temporary
			counts[x] = [3]int{c[0] + bool2int(!n.life.settled()), c[1] + bool2int(p == PhaseStopping), c[2] + bool2int(amiss)}
		}
	})
	return counts
}

func (r *rig) checkLife(n *node) {
	r.Helper()
	l := &n.life
	seen := r.lives[n.path]
	switch newest := slices.Max(append(slices.Clone(seen), 0)); {
	case l.Epoch == 0 || slices.Contains(seen, l.Epoch) && l.Epoch == newest:
	case l.Epoch < newest:
		r.Fatalf("%s: epoch %v after %v", n.path, l.Epoch, newest)
	default:
		r.lives[n.path] = append(seen, l.Epoch)
	}
	if l.held() && l.Node == "" || l.Phase == PhasePending && l.Node != "" {
		r.Fatalf("%s is %s on node %q", n.path, l.Phase, l.Node)
	}
	if l.Phase == phaseRemoved {
		r.Fatalf("%s was removed and is still there", n.path)
	}
	held := l.Phase == PhaseStarting && !l.Released || l.Phase == PhaseStopping && !l.Halted
	if held != n.waits || held != slices.Contains(r.tree.waiting, n) {
		r.Fatalf("%s waits: %v, in the list: %v", n.path, held, slices.Contains(r.tree.waiting, n))
	}
}

func (r *rig) checkIndexes(onNode map[string][]string) {
	r.Helper()
	t := r.tree
	if len(onNode) != len(t.onNode) {
		r.Fatalf("the index of nodes has %d, a recount %d", len(t.onNode), len(onNode))
	}
	ordered := make(map[string]string)
	for _, host := range slices.Sorted(maps.Keys(onNode)) {
		paths := t.On(host)
		slices.Sort(onNode[host])
		if slices.Sort(paths); !slices.Equal(paths, onNode[host]) {
			r.Fatalf("the index of %s has %v, a recount %v", host, paths, onNode[host])
		}
		for _, o := range t.Orders(host) {
			if other := ordered[o.Path]; other != "" {
				r.Fatalf("%s is ordered on %s and on %s", o.Path, other, host)
			}
			ordered[o.Path] = host
		}
	}
}
