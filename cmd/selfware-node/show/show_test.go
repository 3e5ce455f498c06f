package show

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func shop() api.TreeStatus {
	return api.TreeStatus{Name: "shop", Status: "degraded", Children: []api.ChildStatus{
		{Path: "shop/store", Exclusive: true, Status: "running", Node: "n1", Epoch: 12, PID: 4711, Restarts: 1, Since: now.Add(-90 * time.Second), Reason: "shop/store runs on n1"},
		{Path: "shop/web", Supervisor: true, Strategy: "one_for_one", Status: "running"},
		{Path: "shop/web/api", Status: "backoff", Node: "n2", Epoch: 14, Restarts: 3, Moves: 1, Since: now.Add(-3 * time.Hour), Reason: "shop/web/api failed on n2 (exit code 1): restart it after 4s"},
		{Path: "shop/web/wärmer", Status: "pending", Since: now.Add(-50 * time.Hour), Reason: "no node fits: 3 of 3 lack disk=ssd"},
		{Path: "shop/last", Status: "finished", Node: "", Epoch: 9, Since: now.Add(-5 * time.Second), Reason: "shop/last finished\x1b[31m"},
	}}
}

func cluster() api.Status {
	return api.Status{
		Cluster: api.ClusterStatus{ID: "c-1", Leader: "n1", Term: 3, Index: 1042, Generation: 1},
		Nodes: []api.NodeStatus{
			{ID: "n1-a", Name: "n1", Address: "127.0.0.11:7401", API: "127.0.0.11:7402", Status: "alive", Voter: true, Leader: true, Children: 1, Labels: map[string]string{"zone": "b", "disk": "ssd"}},
			{ID: "n2-b", Name: "n2", Address: "127.0.0.12:7401", Status: "lost", Voter: true, Reason: "its agent ended"},
			{ID: "long-c", Name: "a-long-name", Address: "127.0.0.13:7401", Status: "draining"},
		},
		Trees: []api.TreeStatus{shop(), {Name: "empty", Status: "stopped"},
			{Name: "waits", Status: "degraded", After: []string{"shop"}, WaitsFor: []api.Awaited{{Path: "shop", Why: "shop/web/api is backoff"}}}},
	}
}

func why() api.Why {
	minute := time.Minute
	b := func(used int) supervisor.Budget { return supervisor.Budget{Used: used, Max: 5, Period: minute} }
	return api.Why{
		Child: shop().Children[2], Budget: b(3),
		Decisions: []supervisor.Decision{
			{Stamp: supervisor.Stamp{Index: 480}, Path: "shop/web/api", Verdict: supervisor.VerdictStart, Cause: supervisor.Cause{Kind: supervisor.CauseInitial}, Before: b(0), After: b(0), Sentence: "shop/web/api starts (initial)"},
			{Stamp: supervisor.Stamp{Index: 512}, Path: "shop/web/api", Verdict: supervisor.VerdictRestart, Node: "n2", Cause: supervisor.Cause{Kind: supervisor.CauseCrash, Path: "shop/web/api", Detail: "exit code 1"}, Before: b(2), After: b(3), Delay: 4 * time.Second, Sentence: "shop/web/api failed on n2 (exit code 1): restart it after 4s"},
			{Stamp: supervisor.Stamp{Index: 530}, Path: "shop/web/api", Verdict: supervisor.VerdictMove, Cause: supervisor.Cause{Kind: supervisor.CauseGroup, Path: "shop/store"}, Before: b(3), After: b(3), Sentence: "shop/web/api moves with shop/store"},
		},
		Waiting: &api.Waiting{Why: "no node fits", Refusals: []api.Refusal{{Node: "n1", Reason: "lacks disk=ssd"}, {Node: "a-long-name", Reason: "is draining"}}},
	}
}

