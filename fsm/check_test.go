package fsm

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// recounted is what is derived from the trees, counted anew.
type recounted struct {
	places  map[string]place
	where   map[string]string
	apart   map[string][]string
	used    map[string]Used
	pending map[string]bool
	against map[string]map[string]bool
	graph   graph
}

func recount(s *state) recounted {
	r := recounted{
		places: make(map[string]place), where: make(map[string]string), apart: make(map[string][]string),
		used: make(map[string]Used), pending: make(map[string]bool), against: make(map[string]map[string]bool),
		graph: graphOf(s.trees),
	}
	for path, f := range s.faults {
		if !f.Roams && r.against[f.Node] == nil {
			r.against[f.Node] = make(map[string]bool)
		}
		if !f.Roams {
			r.against[f.Node][path] = true
		}
	}
	for _, t := range s.trees {
		for _, c := range t.Children() {
			if _, ok := t.Request(c.Path); ok {
				r.pending[c.Path] = true
			}
			node, p, ok := t.Placed(c.Path)
			if !ok {
				continue
			}
			r.places[c.Path], r.where[c.Path] = place{node, p.CPU, p.Memory}, node
			if len(p.ApartFrom) > 0 {
				r.apart[c.Path] = p.ApartFrom
			}
			u := r.used[node]
			r.used[node] = Used{u.CPU + p.CPU, u.Memory + p.Memory, u.Children + 1}
		}
	}
	return r
}

// checkDerived: what is kept up step by step equals a recount.
func checkDerived(f failer, m *Machine) {
	f.Helper()
	s := &m.s
	got := recounted{s.places, s.where, s.apart, s.used, s.pending, s.against, s.graph}
	if want := recount(s); !reflect.DeepEqual(got, want) {
		f.Fatalf("index %d: the derived state is\n%+v, recounted it is\n%+v", s.index, got, want)
	}
}

// told is what a reader of TakeChanged knows of a path.
type told struct {
	node    string
	order   supervisor.Order
	request supervisor.Request
}

// look reads one path.
func look(v View, path string) (told, bool) {
	var t told
	ordered, requested := false, false
	t.node, t.order, ordered = v.Order(path)
	if tree := v.Tree(supervisor.TreeName(path)); tree != nil {
		t.request, requested = tree.Request(path)
	}
	return t, ordered || requested
}

// follower keeps a picture of all orders and requests, reading again only what
// TakeChanged names.
type follower map[string]told

func (l follower) follow(f failer, m *Machine) {
	f.Helper()
	paths, _ := m.TakeChanged()
	m.View(func(v View) {
		for _, path := range paths {
			delete(l, path)
			if t, ok := look(v, path); ok {
				l[path] = t
			}
		}
		if all := everything(v); !reflect.DeepEqual(map[string]told(l), all) {
			f.Fatalf("index %d: by TakeChanged the orders and requests are\n%+v, in truth\n%+v", v.Index(), l, all)
		}
	})
}

// everything reads all paths.
func everything(v View) map[string]told {
	all := make(map[string]told)
	for _, name := range v.TreeNames() {
		for _, c := range v.Tree(name).Children() {
			if t, ok := look(v, c.Path); ok {
				all[c.Path] = t
			}
		}
	}
	return all
}

// checkOrders: over all nodes every life that a node holds is ordered exactly
// once. A node that is not alive has nothing in use and no order, but for exclusive
// lives until it is fenced; no node that holds one is unknown.
func checkOrders(f failer, m *Machine) {
	f.Helper()
	m.View(func(v View) {
		seen := make(map[string]string)
		for _, id := range append(slices.Clone(nodeIDs), "n9") {
			orders := v.Orders(id)
			n, err := v.Node(id)
			known := err == nil && n.ID == id
			if over := !known || n.State != NodeAlive && n.Fenced; over && (len(orders) > 0 || v.Used(id) != Used{}) {
				f.Fatalf("index %d: %s is not alive, has orders %+v and use %+v", v.Index(), id, orders, v.Used(id))
			}
			if known && n.Unfenced() {
				checkUnfenced(f, v, n, orders)
			}
			for _, o := range orders {
				if seen[o.Path] != "" {
					f.Fatalf("index %d: %s is ordered twice, on %s and %s", v.Index(), o.Path, seen[o.Path], id)
				}
				seen[o.Path] = id
			}
		}
		if held := heldLives(v); !maps.Equal(seen, held) {
			f.Fatalf("index %d: ordered are %v, held %v", v.Index(), seen, held)
		}
	})
}

// checkUnfenced: what a node in limbo holds is exclusive. It is listed for who is to
// fence it.
func checkUnfenced(f failer, v View, n *Node, orders []supervisor.Order) {
	f.Helper()
	if !slices.ContainsFunc(v.Unfenced(), func(u *Node) bool { return u.ID == n.ID }) {
		f.Fatalf("index %d: %s is not fenced and not listed", v.Index(), n.ID)
	}
	if v.Used(n.ID).Children != len(orders) {
		f.Fatalf("index %d: %s is not alive, has orders %+v and use %+v", v.Index(), n.ID, orders, v.Used(n.ID))
	}
}

// heldLives maps every path that a process may exist for to its node.
func heldLives(v View) map[string]string {
	held := make(map[string]string)
	for _, name := range v.TreeNames() {
		t := v.Tree(name)
		for _, c := range t.Children() {
			_, _, released := t.Order(c.Path)
			switch c.Phase {
			case supervisor.PhaseRunning, supervisor.PhaseStopping:
				if !c.Supervisor {
					held[c.Path] = c.Node
				}
			case supervisor.PhaseStarting, supervisor.PhaseBackoff:
				if released {
					held[c.Path] = c.Node
				}
			}
		}
	}
	return held
}

// epochs holds the highest epoch seen of each path.
type epochs map[string]supervisor.Epoch

// grow: epochs only grow (P1). A child that has not had a life has none.
func (e epochs) grow(f failer, m *Machine) {
	f.Helper()
	m.View(func(v View) {
		for _, name := range v.TreeNames() {
			for _, c := range v.Tree(name).Children() {
				if c.Epoch != 0 && c.Epoch < e[c.Path] {
					f.Fatalf("index %d: the epoch of %s fell from %v to %v", v.Index(), c.Path, e[c.Path], c.Epoch)
				}
				e[c.Path] = max(e[c.Path], c.Epoch)
			}
		}
	})
}

// checkRecords: the stream is ordered by (Index, N) without a gap within an
// entry, and its time does not go back.
func checkRecords(f failer, m *Machine) {
	f.Helper()
	all := m.s.records
	for i, r := range all {
		switch {
		case i == 0:
		case r.Index == all[i-1].Index && r.N != all[i-1].N+1, r.Index < all[i-1].Index, r.Time < all[i-1].Time,
			r.Index > all[i-1].Index && r.N != 0:
			f.Fatalf("record %d.%d at %v follows %d.%d at %v", r.Index, r.N, r.Time, all[i-1].Index, all[i-1].N, all[i-1].Time)
		}
	}
}

// sameState: both machines have the same bytes.
func sameState(f failer, what string, a, b *Machine) {
	f.Helper()
	if x, y := snapshotOf(f, a), snapshotOf(f, b); !bytes.Equal(x, y) {
		f.Fatalf("index %d: %s differs:\n%s\n%s", a.s.index, what, diagnose(f, x), diagnose(f, y))
	}
}

// answer is all that a result says.
func answer(results []Result) string { return fmt.Sprintf("%+v", results) }
