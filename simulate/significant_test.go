package simulate

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/supervisor"
)

// drawSignificance makes some children significant, where that is allowed.
func drawSignificance(rt *rapid.T, children []supervisor.ChildSpec) supervisor.AutoShutdown {
	auto := rapid.SampledFrom([]supervisor.AutoShutdown{"", supervisor.AutoAny, supervisor.AutoAll}).Draw(rt, "auto_shutdown")
	for i := range children {
		c := &children[i]
		if auto.Shuts() && c.RestartType != supervisor.Permanent {
			c.Significant = rapid.Bool().Draw(rt, "significant")
		}
		if c.Supervisor != nil {
			c.Supervisor.AutoShutdown = drawSignificance(rt, c.Children)
		}
	}
	return auto
}

const jobs = `
name: shop
auto_shutdown: any
restart_policy: {max_restarts: 1, max_seconds: 60, backoff: {fixed: 1s}}
children:
  - {id: store, run: store}
  - {id: once, run: once, restart_type: transient, significant: true}
  - id: job
    supervisor: {auto_shutdown: all}
    children:
      - {id: load, run: load, restart_type: temporary, significant: true}
      - {id: feed, run: feed}
  - id: week
    restart_type: transient
    significant: true
    supervisor: {restart_policy: {max_restarts: 0}}
    children:
      - {id: day, run: day}
`

// TestExplainSignificant: what the end of a significant child leads to, step by step, and
// in words.
func TestExplainSignificant(t *testing.T) {
	all, err := Explain(parse(t, jobs), "")
	if err != nil || len(all) != 5 {
		t.Fatalf("%v, %v", all, err)
	}
	by := make(map[string]Schedule)
	steps := make(map[string]string)
	for _, s := range all {
		by[s.Path] = s
		for _, step := range s.Steps {
			steps[s.Path] += fmt.Sprintf("%s %s; ", step.Path, step.Verdict)
		}
	}
	for path, want := range map[string]string{
		"shop/once":     "shop/once restart; shop/once escalate; shop fail; ",
		"shop/job/load": "shop/job/load shutdown; shop/job restart; shop/job/load shutdown; shop/job escalate; shop fail; ",
		"shop/week/day": "shop/week/day escalate; shop/week shutdown; shop finish; ",
	} {
		if steps[path] != want {
			t.Errorf("%s: %s\nwant %s", path, steps[path], want)
		}
	}
	for path, want := range map[string]string{
		"shop/store": "", "shop/job/feed": "", "shop/once": "when it ends as it should, the tree has finished and all of it stops (auto_shutdown: any)",
		"shop/job/load": "when it ends, for whatever reason, and no other significant child of shop/job runs, shop/job ends and all of it stops (auto_shutdown: all)",
	} {
		if got := by[path].Significant; got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	if end := by["shop/week/day"].End; !strings.Contains(end, "has finished") {
		t.Error(end)
	}
	if with := by["shop/job/load"].Steps[1].With; strings.Join(with, " ") != "shop/job/feed" {
		t.Errorf("it restarts with %v", with)
	}
}
