package fsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// TestNewBootKeepsLives: an agent that began anew keeps the lives it still holds;
// the others begin anew on the same node, uncharged.
func TestNewBootKeepsLives(t *testing.T) {
	h := running(t)
	a, b := h.ref("shop/a"), h.ref("shop/b")
	res := h.must(nodeUp("n1", 2, a))
	if h.ref("shop/a") != a {
		t.Error("shop/a was kept and yet has a new life")
	}
	if h.ref("shop/b").Epoch <= b.Epoch {
		t.Error("shop/b was not kept and has no new life")
	}
	if ds := res[0].Decisions; len(ds) != 1 || ds[0].Path != "shop/b" || ds[0].After.Used != 0 {
		t.Errorf("decisions %+v", ds)
	}
	if orders := h.orders("n1"); len(orders) != 2 || orders[1].Epoch != h.ref("shop/b").Epoch {
		t.Errorf("orders %+v", orders)
	}
}

// TestReconnect: a new session of the same start changes no life and makes no
// record; what the node says of itself is taken over.
func TestReconnect(t *testing.T) {
	h := running(t)
	before, records := h.ref("shop/a"), len(h.m.s.records)
	again := nodeUp("n1", 1)
	again.Up.Node.Address = "10.0.0.9:7401"
	h.must(again)
	if h.ref("shop/a") != before || len(h.m.s.records) != records {
		t.Error("a reconnect changed lives or made a record")
	}
	if got := h.node("n1").Address; got != "10.0.0.9:7401" {
		t.Errorf("address %q", got)
	}
}

// TestStarts: a start older than the known one is stale, another of the same
// number is a copied data dir.
func TestStarts(t *testing.T) {
	h := running(t)
	h.must(nodeUp("n1", 5))
	was := *h.node("n1")
	h.refused(supervisor.ErrStale, nodeUp("n1", 4))
	copied := link.Node{ID: "n1", Name: "n1", Boot: "another", BootSeq: 5}
	err := h.refused(supervisor.ErrRefused, Command{Type: TypeNodeUp, Up: &NodeUp{Node: copied}})
	if !strings.Contains(err.Error(), "copied") {
		t.Errorf("the refusal is %q", err)
	}
	if now := *h.node("n1"); now.Boot != was.Boot || now.BootSeq != was.BootSeq {
		t.Errorf("a refused start changed the node to %+v", now)
	}
}

// TestNames: the name of a node that is alive is taken; that of a lost one, or of
// one that left, goes to its successor on a fresh disk.
func TestNames(t *testing.T) {
	h := running(t)
	h.refused(supervisor.ErrRefused, nodeAs("n9", "n1", 1))
	h.refused(supervisor.ErrRefused, nodeAs("n2", "n1", 2)) // a known node, renamed
	if h.node("n2").BootSeq != 1 {
		t.Error("a refused rename changed the node")
	}
	h.must(lost("n1", 1), left("n2"))
	for old, id := range map[string]string{"n1": "m1", "n2": "m2"} {
		h.must(nodeAs(id, old, 1))
		if got := h.node(old); got.ID != id || got.State != NodeAlive {
			t.Errorf("the name %s belongs to %+v", old, got)
		}
	}
	h.m.View(func(v View) {
		if n := len(v.Nodes()); n != 2 {
			t.Errorf("%d nodes, want 2", n)
		}
	})
	h.refused(supervisor.ErrRefused, nodeAs("n1", "n1", 2)) // the lost one returns
	h.must(nodeAs("n1", "n1-again", 2))
}

// TestDrainingStays: draining outlives restarts, losses and reconnects, until it
// is taken back.
func TestDrainingStays(t *testing.T) {
	h := running(t)
	h.must(drain("n1", true), drain("n1", true))
	for _, c := range []Command{nodeUp("n1", 1), nodeUp("n1", 2), lost("n1", 2), nodeUp("n1", 3)} {
		h.must(c)
		if !h.node("n1").Draining {
			t.Fatalf("not draining any more after %+v", c)
		}
	}
	if h.node("n1").Eligible() {
		t.Error("a draining node is eligible")
	}
	h.must(drain("n1", false))
	if n := h.node("n1"); n.Draining || !n.Eligible() {
		t.Errorf("after undrain %+v", n)
	}
}

