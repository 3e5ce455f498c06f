package simulate

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

const pairTree = `
name: shop
restart_policy: {max_restarts: 3, max_seconds: 60, backoff: {fixed: 200ms}}
children:
  - {id: store, run: store, exclusive: true}
  - {id: api, run: api, move_after: 2}
`

func run(t interface {
	Helper()
	Fatalf(string, ...any)
}, cfg Config) Report {
	t.Helper()
	r, err := Run(cfg)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// longest is the longest gap of a child.
func longest(r Report, path string) time.Duration {
	for _, s := range r.Children {
		if s.Path == path {
			return s.Max
		}
	}
	return -1
}

// nodeOf is where a child is first.
func nodeOf(r Report, path string) string {
	for _, l := range r.Lives {
		if l.Path == path {
			return l.Node
		}
	}
	return ""
}

// TestGapsAsProved: with the worst delays, the gap of each fault is at most what
// cluster.GapsOf proves, and not far below: the two know of each other only the times.
func TestGapsAsProved(t *testing.T) {
	for _, profile := range []string{"lan", "fast", "wan"} {
		cfg := Config{Tree: parse(t, pairTree), Nodes: 5, Profile: profile, For: 5 * time.Minute}
		calm := run(t, cfg)
		for _, tt := range []struct {
			path      string
			exclusive bool
			fault     cluster.Fault
			plan      spec.Fault
		}{
			{"shop/store", true, cluster.NodeLost, spec.Fault{Node: "other"}},
			{"shop/api", false, cluster.NodeLost, spec.Fault{Node: "other"}},
			{"shop/store", true, cluster.LeaderLost, spec.Fault{Leader: spec.LeaderDown}},
			{"shop/api", false, cluster.LeaderLost, spec.Fault{Leader: spec.LeaderDown}},
			{"shop/store", true, cluster.Partition, spec.Fault{Partition: []string{"n1"}}},
			{"shop/api", false, cluster.Partition, spec.Fault{Partition: []string{"n1"}}},
		} {
			// The child is to be on the node that is struck: the leader, or another one.
			at := "n1"
			if tt.plan.Node != "" {
				at, tt.plan.Node = "n2", "n2"
			}
			tree := parse(t, strings.ReplaceAll(pairTree, "run: "+strings.TrimPrefix(tt.path, "shop/"), "nodes: ["+at+"], run: x"))
			tt.plan.At = 10*time.Second + 37*time.Millisecond
			cfg.Tree, cfg.Faults = tree, []spec.Fault{tt.plan}
			r := run(t, cfg)
			if nodeOf(r, tt.path) != at {
				t.Fatalf("%s is on %s", tt.path, nodeOf(r, tt.path))
			}
			gaps, err := cluster.GapsOf(profile, tt.exclusive)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(gaps, func(g cluster.Gap) bool { return g.Fault == tt.fault })
			most, got := gaps[i].Length(), max(0, longest(r, tt.path))
			if got > most || got < most*7/10 {
				t.Errorf("%s, %s, %s: a gap of %v, proved is at most %v", profile, tt.path, tt.fault, got, most)
			}
		}
		for _, s := range calm.Children {
			if s.Count != 0 || s.Phase != supervisor.PhaseRunning {
				t.Errorf("%s, without a fault: %+v", profile, s)
			}
		}
	}
}

// TestGapsAsMeasured: what bench measured on real processes (rows c and g of
// docs/benchmarks.md) is what is simulated: the median with typical delays, within 5 in
// 100, and the worst one at most what it is with the worst.
func TestGapsAsMeasured(t *testing.T) {
	for _, tt := range []struct {
		profile, node, path string
		median, worst       time.Duration
	}{
		{"lan", "n2", "shop/api", 2929 * time.Millisecond, 2956 * time.Millisecond},
		{"lan", "n1", "shop/api", 2947 * time.Millisecond, 3174 * time.Millisecond},
		{"fast", "n2", "shop/api", 913 * time.Millisecond, 1100 * time.Millisecond},
		{"fast", "n1", "shop/api", 1089 * time.Millisecond, 1263 * time.Millisecond},
		{"lan", "n2", "shop/store", 5041 * time.Millisecond, 5081 * time.Millisecond},
		{"lan", "n1", "shop/store", 6083 * time.Millisecond, 6813 * time.Millisecond},
		{"fast", "n2", "shop/store", 1843 * time.Millisecond, 1863 * time.Millisecond},
		{"fast", "n1", "shop/store", 2207 * time.Millisecond, 2399 * time.Millisecond},
	} {
		cfg := Config{
			Tree: parse(t, strings.ReplaceAll(pairTree, "run:", "nodes: ["+tt.node+"], run:")), Nodes: 3, Profile: tt.profile,
			For: time.Minute, Faults: []spec.Fault{{At: 20*time.Second + 30*time.Millisecond, Node: tt.node}},
		}
		worst := longest(run(t, cfg), tt.path)
		cfg.Typical = true
		typical := longest(run(t, cfg), tt.path)
		if d := (typical - tt.median).Abs(); d > tt.median/20 || worst < tt.worst {
			t.Errorf("%s, %s, %s: typical %v (measured %v), worst %v (measured %v)", tt.profile, tt.node, tt.path, typical, tt.median, worst, tt.worst)
		}
	}
}

// TestGivesUp: a child that crashes more often than its budget takes the tree down.
func TestGivesUp(t *testing.T) {
	r := run(t, Config{Tree: parse(t, pairTree), Nodes: 3, For: time.Minute, Faults: []spec.Fault{{At: time.Second, Crash: "shop/api", Times: 4}}})
	var verdicts []string
	for _, e := range r.Events {
		if e.Path == "shop/api" && !slices.Contains([]string{"start", "place", "up", "stopped"}, string(e.Verdict)) {
			verdicts = append(verdicts, string(e.Verdict))
		}
	}
	if got := strings.Join(verdicts, " "); got != "restart move restart escalate" {
		t.Errorf("it does: %s", got)
	}
	for _, s := range r.Children {
		if s.Phase != supervisor.PhaseFailed || s.Open != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// TestDrain: a drained node is left, and taken again when it is over.
func TestDrain(t *testing.T) {
	cfg := Config{Tree: parse(t, pairTree), Nodes: 2, For: time.Minute}
	from := nodeOf(run(t, cfg), "shop/api")
	cfg.Faults = []spec.Fault{{At: 10 * time.Second, Drain: from, For: 10 * time.Second}}
	r := run(t, cfg)
	for _, l := range r.Lives {
		if l.Path == "shop/api" && (l.Node == from) != (l.From < 10*time.Second) {
			t.Errorf("%+v", l)
		}
	}
	if len(r.ByFault) != 1 || r.ByFault[0].Count == 0 {
		t.Errorf("%+v", r.ByFault)
	}
}

// TestRandom: whatever goes wrong, gaps and lives fill a child's time without a rest,
// no exclusive child runs twice, and the same plan gives the same report, also when it
// was written and read.
func TestRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Config{
			Tree: drawTree(rt), Nodes: rapid.IntRange(1, 6).Draw(rt, "nodes"), For: 2 * time.Minute,
			Typical: rapid.Bool().Draw(rt, "typical"), Profile: rapid.SampledFrom([]string{"lan", "fast", "wan"}).Draw(rt, "profile"),
		}
		cfg.Faults = Draw(cfg, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(0, 12).Draw(rt, "faults"))
		r := run(rt, cfg)
		for _, s := range r.Children {
			booked(rt, r, s)
			if cfg.Tree.Exclusive && s.Twice > 0 {
				rt.Fatalf("%s is exclusive and ran twice for %v", s.Path, s.Twice)
			}
		}
		plan, err := spec.ParseFaults("plan", spec.FormatFaults(cfg.Faults), NodeNames(cfg.Nodes), Workers(cfg.Tree))
		if err != nil && len(cfg.Faults) > 0 {
			rt.Fatalf("%v", err)
		}
		if cfg.Faults = plan; !reflect.DeepEqual(run(rt, cfg).Events, r.Events) {
			rt.Fatalf("the same plan gives another report")
		}
	})
}

