package placement

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// TestTieHashIsPinned keeps children where they are over upgrades.
func TestTieHashIsPinned(t *testing.T) {
	for id, want := range map[string]uint64{"n1": 0x94c69879ada9b3bf, "n2": 0x53144954f8e2f86c} {
		if got := tieHash("shop/web/api", id); got != want {
			t.Errorf("tieHash(shop/web/api, %s) = %#x, want %#x", id, got, want)
		}
	}
}

// TestTieSpreads checks that the hash alone deals children out evenly, also
// over ids that differ in one character only, and that a node that leaves moves
// only its own children.
func TestTieSpreads(t *testing.T) {
	const children, nodes = 3000, 5
	in := Input{Nodes: freshNodes(nodes)}
	count := map[string]int{}
	moved := 0
	for i := range children {
		r := worker(fmt.Sprintf("shop/w%d", i))
		node := Place(r, in).Node
		count[node]++
		without := Place(r, Input{Nodes: in.Nodes[1:]}).Node
		if node != in.Nodes[0].ID && without != node {
			moved++
		}
	}
	for _, n := range in.Nodes {
		if c := count[n.ID]; c < children/nodes*8/10 || c > children/nodes*12/10 {
			t.Errorf("node %s has %d of %d children, want about %d", n.ID, c, children, children/nodes)
		}
	}
	if moved > 0 {
		t.Errorf("%d children moved between nodes that stayed", moved)
	}
}

// TestExtremes: amounts at the ends of int64 neither overflow nor fit by it.
func TestExtremes(t *testing.T) {
	n := Node{ID: "n1", Eligible: true}
	huge := worker("shop/huge")
	huge.Placement.CPU, huge.Placement.Memory = math.MaxInt64, math.MaxInt64
	second := huge
	second.Path = "shop/huge2"
	for _, r := range PlaceAll([]supervisor.Request{huge, second}, Input{Nodes: []Node{n}}) {
		if r.Node != "n1" {
			t.Errorf("a node of unknown capacity refused: %v", r)
		}
	}
	n.CPU, n.Memory = math.MaxInt64, math.MaxInt64
	got := PlaceAll([]supervisor.Request{huge, second}, Input{Nodes: []Node{n}})
	if got[0].Node != "n1" || got[1].Node != "" {
		t.Errorf("a node must be filled once and then refuse, got %v", got)
	}
	negative := worker("shop/negative")
	negative.Placement.CPU = -5
	full := Node{ID: "n1", CPU: 1, Used: Used{CPU: 9}, Eligible: true}
	if got := Place(negative, Input{Nodes: []Node{full}}); got.Node != "n1" {
		t.Errorf("a negative demand must ask for nothing, got %v", got)
	}
}

// TestReasonDefaults: a node that is not eligible is refused even without a word why.
func TestReasonDefaults(t *testing.T) {
	got := Place(worker("shop/a"), Input{Nodes: []Node{{ID: "n1"}}})
	if want := []Refusal{{Node: "n1", Reason: "not eligible"}}; !slices.Equal(got.Refusals, want) {
		t.Errorf("refusals %v, want %v", got.Refusals, want)
	}
	if got := Place(worker("shop/a"), Input{}); got.Node != "" || got.Why != "there is no node" {
		t.Errorf("without nodes: %v", got)
	}
}

// TestRefusalNeverShowsEqualSizes: a byte too much is still seen to be too much.
func TestRefusalNeverShowsEqualSizes(t *testing.T) {
	for _, size := range []int64{100, 1 << 10, 1536 << 20, 3<<30 + 7, 5 << 40} {
		r := worker("shop/a")
		r.Placement.Memory = size + 1
		reason := Place(r, Input{Nodes: []Node{{ID: "n1", Memory: size, Eligible: true}}}).Refusals[0].Reason
		ask, rest, _ := strings.Cut(strings.TrimPrefix(reason, "asks "), " memory, ")
		if left, _, _ := strings.Cut(rest, " of "); left == ask {
			t.Errorf("size %d: %s", size, reason)
		}
	}
}