// TestLeftForGood: a node that has left does not come back on the same data dir.
func TestLeftForGood(t *testing.T) {
	h := running(t)
	h.must(left("n1"))
	h.refused(ErrLeft, nodeUp("n1", 2))
	if n := h.node("n1"); n.State != NodeGone {
		t.Errorf("state %s", n.State)
	}
}

// TestDrainMovesLives: every life is stopped on the node and due elsewhere.
func TestDrainMovesLives(t *testing.T) {
	h := running(t)
	h.must(drain("n1", true))
	for _, o := range h.orders("n1") {
		if o.Action != supervisor.Halt {
			t.Errorf("order %+v", o)
		}
		h.must(event(o.Ref, supervisor.EventExited))
	}
	if n := len(h.pending()); n != 2 || len(h.orders("n1")) != 0 {
		t.Errorf("%d lives wait for a node, want 2", n)
	}
}

// TestLossAndReturn: a lost node has no order until it is assigned one again, even
// when it is back; what was there is due elsewhere, uncharged.
func TestLossAndReturn(t *testing.T) {
	h := running(t)
	h.refused(supervisor.ErrStale, lost("n1", 7)) // of another start
	h.must(lost("n1", 1))
	h.refused(supervisor.ErrStale, lost("n1", 1))
	n := h.node("n1")
	if n.State != NodeDown || n.Reason != "silent" || len(h.orders("n1")) != 0 || len(h.pending()) != 2 {
		t.Fatalf("after its loss: %+v, orders %v, pending %v", n, h.orders("n1"), h.pending())
	}
	h.must(nodeUp("n1", 1, h.ref("shop/a")))
	if n := h.node("n1"); n.State != NodeAlive || n.Reason != "" || len(h.orders("n1")) != 0 {
		t.Fatalf("back: %+v, orders %v", n, h.orders("n1"))
	}
	h.placeAll("n1")
	if len(h.orders("n1")) != 2 {
		t.Errorf("orders %+v", h.orders("n1"))
	}
	h.m.View(func(v View) {
		if c, _ := v.Tree("shop").Child("shop/a"); c.Budget.Used != 0 {
			t.Errorf("the loss was charged: %v", c.Budget)
		}
	})
}

// TestLeave: a node that leaves takes no life along; leaving twice is stale.
func TestLeave(t *testing.T) {
	h := running(t)
	h.must(left("n1"))
	h.refused(supervisor.ErrStale, left("n1"))
	h.refused(supervisor.ErrStale, lost("n1", 1))
	if n := h.node("n1"); n.State != NodeGone || len(h.orders("n1")) != 0 || len(h.pending()) != 2 {
		t.Errorf("left: %+v, pending %v", n, h.pending())
	}
	h.must(lost("n2", 1), left("n2")) // a lost node may be told to have left
	if h.node("n2").State != NodeGone {
		t.Errorf("n2 is %s", h.node("n2").State)
	}
}

// TestLimitOfNodes: beyond MaxNodes a new node is refused; known ones and the
// successor of a lost one come in.
func TestLimitOfNodes(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	for i := len(h.m.s.nodes); i < MaxNodes; i++ {
		id := fmt.Sprint("x", i)
		h.m.s.nodes[id] = &Node{Node: link.Node{ID: id, Name: id, BootSeq: 1}, State: NodeAlive}
	}
	err := h.refused(supervisor.ErrRefused, nodeUp("n3", 1))
	if !strings.Contains(err.Error(), "limit") {
		t.Errorf("the refusal is %q", err)
	}
	h.must(nodeUp("n1", 2), lost("n2", 1), nodeAs("m2", "n2", 1))
	if n := len(h.m.s.nodes); n != MaxNodes {
		t.Errorf("%d nodes, want %d", n, MaxNodes)
	}
	h.refused(supervisor.ErrRefused, nodeAs("m9", "n1", 1))
	// A node that left makes room for a new one.
	h.must(left("n1"))
	h.must(nodeUp("fresh", 1))
	if _, still := h.m.s.nodes["n1"]; still || len(h.m.s.nodes) != MaxNodes {
		t.Errorf("n1 left and is still known: %v; %d nodes", still, len(h.m.s.nodes))
	}
}
