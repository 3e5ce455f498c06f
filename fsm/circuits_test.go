package fsm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

// onOneNode is a harness with a tree "shop" of children c0, c1, …, all on one node.
func onOneNode(t failer, children int, home string, nodes ...string) *harness {
	t.Helper()
	h := newHarness(t, nodes...)
	ids := make([]string, children)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	spec := tree("shop", ids...)
	spec.RestartPolicy.MaxRestarts = 1000
	h.must(applyTree(spec))
	placed, up := Command{Type: TypeAssign}, Command{Type: TypeEvents}
	for _, r := range h.pending() {
		placed.Assign = append(placed.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: home})
		up.Events = append(up.Events, supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: supervisor.EventStarted})
	}
	h.must(placed, up)
	return h
}

// crashes ends the present lives of children, each with exit code 3, in one entry.
func (h *harness) crashes(children ...int) {
	h.Helper()
	h.fail(supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 3}, children...)
}

func (h *harness) fail(ev supervisor.ChildEvent, children ...int) {
	h.Helper()
	var c Command
	for _, i := range children {
		r := h.ref(fmt.Sprint("shop/c", i))
		ev.Path, ev.Epoch = r.Path, r.Epoch
		c.Events = append(c.Events, ev)
	}
	c.Type = TypeEvents
	h.must(c)
}

// send moves a child to a node by an operator's word, and lets it come up there.
func (h *harness) send(child int, node string) {
	h.Helper()
	path := fmt.Sprint("shop/c", child)
	h.must(verb("move", path, node))
	h.must(event(h.ref(path), supervisor.EventExited))
	h.placeAll(node)
}

func (h *harness) wait(d time.Duration) { h.index += uint64(d / time.Second); h.must() }

func (h *harness) circuit(node string) (c Circuit) {
	h.m.View(func(v View) { c = v.Circuit(node, v.Clock()) })
	return c
}

func (h *harness) expect(node string, state breaker.State, room int) {
	h.Helper()
	if c := h.circuit(node); c.State != state || c.Room != room {
		h.Fatalf("at %d s the circuit of %s is %+v, want %v with room %d", h.index, node, c, state, room)
	}
	sameState(h, "a copy", h.m, h.restored().m)
}

// circuits are the sentences of the stream that tell of circuits.
func (h *harness) circuits() (told []string) {
	h.m.View(func(v View) {
		records, _ := v.Records(0, -1, MaxRecords)
		for _, r := range records {
			if strings.Contains(r.Sentence, ": circuit ") {
				told = append(told, r.Sentence)
			}
		}
	})
	return told
}

