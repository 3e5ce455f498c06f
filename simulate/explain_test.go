package simulate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

func parse(t interface {
	Helper()
	Fatalf(string, ...any)
}, text string) supervisor.Spec {
	t.Helper()
	s, err := spec.Parse("tree.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

const twoLevels = `
name: shop
restart_policy: {max_restarts: 1, max_seconds: 60, backoff: {fixed: 1s}}
children:
  - {id: store, run: store}
  - id: web
    supervisor: {strategy: rest_for_one, restart_policy: {max_restarts: 2, max_seconds: 60, backoff: {exponential: {base: 1s, max: 10s}}}}
    children:
      - {id: api, run: api, move_after: 2}
      - {id: cache, run: cache}
`

// TestExplain follows one child step by step, to the root.
func TestExplain(t *testing.T) {
	all, err := Explain(parse(t, twoLevels), "shop/web/api")
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	want := []struct {
		at      time.Duration
		path    string
		verdict supervisor.Verdict
		used    int
	}{
		{0, "shop/web/api", "restart", 1},
		{1 * time.Second, "shop/web/api", "move", 2},
		{3 * time.Second, "shop/web/api", "escalate", 2},
		{3 * time.Second, "shop/web", "restart", 1},
		{4 * time.Second, "shop/web/api", "restart", 1},
		{5 * time.Second, "shop/web/api", "move", 2},
		{7 * time.Second, "shop/web/api", "escalate", 2},
		{7 * time.Second, "shop/web", "escalate", 1},
		{7 * time.Second, "shop", "fail", 0},
	}
	s := all[0]
	if len(s.Steps) != len(want) {
		t.Fatalf("%d steps, want %d: %+v", len(s.Steps), len(want), s.Steps)
	}
	for i, w := range want {
		if got := s.Steps[i]; got.At != w.at || got.Path != w.path || got.Verdict != w.verdict || got.Window.Used != w.used {
			t.Errorf("step %d: %+v, want %+v", i, got, w)
		}
	}
	if with := strings.Join(s.Steps[0].With, " "); with != "shop/web/cache" {
		t.Errorf("it restarts with %q", with)
	}
	if s.Endless || !strings.Contains(s.End, "stays stopped") {
		t.Errorf("%v, %s", s.Endless, s.End)
	}
}

// TestExplainEndless: the child gives up, and its supervisor's window is too short to
// ever be spent.
func TestExplainEndless(t *testing.T) {
	all, err := Explain(parse(t, `
name: shop
children:
  - id: web
    supervisor: {}
    children: [{id: api, run: api}]
`), "")
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if s := all[0]; !s.Endless || !strings.Contains(s.End, "every 33s, and the window of shop/web never holds more than 2 of 5") {
		t.Errorf("%v, %s", s.Endless, s.End)
	}
}

func TestExplainUnknown(t *testing.T) {
	_, err := Explain(parse(t, twoLevels), "shop/wep")
	if err == nil || !strings.Contains(err.Error(), "shop/web/api") {
		t.Errorf("got %v", err)
	}
}

func TestSchedulesAreBounded(t *testing.T) {
	tree := parse(t, twoLevels)
	for i := range MaxSchedules {
		tree.Children = append(tree.Children, supervisor.ChildSpec{
			ID: fmt.Sprint("more-", i), RestartType: supervisor.Temporary, Program: &supervisor.Program{Argv: []string{"x"}},
		})
	}
	if _, err := Explain(tree, ""); err == nil || !strings.Contains(err.Error(), "give the path of a part of the tree") {
		t.Errorf("got %v", err)
	}
	if all, err := Explain(tree, "shop/web"); err != nil || len(all) != 2 {
		t.Errorf("of a part: %d, %v", len(all), err)
	}
}

// TestExplainSpends: whatever the policies, a schedule ends; each escalation comes when
// the window is full and not before, and each restart comes after its wait.
func TestExplainSpends(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree := drawTree(rt)
		all, err := Explain(tree, "")
		if err != nil {
			rt.Fatalf("%v", err)
		}
		for _, s := range all {
			if s.End == "" || len(s.Steps) == 0 {
				rt.Fatalf("no end: %+v", s)
			}
			for i, step := range s.Steps {
				full := step.Window.Used == step.Window.Max
				switch {
				case step.Verdict == supervisor.VerdictEscalate && !full:
					rt.Fatalf("%s escalates early: %+v", s.Path, step)
				case step.Window.Used > step.Window.Max:
					rt.Fatalf("%s is over budget: %+v", s.Path, step)
				case i > 0 && step.Crash == s.Steps[i-1].Crash+1 && step.At < s.Steps[i-1].At+s.Steps[i-1].Wait:
					rt.Fatalf("%s does not wait: %+v, then %+v", s.Path, s.Steps[i-1], step)
				}
			}
		}
	})
}