// booked recounts from the lives for how long a child did not run.
func booked(rt *rapid.T, r Report, s Summary) {
	var lives []Life
	for _, l := range r.Lives {
		if l.Path == s.Path {
			lives = append(lives, l)
		}
	}
	if len(lives) == 0 {
		return
	}
	slices.SortFunc(lives, func(a, b Life) int { return cmp.Compare(a.From, b.From) })
	down, until := time.Duration(0), lives[0].From
	for _, l := range lives {
		down += max(0, l.From-until)
		until = max(until, l.To)
	}
	if down += r.For - until; down != s.Total {
		rt.Fatalf("%s: the gaps make %v, and without a process it was %v: %+v", s.Path, s.Total, down, lives)
	}
}

// TestAlone: without a leader, nodes restart what they may, within half of its budget,
// and the log is told of it: the next two crashes use the budget up.
func TestAlone(t *testing.T) {
	cfg := Config{
		Tree:  parse(t, "name: t\nrestart_policy: {max_restarts: 4, max_seconds: 60, backoff: {fixed: 1s}}\nchildren: [{id: a, run: x, nodes: [n3]}, {id: b, run: x, exclusive: true, nodes: [n3]}]"),
		Nodes: 3, For: 2 * time.Minute,
	}
	cfg.Faults = []spec.Fault{
		{At: 10 * time.Second, Node: "n1", Down: 30 * time.Second}, {At: 10 * time.Second, Node: "n2", Down: 30 * time.Second},
		{At: 20 * time.Second, Crash: "t/a", Times: 3}, {At: 50 * time.Second, Crash: "t/a", Times: 2},
	}
	r := run(t, cfg)
	var a []Life
	for _, l := range r.Lives {
		if l.Path == "t/a" {
			a = append(a, l)
		}
	}
	if len(a) < 4 || a[1].From != 21*time.Second || a[2].From != 22*time.Second || a[3].From < 40*time.Second {
		t.Errorf("it lives %+v", a)
	}
	for _, s := range r.Children {
		if s.Path == "t/a" && s.Phase != supervisor.PhaseFailed {
			t.Errorf("2 restarts alone and 3 more crashes leave it %s", s.Phase)
		}
	}
}