// explained is one tree with children of all kinds.
func explained() api.Explanation {
	worker := func(id string, kind supervisor.RestartType, exclusive bool) supervisor.ChildSpec {
		return supervisor.ChildSpec{ID: id, RestartType: kind, Exclusive: exclusive, Program: &supervisor.Program{Argv: []string{"x"}}}
	}
	group := func(id string, exclusive bool, children ...supervisor.ChildSpec) supervisor.ChildSpec {
		return supervisor.ChildSpec{
			ID: id, RestartType: supervisor.Permanent, Exclusive: exclusive,
			Supervisor: &supervisor.SupervisorSpec{Strategy: supervisor.OneForOne}, Children: children,
		}
	}
	e, err := api.Explain("lan", supervisor.Spec{Name: "shop", Strategy: supervisor.RestForOne, Children: []supervisor.ChildSpec{
		worker("store", supervisor.Permanent, true), worker("cache", supervisor.Permanent, false),
		group("jobs", true, worker("nightly", supervisor.Permanent, false), worker("once", supervisor.Temporary, false)),
		group("web", false, worker("api", supervisor.Transient, false)),
	}}, "shop")
	if err != nil {
		panic(err)
	}
	return e
}

func TestGolden(t *testing.T) {
	s := Style{Now: now}
	one := 1
	tests := map[string]func(io.Writer){
		"status":       func(w io.Writer) { Status(w, cluster(), s) },
		"status-color": func(w io.Writer) { Status(w, cluster(), Style{Color: true, Now: now}) },
		"status-empty": func(w io.Writer) {
			Status(w, api.Status{Cluster: api.ClusterStatus{ID: "c-1", Generation: 2}}, s)
		},
		"trees": func(w io.Writer) {
			rooted := shop()
			rooted.Children = append([]api.ChildStatus{{Path: "shop", Supervisor: true, Strategy: "rest_for_one"}}, rooted.Children...)
			Trees(w, []api.TreeStatus{rooted, {Name: "other", Status: "running", Children: []api.ChildStatus{{Path: "other/one", Status: "running", Node: "n1", PID: 7}}}}, s)
		},
		"trees-none":   func(w io.Writer) { Trees(w, nil, s) },
		"why":          func(w io.Writer) { Why(w, why(), s) },
		"explain":      func(w io.Writer) { Explanation(w, explained(), s) },
		"explain-none": func(w io.Writer) { Explanation(w, api.Explanation{Profile: "lan"}, s) },
		"peers": func(w io.Writer) {
			Peers(w, []api.Peer{{ID: "n1-a", Name: "n1", Address: "127.0.0.11:7401", Voter: true, Leader: true}, {ID: "n2-b", Address: "127.0.0.12:7401", Voter: true}, {ID: "n3-c", Name: "n3", Address: "127.0.0.13:7401"}}, s)
		},
		"event": func(w io.Writer) {
			at := time.Date(2025, 3, 1, 12, 0, 0, 7e6, time.Local)
			Event(w, api.Event{At: at, Kind: "decision", Verdict: "restart", Path: "shop/store", Node: "n1", Sentence: "shop/store failed on n1"}, s)
			Event(w, api.Event{At: at, Kind: "node", Node: "n3", Sentence: "node n3 is lost\nno: it is \x1b[5mback"}, s)
		},
		"plan": func(w io.Writer) {
			Plan(w, api.Plan{Tree: "shop"}, s)
			old := supervisor.Spec{Name: "shop", Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent, Program: &supervisor.Program{Argv: []string{"x"}}}}}
			changed := supervisor.Spec{Name: "shop", Children: []supervisor.ChildSpec{{ID: "a", RestartType: supervisor.Permanent, MaxRestarts: &one, Program: &supervisor.Program{Argv: []string{"y"}}}}}
			Plan(w, api.Plan{Tree: "shop", New: true, Tag: api.TagNone, Changes: spec.Diff(nil, &old)}, s)
			Plan(w, api.Plan{Tree: "shop", Tag: "0a1b", Changes: spec.Diff(&old, &changed)}, s)
		},
	}
	for name, print := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			print(&b)
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
			}
			for line := range strings.Lines(b.String()) {
				if strings.HasSuffix(strings.TrimRight(line, "\n"), " ") {
					t.Errorf("space at the end of %q", line)
				}
			}
		})
	}
}

