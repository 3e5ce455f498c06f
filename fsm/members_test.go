package fsm

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// agentTree is a tree with a child "agent" on each node.
func agentTree(name string) supervisor.Spec {
	spec := tree(name, "agent", "api")
	spec.Children[0].EachNode = true
	return spec
}

// agents are the instances of a child and the nodes they are on; "" is none yet.
func (h *harness) agents(child string) map[string]string {
	found := make(map[string]string)
	h.m.View(func(v View) {
		for _, c := range v.Tree(supervisor.TreeName(child)).Children() {
			if name, ok := strings.CutPrefix(c.Path, child+"/"); ok && c.Phase != supervisor.PhaseStopping {
				found[name] = c.Node
			}
		}
	})
	return found
}

func (h *harness) wantAgents(want map[string]string) {
	h.Helper()
	if got := h.agents("shop/agent"); !maps.Equal(got, want) {
		h.Fatalf("instances %v, want %v", got, want)
	}
	sameState(h, "a copy", h.m, h.restored().m)
}

// placeHome gives every waiting instance its own node.
func (h *harness) placeHome() {
	h.Helper()
	for _, r := range h.pending() {
		h.apply(assign(r.Ref, r.Home), event(r.Ref, supervisor.EventStarted))
	}
}

// TestEachNodeFollowsTheCluster: joins, losses, drains, leaves and successors of nodes.
func TestEachNodeFollowsTheCluster(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(agentTree("shop")))
	h.placeHome()
	h.wantAgents(map[string]string{"n1": "n1", "n2": "n2"})
	h.must(nodeUp("n3", 1))
	h.placeHome()
	h.wantAgents(map[string]string{"n1": "n1", "n2": "n2", "n3": "n3"})

	before := h.ref("shop/agent/n1")
	h.must(lost("n2", 1))
	h.wantAgents(map[string]string{"n1": "n1", "n2": "", "n3": "n3"})
	h.m.View(func(v View) {
		if c, _ := v.Tree("shop").Child("shop/agent"); c.Phase != supervisor.PhaseRunning {
			t.Errorf("while a node is lost the agents are %s", c.Phase)
		}
		if c, _ := v.Tree("shop").Child("shop/agent/n2"); c.Budget.Used != 0 {
			t.Errorf("the loss was charged: %v", c.Budget)
		}
	})
	h.placeHome() // its node takes none
	h.wantAgents(map[string]string{"n1": "n1", "n2": "", "n3": "n3"})
	h.must(nodeUp("n2", 2))
	h.placeHome()
	h.must(drain("n3", true))
	h.must(event(h.ref("shop/agent/n3"), supervisor.EventExited))
	h.wantAgents(map[string]string{"n1": "n1", "n2": "n2", "n3": ""})
	h.must(drain("n3", false))
	h.placeHome()
	h.must(left("n2"))
	h.wantAgents(map[string]string{"n1": "n1", "n3": "n3"})
	if now := h.ref("shop/agent/n1"); now != before {
		t.Errorf("the instance of n1 was touched: %v, before %v", now, before)
	}
	h.must(lost("n3", 1))
	h.must(nodeAs("n3new", "n3", 1)) // another machine takes the name
	h.placeHome()
	h.wantAgents(map[string]string{"n1": "n1", "n3": "n3new"})
	h.must(applyTree(tree("shop", "api")))
	h.must(nodeUp("n4", 1)) // nobody wants to know
}

// TestEachNodeHasALimit: a node that would make a tree too large is refused, and says why.
func TestEachNodeHasALimit(t *testing.T) {
	h := newHarness(t, "n1")
	spec := agentTree("shop")
	spec.Children[1].Replicas = supervisor.MaxChildren - 4
	h.must(applyTree(spec))
	h.must(nodeUp("n2", 1))
	if err := h.refused(supervisor.ErrRefused, nodeUp("n3", 1)); !strings.Contains(err.Error(), "100000 children, the limit") {
		t.Errorf("the refusal is %v", err)
	}
	h.must(nodeUp("n2", 2)) // one that is there may always come back
}

// TestEachNodeInAnyLog: after whatever log, each child with each_node has one instance
// for each node of the cluster, on that node or on none.
func TestEachNodeInAnyLog(t *testing.T) {
	checked := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWalk()
		w.begin(rt)
		for range rapid.IntRange(1, 40).Draw(rt, "entries") {
			w.next(rt)
			w.m.View(func(v View) {
				want := make(map[string]string)
				for _, n := range v.Nodes() {
					if n.State != NodeGone && !n.Succeeded {
						want[n.Name] = n.ID
					}
				}
				for _, name := range v.TreeNames() {
					if tr := v.Tree(name); tr.EachNode() > 0 && !deleting(tr) {
						checked += eachOn(rt, tr, want)
					}
				}
			})
		}
	})
	if checked == 0 {
		t.Error("nothing was checked")
	}
}

// deleting: a tree that is being deleted follows nobody, though lives of it may yet end.
func deleting(t *supervisor.Tree) bool { return t.State().Deleting }

// eachOn compares the instances that a tree has with the nodes that the cluster has.
func eachOn(rt *rapid.T, t *supervisor.Tree, want map[string]string) int {
	top := t.Name() + "/e"
	var names []string
	shape := t.Shape()
	for _, c := range shape.Children {
		if c.ID != "e" {
			continue
		}
		for _, inst := range c.Children {
			names = append(names, inst.ID)
			if st, _ := t.Child(top + "/" + inst.ID); st.Node != "" && st.Node != want[inst.ID] && st.Phase != supervisor.PhaseStopping {
				rt.Fatalf("%s is on %s, its node is %s", st.Path, st.Node, want[inst.ID])
			}
		}
	}
	if all := slices.Sorted(maps.Keys(want)); len(names) > 0 && !slices.Equal(names, all) {
		rt.Fatalf("%s has the instances %v, the cluster the nodes %v", top, names, all)
	}
	return len(names)
}
