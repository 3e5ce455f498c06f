package supervisor

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestBackoff holds the seed's figures, and the edges beyond them.
func TestBackoff(t *testing.T) {
	exponential := func(base, most time.Duration) Backoff { return Backoff{Kind: Exponential, Base: base, Max: most} }
	fixed := Backoff{Kind: Fixed, Base: 5 * time.Second}
	longest := time.Duration(1<<63 - 1)
	for _, c := range []struct {
		backoff Backoff
		attempt int
		want    time.Duration
	}{
		{fixed, 0, 5 * time.Second},
		{fixed, 1, 5 * time.Second},
		{fixed, 10, 5 * time.Second},
		{Backoff{}, 3, 0},
		{exponential(time.Second, 60*time.Second), 0, time.Second},
		{exponential(time.Second, 60*time.Second), 1, 2 * time.Second},
		{exponential(time.Second, 60*time.Second), 2, 4 * time.Second},
		{exponential(time.Second, 60*time.Second), 3, 8 * time.Second},
		{exponential(time.Second, 60*time.Second), 5, 32 * time.Second},
		{exponential(time.Second, 60*time.Second), 6, 60 * time.Second},
		{exponential(time.Second, 64*time.Second), 6, 64 * time.Second},
		{exponential(time.Second, 64*time.Second), 7, 64 * time.Second},
		{exponential(time.Second, 10*time.Second), 5, 10 * time.Second},
		{exponential(time.Second, 10*time.Second), 20, 10 * time.Second},
		{exponential(time.Second, 100*time.Second), 63, 100 * time.Second},
		{exponential(time.Second, 100*time.Second), 64, 100 * time.Second},
		{exponential(time.Second, 100*time.Second), 1 << 40, 100 * time.Second},
		{exponential(time.Nanosecond, longest), 62, 1 << 62},
		{exponential(time.Nanosecond, longest), 63, longest},
		{exponential(3*time.Second, longest), 1000, longest},
		{exponential(time.Minute, time.Second), 0, time.Second},
		{exponential(0, time.Minute), 9, 0},
	} {
		if got := c.backoff.Duration(c.attempt); got != c.want {
			t.Errorf("%+v, attempt %d: %v, not %v", c.backoff, c.attempt, got, c.want)
		}
	}
}

func TestDefaultRestartPolicy(t *testing.T) {
	p := DefaultRestartPolicy()
	if p.MaxRestarts != 5 || p.MaxSeconds != time.Minute || p.Backoff.Duration(0) != time.Second || p.Backoff.Duration(9) != time.Minute {
		t.Errorf("not the seed's figures: %+v", p)
	}
}

// good is a spec that is accepted; each case below spoils it in one way.
func good() Spec {
	policy := RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Second}
	return Spec{Name: "shop", Strategy: OneForOne, RestartPolicy: policy, Children: []ChildSpec{
		{ID: "a", RestartType: Permanent, Program: &Program{Argv: []string{"a"}}},
		{ID: "s", RestartType: Permanent, Supervisor: &SupervisorSpec{Strategy: OneForAll, RestartPolicy: policy}, Children: []ChildSpec{
			{ID: "b", RestartType: Temporary, Program: &Program{Argv: []string{"b"}}},
		}},
	}}
}