// TestNobodyIsMeant: a fault that hits nobody says so.
func TestNobodyIsMeant(t *testing.T) {
	r := run(t, Config{Tree: parse(t, pairTree), Nodes: 3, For: time.Minute, Faults: []spec.Fault{
		{At: 0, Crash: "shop/api", Times: 1}, {At: time.Second, Partition: []string{"n1", "n2"}, For: 10 * time.Second},
		{At: 2 * time.Second, Node: "n1"}, {At: 2 * time.Second, Node: "n2"}, {At: 30 * time.Second, Leader: spec.LeaderDown}, {At: 31 * time.Second, Drain: "n3"},
	}})
	var said []string
	for _, e := range r.Events {
		if strings.Contains(e.Text, "nothing happens") || strings.Contains(e.Text, "nothing is drained") {
			said = append(said, e.Text)
		}
	}
	want := []string{"no such child runs: nothing happens", "nobody leads: nothing happens", "nobody leads: nothing is drained"}
	if !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
}

// TestLabels: placement looks at the labels of nodes, and says why a child waits.
func TestLabels(t *testing.T) {
	cfg := Config{Tree: parse(t, "name: t\nchildren: [{id: db, run: x, needs: {disk: ssd}}]"), Nodes: 3, For: time.Minute}
	if s := run(t, cfg).Children[0]; s.Phase != supervisor.PhasePending || !strings.Contains(s.Why, "needs disk=ssd") {
		t.Errorf("without a label: %+v", s)
	}
	cfg.Labels = map[string]map[string]string{"n2": {"disk": "ssd"}}
	if s := run(t, cfg).Children[0]; s.Node != "n2" || s.Why != "" {
		t.Errorf("with a label: %+v", s)
	}
}

func TestConfigRefused(t *testing.T) {
	good := Config{Tree: parse(t, pairTree), Nodes: 3, For: time.Minute}
	for want, spoil := range map[string]func(*Config){
		"0 nodes":          func(c *Config) { c.Nodes = 0 },
		"101 nodes":        func(c *Config) { c.Nodes = MaxNodes + 1 },
		"more than 0":      func(c *Config) { c.For = 0 },
		"at most 24h":      func(c *Config) { c.For = MaxFor + 1 },
		"lan, fast, wan":   func(c *Config) { c.Profile = "slow" },
		"after the end":    func(c *Config) { c.Faults = []spec.Fault{{At: time.Hour, Node: "n1"}} },
		"without a worker": func(c *Config) { c.Tree.Children = nil },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := Run(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestEventsAreBounded: a tree that fails and starts again all day long tells so much
// and no more.
func TestEventsAreBounded(t *testing.T) {
	r := run(t, Config{Tree: parse(t, `
name: shop
restart_policy: {max_restarts: 0}
on_exhausted: {retry_after: 1s}
children: [{id: a, run: x}, {id: b, run: x}, {id: c, run: x}]
`), Nodes: 1, For: 6 * time.Hour, Faults: []spec.Fault{{At: time.Second, Crash: "shop/a", Times: 10_000}}})
	if len(r.Events) != MaxEvents || r.Untold == 0 {
		t.Errorf("%d events are told, %d are not", len(r.Events), r.Untold)
	}
}