// TestColorKeepsWidth: without its colours the coloured text is the plain one.
func TestColorKeepsWidth(t *testing.T) {
	var plainText, colored bytes.Buffer
	Status(&plainText, cluster(), Style{Now: now})
	Status(&colored, cluster(), Style{Color: true, Now: now})
	text := colored.String()
	for _, code := range []string{"0", bold, dim, red, green, yellow, cyan} {
		text = strings.ReplaceAll(text, "\x1b["+code+"m", "")
	}
	if text != plainText.String() {
		t.Errorf("got:\n%s\nwant:\n%s", text, plainText.String())
	}
	if strings.Contains(text, "\x1b") {
		t.Error("a child's own escape code came through")
	}
}

// steps answers with one tree after the other, then with the last for ever.
type steps []api.TreeStatus

func (s *steps) look(context.Context) (api.TreeStatus, error) {
	t := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return t, nil
}

func tree(status, child, reason string, epoch uint64) api.TreeStatus {
	return api.TreeStatus{Name: "shop", Status: status, Children: []api.ChildStatus{
		{Path: "shop/web", Supervisor: true, Status: "running"},
		{Path: "shop/a", Status: child, Reason: reason, Epoch: epoch, Node: "n1"},
	}}
}

// rolls is a tree that runs while a rollout is somewhere.
func rolls(status string, done int, why string, trying ...string) api.TreeStatus {
	tr := tree("running", "running", "", 1)
	tr.Rollout = &api.Rollout{Status: status, Done: done, Total: 5, Why: why, Trying: trying}
	return tr
}

func TestRolloutLine(t *testing.T) {
	until := now.Add(10 * time.Second)
	timed := &api.Rollout{Status: "updating", Done: 3, Total: 10, Trying: []string{"shop/a"}, Until: &until}
	for _, c := range []struct {
		r    *api.Rollout
		want string
	}{
		{timed, "updating 3 of 10, waits for shop/a, looks again at " + until.Local().Format("15:04:05")},
		{rolls("updating", 0, "", "1", "2", "3", "4", "5").Rollout, "updating 0 of 5, waits for 1, 2, 3 and 2 more"},
		{rolls("updating", 2, "").Rollout, "updating 2 of 5, waits for a supervisor that does not run, or is paused"},
		{rolls("reverting", 1, "a failed", "b").Rollout, "reverting 1 of 5, waits for b: a failed"},
		{rolls("halted", 1, "a\x1b failed").Rollout, `halted 1 of 5: a\x1b failed (apply a file, or rollout resume or revert)`},
		{rolls("reverted", 5, "a failed").Rollout, "reverted, the former file is in force again: a failed"},
	} {
		if got := rolloutLine(c.r, Style{}); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	var out bytes.Buffer
	tr := rolls("updating", 1, "", "shop/a")
	tr.Children[1].Turn = "tries"
	Tree(&out, tr, Style{})
	treeTable(&out, tr, Style{})
	if text := out.String(); strings.Count(text, "updating 1 of 5, waits for shop/a") != 2 || strings.Count(text, "has its turn in the update") != 2 {
		t.Errorf("a tree in a rollout prints\n%s", text)
	}
}

func TestSettle(t *testing.T) {
	pending, running := tree("degraded", "pending", "", 1), tree("running", "running", "", 1)
	tests := []struct {
		name  string
		steps steps
		err   string
		out   string
	}{
		{"it starts", steps{pending, running}, "", "shop/a                running   on n1\ntree shop is running"},
		{"it is done", steps{tree("running", "finished", "", 1)}, "", "tree shop is running"},
		{"all of it is stopped", steps{tree("stopped", "stopped", "", 1)}, "", "tree shop is stopped"},
		{"it runs and dies", steps{running, tree("degraded", "backoff", "exit code 1", 2)}, "has not settled after 10s: \nshop/a is backoff: exit code 1", "backoff"},
		{"it dies and runs again", steps{running, tree("running", "running", "", 2)}, "", "tree shop is running"},
		{"the tree fails", steps{pending, tree("failed", "stopped", "gave up", 1)}, "tree shop is failed: \nshop/a is stopped: gave up", ""},
		{"a child fails for good", steps{tree("running", "failed", "exit code 1", 1)}, "shop/a is failed: exit code 1", ""},
		{"it rolls", steps{rolls("updating", 0, "", "shop/a"), rolls("updating", 1, "", "shop/b"), running}, "",
			"  updating 0 of 5, waits for shop/a\n  shop/a                running   on n1\n  updating 1 of 5, waits for shop/b\ntree shop is running"},
		{"it halts", steps{rolls("updating", 0, "", "shop/a"), rolls("halted", 1, "shop/b failed")}, "the update of tree shop is halted: shop/b failed", ""},
		{"it is taken back", steps{rolls("reverting", 0, "shop/b failed", "shop/a"), rolls("reverted", 1, "shop/b failed")},
			"the update of tree shop is reverted: shop/b failed", "reverting 0 of 5, waits for shop/a: shop/b failed"},
		{"it stands still", steps{rolls("updating", 0, "")}, "has not settled after 10s: \nupdating 0 of 5, waits for a supervisor that does not run, or is paused", ""},
		{"it finds no node", steps{tree("degraded", "pending", "no node fits", 1)}, "shop/a is pending: no node fits", "(no node fits)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var out bytes.Buffer
				err := Settle(ctx, &out, "shop", Style{}, tt.steps.look)
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				if !strings.Contains(out.String(), tt.out) {
					t.Errorf("printed %q, want %q", out.String(), tt.out)
				}
			})
		})
	}
}

