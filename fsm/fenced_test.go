package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// exclusive is a harness with a tree "shop" whose store is exclusive and whose api
// is not; both run on n1.
func exclusive(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, "n1", "n2")
	spec := tree("shop", "store", "api")
	spec.Children[0].Exclusive = true
	h.must(applyTree(spec))
	h.placeAll("n1")
	return h
}

func (h *harness) child(path string) (s supervisor.Status) {
	h.Helper()
	h.m.View(func(v View) { s, _ = v.Tree(supervisor.TreeName(path)).Child(path) })
	return s
}

func (h *harness) unfenced() (ids []string) {
	h.m.View(func(v View) {
		for _, n := range v.Unfenced() {
			ids = append(ids, n.ID)
		}
	})
	return ids
}

// held fails unless the store still counts as running on n1.
func (h *harness) held(ref supervisor.Ref) {
	h.Helper()
	if s := h.child("shop/store"); s.Epoch != ref.Epoch || s.Phase != supervisor.PhaseRunning || s.Node != "n1" {
		h.Fatalf("the exclusive child is %+v, want %v on n1", s, ref)
	}
	if orders := h.orders("n1"); len(orders) != 1 || orders[0].Ref != ref || !orders[0].Exclusive {
		h.Fatalf("n1 has the orders %+v", orders)
	}
	if ids := h.unfenced(); !slices.Equal(ids, []string{"n1"}) {
		h.Fatalf("unfenced are %v, want n1", ids)
	}
}

// TestLossInTwoSteps: a lost node whose lease may hold keeps its exclusive lives
// until it is fenced; the others move at once.
func TestLossInTwoSteps(t *testing.T) {
	for what, gone := range map[string]Command{"lost": lost("n1", 1), "left": left("n1")} {
		t.Run(what, func(t *testing.T) {
			h := exclusive(t)
			store := h.ref("shop/store")
			h.must(leased(gone))
			h.held(store)
			if p := h.pending(); len(p) != 1 || p[0].Path != "shop/api" {
				t.Errorf("pending %v", p)
			}
			why := h.m.s.trees["shop"].History("shop/store")
			if d := why[len(why)-1]; d.Verdict != supervisor.VerdictWait || !strings.Contains(d.Sentence, "until its lease has run out") {
				t.Errorf("why says %+v", d)
			}
			h.refused(supervisor.ErrStale, fenced("n1", 2)) // of another start
			h.held(store)
			res := h.must(fenced("n1", 1))
			if ds := res[0].Decisions; len(ds) != 1 || ds[0].Path != "shop/store" || ds[0].Before != ds[0].After {
				t.Errorf("decisions %+v", ds)
			}
			if n := h.node("n1"); !n.Fenced || len(h.unfenced()) > 0 || len(h.orders("n1")) > 0 || len(h.pending()) != 2 {
				t.Errorf("fenced: %+v, orders %v, pending %v", n, h.orders("n1"), h.pending())
			}
			h.refused(supervisor.ErrStale, fenced("n1", 1))
		})
	}
}

// TestFenceOfANodeThatIsAlive: it loses its exclusive lives and nothing else, and
// gets no children before it has said anew what it holds.
func TestFenceOfANodeThatIsAlive(t *testing.T) {
	h := exclusive(t)
	api := h.ref("shop/api")
	h.must(fenced("n1", 1))
	n := h.node("n1")
	if n.State != NodeAlive || !n.Fenced || n.Eligible() || n.Unfenced() {
		t.Errorf("fenced: %+v", n)
	}
	if p := h.pending(); len(p) != 1 || p[0].Path != "shop/store" || h.ref("shop/api") != api {
		t.Errorf("pending %v, api %v", p, h.ref("shop/api"))
	}
	h.refused(supervisor.ErrStale, fenced("n1", 1))
	h.must(nodeUp("n1", 1, api))
	if n := h.node("n1"); n.Fenced || !n.Eligible() || h.ref("shop/api") != api {
		t.Errorf("after its hello: %+v", n)
	}
}

// TestRestartOfAFencedNode: its agent began anew while it was alive and fenced. What it
// does not hold any more begins anew.
func TestRestartOfAFencedNode(t *testing.T) {
	h := exclusive(t)
	api := h.ref("shop/api")
	h.must(fenced("n1", 1), nodeUp("n1", 2))
	if s := h.child("shop/api"); s.Phase != supervisor.PhaseStarting || s.Epoch <= api.Epoch {
		t.Errorf("api is %+v", s)
	}
}

// TestLossOfAFencedNode: it was granted nothing since, so an exclusive life that was
// to begin there moves with all others.
func TestLossOfAFencedNode(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	spec := tree("shop", "a", "b")
	spec.Strategy, spec.Children[1].Exclusive = supervisor.RestForOne, true
	h.must(applyTree(spec))
	h.must(assign(h.ref("shop/a"), "n2"), assign(h.ref("shop/b"), "n1"))
	h.must(fenced("n1", 1), event(h.ref("shop/a"), supervisor.EventStarted)) // now it is b's turn
	if o := h.orders("n1"); len(o) != 1 || !o[0].Exclusive {
		t.Fatalf("orders %+v", o)
	}
	h.must(leased(lost("n1", 1)))
	if n := h.node("n1"); len(h.pending()) != 1 || !n.Fenced {
		t.Errorf("%+v, pending %v", n, h.pending())
	}
}

