package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// state is a machine that a test feeds.
type state struct {
	t     *testing.T
	m     *fsm.Machine
	index uint64
	clock time.Duration
}

func newState(t *testing.T) *state {
	s := &state{t: t, m: fsm.New()}
	s.apply(fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "c"}})
	return s
}

func (s *state) apply(cmds ...fsm.Command) {
	s.t.Helper()
	s.index++
	data, err := fsm.Entry{Time: s.clock, Commands: cmds}.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	results, err := s.m.Apply(s.index, data)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			s.t.Fatalf("command %d: %v", i, r.Err)
		}
	}
}

// node enters a node; its id is its name.
func (s *state) node(name string, labels map[string]string) {
	s.t.Helper()
	s.apply(fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: link.Node{
		ID: name, Name: name, Boot: "b1", BootSeq: 1, Labels: labels, CPU: 4000, Memory: 8 << 30,
	}}})
}

func (s *state) next(in inputs) (cmds []fsm.Command) {
	s.m.View(func(v fsm.View) { cmds = next(TimesOf(gossip.LAN), v, in) })
	return cmds
}

// shopOf is a tree of permanent workers.
func shopOf(ids ...string) *supervisor.Spec {
	policy := supervisor.DefaultRestartPolicy()
	policy.MaxRestarts = 0
	spec := &supervisor.Spec{Name: "shop", Strategy: supervisor.OneForOne, RestartPolicy: policy, RetryAfter: 10 * time.Second}
	for _, id := range ids {
		spec.Children = append(spec.Children, supervisor.ChildSpec{
			ID: id, RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"x"}},
		})
	}
	return spec
}

func TestNextCondemnsBeforeItPlaces(t *testing.T) {
	s := newState(t)
	s.node("n1", nil)
	s.node("n2", nil)
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopOf("a", "b")})
	dead := sign{silent: time.Minute, gossip: gossip.Dead, dead: time.Minute}
	cmds := s.next(inputs{signs: map[string]sign{"n1": dead, "n2": {session: true}}})
	if len(cmds) != 1 || cmds[0].Type != fsm.TypeNodeLost || *cmds[0].Node != (fsm.NodeRef{ID: "n1", Boot: "b1", Reason: cmds[0].Node.Reason, Apart: true}) {
		t.Fatalf("with a dead node and children to place: %+v", cmds)
	}
	if again := s.next(inputs{signs: map[string]sign{"n1": dead}}); len(again) != 1 {
		t.Errorf("before it is in the state it is not proposed again: %+v", again)
	}
	s.apply(cmds...)
	cmds = s.next(inputs{signs: map[string]sign{"n1": dead, "n2": {session: true}}})
	if len(cmds) != 1 || cmds[0].Type != fsm.TypeAssign || len(cmds[0].Assign) != 2 {
		t.Fatalf("after the loss: %+v", cmds)
	}
	for _, a := range cmds[0].Assign {
		if a.Node != "n2" || a.Why == "" {
			t.Errorf("%+v, want n2 and why", a)
		}
	}
	s.apply(cmds...)
	if cmds := s.next(inputs{}); len(cmds) != 0 {
		t.Errorf("with nothing to do: %+v", cmds)
	}
}

func TestNextKnowsNothingOfUnheardNodes(t *testing.T) {
	s := newState(t)
	s.node("n1", nil)
	if cmds := s.next(inputs{signs: map[string]sign{}}); len(cmds) != 0 {
		t.Errorf("a node without signs: %+v", cmds)
	}
}

func TestNextStartsFailedTreesAgain(t *testing.T) {
	s := newState(t)
	s.node("n1", nil)
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopOf("a")})
	s.apply(s.next(inputs{})...)
	var epoch supervisor.Epoch
	s.m.View(func(v fsm.View) { c, _ := v.Tree("shop").Child("shop/a"); epoch = c.Epoch })
	s.clock = 5 * time.Second
	s.apply(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{
		{Path: "shop/a", Epoch: epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1},
	}})
	if cmds := s.next(inputs{now: 15*time.Second - 1}); len(cmds) != 0 {
		t.Errorf("before its time: %+v", cmds)
	}
	cmds := s.next(inputs{now: 15 * time.Second})
	if len(cmds) != 1 || cmds[0].Verb == nil || cmds[0].Verb.Path != "shop" || cmds[0].By != supervisor.RetryBy {
		t.Fatalf("at its time: %+v", cmds)
	}
	s.clock = 15 * time.Second
	s.apply(cmds...)
	if cmds := s.next(inputs{now: 20 * time.Second}); len(cmds) != 1 || cmds[0].Type != fsm.TypeAssign {
		t.Errorf("after it began again: %+v", cmds)
	}
}