// TestSettleEnds: an error of the node, and the user, end the wait at once.
func TestSettleEnds(t *testing.T) {
	broken := errors.New("broken")
	err := Settle(t.Context(), io.Discard, "shop", Style{}, func(context.Context) (api.TreeStatus, error) { return api.TreeStatus{}, broken })
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the node's error", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	err = Settle(ctx, io.Discard, "shop", Style{}, func(context.Context) (api.TreeStatus, error) {
		cancel(broken)
		return tree("degraded", "pending", "", 1), nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reason of the end", err)
	}
}

func TestAge(t *testing.T) {
	s := Style{Now: now}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 2 * time.Hour: "2h00m",
		47*time.Hour + 59*time.Minute: "47h59m", 49 * time.Hour: "2d",
	} {
		if got := s.age(now.Add(-d)); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 1500 * time.Millisecond: "1.5s"} {
		if got := span(d); got != want {
			t.Errorf("span %v: got %s, want %s", d, got, want)
		}
	}
	if got := s.age(time.Time{}); got != "-" {
		t.Errorf("no time: got %s", got)
	}
}

// TestSays: what a child says, and a liveness check of severity warning, stand where people
// look; nothing is said of those who say nothing and are well.
func TestSays(t *testing.T) {
	warned := &api.Says{Status: "3 waiting\x1b[2J", Health: "Unhealthy", Severity: "Warning", Reason: "503 from /healthz"}
	child := func(id string, s *api.Says) api.ChildStatus {
		return api.ChildStatus{Path: "shop/" + id, Status: "running", Node: "n1", PID: 7, Says: s}
	}
	tree := api.TreeStatus{Name: "shop", Status: "running", Children: []api.ChildStatus{
		child("a", warned), child("b", &api.Says{Health: "Healthy"}), child("c", nil), child("d", &api.Says{Health: "Degraded", Reason: "slow"}),
	}}
	var status, shown, why bytes.Buffer
	Status(&status, api.Status{Trees: []api.TreeStatus{tree}}, Style{})
	Trees(&shown, []api.TreeStatus{tree}, Style{})
	for _, out := range []string{status.String(), shown.String()} {
		for _, want := range []string{"Unhealthy (Warning): 503 from /healthz; says: 3 waiting", "Degraded: slow"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in\n%s", want, out)
			}
		}
		if strings.Contains(out, "Healthy") || strings.Contains(out, "\x1b") {
			t.Errorf("too much is said:\n%q", out)
		}
	}
	Why(&why, api.Why{Child: tree.Children[0]}, Style{})
	Why(&why, api.Why{Child: tree.Children[1]}, Style{})
	for _, want := range []string{"\nit says: 3 waiting", "\nits liveness check: Unhealthy (Warning): 503 from /healthz\n", "\nits liveness check: Healthy\n"} {
		if !strings.Contains(why.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &why)
		}
	}
}
