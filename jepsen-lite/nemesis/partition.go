package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

var partitions = []kind{
	{name: "partition-halves", line: "the cluster cut into two halves", needs: lab.CanCut, target: All, uses: theLinks, strike: halves},
	{name: "partition-one", line: "one node cut off from all others", needs: lab.CanCut, target: One, uses: theLinks, strike: isolate},
	{name: "partition-leader", line: "the node that leads cut off from all others", needs: lab.CanCut, target: Leader, uses: theLinks, strike: isolate},
	{name: "partition-majority", line: "the leader in the minority, a majority on the other side", needs: lab.CanCut, target: Leader, uses: theLinks, strike: leaderInMinority},
	{name: "partition-ring", line: "every node sees a majority, and no two the same one (4 nodes or more)", needs: lab.CanCut, target: All, uses: theLinks, strike: ring},
	{name: "partition-bridge", line: "two halves that only one node sees both of", needs: lab.CanCut, target: All, uses: theLinks, strike: bridge},
	{name: "partition-one-way", line: "one node heard by nobody, or hearing nobody", needs: lab.CanCut, target: One, uses: theLinks, strike: oneWay},
	{name: "partition-leader-mute", line: "the node that leads hears all and is heard by nobody", needs: lab.CanCut, target: Leader, uses: theLinks, strike: mute},
	{name: "partition-gossip", line: "one node cut off on the gossip port only", needs: lab.CanCut, target: One, uses: theLinks, strike: gossipOnly},
	{name: "partition-raft", line: "one node cut off on the cluster port only: raft and sessions", needs: lab.CanCut, target: One, uses: theLinks, strike: raftOnly},
	{name: "partition-flapping", line: "random halves, cut for 0.2 to 5 s and healed as long", needs: lab.CanCut, target: All, uses: theLinks, strike: flapping},
	{name: "partition-shatter", line: "every node cut off from every other", needs: lab.CanCut, target: All, uses: theLinks, strike: shatter, big: true},
}

// way is one directed link.
type way struct{ from, to string }

// both are the ways in both directions between two groups, each once.
func both(a, b []lab.Node) (ways []way) {
	seen := make(map[way]bool)
	add := func(from, to string) {
		if w := (way{from, to}); from != to && !seen[w] {
			seen[w] = true
			ways = append(ways, w)
		}
	}
	for _, x := range a {
		for _, y := range b {
			add(x.Name(), y.Name())
			add(y.Name(), x.Name())
		}
	}
	return ways
}

// rest of the nodes, without those given.
func (s *strike) others(nodes []lab.Node) []lab.Node {
	return slices.DeleteFunc(slices.Clone(s.all), func(n lab.Node) bool {
		return slices.ContainsFunc(nodes, func(m lab.Node) bool { return m.Name() == n.Name() })
	})
}

// apply sets a rule on ways, and undoes exactly that.
func (s *strike) apply(ways []way, ports lab.Ports, rule lab.Rule) error {
	net := s.lab.Network()
	s.undo(func(context.Context) error { return setAll(net, ways, ports, lab.Rule{}) })
	return setAll(net, ways, ports, rule)
}

func setAll(net lab.Network, ways []way, ports lab.Ports, rule lab.Rule) error {
	var errs []error
	for _, w := range ways {
		errs = append(errs, net.Set(w.from, w.to, ports, rule))
	}
	return errors.Join(errs...)
}

// watch counts what the switch does from now on as traces of this fault.
func (s *strike) watch(ways []way) error {
	before, err := sum(s.lab.Network(), ways)
	if err != nil {
		return err
	}
	s.later(func(e Evidence) {
		now, err := sum(s.lab.Network(), ways)
		if err != nil {
			return // the lab has gone; what was counted last stands
		}
		for what, n := range map[string]uint64{
			"packets cut": now.Cut - before.Cut, "packets lost": now.Lost - before.Lost, "packets delayed": now.Delayed - before.Delayed,
			"packets duplicated": now.Duplicated - before.Duplicated, "packets reordered": now.Reordered - before.Reordered,
		} {
			if n > 0 {
				e[what] = n
			}
		}
	})
	return nil
}

func sum(net lab.Network, ways []way) (t lab.Traffic, err error) {
	for _, w := range ways {
		more, err := net.Traffic(w.from, w.to)
		if err != nil {
			return t, err
		}
		t.Cut += more.Cut
		t.Lost += more.Lost
		t.Delayed += more.Delayed
		t.Duplicated += more.Duplicated
		t.Reordered += more.Reordered
	}
	return t, nil
}

// cut cuts ways until healing.
func (s *strike) cut(ways []way, ports lab.Ports) error {
	if len(ways) == 0 {
		return errors.New("there are too few nodes to cut anything")
	}
	if err := errors.Join(s.watch(ways), s.apply(ways, ports, lab.Rule{Cut: true})); err != nil {
		return err
	}
	over := s.isolated(ways, ports)
	s.undo(func(context.Context) error { over(); return nil }) // before the rules go
	return nil
}

// isolated says which nodes are cut off from a majority while these ways are cut.
func (s *strike) isolated(ways []way, ports lab.Ports) (over func()) {
	if alone := alone(s.all, ways); len(alone) > 0 && ports&lab.Cluster != 0 {
		return s.effect(history.CutOff, alone)
	}
	return func() {}
}