// TestBadNode is the whole story: five children fail on a node, it gets no new lives,
// then three on trial, and when those have stayed up it is as any other.
func TestBadNode(t *testing.T) {
	h := onOneNode(t, 8, "n2", "n1", "n2", "n3")
	for i := range 4 {
		h.crashes(i)
	}
	h.crashes(0) // again the same child
	h.expect("n2", breaker.Closed, 0)
	h.crashes(4)
	h.expect("n2", breaker.Open, 0)
	h.wait(28 * time.Second)
	h.expect("n2", breaker.Open, 0)
	h.wait(0)
	h.expect("n2", breaker.HalfOpen, 3)
	h.must(applyTree(tree("more", "x", "y", "z", "w")))
	h.placeAll("n2") // by force: placement would not
	h.expect("n2", breaker.HalfOpen, 0)
	h.wait(9 * time.Second)
	h.expect("n2", breaker.Closed, 0)
	want := []string{
		"node n2: circuit opened: 5 children failed there within 1m0s (shop/c0, shop/c1, shop/c2, shop/c3, shop/c4); no child is placed there for 30s",
		"node n2: circuit half-open: at most 3 children at once try the node",
		"node n2: circuit closed: 3 children on trial stayed up there for 10s",
	}
	if got := h.circuits(); !slices.Equal(got, want) {
		t.Errorf("the stream tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(h.m.s.circuits)+len(h.m.s.faults)+len(h.m.s.against) != 0 {
		t.Errorf("of the past remain %+v %+v", h.m.s.circuits, h.m.s.faults)
	}
	h.crashes(0) // one failure, not one more
	h.expect("n2", breaker.Closed, 0)
}

// TestBadTrial: a trial that fails opens the circuit again; one that is not up in time
// says nothing and gives its place back.
func TestBadTrial(t *testing.T) {
	h := onOneNode(t, 5, "n2", "n1", "n2", "n3")
	h.crashes(0, 1, 2, 3, 4)
	h.wait(30 * time.Second)
	h.must(applyTree(tree("more", "x", "y")))
	for _, r := range h.pending() {
		h.must(assign(r.Ref, "n2"))
	}
	h.expect("n2", breaker.HalfOpen, 1)
	h.wait(10 * time.Second)
	h.expect("n2", breaker.HalfOpen, 3)
	h.must(applyTree(tree("most", "z")))
	h.placeAll("n2")
	h.expect("n2", breaker.HalfOpen, 2)
	h.crashes(0) // it is no trial
	h.expect("n2", breaker.HalfOpen, 2)
	h.must(event(h.ref("most/z"), supervisor.EventExited))
	h.expect("n2", breaker.Open, 0)
	if told := h.circuits(); !strings.Contains(told[len(told)-1], "circuit opened again: most/z failed there in its trial; ") {
		t.Errorf("the stream tells %q", told)
	}
	if why := h.circuit("n2").Why; why != "a child on trial failed there" {
		t.Errorf("it is open because %q", why)
	}
	h.wait(30 * time.Second)
	h.expect("n2", breaker.HalfOpen, 3)
}

// TestBadChild: a child that fails on a second node is to blame itself, there and
// on the first, and its trial says nothing of the node.
func TestBadChild(t *testing.T) {
	h := onOneNode(t, 9, "n1", "n1", "n2", "n3", "n4")
	for i := range 4 {
		h.send(i, "n2")
	}
	h.crashes(8)
	h.send(8, "n2")
	h.crashes(0, 1, 2, 3)
	h.crashes(8)
	h.expect("n2", breaker.Closed, 0)
	h.crashes(4, 5, 6, 7)
	h.expect("n1", breaker.Closed, 0)
	for _, n := range []string{"n3", "n4", "n3"} {
		h.send(8, n)
		h.crashes(8)
		h.expect(n, breaker.Closed, 0)
	}
	if got := h.circuits(); got != nil {
		t.Errorf("the stream tells %q", got)
	}
}

// TestHalfOfTheNodes: if all fails everywhere, it is not the nodes.
func TestHalfOfTheNodes(t *testing.T) {
	h := newHarness(t, "n1", "n2", "n3", "n4")
	for i := range 4 {
		h.must(applyTree(tree(fmt.Sprint("t", i), "a", "b", "c", "d", "e")))
		h.placeAll(fmt.Sprint("n", i+1))
	}
	for range 3 {
		for i := range 4 {
			for _, id := range []string{"a", "b", "c", "d", "e"} {
				h.must(event(h.ref(fmt.Sprintf("t%d/%s", i, id)), supervisor.EventExited))
			}
		}
	}
	for i, state := range []breaker.State{breaker.Open, breaker.Open, breaker.Closed, breaker.Closed} {
		if c := h.circuit(fmt.Sprint("n", i+1)); (c.State == breaker.Closed) != (state == breaker.Closed) {
			t.Errorf("n%d: %+v, want %v", i+1, c, state)
		}
	}
	one := onOneNode(t, 6, "n1", "n1")
	one.crashes(0, 1, 2, 3, 4, 5)
	one.expect("n1", breaker.Closed, 0) // there is no other node
}

// TestNoFaults: what is nobody's fault, or long ago, is held against no node.
func TestNoFaults(t *testing.T) {
	h := onOneNode(t, 6, "n2", "n1", "n2", "n3")
	h.crashes(0, 1, 2, 3)
	h.fail(supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitNormal}, 4)
	h.must(verb("stop", "shop/c5", ""))
	h.must(event(h.ref("shop/c5"), supervisor.EventExited))
	h.expect("n2", breaker.Closed, 0)
	h.wait(60 * time.Second)
	h.crashes(4)
	h.expect("n2", breaker.Closed, 0)
	h.wait(2 * faultWindow)
	if len(h.m.s.faults) != 0 {
		t.Errorf("failures are remembered for ever: %+v", h.m.s.faults)
	}
}