func TestAssignAndExplain(t *testing.T) {
	s := newState(t)
	s.node("n1", map[string]string{"disk": "ssd"})
	s.node("n2", nil)
	spec := shopOf("a", "b", "c")
	spec.Children[0].Placement.Needs = map[string]string{"disk": "ssd"}
	spec.Children[1].Placement.ApartFrom = []string{"shop/a"}
	spec.Children[2].Placement.Needs = map[string]string{"disk": "tape"}
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: spec})
	s.m.View(func(v fsm.View) {
		assigns := assign(v, pace{}, 0, 0)
		var got []string
		for _, a := range assigns {
			got = append(got, a.Path+" "+a.Node)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"shop/a n1", "shop/b n2"}) {
			t.Errorf("assigned %v", got)
		}
		if r, ok := Explain(v, "shop/c"); !ok || r.Node != "" || len(r.Refusals) != 2 {
			t.Errorf("why c waits: %v %+v", ok, r)
		}
		if r, ok := Explain(v, "shop/a"); !ok || !strings.Contains(r.Why, "will go to n1") {
			t.Errorf("where a goes: %v %+v", ok, r)
		}
		for _, path := range []string{"shop", "shop/nobody", "other/a"} {
			if _, ok := Explain(v, path); ok {
				t.Errorf("%s waits for nothing", path)
			}
		}
	})
	s.apply(fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "n1", On: true}})
	s.m.View(func(v fsm.View) {
		for _, a := range assign(v, pace{}, 0, 0) {
			if a.Node == "n1" {
				t.Errorf("%s goes to a node that is draining", a.Path)
			}
		}
		if r, _ := Explain(v, "shop/a"); !strings.Contains(fmt.Sprint(r), "draining") {
			t.Errorf("why a waits: %+v", r)
		}
	})
}

// TestRegressionBehindThoseThatFitNowhere: under jepsen-lite's overload a child whose
// node was killed was never given another, as more lives than one entry takes waited
// before it for a node that there is not.
func TestRegressionBehindThoseThatFitNowhere(t *testing.T) {
	s := newState(t)
	s.node("n1", nil)
	var ids []string
	for i := range 2*maxAssigns + 1 {
		ids = append(ids, fmt.Sprint("x", i))
	}
	stuck := shopOf(ids...)
	stuck.Name = "stuck"
	for i := range stuck.Children {
		stuck.Children[i].Placement.Needs = map[string]string{"disk": "tape"}
	}
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: stuck})
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopOf("a")})
	for turn := range 3 {
		cmds := s.next(inputs{turn: turn})
		if len(cmds) == 1 && len(cmds[0].Assign) == 1 && cmds[0].Assign[0].Path == "shop/a" {
			return
		}
		if len(cmds) > 0 {
			t.Fatalf("turn %d: %+v", turn, cmds)
		}
	}
	t.Error("nobody looks at what waits behind those that fit nowhere")
}

// TestInTurn: each that waits has its turn, once a round, and no turn is too large.
func TestInTurn(t *testing.T) {
	for _, n := range []int{0, 1, maxAssigns, maxAssigns + 1, 3 * maxAssigns, 3*maxAssigns + 7} {
		seen := make(map[string]int)
		reqs := make([]supervisor.Request, n)
		for i := range reqs {
			reqs[i].Path = fmt.Sprint(i)
		}
		for turn := range max(1, (n+maxAssigns-1)/maxAssigns) {
			some := inTurn(reqs, turn+12) // 12 is a whole number of rounds
			if len(some) > maxAssigns {
				t.Errorf("%d at once", len(some))
			}
			for _, r := range some {
				seen[r.Path]++
			}
		}
		for path, times := range seen { // order-free: each alone
			if times != 1 {
				t.Errorf("of %d, %s had %d turns", n, path, times)
			}
		}
		if len(seen) != n {
			t.Errorf("%d of %d had a turn", len(seen), n)
		}
	}
}

// TestMoveToWhereItDoesNotFit: a child that an operator sends to a node which
// cannot take it goes elsewhere; it must not stay down.
func TestMoveToWhereItDoesNotFit(t *testing.T) {
	for name, spoil := range map[string]func(s *state){
		"apart": func(*state) {},
		"lost": func(s *state) {
			s.apply(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: "n1", Boot: "b1", Reason: "test"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(t)
			s.node("n1", map[string]string{"disk": "ssd"})
			s.node("n2", nil)
			s.node("n3", nil)
			spec := shopOf("a", "b")
			spec.Children[0].Placement.Nodes = []string{"n1"}
			spec.Children[1].Placement.ApartFrom = []string{"shop/a"}
			s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: spec})
			s.apply(s.next(inputs{})...)
			s.apply(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: "move", Path: "shop/b", To: "n1"}})
			s.stopped("shop/b")
			spoil(s)
			s.m.View(func(v fsm.View) {
				r, waits := Explain(v, "shop/b")
				if !waits || r.Node == "" || !strings.Contains(r.Why, "asked for") {
					t.Errorf("why: %v %+v", waits, r)
				}
				assigns := assign(v, pace{}, 0, 0)
				i := slices.IndexFunc(assigns, func(a supervisor.Assign) bool { return a.Path == "shop/b" })
				if i < 0 || assigns[i].Node == "n1" || !strings.Contains(assigns[i].Why, "; instead: ") {
					t.Errorf("assigned %+v", assigns)
				}
			})
		})
	}
}

// stopped reports the end that a move waits for.
func (s *state) stopped(path string) {
	s.t.Helper()
	var ev supervisor.ChildEvent
	s.m.View(func(v fsm.View) {
		if _, o, ok := v.Order(path); ok && o.Action == supervisor.Halt {
			ev = supervisor.ChildEvent{Path: path, Epoch: o.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitKilled}
		}
	})
	if ev.Path == "" {
		s.t.Fatalf("%s is not told to stop", path)
	}
	s.apply(fsm.Command{Type: fsm.TypeEvents, Events: []supervisor.ChildEvent{ev}})
}
