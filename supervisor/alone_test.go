package supervisor

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNoWindowIsExceeded: whatever is cut off, lost, begun anew and told twice, the
// restarts of a child by the log and by all nodes that hold a life of it, counted
// by real time, never exceed its budget (P3).
func TestNoWindowIsExceeded(t *testing.T) {
	var alone, escalated, back int
	rapid.Check(t, func(rt *rapid.T) {
		s := newSea(rt)
		for range rapid.IntRange(50, 300).Draw(rt, "steps") {
			if s.random(rt); s.tree.failed {
				escalated++
				break
			}
		}
		alone, back = alone+s.alone, back+s.back
	})
	t.Logf("%d restarts alone, %d returns of lost nodes, %d escalations", alone, back, escalated)
	if alone == 0 || escalated == 0 || back == 0 {
		t.Error("nothing was tried")
	}
}

// sea is a tree and the nodes that make it true, each of which may be cut off. Real
// time passes always, cluster time only while there is a leader.
type sea struct {
	*rig
	real       time.Duration
	leaderless bool
	isles      []*isle
	// restarts are the ends that were answered with a restart, by whom ever, and when.
	restarts map[string]map[answer]time.Duration
	// resets are when an operator last had the restarts of a child forgotten.
	resets map[string]time.Duration
	alone  int
	back   int
}

// answer names an end: of the process after so many restarts alone of a life.
type answer struct {
	epoch Epoch
	alone int
}

// isle is one node, as its agent knows it.
type isle struct {
	name   string
	cut    bool
	lost   bool // for the log
	anew   bool // its agent began anew since it was in touch
	orders map[string]held
	lives  map[string]*aloneLife
}

// held is an order and since when it has had this budget.
type held struct {
	Order
	since time.Duration
}

type aloneLife struct {
	epoch   Epoch
	runs    bool
	pending bool // it ended, and the leader has not said that it knows
	at      []time.Duration
	told    int
	doubt   bool // the log was told of its end
	row     int
}

func newSea(rt *rapid.T) *sea {
	spec := Spec{Name: "t", Strategy: OneForOne, RestartPolicy: RestartPolicy{
		MaxRestarts: rapid.IntRange(2, 6).Draw(rt, "max"), MaxSeconds: 10 * time.Second,
	}}
	for _, id := range []string{"a", "b"} {
		spec.Children = append(spec.Children, ChildSpec{
			ID: id, RestartType: Permanent, Program: &Program{Argv: []string{"v1"}},
			MoveAfter: rapid.SampledFrom([]int{0, 0, 2, 3}).Draw(rt, "move_after"),
		})
	}
	if rapid.Bool().Draw(rt, "update") {
		spec.Update = &UpdatePolicy{Parallel: 1, MinReady: 3 * time.Second, Deadline: time.Minute, AutoRevert: rapid.Bool().Draw(rt, "auto_revert")}
	}
	r, err := newRig(rt, spec)
	if err != nil {
		rt.Fatalf("%v", err)
	}
	s := &sea{rig: r, restarts: make(map[string]map[answer]time.Duration), resets: make(map[string]time.Duration)}
	for i := range 3 {
		s.isles = append(s.isles, &isle{name: fmt.Sprintf("n%d", i+1), orders: make(map[string]held), lives: make(map[string]*aloneLife)})
	}
	s.must(Start{Path: "t"})
	s.serve()
	return s
}

func (s *sea) apart(n *isle) bool { return n.cut || s.leaderless }