// TestCircuitOfANodeThatLeft: it is forgotten with the node.
func TestCircuitOfANodeThatLeft(t *testing.T) {
	h := onOneNode(t, 5, "n2", "n1", "n2", "n3")
	h.crashes(0, 1, 2, 3, 4)
	h.must(lost("n2", 1))
	h.expect("n2", breaker.Open, 0) // it may be back, as bad as before
	h.must(left("n2"))
	h.wait(0)
	h.expect("n2", breaker.Closed, 0)
}

// TestLimitOfFaults: the failures of more children than that are held against nobody.
func TestLimitOfFaults(t *testing.T) {
	h := onOneNode(t, MaxFaults+5, "n1", "n1")
	var all []int
	for i := range MaxFaults {
		all = append(all, i)
	}
	h.crashes(all...)
	h.must(nodeUp("n2", 1)) // from now on a circuit might open
	h.crashes(MaxFaults, MaxFaults+1, MaxFaults+2, MaxFaults+3, MaxFaults+4)
	h.expect("n1", breaker.Closed, 0)
	if len(h.m.s.faults) != MaxFaults {
		t.Fatalf("%d children are remembered, the limit is %d", len(h.m.s.faults), MaxFaults)
	}
	h.wait(2 * faultWindow)
	h.crashes(MaxFaults, MaxFaults+1, MaxFaults+2, MaxFaults+3, MaxFaults+4)
	h.expect("n1", breaker.Open, 0)
}

// TestManySuspects: one that many children failed on, while it could not open, is told
// in a short sentence.
func TestManySuspects(t *testing.T) {
	h := onOneNode(t, 40, "n1", "n1")
	for i := range 40 {
		h.crashes(i)
	}
	h.must(nodeUp("n2", 1))
	h.crashes(0)
	if told := h.circuits(); len(told) != 1 || !strings.Contains(told[0], ": 40 children failed there within 1m0s (shop/c0, shop/c1, shop/c10, shop/c11, shop/c12 and 35 more); ") {
		t.Errorf("the stream tells %q", told)
	}
}

// failure is one of the past, for the reference.
type failure struct {
	path, node string
	at         time.Duration
	roams      bool
}

// accused reads the whole past for the children that count against a node.
func accused(past []failure, node string, from, now time.Duration) (n int) {
	last := map[string]failure{}
	for _, f := range past {
		before, failed := last[f.path]
		f.roams = failed && f.at-before.at <= faultWindow && (before.roams || before.node != f.node)
		last[f.path] = f
	}
	for _, f := range last {
		if f.node == node && !f.roams && f.at >= from && now-f.at <= faultWindow {
			n++
		}
	}
	return n
}

// told is when the stream last told something of a node's circuit; -1 if never.
func (h *harness) told(node, what string) time.Duration {
	for _, r := range slices.Backward(h.m.s.records) {
		if r.Node == node && strings.Contains(r.Sentence, ": circuit "+what) {
			return r.Time
		}
	}
	return -1
}

