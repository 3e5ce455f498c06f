package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

func dice(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// inject does a fault to a fake of n nodes.
func inject(t *testing.T, name string, n int, seed uint64, target Target) (*fake, Fault) {
	t.Helper()
	l := newFake(n)
	f, err := find(name).Inject(background, l, dice(seed), target)
	if err != nil {
		t.Fatalf("%s on %d nodes: %v", name, n, err)
	}
	return l, f
}

// reach are the nodes that a node can speak with both ways, itself included.
func reach(l *fake, n lab.Node, port lab.Ports) (names []string) {
	for _, m := range l.nodes {
		if m.Name() == n.Name() || l.sees(n, m, port) && l.sees(m, n, port) {
			names = append(names, m.Name())
		}
	}
	return names
}

// TestShapes: what each partition is, on 3 to 7 nodes and several seeds, and that
// nothing is left of it.
func TestShapes(t *testing.T) {
	shapes := []struct {
		name  string
		least int
		check func(l *fake, f Fault, views [][]string) string
	}{
		{"partition-halves", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(!slices.ContainsFunc(views, func(v []string) bool { return len(v) != len(l.nodes)/2 && len(v) != len(l.nodes)-len(l.nodes)/2 }), "not halves")
		}},
		{"partition-one", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(countLen(views, 1) == 1 && countLen(views, len(l.nodes)-1) == len(l.nodes)-1, "not one alone")
		}},
		{"partition-leader", 3, func(l *fake, _ Fault, views [][]string) string { return when(len(views[1]) == 1, "n2 is not alone") }},
		{"partition-majority", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(len(views[1]) <= (len(l.nodes)-1)/2 && countLen(views, len(l.nodes)-len(views[1])) >= len(l.nodes)/2, "the leader has the majority")
		}},
		{"partition-ring", 4, func(l *fake, _ Fault, views [][]string) string {
			seen := map[string]bool{}
			for _, v := range views {
				if len(v) <= len(l.nodes)/2 || len(v) == len(l.nodes) || seen[strings.Join(v, " ")] {
					return "not majorities that all differ"
				}
				seen[strings.Join(v, " ")] = true
			}
			return ""
		}},
		{"partition-bridge", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(countLen(views, len(l.nodes)) == 1 && countLen(views, len(l.nodes)/2+1)+countLen(views, (len(l.nodes)-1)/2+1) >= len(l.nodes)-1, "not one bridge")
		}},
		{"partition-one-way", 3, func(l *fake, f Fault, views [][]string) string {
			return when(len(f.Record().Nodes) == 1 && cuts(l) == len(l.nodes)-1, "not one direction of one node")
		}},
		{"partition-leader-mute", 3, func(l *fake, _ Fault, _ [][]string) string {
			return when(cuts(l) == len(l.nodes)-1 && !l.sees(l.nodes[1], l.nodes[0], lab.Cluster) && l.sees(l.nodes[0], l.nodes[1], lab.Cluster), "not mute")
		}},
		{"partition-gossip", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(countLen(views, len(l.nodes)) == len(l.nodes) && cuts(l) == 2*(len(l.nodes)-1), "cuts the cluster port too")
		}},
		{"partition-raft", 3, func(l *fake, _ Fault, views [][]string) string { return when(countLen(views, 1) == 1, "not cut") }},
		{"partition-shatter", 3, func(l *fake, _ Fault, views [][]string) string {
			return when(countLen(views, 1) == len(l.nodes), "some see each other")
		}},
	}
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			for n := shape.least; n <= 7; n++ {
				for seed := range uint64(20) {
					l, f := inject(t, shape.name, n, seed, Any)
					var views [][]string
					for _, node := range l.nodes {
						views = append(views, reach(l, node, lab.Cluster))
					}
					if wrong := shape.check(l, f, views); wrong != "" {
						t.Fatalf("%d nodes, seed %d: %s: %s; views %v", n, seed, f.Record().What, wrong, views)
					}
					if !f.Evidence().Real() || f.Evidence()["packets cut"] == 0 {
						t.Fatalf("%d nodes, seed %d: no evidence: %v", n, seed, f.Evidence())
					}
					if err := f.Heal(background); err != nil || cuts(l) != 0 {
						t.Fatalf("%d nodes, seed %d: after healing (%v): %v", n, seed, err, l.rules)
					}
				}
			}
		})
	}
}

func when(ok bool, what string) string {
	if ok {
		return ""
	}
	return what
}

