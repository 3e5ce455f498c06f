package fsm

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// failer is a test, a benchmark or a rapid case.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// harness feeds one machine, a second of cluster time per entry.
type harness struct {
	failer
	m     *Machine
	index uint64
	also  []*Machine // that apply the same
}

// newHarness gives a cluster "c" with the given nodes.
func newHarness(t failer, nodes ...string) *harness {
	t.Helper()
	h := &harness{failer: t, m: New()}
	h.must(initial("c", 1))
	for _, id := range nodes {
		h.must(nodeUp(id, 1))
	}
	return h
}

func (h *harness) apply(cmds ...Command) []Result {
	h.Helper()
	h.index++
	data := encoded(h, Entry{Time: time.Duration(h.index) * time.Second, Wall: int64(h.index), Commands: cmds})
	res, err := h.m.Apply(h.index, data)
	if err != nil {
		h.Fatalf("%v", err)
	}
	for _, m := range h.also {
		if _, err := m.Apply(h.index, data); err != nil {
			h.Fatalf("%v", err)
		}
	}
	return res
}

// must applies what cannot be refused.
func (h *harness) must(cmds ...Command) []Result {
	h.Helper()
	res := h.apply(cmds...)
	for i, r := range res {
		if r.Err != nil {
			h.Fatalf("%+v: %v", cmds[i], r.Err)
		}
	}
	return res
}

// refused applies one command that must fail with want.
func (h *harness) refused(want error, cmd Command) error {
	h.Helper()
	err := h.apply(cmd)[0].Err
	if !errors.Is(err, want) {
		h.Fatalf("%+v: got error %v, want %v", cmd, err, want)
	}
	return err
}

// placeAll assigns every waiting life to a node and confirms it.
func (h *harness) placeAll(node string) {
	h.Helper()
	for _, r := range h.pending() {
		h.must(assign(r.Ref, node), event(r.Ref, supervisor.EventStarted))
	}
}

func (h *harness) pending() (reqs []supervisor.Request) {
	h.m.View(func(v View) { reqs = v.Pending(supervisor.MaxChildren) })
	return reqs
}

func (h *harness) orders(node string) (orders []supervisor.Order) {
	h.m.View(func(v View) { orders = v.Orders(node) })
	return orders
}

func (h *harness) node(key string) (n *Node) {
	h.Helper()
	h.m.View(func(v View) {
		var err error
		if n, err = v.Node(key); err != nil {
			h.Fatalf("%v", err)
		}
	})
	return n
}

// ref names the present life of a path.
func (h *harness) ref(path string) (ref supervisor.Ref) {
	h.Helper()
	h.m.View(func(v View) {
		s, ok := v.Tree(supervisor.TreeName(path)).Child(path)
		if !ok {
			h.Fatalf("no child %s", path)
		}
		ref = supervisor.Ref{Path: path, Epoch: s.Epoch}
	})
	return ref
}

func (h *harness) snapshot() []byte { h.Helper(); return snapshotOf(h, h.m) }

// restored gives another machine with the same state.
func (h *harness) restored() *harness {
	h.Helper()
	m := New()
	if err := m.Restore(h.snapshot()); err != nil {
		h.Fatalf("%v", err)
	}
	return &harness{failer: h.failer, m: m, index: h.index}
}

func encoded(f failer, e Entry) []byte {
	f.Helper()
	data, err := e.Encode()
	if err != nil {
		f.Fatalf("%v", err)
	}
	return data
}

func snapshotOf(f failer, m *Machine) []byte {
	f.Helper()
	data, err := m.Snapshot()
	if err != nil {
		f.Fatalf("%v", err)
	}
	return data
}

func initial(id string, generation uint64) Command {
	return Command{Type: TypeInit, Init: &Init{ClusterID: id, Generation: generation}}
}

// nodeUp is the start number seq of the node whose id and name are the same.
func nodeUp(id string, seq uint64, lives ...supervisor.Ref) Command {
	return nodeAs(id, id, seq, lives...)
}

func nodeAs(id, name string, seq uint64, lives ...supervisor.Ref) Command {
	n := link.Node{ID: id, Name: name, Boot: boot(id, seq), BootSeq: seq}
	return Command{Type: TypeNodeUp, Up: &NodeUp{Node: n, Lives: lives}}
}

func boot(id string, seq uint64) string { return fmt.Sprintf("%s.%d", id, seq) }

func lost(id string, seq uint64) Command {
	return Command{Type: TypeNodeLost, Node: &NodeRef{ID: id, Boot: boot(id, seq), Reason: "silent"}}
}

// leased lets the lease of a lost node, or of one that leaves, hold on.
func leased(c Command) Command {
	c.Node.Leased = true
	return c
}

func fenced(id string, seq uint64) Command {
	return Command{Type: TypeNodeFenced, Node: &NodeRef{ID: id, Boot: boot(id, seq)}}
}

func left(id string) Command {
	return Command{Type: TypeNodeLeft, Node: &NodeRef{ID: id, Reason: "asked to"}}
}

func drain(node string, on bool) Command {
	return Command{Type: TypeDrain, Node: &NodeRef{ID: node, On: on}, By: "ann"}
}

func applyTree(spec supervisor.Spec) Command {
	return Command{Type: TypeApplyTree, Tree: &spec, By: "ann"}
}

func deleteTree(name string) Command {
	return Command{Type: TypeDeleteTree, Name: name, By: "ann"}
}

func verb(word, path, to string) Command {
	return Command{Type: TypeVerb, Verb: &Verb{Verb: word, Path: path, To: to}, By: "ann"}
}

func assign(r supervisor.Ref, node string) Command {
	return Command{Type: TypeAssign, Assign: []supervisor.Assign{{Path: r.Path, Epoch: r.Epoch, Node: node}}}
}

func event(r supervisor.Ref, typ supervisor.EventType) Command {
	ev := supervisor.ChildEvent{Path: r.Path, Epoch: r.Epoch, Type: typ}
	if typ == supervisor.EventExited {
		ev.Reason, ev.Code = supervisor.ExitError, 3
	}
	return Command{Type: TypeEvents, Events: []supervisor.ChildEvent{ev}}
}

// with gives the command a request id.
func (c Command) with(request string) Command {
	c.Request = request
	return c
}

func worker(id string) supervisor.ChildSpec {
	return supervisor.ChildSpec{
		ID: id, RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"true"}},
	}
}

// tree is a one_for_one tree of permanent workers, without back-off.
func tree(name string, ids ...string) supervisor.Spec {
	s := supervisor.Spec{
		Name: name, Strategy: supervisor.OneForOne,
		RestartPolicy: supervisor.RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute},
	}
	for _, id := range ids {
		s.Children = append(s.Children, worker(id))
	}
	return s
}

// running is a harness with a tree "shop" of two workers that run on n1.
func running(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t, "n1", "n2")
	h.must(applyTree(tree("shop", "a", "b")))
	h.placeAll("n1")
	return h
}