// TestNothingFollowsInLimbo: an exclusive life ended on a node in limbo, by its own
// word, and is to be followed by one that is not exclusive any more: elsewhere.
func TestNothingFollowsInLimbo(t *testing.T) {
	h := exclusive(t)
	store := h.ref("shop/store")
	h.must(leased(lost("n1", 1)), applyTree(tree("shop", "store", "api")))
	h.must(event(store, supervisor.EventExited))
	if o := h.orders("n1"); len(o) != 0 || len(h.pending()) != 2 {
		t.Errorf("orders %+v, pending %v", o, h.pending())
	}
	h.must(fenced("n1", 1))
	if len(h.pending()) != 2 {
		t.Errorf("pending %v", h.pending())
	}
}

// TestWordOfALostNode: what a node said just before it was lost may be decided on just
// after: the life has ended, is charged, and is followed elsewhere. It went on to have a
// place on the node, which was never taken back. Found by TestReplicasAgree.
func TestWordOfALostNode(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	spec := tree("shop", "store", "api")
	spec.Strategy, spec.Children[0].Exclusive, spec.Children[1].Exclusive = supervisor.OneForAll, true, true
	h.must(applyTree(spec))
	h.placeAll("n1")
	store, api := h.ref("shop/store"), h.ref("shop/api")
	h.must(leased(lost("n1", 1)), event(store, supervisor.EventExited))
	checkOrders(h, h.m)
	if s := h.child("shop/store"); s.Node != "" || s.Budget.Used != 1 {
		t.Errorf("the store is due on %q, %v", s.Node, s.Budget)
	}
	h.must(event(api, supervisor.EventExited))
	checkOrders(h, h.m)
	if s := h.child("shop/api"); s.Node != "" || s.Budget.Used != 0 {
		t.Errorf("the api is due on %q, %v", s.Node, s.Budget)
	}
	h.placeAll("n2")
	h.must(fenced("n1", 1))
	checkOrders(h, h.m)
	if a, b := h.child("shop/store"), h.child("shop/api"); a.Node != "n2" || b.Node != "n2" {
		t.Errorf("they run on %q and %q", a.Node, b.Node)
	}
}

// TestLossWithoutExclusive: a node that has no exclusive life is fenced as it is
// lost; so is one that ended well, whatever it had.
func TestLossWithoutExclusive(t *testing.T) {
	h := exclusive(t)
	h.must(leased(lost("n2", 1)), lost("n1", 1))
	if a, b := h.node("n1"), h.node("n2"); !a.Fenced || !b.Fenced || len(h.unfenced()) > 0 || len(h.pending()) != 2 {
		t.Errorf("n1 %+v, n2 %+v, pending %v", a, b, h.pending())
	}
}

// TestLeavingWhileLost: who says that a lost node has left does not say that its
// lease has run out, unless it says so.
func TestLeavingWhileLost(t *testing.T) {
	h := exclusive(t)
	store := h.ref("shop/store")
	h.must(leased(lost("n1", 1)), leased(left("n1")))
	h.held(store)
	h.must(fenced("n1", 1))
	if n := h.node("n1"); n.State != NodeGone || !n.Fenced || len(h.pending()) != 2 {
		t.Errorf("%+v, pending %v", n, h.pending())
	}
	h = exclusive(t)
	h.must(leased(lost("n1", 1)), left("n1"))
	if n := h.node("n1"); !n.Fenced || len(h.pending()) != 2 {
		t.Errorf("%+v, pending %v", n, h.pending())
	}
}

// TestReturnBeforeTheFence: a node that comes back goes on with its exclusive lives;
// if its agent began anew, with those that it still has.
func TestReturnBeforeTheFence(t *testing.T) {
	h := exclusive(t)
	store := h.ref("shop/store")
	for i, back := range []Command{nodeUp("n1", 1), nodeUp("n1", 1, store), nodeUp("n1", 2, store)} {
		h.must(leased(lost("n1", 1)), back)
		n := h.node("n1")
		if n.State != NodeAlive || n.Unfenced() || h.ref("shop/store") != store || len(h.unfenced()) > 0 {
			t.Fatalf("return %d: %+v, store %+v", i, n, h.child("shop/store"))
		}
	}
	h.refused(supervisor.ErrStale, fenced("n1", 1)) // of a start before
	h.must(leased(lost("n1", 2)), nodeUp("n1", 3))
	if s := h.child("shop/store"); s.Epoch <= store.Epoch || s.Node != "n1" || s.Budget.Used != 0 {
		t.Errorf("what a new start does not hold is %+v", s)
	}
	h.must(leased(lost("n1", 3)), fenced("n1", 3), nodeUp("n1", 4))
	if n := h.node("n1"); n.Fenced || len(h.orders("n1")) > 0 {
		t.Errorf("back after the fence: %+v, orders %v", n, h.orders("n1"))
	}
}