func (s *sea) random(rt *rapid.T) {
	n := s.isles[rapid.IntRange(0, 2).Draw(rt, "node")]
	path := rapid.SampledFrom([]string{"t/a", "t/b"}).Draw(rt, "path")
	switch rapid.IntRange(0, 22).Draw(rt, "do") {
	case 22:
		s.pause(rapid.SampledFrom([]string{"t", path}).Draw(rt, "paused"))
	case 20, 21:
		s.resume(rapid.SampledFrom([]string{"t", path}).Draw(rt, "resumed"))
	case 18:
		s.reset(path)
	case 19:
		s.edit(rt)
	case 0, 1, 2, 3:
		d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 9 * time.Second}).Draw(rt, "pass")
		if s.real += d; !s.leaderless {
			s.now += d
		}
	case 4:
		s.leaderless = rapid.IntRange(0, 2).Draw(rt, "leaderless") == 0
	case 5, 6:
		n.cut = !n.cut
	case 7, 8:
		s.lose(n)
	case 9:
		n.anew, n.orders, n.lives = true, make(map[string]held), make(map[string]*aloneLife)
	default:
		deaf := rapid.IntRange(0, 3).Draw(rt, "deaf") == 0
		if l := n.lives[path]; deaf && l != nil && l.runs && !s.apart(n) && rapid.IntRange(0, 2).Draw(rt, "asked") == 0 {
			switch paused := s.tree.byPath[path].paused() != nil; { // the node does not hear of it in time
			case paused:
			case rapid.Bool().Draw(rt, "pause"):
				s.pause(path)
			default:
				s.put(Move{Path: path, By: "ann"})
			}
		}
		s.end(n, path, deaf)
		if s.tree.byPath[path].pause != nil && rapid.Bool().Draw(rt, "short") {
			s.resume(path)
		}
	}
	s.retry(n, path)
	s.serve()
}

// edit gives the children another version, which a rollout may take back, or another
// place.
func (s *sea) edit(rt *rapid.T) {
	if s.leaderless {
		return
	}
	spec := s.tree.Spec()
	spec.Children = slices.Clone(spec.Children)
	for i := range spec.Children {
		c := &spec.Children[i]
		c.Program = &Program{Argv: []string{fmt.Sprint("v", rapid.IntRange(1, 2).Draw(rt, "version"))}}
		c.Placement.Nodes = rapid.SampledFrom([][]string{nil, {"n1"}}).Draw(rt, "nodes")
	}
	s.put(Edit{Spec: spec, By: "ann"})
}

func (s *sea) lose(n *isle) {
	if n.cut && !n.lost && !s.leaderless {
		n.lost = true
		s.put(NodeLost{Node: n.name, Reason: "silent", Apart: true})
	}
}

// reset forgets what a child was charged; a node that is cut off hears of it late.
func (s *sea) reset(path string) {
	if !s.leaderless {
		s.real++ // so that what was before it is told from what comes after
		s.resets[path] = s.real
		s.put(Reset{Path: path, By: "ann"})
	}
}

// pause and resume are an operator's; a node that is cut off hears of them late.
func (s *sea) pause(path string) {
	if n := s.tree.byPath[path]; !s.leaderless && n.pause == nil {
		s.put(Pause{Path: path, By: "ann"})
	}
}

func (s *sea) resume(path string) {
	if n := s.tree.byPath[path]; !s.leaderless && n.pause != nil {
		s.put(Resume{Path: path, By: "ann"})
	}
}

// put gives the log an input and notes what it charged.
func (s *sea) put(in Input) {
	ds, err := s.step(in)
	if err != nil && !errors.Is(err, ErrStale) {
		s.Fatalf("%+v: %v", in, err)
	}
	ev, ok := in.(ChildEvent)
	for _, d := range ds {
		if ok && d.Cause.Kind == CauseCrash && d.After.Used > d.Before.Used {
			s.restarted(d.Path, answer{ev.Epoch, ev.Restarts})
		}
	}
}

// restarted counts one end as answered, and the answers of the last period.
func (s *sea) restarted(path string, a answer) {
	all := s.restarts[path]
	if all == nil {
		all = make(map[answer]time.Duration)
		s.restarts[path] = all
	}
	if _, ok := all[a]; ok {
		return // by the log and by the node, not knowing of each other
	}
	all[a] = s.real
	used := 0
	for _, at := range all {
		if at >= s.real-s.tree.spec.RestartPolicy.MaxSeconds && at >= s.resets[path] {
			used++
		}
	}
	if used > s.tree.spec.RestartPolicy.MaxRestarts {
		s.Fatalf("%s was restarted %d times within a period (P3)", path, used)
	}
}

