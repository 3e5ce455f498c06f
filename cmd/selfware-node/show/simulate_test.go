package show

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/cmd/selfware-node/replay"
	"github.com/selfware/selfware/simulate"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

const played = `
name: shop
strategy: rest_for_one
restart_policy: {max_restarts: 2, max_seconds: 60, backoff: {fixed: 200ms}}
on_exhausted: {retry_after: 30s}
children:
  - {id: store, run: store, exclusive: true}
  - id: web
    supervisor: {restart_policy: {max_restarts: 3, max_seconds: 30, backoff: {exponential: {base: 100ms, max: 5s}}}}
    children:
      - {id: api, run: api, move_after: 2}
      - {id: cache, run: cache, restart_type: temporary}
  - id: jobs
    supervisor: {}
    children:
      - {id: ann, run: ann}
`

const wentWrong = `
- {at: 10s, crash: shop/web/*, times: 4, every: 50ms}
- {at: 60s, leader: down, for: 30s}
- {at: 2m, partition: [n3], for: 20s}
- {at: 3m, drain: n2, for: 10s}
`

func playedTree(t *testing.T) supervisor.Spec {
	t.Helper()
	tree, err := spec.Parse("tree.yaml", []byte(played))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// compareGolden compares with a golden file, and looks for spaces at the ends of lines.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if strings.HasSuffix(strings.TrimRight(line, "\n"), " ") {
			t.Errorf("space at the end of %q", line)
		}
	}
}

func TestSchedules(t *testing.T) {
	all, err := simulate.Explain(playedTree(t), "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	Schedules(&b, all, Style{})
	compareGolden(t, "schedules", b.String())
}

func TestSimulation(t *testing.T) {
	for _, typical := range []bool{false, true} {
		cfg := simulate.Config{Tree: playedTree(t), Nodes: 3, For: 5 * time.Minute, Typical: typical}
		var err error
		if cfg.Faults, err = spec.ParseFaults("plan", []byte(wentWrong), simulate.NodeNames(3), simulate.Workers(cfg.Tree)); err != nil {
			t.Fatal(err)
		}
		r, err := simulate.Run(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		Simulation(&b, r, Style{})
		compareGolden(t, map[bool]string{false: "simulation", true: "simulation-typical"}[typical], b.String())
	}
}

func TestReplayShown(t *testing.T) {
	line := func(mark replay.Mark, index uint64, v supervisor.Verdict, path, text string) replay.Line {
		return replay.Line{Mark: mark, Index: index, Time: time.Duration(index) * time.Second, Verdict: v, Path: path, Node: "n1", Sentence: text}
	}
	var b bytes.Buffer
	Replay(&b, replay.Report{Snapshot: 4, Last: 9, Entries: 3, Lines: []replay.Line{
		line("", 5, "", "", "node n1 joined"), line("", 9, "restart", "shop/api", "shop/api failed"),
	}}, Style{})
	Replay(&b, replay.Report{Last: 9, Entries: 1}, Style{})
	Replay(&b, replay.Report{Last: 9, Entries: 3, Tree: "shop"}, Style{})
	Replay(&b, replay.Report{Last: 9, Entries: 3, Tree: "shop", Lines: []replay.Line{
		line("", 5, "up", "shop/api", "shop/api runs"), line(replay.Was, 7, "restart", "shop/api", "it restarts"),
		line(replay.Would, 7, "escalate", "shop/api", "it gives up"), line(replay.Beyond, 9, "up", "shop/api", "it runs"),
	}, Departures: []replay.Departure{{Path: "shop/api", Index: 7}}}, Style{})
	compareGolden(t, "replay", b.String())
}

// TestScheduleShowsExitRules: what other ends than plain crashes mean stands below.
func TestScheduleShowsExitRules(t *testing.T) {
	tree, err := spec.Parse("tree.yaml", []byte("name: shop\nchildren: [{id: api, run: api, finish_on: [0, 3, TERM], never_restart_on: 2, move_on: [ABRT, 75], escalate_on: SEGV}]"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := simulate.Explain(tree, "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	Schedules(&b, all, Style{})
	for _, want := range []string{
		"  exit code 0, 3 or SIGTERM is an end as it should be: the child is finished, uncharged (finish_on)\n",
		"  exit code 2 is for good: the child has failed and stays down, uncharged (never_restart_on)\n",
		"  SIGABRT or exit code 75 is charged like a crash, and moves the child to another node at once (move_on)\n",
		"  SIGSEGV is fatal: its supervisor gives up at once (escalate_on)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
}