// TestNameOfAnUnfencedNode: a node with a fresh data dir takes the name of a lost
// one; the exclusive lives of that one stay where they are until it is fenced.
func TestNameOfAnUnfencedNode(t *testing.T) {
	h := exclusive(t)
	store := h.ref("shop/store")
	h.must(leased(lost("n1", 1)), nodeAs("m1", "n1", 1))
	h.held(store)
	if n := h.node("n1"); n.State != NodeDown { // by id
		t.Errorf("n1 is %+v", n)
	}
	h.refused(supervisor.ErrRefused, nodeUp("n1", 2, store)) // its name is taken
	h.must(drain("m1", true), drain("m1", false))
	h.must(leased(lost("m1", 1)), nodeAs("k1", "n1", 1)) // m1 has nothing: it makes room
	h.held(store)
	h.m.View(func(v View) {
		if n := v.s.named("n1"); n == nil || n.ID != "k1" || len(v.Nodes()) != 3 {
			t.Errorf("the name belongs to %+v, nodes %v", n, v.s.nodeIDs())
		}
	})
	sameState(t, "the restored", h.m, h.restored().m)
	h.must(fenced("n1", 1))
	h.m.View(func(v View) {
		if _, still := v.s.nodes["n1"]; still || len(v.Nodes()) != 2 {
			t.Error("a node that was succeeded and fenced is still known")
		}
	})
	if s := h.child("shop/store"); s.Phase != supervisor.PhasePending {
		t.Errorf("the store is %+v", s)
	}
}

// TestSucceededNodeReturns: when its successor has gone, it may bear its name again.
func TestSucceededNodeReturns(t *testing.T) {
	h := exclusive(t)
	store := h.ref("shop/store")
	h.must(leased(lost("n1", 1)), nodeAs("m1", "n1", 1), leased(lost("m1", 1)), nodeUp("n1", 2, store))
	if n := h.node("n1"); n.ID != "n1" || n.State != NodeAlive || n.Succeeded || h.ref("shop/store") != store {
		t.Errorf("%+v, store %+v", n, h.child("shop/store"))
	}
	h.m.View(func(v View) {
		if len(v.Nodes()) != 2 {
			t.Errorf("nodes %v", v.s.nodeIDs())
		}
	})
}

// TestRoomForNodes: a node that left and is not fenced makes no room for another,
// nor does one whose name is taken.
func TestRoomForNodes(t *testing.T) {
	h := exclusive(t)
	for i := len(h.m.s.nodes); i < MaxNodes; i++ {
		id := fmt.Sprint("x", i)
		h.m.s.nodes[id] = &Node{Node: link.Node{ID: id, Name: id, BootSeq: 1}, State: NodeAlive}
	}
	h.must(leased(left("n1")))
	h.refused(supervisor.ErrRefused, nodeUp("fresh", 1))
	h.refused(supervisor.ErrRefused, nodeAs("fresh", "n1", 1))
	h.must(fenced("n1", 1), nodeUp("fresh", 1))
}

// TestQuarantine: after a restore and after a forced recovery no lease is granted
// for a while, and every node must say what it holds.
func TestQuarantine(t *testing.T) {
	const now, wait = time.Hour, 3 * time.Second
	h := exclusive(t)
	quarantine := func() (until, clock time.Duration) {
		h.m.View(func(v View) { until, clock = v.Quarantine(), v.Clock() })
		return until, clock
	}
	if until, _ := quarantine(); until != 0 {
		t.Fatalf("a new cluster has the quarantine %v", until)
	}
	image, err := h.m.Successor(h.snapshot(), now, wait)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.m.Restore(image); err != nil {
		t.Fatal(err)
	}
	if until, clock := quarantine(); until != now+wait || clock != now {
		t.Errorf("quarantine until %v at %v", until, clock)
	}
	store := h.ref("shop/store")
	h.must(nodeUp("n1", 1, store)) // the same start: it is asked all the same
	if s := h.child("shop/api"); s.Phase != supervisor.PhaseStarting || h.ref("shop/store") != store {
		t.Errorf("api is %+v, store %v", s, h.ref("shop/store"))
	}
	h.m.Raise(wait)
	if until, clock := quarantine(); until != clock+wait || h.node("n1").Boot != "" {
		t.Errorf("quarantine until %v at %v, %+v", until, clock, h.node("n1"))
	}
	h.must(nodeUp("n1", 1))
	if s := h.child("shop/store"); s.Phase != supervisor.PhaseStarting || s.Epoch <= store.Epoch {
		t.Errorf("the store is taken as running, and its node does not say so: %+v", s)
	}
	h = h.restored()
	if until, clock := quarantine(); until <= clock {
		t.Errorf("a restored replica has the quarantine %v at %v", until, clock)
	}
}