func TestValidate(t *testing.T) {
	if err := good().Validate(); err != nil {
		t.Fatalf("a good spec: %v", err)
	}
	number := func(n int) *int { return &n }
	for _, c := range []struct {
		want  string
		spoil func(s *Spec)
	}{
		{`cannot use tree name: id ""`, func(s *Spec) { s.Name = "" }},
		{"must have 1 to 64", func(s *Spec) { s.Name = strings.Repeat("x", 65) }},
		{"must have 1 to 64", func(s *Spec) { s.Name = ".." }},
		{`has '/'; use letters`, func(s *Spec) { s.Children[0].ID = "a/b" }},
		{`has ' '; use letters`, func(s *Spec) { s.Children[0].ID = "a b" }},
		{"cannot use a child of shop: id", func(s *Spec) { s.Children[0].ID = "." }},
		{`shop/a: the id "a" stands twice`, func(s *Spec) { s.Children[1].ID = "a" }},
		{`shop: unknown strategy "all"`, func(s *Spec) { s.Strategy = "all" }},
		{"shop: max_restarts must be 0", func(s *Spec) { s.RestartPolicy.MaxRestarts = -1 }},
		{"shop: max_restarts must be 0", func(s *Spec) { s.RestartPolicy.MaxRestarts = MaxRestarts + 1 }},
		{"shop: max_seconds must be positive", func(s *Spec) { s.RestartPolicy.MaxSeconds = 0 }},
		{"shop: back-off must not", func(s *Spec) { s.RestartPolicy.Backoff.Base = -1 }},
		{"shop: back-off must not", func(s *Spec) { s.RestartPolicy.Backoff.Max = -1 }},
		{`shop: unknown back-off "linear"`, func(s *Spec) { s.RestartPolicy.Backoff.Kind = "linear" }},
		{`shop/a: unknown restart_type ""`, func(s *Spec) { s.Children[0].RestartType = "" }},
		{"shop/a: max_restarts must be", func(s *Spec) { s.Children[0].MaxRestarts = number(-1) }},
		{"shop/a: max_restarts must be", func(s *Spec) { s.Children[0].MaxRestarts = number(MaxRestarts + 1) }},
		{"shop/a: move_after must not", func(s *Spec) { s.Children[0].MoveAfter = -1 }},
		{"shop/a: it has neither run", func(s *Spec) { s.Children[0].Program = nil }},
		{"shop/s: it has both run", func(s *Spec) { s.Children[1].Program = &Program{} }},
		{"shop/a: it has children but", func(s *Spec) { s.Children[0].Children = good().Children }},
		{"shop/a: it has both run and func", func(s *Spec) { s.Children[0].Program.Func = "mailer" }},
		{`shop/a: func: id "a b"`, func(s *Spec) { s.Children[0].Program = &Program{Func: "a b"} }},
		{"shop/a: dir is for processes", func(s *Spec) { s.Children[0].Program = &Program{Func: "f", Dir: "/"} }},
		{"shop/a: a probe other than notify", func(s *Spec) { s.Children[0].Program = &Program{Func: "f", Probe: &Probe{TCP: "h:1"}} }},
		{"shop/a: a liveness check other than heartbeat", func(s *Spec) { s.Children[0].Program = &Program{Func: "f", Liveness: &Liveness{TCP: "h:1"}} }},
		{"shop/a: run is empty", func(s *Spec) { s.Children[0].Program = &Program{} }},
		{"shop/s: unknown strategy", func(s *Spec) { s.Children[1].Supervisor.Strategy = "" }},
		{"shop/s: max_seconds must", func(s *Spec) { s.Children[1].Supervisor.RestartPolicy.MaxSeconds = -1 }},
		{"shop/s/b: unknown restart_type", func(s *Spec) { s.Children[1].Children[0].RestartType = "x" }},
		{"nested deeper than 64", func(s *Spec) { s.Children = nested(65) }},
		{"nested deeper than 64", func(s *Spec) { s.Children = nested(10_000) }},
		{"at most 100000 children", func(s *Spec) { s.Children = many(100_001) }},
	} {
		s := good()
		c.spoil(&s)
		if tree, err := NewTree(s); tree != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is expected, got %v", c.want, err)
		}
	}
}

// TestLimits: a tree may be as large as the limits say.
func TestLimits(t *testing.T) {
	for name, children := range map[string][]ChildSpec{"deep": nested(64), "wide": many(100_000)} {
		s := good()
		s.Children = children
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nested gives a worker that has depth supervisors above it, the root included.
func nested(depth int) []ChildSpec {
	c := ChildSpec{ID: "w", RestartType: Permanent, Program: &Program{Argv: []string{"w"}}}
	for range depth - 1 {
		s := SupervisorSpec{Strategy: OneForOne, RestartPolicy: RestartPolicy{MaxRestarts: 1, MaxSeconds: time.Second}}
		c = ChildSpec{ID: "s", RestartType: Permanent, Supervisor: &s, Children: []ChildSpec{c}}
	}
	return []ChildSpec{c}
}

func many(n int) []ChildSpec {
	children := make([]ChildSpec, n)
	for i := range children {
		children[i] = ChildSpec{ID: fmt.Sprint("c", i), RestartType: Permanent, Program: &Program{Argv: []string{"c"}}}
	}
	return children
}
