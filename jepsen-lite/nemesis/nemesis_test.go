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
			if r.Traits.Benign {
				t.Errorf("seed %d: %s is benign", seed, r.What)
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

func severalOf(parts ...Fault) several { return parts }