func countLen(views [][]string, size int) (n int) {
	for _, v := range views {
		if len(v) == size {
			n++
		}
	}
	return n
}

// cuts counts the directed links with any rule.
func cuts(l *fake) (n int) {
	for _, rules := range l.rules {
		if len(rules) > 0 {
			n++
		}
	}
	return n
}

// TestSeedsRepeat: a seed says the same fault twice, and seeds differ.
func TestSeedsRepeat(t *testing.T) {
	said := map[string]bool{}
	for seed := range uint64(20) {
		_, a := inject(t, "partition-halves", 5, seed, Any)
		_, b := inject(t, "partition-halves", 5, seed, Any)
		if a.Record().What != b.Record().What {
			t.Errorf("seed %d: %s, and then %s", seed, a.Record().What, b.Record().What)
		}
		said[a.Record().What] = true
	}
	if len(said) < 5 {
		t.Errorf("20 seeds cut only in these ways: %v", said)
	}
}

// TestTargets: each target hits as many as it says, and the one it says.
func TestTargets(t *testing.T) {
	for target, check := range map[Target]func(names []string) bool{
		One:      func(n []string) bool { return len(n) == 1 },
		Leader:   func(n []string) bool { return len(n) == 1 && n[0] == "n2" },
		Follower: func(n []string) bool { return len(n) == 1 && n[0] != "n2" },
		Minority: func(n []string) bool { return len(n) == 1 || len(n) == 2 },
		Majority: func(n []string) bool { return len(n) == 3 },
	} {
		for seed := range uint64(20) {
			_, f := inject(t, "partition-one", 5, seed, target)
			r := f.Record()
			if !check(r.Nodes) || r.Traits.Quorum != (len(r.Nodes) > 2) {
				t.Errorf("target %s, seed %d: %+v", target, seed, r)
			}
		}
	}
	if _, err := find("partition-one").Inject(background, newFake(5), dice(1), "nobody"); err == nil {
		t.Error("an unknown target was struck")
	}
}

// TestUnable: a lab that cannot do it says so with the error that makes the
// tester exit with 2.
func TestUnable(t *testing.T) {
	var u *lab.Unable
	if _, err := find("partition-one").Inject(background, unarmed{newFake(3)}, dice(1), Any); !errors.As(err, &u) {
		t.Errorf("got %v", err)
	}
	if _, err := find("partition-ring").Inject(background, newFake(3), dice(1), Any); !errors.As(err, &u) {
		t.Errorf("a ring of three: got %v", err)
	}
}

type unarmed struct{ *fake }

func (unarmed) Can() lab.Caps { return lab.CanKill }

// TestFailedStrikeIsUndone: of a fault that fails half-way nothing stays.
func TestFailedStrikeIsUndone(t *testing.T) {
	l := newFake(3)
	k := kind{name: "half", target: One, strike: func(_ context.Context, s *strike) error {
		return errors.Join(s.apply(both(s.nodes, s.all), lab.AllPorts, lab.Rule{Cut: true}), errors.New("the other half failed"))
	}}
	if _, err := k.Inject(background, l, dice(1), Any); err == nil || cuts(l) != 0 {
		t.Errorf("got %v with %v", err, l.rules)
	}
}

// TestSlow: the network's benign faults are within what P16 promises, and say so.
func TestSlow(t *testing.T) {
	for _, k := range slows {
		for seed := range uint64(20) {
			l, f := inject(t, k.name, 5, seed, Any)
			benign := f.Record().Traits.Benign
			if want := strings.HasPrefix(k.line, "benign"); benign != want {
				t.Errorf("%s: benign is %v", k.name, benign)
			}
			for w, rules := range l.rules {
				for _, r := range rules {
					if benign && (r.Cut || r.Loss > 0.1 || 2*(r.Delay+r.Jitter) > 200e6) {
						t.Errorf("%s, %v: %+v is beyond what is benign", k.name, w, r)
					}
				}
			}
			if err := f.Heal(background); err != nil || cuts(l) != 0 {
				t.Errorf("%s: after healing (%v): %v", k.name, err, l.rules)
			}
		}
	}
}

// TestList: names are unique, found, and have a line each.
func TestList(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range List() {
		if seen[n.Name()] || n.Line() == "" {
			t.Errorf("%q: twice, or without a line", n.Name())
		}
		seen[n.Name()] = true
		if same, err := Find(n.Name()); err != nil || same.Name() != n.Name() {
			t.Errorf("%q is not found: %v", n.Name(), err)
		}
	}
	if _, err := Find("earthquake"); err == nil {
		t.Error("an unknown nemesis was found")
	}
}