// TestCircuitsAgainstReference: children crash, move and come up at random on four
// nodes. A circuit opens exactly when a reading of the whole past says so, a half-open
// one has three trials at most, a look ahead in time sees what an entry then makes, and
// restored copies and twins stay equal.
func TestCircuitsAgainstReference(t *testing.T) {
	var opened, closed int
	rapid.Check(t, func(rt *rapid.T) {
		h := onOneNode(rt, 14, "n1", "n1", "n2", "n3", "n4")
		twin, third := h.restored().m, h.restored().m
		h.also = []*Machine{twin, third}
		var past []failure
		for step := range rapid.IntRange(10, 60).Draw(rt, "steps") {
			h.index += uint64(rapid.SampledFrom([]int{0, 0, 0, 1, 5, 12, 31}).Draw(rt, "pause"))
			h.lookAhead()
			path := fmt.Sprint("shop/c", rapid.IntRange(0, 13).Draw(rt, "child"))
			most := 7
			if step/15%2 == 1 { // a calm time, in which trials may be good
				most = 3
			}
			switch rapid.IntRange(0, most).Draw(rt, "what") {
			case 0, 1, 2:
				h.apply(verb("move", path, anyID.Draw(rt, "to")))
				if h.crashRandom(&past, path) { // it was there already
					opened++
				}
			case 3:
				h.apply(event(h.ref(path), supervisor.EventStarted))
			default:
				if h.crashRandom(&past, path) {
					opened++
				}
			}
			for _, req := range h.pending() {
				h.must(assign(req.Ref, anyID.Draw(rt, "node")))
				if rapid.IntRange(0, 3).Draw(rt, "comes up") > 0 {
					h.apply(event(req.Ref, supervisor.EventStarted))
				}
			}
			for id, c := range h.m.s.circuits {
				if len(c.State.Trials) > 3 || len(c.Lives) != len(c.State.Trials) {
					rt.Fatalf("%s: %+v", id, c)
				}
			}
			checkDerived(rt, h.m)
			sameState(rt, "the twin", h.m, twin)
			sameState(rt, "the restored", h.m, third)
			if rapid.IntRange(0, 3).Draw(rt, "restore") == 0 {
				third = restoredFrom(rt, h.m)
				h.also = []*Machine{twin, third}
			}
		}
		for _, id := range nodeIDs {
			if h.told(id, "closed") >= 0 {
				closed++
			}
		}
	})
	if t.Logf("%d circuits opened, %d closed", opened, closed); opened == 0 {
		t.Error("the test shows nothing")
	}
}

// lookAhead: what a View says of the next moment is what an entry makes of it.
func (h *harness) lookAhead() {
	h.Helper()
	ahead := map[string]Circuit{}
	h.m.View(func(v View) {
		for _, id := range nodeIDs {
			ahead[id] = v.Circuit(id, time.Duration(h.index+1)*time.Second)
		}
	})
	h.must()
	for _, id := range nodeIDs {
		if got := h.circuit(id); got != ahead[id] {
			h.Fatalf("%s: %+v, and a look ahead saw %+v", id, got, ahead[id])
		}
	}
}

// crashRandom lets a child fail where it is, if it is anywhere, and compares what
// becomes of the node's circuit with a reading of the past.
func (h *harness) crashRandom(past *[]failure, path string) (opened bool) {
	h.Helper()
	host, now := h.m.s.where[path], time.Duration(h.index+1)*time.Second
	var was Circuit
	h.m.View(func(v View) { was = v.Circuit(host, now) })
	if ds := h.apply(event(h.ref(path), supervisor.EventExited))[0].Decisions; !crashed(ds, path) {
		return false
	}
	*past = append(*past, failure{path: path, node: host, at: now})
	bad := map[string]bool{host: true}
	for id := range h.m.s.circuits {
		bad[id] = true
	}
	should := was.State == breaker.Closed && 2*len(bad) <= len(nodeIDs) && accused(*past, host, h.told(host, "closed"), now) >= 5
	if opened = h.told(host, "opened:") == now; opened != should {
		h.Fatalf("%s failed on %s at %v: its circuit opened: %v, and should: %v", path, host, now, opened, should)
	}
	return opened
}

// TestInstancesAreOneSuspect: instances of one child run the same program, so that they
// fail together says nothing of their node.
func TestInstancesAreOneSuspect(t *testing.T) {
	h := newHarness(t, "n1", "n2", "n3")
	spec := tree("shop", "c0", "c1", "c2", "c3", "c4")
	spec.Children[0].Replicas, spec.RestartPolicy.MaxRestarts = 6, 1000
	h.must(applyTree(spec))
	h.placeAll("n2")
	for i := range 6 {
		h.must(event(h.ref(fmt.Sprint("shop/c0/", i+1)), supervisor.EventStarted))
		h.must(event(h.ref(fmt.Sprint("shop/c0/", i+1)), supervisor.EventCrashed))
	}
	h.expect("n2", breaker.Closed, 0)
	h.crashes(1, 2, 3)
	h.expect("n2", breaker.Closed, 0)
	h.crashes(4) // with them it is the fifth child
	h.expect("n2", breaker.Open, 0)
}