// end is the end of a process. Deaf: the node tells the log, and is cut off before
// it hears of what follows.
func (s *sea) end(n *isle, path string, deaf bool) {
	l := n.lives[path]
	if l == nil || !l.runs {
		return
	}
	l.runs, l.pending = false, true
	if s.apart(n) {
		return
	}
	s.put(ChildEvent{Path: path, Epoch: l.epoch, Type: EventExited, Reason: ExitError, Code: 1, Restarts: len(l.at)})
	l.pending, l.doubt, n.cut = deaf, deaf, deaf
}

// retry is a node that is alone answering the end of a life.
func (s *sea) retry(n *isle, path string) {
	l, o := n.lives[path], n.orders[path]
	if !s.apart(n) || l == nil || !l.pending || o.Epoch != l.epoch || o.Local == nil || o.Action != Run {
		return
	}
	_, row, wait := o.Local.Next(s.ages(l), l.row, s.real-o.since)
	if wait > 0 || l.doubt && !o.Local.Sure(len(l.at)) {
		return
	}
	s.alone++
	s.restarted(path, answer{l.epoch, len(l.at)})
	l.at, l.row, l.runs, l.pending = append(l.at, s.real), row, true, false
	l.doubt = false
}

func (s *sea) ages(l *aloneLife) (ages []time.Duration) {
	for _, at := range l.at {
		ages = append(ages, s.real-at)
	}
	return ages
}

// serve is what the leader and the nodes in touch with it do.
func (s *sea) serve() {
	if s.leaderless {
		return
	}
	for _, n := range s.isles {
		if !n.cut {
			s.greet(n)
		}
	}
	for range 4 {
		if at, ok := s.tree.NextAt(); ok && at <= s.now {
			s.put(Advance{})
		}
		s.place()
		for _, n := range s.isles {
			if !n.cut {
				s.obeyed(n)
			}
		}
	}
}

// greet is a node that comes back: NodeUp, its orders, what it has to tell, and
// that it is done. A node that never was away does the same, to no effect.
func (s *sea) greet(n *isle) {
	if n.anew { // as package fsm does it for a NodeUp
		if !n.lost {
			s.put(NodeLost{Node: n.name, Reason: "its agent restarted", Restarted: true, Apart: true})
		}
		s.put(Returned{Node: n.name, Unreported: true})
	}
	n.back(s)
	n.anew, n.lost = false, false
	s.take(n)
	for _, path := range []string{"t/a", "t/b"} {
		s.tell(n, path)
	}
	s.put(Returned{Node: n.name})
}

func (n *isle) back(s *sea) {
	if n.lost {
		s.back++
	}
}

// take replaces the orders of a node.
func (s *sea) take(n *isle) {
	orders := make(map[string]held)
	for _, o := range s.tree.Orders(n.name) {
		h := held{o, s.real}
		if old, ok := n.orders[o.Path]; ok && old.Ref == o.Ref && reflect.DeepEqual(old.Local, o.Local) {
			h.since = old.since
		}
		orders[o.Path] = h
	}
	n.orders = orders
}

// tell reports what a node did alone, sometimes twice.
func (s *sea) tell(n *isle, path string) {
	l := n.lives[path]
	if l == nil {
		return
	}
	if len(l.at) > l.told {
		ev := ChildEvent{Path: path, Epoch: l.epoch, Type: EventRestarted, Restarts: len(l.at)}
		ev.Ages = (&LocalBudget{Period: s.tree.spec.RestartPolicy.MaxSeconds}).Recent(s.ages(l))
		l.told = len(l.at)
		s.put(ev)
		s.put(ev)
	}
	if l.pending {
		l.pending = false
		s.put(ChildEvent{Path: path, Epoch: l.epoch, Type: EventExited, Reason: ExitError, Code: 1, Restarts: len(l.at)})
	}
}

func (s *sea) place() {
	for _, req := range s.tree.Unplaced() {
		for _, n := range s.isles {
			if !n.cut && !n.lost && (!slices.Contains(req.Avoid, n.name)) {
				s.put(Assign{Path: req.Path, Epoch: req.Epoch, Node: n.name})
				break
			}
		}
	}
}