// drawTree draws a tree of at most three levels.
func drawTree(rt *rapid.T) supervisor.Spec {
	tree := supervisor.Spec{
		Name: "t", Strategy: drawStrategy(rt), RestartPolicy: drawPolicy(rt),
		RetryAfter: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(rt, "retry"),
		Exclusive:  rapid.Bool().Draw(rt, "exclusive"),
		Children:   drawChildren(rt, 2),
	}
	tree.AutoShutdown = drawSignificance(rt, tree.Children)
	return tree
}

func drawStrategy(rt *rapid.T) supervisor.Strategy {
	return rapid.SampledFrom([]supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne}).Draw(rt, "strategy")
}

func drawPolicy(rt *rapid.T) supervisor.RestartPolicy {
	p := supervisor.RestartPolicy{
		MaxRestarts: rapid.IntRange(0, 4).Draw(rt, "max"), MaxSeconds: time.Duration(rapid.IntRange(1, 60).Draw(rt, "period")) * time.Second,
		Backoff: supervisor.Backoff{Kind: supervisor.Fixed, Base: time.Duration(rapid.IntRange(0, 3000).Draw(rt, "wait")) * time.Millisecond},
		Scope:   rapid.SampledFrom([]supervisor.Scope{supervisor.ScopeChild, supervisor.ScopeSupervisor}).Draw(rt, "scope"),
	}
	if rapid.Bool().Draw(rt, "exponential") {
		p.Backoff.Kind, p.Backoff.Max = supervisor.Exponential, 10*time.Second
	}
	return p
}

func drawChildren(rt *rapid.T, levels int) []supervisor.ChildSpec {
	children := make([]supervisor.ChildSpec, rapid.IntRange(1, 3).Draw(rt, "children"))
	for i := range children {
		c := supervisor.ChildSpec{
			ID:          string(rune('a' + i)),
			RestartType: rapid.SampledFrom([]supervisor.RestartType{supervisor.Permanent, supervisor.Permanent, supervisor.Transient, supervisor.Temporary}).Draw(rt, "type"),
			MoveAfter:   rapid.IntRange(0, 3).Draw(rt, "move_after"),
		}
		if levels > 0 && rapid.Bool().Draw(rt, "supervisor") {
			c.MoveAfter, c.Supervisor = 0, &supervisor.SupervisorSpec{Strategy: drawStrategy(rt), RestartPolicy: drawPolicy(rt)}
			c.Children = drawChildren(rt, levels-1)
		} else {
			c.Program = &supervisor.Program{Argv: []string{"x"}, MinUptime: rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond}).Draw(rt, "uptime")}
		}
		children[i] = c
	}
	return children
}

// TestExplainExitRules: the crashes of a schedule are none of those that exit rules name,
// which stand beside it.
func TestExplainExitRules(t *testing.T) {
	tree := parse(t, `
name: shop
restart_policy: {max_restarts: 1, max_seconds: 60, backoff: {fixed: 1s}}
children: [{id: api, run: api, finish_on: [0, 1, 2], escalate_on: 3}]
`)
	all, err := Explain(tree, "")
	if err != nil || len(all) != 1 || len(all[0].Steps) != 3 || all[0].Steps[0].Verdict != supervisor.VerdictRestart || len(all[0].Exits.FinishOn) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	every := tree.Children[0].Exits
	for code := range 256 {
		if code > 3 {
			every.MoveOn = append(every.MoveOn, supervisor.Exit(fmt.Sprint(code)))
		}
	}
	if ev := unruled(every); ev.Signal != "SIGKILL" {
		t.Errorf("with all codes named: %+v", ev)
	}
}
