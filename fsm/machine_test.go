package fsm

import (
	"testing"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// harness feeds one machine.
type harness struct {
	t     *testing.T
	m     *Machine
	index uint64
}

func (h *harness) apply(cmds ...Command) []Result {
	h.t.Helper()
	h.index++
	data, err := Entry{Time: time.Duration(h.index) * time.Second, Commands: cmds}.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := h.m.Apply(h.index, data)
	if err != nil {
		h.t.Fatal(err)
	}
	return res
}

func (h *harness) must(cmds ...Command) []Result {
	h.t.Helper()
	res := h.apply(cmds...)
	for _, r := range res {
		if r.Err != nil {
			h.t.Fatal(r.Err)
		}
	}
	return res
}

func nodeUp(id string) Command {
	return Command{Type: TypeNodeUp, Up: &NodeUp{Node: link.Node{ID: id, Name: id, Boot: id + "b1", BootSeq: 1}}}
}

func shop() *supervisor.Spec {
	p := supervisor.DefaultRestartPolicy()
	child := func(id string) supervisor.ChildSpec {
		return supervisor.ChildSpec{ID: id, RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"true"}}}
	}
	return &supervisor.Spec{Name: "shop", Strategy: supervisor.OneForOne, RestartPolicy: p,
		Children: []supervisor.ChildSpec{child("a"), child("b")}}
}

func TestCrashRestartsAcrossSnapshot(t *testing.T) {
	h := &harness{t: t, m: New()}
	h.must(Command{Type: TypeInit, Init: &Init{ClusterID: "c"}}, nodeUp("n1"), nodeUp("n2"))
	h.must(Command{Type: TypeApplyTree, Tree: shop()})
	var reqs []supervisor.Request
	h.m.View(func(v View) { reqs = v.Pending(10) })
	if len(reqs) != 2 {
		t.Fatalf("pending %v", reqs)
	}
	h.must(Command{Type: TypeAssign, Assign: []supervisor.Assign{{Path: "shop/a", Epoch: reqs[0].Epoch, Node: "n1"}}})
	h.must(Command{Type: TypeEvents, Events: []supervisor.ChildEvent{{Path: "shop/a", Epoch: reqs[0].Epoch, Type: supervisor.EventStarted, PID: 7}}})
	data, err := h.m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	m2 := New()
	if err := m2.Restore(data); err != nil {
		t.Fatal(err)
	}
	_, h1, _ := h.m.Hash()
	_, h2, _ := m2.Hash()
	if h1 != h2 {
		t.Fatal("restored hash differs")
	}
	h.m = m2
	res := h.must(Command{Type: TypeEvents, Events: []supervisor.ChildEvent{{Path: "shop/a", Epoch: reqs[0].Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 3}}})
	if len(res[0].Decisions) != 1 || res[0].Decisions[0].Verdict != supervisor.VerdictRestart {
		t.Fatalf("decisions %+v", res[0].Decisions)
	}
	t.Log(res[0].Decisions[0].Sentence)
	node, o, ok := "", supervisor.Order{}, false
	h.m.View(func(v View) { node, o, ok = v.Order("shop/a") })
	if !ok || node != "n1" || o.Action != supervisor.Run || o.Epoch <= reqs[0].Epoch {
		t.Fatalf("order %v %+v %v", node, o, ok)
	}
}