// obeyed makes the orders of a node in touch true.
func (s *sea) obeyed(n *isle) {
	s.take(n)
	for path, l := range n.lives {
		if o, ok := n.orders[path]; !ok || o.Epoch != l.epoch || o.Action != Run {
			delete(n.lives, path)
			s.put(ChildEvent{Path: path, Epoch: l.epoch, Type: EventExited, Reason: ExitKilled, Ordered: true, Restarts: len(l.at)})
		}
	}
	for path, o := range n.orders {
		if n.lives[path] == nil && o.Action == Run {
			n.lives[path] = &aloneLife{epoch: o.Epoch, runs: true}
			s.put(ChildEvent{Path: path, Epoch: o.Epoch, Type: EventStarted, PID: 7})
		}
	}
}

// TestExclusiveIsLentNothing: a node that is cut off must not begin another process
// of an exclusive child: its lease runs out, and others may have begun one (P13).
func TestExclusiveIsLentNothing(t *testing.T) {
	r := started(t, "shop one_for_one max=6 in=60s\n  plain\n  sole exclusive")
	for _, o := range r.tree.Orders("n1") {
		if lent := o.Local != nil; lent != (o.Path == "shop/plain") {
			t.Errorf("%s is lent restarts: %v", o.Path, lent)
		}
	}
}

func TestLocalBudget(t *testing.T) {
	ages := func(seconds ...int) (all []time.Duration) {
		for _, s := range seconds {
			all = append(all, time.Duration(s)*time.Second)
		}
		return all
	}
	backoff := Backoff{Kind: Exponential, Base: time.Second, Max: time.Minute}
	fresh := LocalBudget{Left: 2, Share: 2, Period: time.Minute, Backoff: backoff}
	used := LocalBudget{Left: 1, Share: 2, Period: time.Minute, Backoff: backoff, Used: 3}
	moves := LocalBudget{Left: 2, Share: 2, Period: time.Minute, MoveAfter: 3}
	near := LocalBudget{Left: 2, Share: 2, Period: time.Minute, MoveAfter: 3, Used: 1, Crashes: 1}
	for _, tt := range []struct {
		name string
		b    LocalBudget
		ages []time.Duration
		row  int
		held time.Duration

		backoff time.Duration
		newRow  int
		wait    time.Duration
	}{
		{"the first", fresh, nil, 0, time.Hour, time.Second, 1, 0},
		{"the second", fresh, ages(30), 1, time.Hour, 2 * time.Second, 2, 0},
		{"none left", fresh, ages(30, 10), 2, time.Hour, 0, 2, 30*time.Second + 1},
		{"none left for a moment", fresh, ages(60, 10), 2, time.Hour, 0, 2, 1},
		{"one has left the window", fresh, ages(61, 10), 2, time.Hour, 2 * time.Second, 3, 0},
		{"after others", used, nil, 0, time.Second, 8 * time.Second, 1, 0},
		{"no more after others", used, ages(1), 1, 2 * time.Second, 0, 1, 58*time.Second + 1},
		{"others as old as can be", used, ages(1), 1, time.Minute, 0, 1, 1},
		{"others gone", used, ages(1), 1, time.Minute + 1, 2 * time.Second, 2, 0},
		{"two of three in a row", moves, ages(1), 1, time.Hour, 0, 2, 0},
		{"the third in a row moves", moves, ages(70, 20), 2, time.Hour, 0, 2, 40*time.Second + 1},
		{"not in a row", moves, ages(70), 2, time.Hour, 0, 1, 0},
		{"one came before", near, nil, 0, time.Second, 0, 2, 0},
		{"one came before, the third moves", near, ages(1), 2, 2 * time.Second, 0, 2, 58*time.Second + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, row, wait := tt.b.Next(tt.ages, tt.row, tt.held)
			if b != tt.backoff || row != tt.newRow || wait != tt.wait {
				t.Errorf("back-off %v, row %d, wait %v; want %v, %d, %v", b, row, wait, tt.backoff, tt.newRow, tt.wait)
			}
		})
	}
}