// alone are the nodes whose packets, even if others pass on what they say, reach
// less than a majority of voters: whoever they could speak with are fewer than
// that. A link that works one way counts, so nobody is called alone who is not.
func alone(all []lab.Node, ways []way) (found []lab.Node) {
	cut := make(map[way]bool)
	for _, w := range ways {
		cut[w] = true
	}
	linked := func(a, b string) bool { return a != b && !(cut[way{a, b}] && cut[way{b, a}]) }
	for _, n := range all {
		reached := map[string]bool{n.Name(): true}
		for grown := true; grown; {
			grown = false
			for _, m := range namesOf(all) {
				for from := range reached { // order-free: it ends with the same set
					if !reached[m] && linked(from, m) {
						reached[m], grown = true, true
					}
				}
			}
		}
		if len(reached) < lab.Voters(len(all))/2+1 {
			found = append(found, n)
		}
	}
	return found
}

// split draws a group of the given size.
func (s *strike) split(size int) (a, b []lab.Node) {
	shuffled := slices.Clone(s.all)
	s.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:size], shuffled[size:]
}

func halves(_ context.Context, s *strike) error {
	a, b := s.split(len(s.all) / 2)
	s.nodes = a
	s.says("%s cut off from %s", list(a), list(b))
	return s.cut(both(a, b), lab.AllPorts)
}

func isolate(_ context.Context, s *strike) error {
	s.says("%s cut off from all others", list(s.nodes))
	return s.cut(both(s.nodes, s.others(s.nodes)), lab.AllPorts)
}

func leaderInMinority(_ context.Context, s *strike) error {
	b := s.others(s.nodes)
	s.rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
	with := (len(s.all)-1)/2 - 1 // companions of the leader
	if with > 0 {
		s.nodes = append(s.nodes, b[:with]...)
		b = b[with:]
	}
	s.says("%s with the leader cut off from the majority %s", list(s.nodes), list(b))
	return s.cut(both(s.nodes, b), lab.AllPorts)
}

// ring lets each node see as many neighbours on a ring as make a majority.
func ring(_ context.Context, s *strike) error {
	n := len(s.all)
	if n < 4 {
		return &lab.Unable{Why: "a ring of majorities needs 4 nodes"}
	}
	around, _ := s.split(n)
	reach := (n/2 + 1) / 2 // neighbours on each side
	var ways []way
	for i := range n {
		for d := reach + 1; d < n-reach; d++ {
			ways = append(ways, way{around[i].Name(), around[(i+d)%n].Name()})
		}
	}
	s.says("ring %s: each sees %d on either side", list(around), reach)
	s.traits(func(t *Traits) { t.Quorum = false })
	return s.cut(ways, lab.AllPorts)
}

func bridge(_ context.Context, s *strike) error {
	if len(s.all) < 3 {
		return &lab.Unable{Why: "a bridge needs 3 nodes"}
	}
	around, _ := s.split(len(s.all))
	middle, others := around[0], around[1:]
	a, b := others[:len(others)/2], others[len(others)/2:]
	s.nodes = a
	s.says("%s cut off from %s; only %s sees both", list(a), list(b), middle.Name())
	return s.cut(both(a, b), lab.AllPorts)
}

func oneWay(ctx context.Context, s *strike) error {
	if s.rng.IntN(2) == 0 {
		return mute(ctx, s)
	}
	var ways []way
	for _, n := range s.nodes {
		for _, m := range s.others(s.nodes) {
			ways = append(ways, way{m.Name(), n.Name()})
		}
	}
	s.says("%s hears nobody", list(s.nodes))
	return s.cut(ways, lab.AllPorts)
}

func mute(_ context.Context, s *strike) error {
	var ways []way
	for _, n := range s.nodes {
		for _, m := range s.others(s.nodes) {
			ways = append(ways, way{n.Name(), m.Name()})
		}
	}
	s.says("%s is heard by nobody", list(s.nodes))
	return s.cut(ways, lab.AllPorts)
}

func gossipOnly(_ context.Context, s *strike) error {
	s.says("%s cut off on the gossip port", list(s.nodes))
	return s.cut(both(s.nodes, s.others(s.nodes)), lab.Gossip)
}

func raftOnly(_ context.Context, s *strike) error {
	s.says("%s cut off on the cluster port", list(s.nodes))
	return s.cut(both(s.nodes, s.others(s.nodes)), lab.Cluster)
}

func shatter(_ context.Context, s *strike) error {
	s.says("every node alone")
	return s.cut(both(s.all, s.all), lab.AllPorts)
}

func flapping(_ context.Context, s *strike) error {
	type flap struct {
		ways       []way
		cut, whole time.Duration
	}
	plan := make([]flap, 64)
	for i := range plan {
		a, b := s.split(len(s.all) / 2)
		plan[i] = flap{both(a, b), s.between(200*time.Millisecond, 5*time.Second), s.between(200*time.Millisecond, 5*time.Second)}
	}
	every := both(s.all, s.all)
	if err := s.watch(every); err != nil {
		return err
	}
	s.says("random halves of %s, cut and healed", list(s.all))
	s.traits(func(t *Traits) { t.Quorum = false })
	net, i := s.lab.Network(), 0
	s.loop.start(func(quit <-chan struct{}) (bool, error) {
		f := plan[i%len(plan)]
		i++
		if err := setAll(net, f.ways, lab.AllPorts, lab.Rule{Cut: true}); err != nil {
			return false, fmt.Errorf("cannot cut: %w", err)
		}
		whole := s.isolated(f.ways, lab.AllPorts)
		over := rest(quit, f.cut)
		whole()
		if err := setAll(net, f.ways, lab.AllPorts, lab.Rule{}); err != nil {
			return false, fmt.Errorf("cannot heal: %w", err)
		}
		return !over && !rest(quit, f.whole), nil
	})
	return nil
}