// TestLoopEnds: a loop that is busy when it shall end sees so at its next step. It
// was given no channel then, once, and went on for ever.
func TestLoopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l loop
		steps := 0
		l.start(func(quit <-chan struct{}) (bool, error) {
			time.Sleep(time.Second)
			steps++
			return steps == 1 || !rest(quit, time.Hour), nil
		})
		time.Sleep(time.Millisecond)
		if err := l.end(); err != nil || steps != 2 {
			t.Errorf("ended after %d steps: %v", steps, err)
		}
	})
}

type netOnly struct{ *fake }

func (netOnly) Can() lab.Caps { return lab.CanKill | lab.CanPause | lab.CanCut | lab.CanShape }

// TestMixed: faults at once are healed all, and a part without a trace makes the
// whole unreal.
func TestMixed(t *testing.T) {
	several := 0
	for seed := range uint64(40) {
		l := newFake(5)
		f, err := find("mixed").Inject(background, netOnly{l}, dice(seed), Any)
		if err != nil {
			continue // it drew only what needs processes, which a fake has not
		}
		if r := f.Record(); strings.Contains(r.What, ";") {
			several++
			for _, p := range Parts(f, 5) {
				if p.Traits.Benign {
					t.Errorf("seed %d: %s is benign", seed, r.What)
				}
			}
		}
		if err := f.Heal(background); err != nil || cuts(l) != 0 {
			t.Errorf("seed %d: after healing %s (%v): %v", seed, f.Record().What, err, l.rules)
		}
	}
	if several == 0 {
		t.Log("no seed drew two faults that a fake can do")
	}
	traced, untraced := &strike{traces: Evidence{"x": 1}}, &strike{traces: Evidence{}, record: Record{Nemesis: "y"}}
	if !(severalOf(traced).Evidence().Real()) || severalOf(traced, untraced).Evidence().Real() {
		t.Error("evidence of one part does for another")
	}
}

// TestDownByAnother: a fault that cannot be done leaves down what another, still in
// force, has brought down; and the other heals although a node came back before its
// time.
func TestDownByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"kill-rolling", "restart-node", "kill-all"} {
			l, f := inject(t, name, 5, 1, All)
			synctest.Wait()
			before := l.fallen()
			if len(before) == 0 {
				t.Fatalf("%s: no node is down", name)
			}
			for _, other := range []string{"pause-agent", "pause-keeper", "kill-agent"} {
				// A fake has no processes that could be stopped.
				if _, err := find(other).Inject(background, l, dice(1), All); err == nil {
					t.Fatalf("%s was done to nodes that are down", other)
				}
				if after := l.fallen(); !slices.Equal(after, before) {
					t.Errorf("%s failed to be done: down were %v, and now %v", other, before, after)
				}
			}
			if err := l.nodes[0].Start(background); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if err := f.Heal(background); err != nil || l.fallen() != nil {
				t.Errorf("%s: after healing (%v) %v are down", name, err, l.fallen())
			}
		}
	})
}

func severalOf(parts ...Fault) several { return several{parts: parts} }

// TestEffects: who is cut off is told by what was cut, not by the name.
func TestEffects(t *testing.T) {
	for name, alone := range map[string]func(l *fake, f Fault) []string{
		"partition-halves":      func(_ *fake, f Fault) []string { return f.Record().Nodes },
		"partition-one":         func(_ *fake, f Fault) []string { return f.Record().Nodes },
		"partition-leader":      func(*fake, Fault) []string { return []string{"n2"} },
		"partition-majority":    func(_ *fake, f Fault) []string { return f.Record().Nodes },
		"partition-raft":        func(_ *fake, f Fault) []string { return f.Record().Nodes },
		"partition-shatter":     func(l *fake, _ Fault) []string { return namesOf(l.nodes) },
		"partition-gossip":      func(*fake, Fault) []string { return nil },
		"partition-ring":        func(*fake, Fault) []string { return nil },
		"partition-bridge":      func(*fake, Fault) []string { return nil },
		"partition-leader-mute": func(*fake, Fault) []string { return nil },
		"partition-one-way":     func(*fake, Fault) []string { return nil },
		"slow-loss":             func(*fake, Fault) []string { return nil },
	} {
		for seed := range uint64(20) {
			l, f := inject(t, name, 5, seed, Any)
			want := alone(l, f)
			if err := f.Heal(background); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range f.Record().Effects {
				if e.Kind != history.CutOff || e.To.Before(e.From) || e.From.Before(f.Record().Start) || e.To.After(f.Record().End) {
					t.Errorf("%s: %+v", name, e)
				}
				got = append(got, e.Nodes...)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s, seed %d (%s): cut off %v, want %v", name, seed, f.Record().What, got, want)
			}
		}
	}
}