// TestStormIsEven places the storms: as many children on every node, all of a
// group on different nodes, and nothing where nothing fits.
func TestStormIsEven(t *testing.T) {
	for name, storm := range storms(2_000) {
		count := map[string]int{}
		group := map[string]bool{}
		for i, r := range PlaceAll(storm.reqs, storm.in) {
			count[r.Node]++
			key := fmt.Sprintf("%d %s", i/50, r.Node)
			if name == "apart" && group[key] {
				t.Errorf("%s: two of a group are on node %s", name, r.Node)
			}
			group[key] = true
		}
		if name == "refused" {
			if count[""] != len(storm.reqs) {
				t.Errorf("%s: %d of %d are without a node", name, count[""], len(storm.reqs))
			}
			continue
		}
		for _, n := range storm.in.Nodes {
			if want := len(storm.reqs) / len(storm.in.Nodes); count[n.ID] != want {
				t.Errorf("%s: %d children on %s, want %d", name, count[n.ID], n.ID, want)
			}
		}
	}
}

func BenchmarkPlaceAll(b *testing.B) {
	all := storms(10_000)
	for _, name := range []string{"spread", "apart", "refused"} {
		b.Run(name+"/10000x100", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				PlaceAll(all[name].reqs, all[name].in)
			}
		})
	}
}

func BenchmarkPlaceOne(b *testing.B) {
	in := Input{Nodes: freshNodes(100)}
	b.ReportAllocs()
	for b.Loop() {
		Place(worker("shop/web/api"), in)
	}
}

type storm struct {
	reqs []supervisor.Request
	in   Input
}

// storms are requests on 100 nodes: all placed by room; in groups of 50 that keep
// apart, beside as many placed children; and all refused by every node.
func storms(requests int) map[string]storm {
	const nodes = 100
	spread, apart, refused := storm{}, storm{}, storm{}
	where, keeps := map[string]string{}, map[string][]string{}
	fresh := freshNodes(nodes)
	for i := range requests {
		r := worker(fmt.Sprintf("shop/g%d/w%d", i/50, i))
		r.Placement.CPU, r.Placement.Memory = 100, 1<<20
		spread.reqs = append(spread.reqs, r)
		r.Placement.ApartFrom = []string{fmt.Sprintf("shop/g%d", i/50)}
		apart.reqs = append(apart.reqs, r)
		r.Placement.ApartFrom, r.Placement.CPU = nil, 1<<40
		refused.reqs = append(refused.reqs, r)
		path := fmt.Sprintf("old/g%d/w%d", i/50, i)
		where[path] = fresh[i%nodes].ID
		keeps[path] = []string{fmt.Sprintf("old/g%d", i/50)}
	}
	spread.in.Nodes, apart.in.Nodes, refused.in.Nodes = fresh, fresh, fresh
	apart.in.Where, apart.in.ApartFrom = where, keeps
	return map[string]storm{"spread": spread, "apart": apart, "refused": refused}
}

// freshNodes are empty nodes of 64 cores and 256 GiB, named node-00 and so on.
func freshNodes(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: fmt.Sprintf("node-%02d", i), CPU: 64_000, Memory: 256 << 30, Eligible: true}
	}
	return nodes
}

func worker(path string) supervisor.Request {
	return supervisor.Request{Ref: supervisor.Ref{Path: path}}
}

// TestLimitOfChildren: a node takes so many and not one more, within one call too.
func TestLimitOfChildren(t *testing.T) {
	in := Input{Nodes: freshNodes(1)}
	in.Nodes[0].Used.Children = MaxChildren - 1
	results := PlaceAll([]supervisor.Request{worker("shop/a"), worker("shop/b")}, in)
	if results[0].Node == "" || results[1].Node != "" {
		t.Fatalf("got %+v", results)
	}
	if why := fmt.Sprint(results[1].Refusals); !strings.Contains(why, "has 20000 children, the limit of a node") {
		t.Errorf("the refusal is %s", why)
	}
}
