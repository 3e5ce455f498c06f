package fsm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

func (h *harness) says(node string, seq uint64, level link.HealthLevel, reason string) Command {
	return Command{
		Type: TypeNodeHealth, Node: &NodeRef{ID: node, Boot: boot(node, seq)}, Health: &link.Health{Level: level, Reason: reason},
	}
}

// TestUnhealthyNode: its circuit is open for as long as it is unhealthy, whatever fails there
// or is put there by force, over a restart of its agent and the loss of the node; then it
// closes as any other does.
func TestUnhealthyNode(t *testing.T) {
	h := onOneNode(t, 8, "n2", "n1", "n2")
	h.must(h.says("n2", 1, link.HealthUnhealthy, "disk full"))
	h.expect("n2", breaker.Open, 0)
	h.wait(100 * time.Second)
	h.expect("n2", breaker.Open, 0)
	h.must(applyTree(tree("more", "x")))
	h.placeAll("n2") // by force
	for i := range 8 {
		h.crashes(i)
	}
	h.wait(100 * time.Second)
	h.expect("n2", breaker.Open, 0)
	if c := h.circuit("n2"); c.Why != "the node is unhealthy: disk full" {
		t.Errorf("%+v", c)
	}
	h.must(nodeUp("n2", 2)) // a new start, and it has not looked yet
	h.wait(100 * time.Second)
	h.expect("n2", breaker.Open, 0)
	if err := h.apply(h.says("n2", 1, link.HealthWell, ""))[0].Err; !errors.Is(err, supervisor.ErrStale) {
		t.Errorf("a word of the start before: %v", err)
	}
	h.must(h.says("n2", 2, link.HealthUnhealthy, "clock")) // another reason is not told
	h.must(h.says("n2", 2, link.HealthDegraded, "memory"))
	h.wait(28 * time.Second)
	h.expect("n2", breaker.Open, 0)
	h.wait(0)
	h.expect("n2", breaker.HalfOpen, 3)
	if err := h.apply(h.says("n2", 2, link.HealthDegraded, "memory"))[0].Err; !errors.Is(err, supervisor.ErrStale) {
		t.Errorf("the same again: %v", err)
	}
	h.must(h.says("n2", 2, link.HealthWell, ""))
	var told []string
	h.m.View(func(v View) {
		records, _ := v.Records(0, -1, MaxRecords)
		for _, r := range records {
			if strings.HasPrefix(r.Sentence, "node n2") && !strings.Contains(r.Sentence, "restarted") {
				told = append(told, r.Sentence)
			}
		}
	})
	want := []string{
		"node n2 joined",
		"node n2 is unhealthy: disk full",
		"node n2: circuit opened: no child is placed there until the node is well again",
		"node n2 is degraded: memory",
		"node n2: circuit stays open for another 30s, now that the node is not unhealthy any more",
		"node n2: circuit half-open: at most 3 children at once try the node",
		"node n2 is healthy again",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s", strings.Join(told, "\n"))
	}
}

// TestDegradedNode: the circuit of a degraded node stays closed, and its state is kept.
func TestDegradedNode(t *testing.T) {
	h := newHarness(t, "n1", "n2")
	h.must(h.says("n1", 1, link.HealthDegraded, "memory"))
	h.expect("n1", breaker.Closed, 0)
	h.must(lost("n1", 1))
	if err := h.apply(h.says("n1", 1, link.HealthWell, ""))[0].Err; !errors.Is(err, supervisor.ErrStale) {
		t.Errorf("a lost node spoke: %v", err)
	}
	h.must(nodeUp("n1", 1))
	h.m.View(func(v View) {
		if n, err := v.Node("n1"); err != nil || n.Health != (link.Health{Level: link.HealthDegraded, Reason: "memory"}) {
			t.Errorf("%+v, %v", n, err)
		}
	})
}