// TestAlone: of six nodes five vote, and none of two halves is surely a minority.
func TestAlone(t *testing.T) {
	for n, want := range map[int]int{3: 1, 4: 0, 5: 2, 6: 0, 7: 0} {
		l := newFake(n)
		half := l.nodes[:n/2]
		if got := alone(l.nodes, both(half, l.nodes[n/2:])); len(got) != want {
			t.Errorf("%d of %d nodes cut off: alone are %v", len(half), n, namesOf(got))
		}
	}
}

// TestFlappingEffects: each cut is told with its time.
func TestFlappingEffects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, f := inject(t, "partition-flapping", 5, 1, Any)
		time.Sleep(20 * time.Second)
		if err := f.Heal(background); err != nil {
			t.Fatal(err)
		}
		effects := f.Record().Effects
		for i, e := range effects {
			if len(e.Nodes) != 2 || !e.To.After(e.From) || i > 0 && e.From.Before(effects[i-1].To) {
				t.Errorf("effect %d: %+v", i, e)
			}
		}
		if len(effects) < 3 {
			t.Errorf("%d cuts in 20 s", len(effects))
		}
	})
}

// TestTogether: what can be at once is done at once, each part is told by itself,
// and nothing stays of it, nor of a pair of which one failed.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, err := Together([]Nemesis{find("partition-one"), find("kill-node")}, []Target{Any, Any})
		if err != nil {
			t.Fatal(err)
		}
		most := false
		for seed := range uint64(20) {
			l := newFake(3)
			f, err := pair.Inject(background, l, dice(seed), Any)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if cuts(l) == 0 || f.Heal(background) != nil || cuts(l) > 0 {
				t.Fatalf("seed %d: %+v leaves %v", seed, f.Record(), l.rules)
			}
			parts := Parts(f, 3)
			if len(parts) != 2 || f.Record().Nemesis != "partition-one+kill-node" || !parts[0].End.After(parts[1].Start) {
				t.Fatalf("seed %d: %+v", seed, parts)
			}
			two := parts[0].Nodes[0] != parts[1].Nodes[0]
			most = most || two
			if parts[0].Traits.Quorum != two || parts[1].Traits.Quorum != two {
				t.Errorf("seed %d: of 3 nodes %v and %v were struck: %+v", seed, parts[0].Nodes, parts[1].Nodes, parts[0].Traits)
			}
		}
		if !most {
			t.Error("no seed struck two nodes")
		}
		l := newFake(5)
		if pair, err = Together([]Nemesis{find("partition-one"), find("pause-agent")}, []Target{Any, Any}); err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Inject(background, l, dice(1), Any); err == nil || cuts(l) > 0 { // a fake has no agent to pause
			t.Errorf("half of a pair: %v with %v", err, l.rules)
		}
	})
}

// TestApart: what would undo the other's work is refused, with the reason.
func TestApart(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"partition-one", "slow-loss", "both set the rules of links"},
		{"kill-node", "kill-agent", "both end and start processes"},
		{"kill-node", "power-cut", "both end and start processes"},
		{"pause-agent", "freeze-node", "both stop processes"},
		{"disk-stall", "pause-agent", "both stop processes"},
		{"restart-node", "pause-agent", "both stop processes"},
		{"disk-stall", "disk-full", "both work on disks"},
		{"clock-rate", "clock-wall", "both set clocks"},
		{"pause-keeper", "kill-agent", "nobody is left"},
		{"disk-full", "pause-keeper", "nobody is left"},
		{"none", "kill-node", "cannot do none with another"},
		{"kill-node", "mixed", "cannot do mixed with another"},
		{"partition-one", "pause-agent", ""},
		{"kill-node", "clock-rate", ""},
		{"disk-stall", "partition-one", ""},
		{"freeze-node", "partition-halves", ""},
		{"kill-node", "pause-keeper", ""},
	} {
		_, err := Together([]Nemesis{find(tt.a), find(tt.b)}, []Target{Any, Any})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s+%s: %v, want %q", tt.a, tt.b, err, tt.want)
		}
	}
}
