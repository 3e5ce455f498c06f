package spec

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	faultNodes = []string{"n1", "n2", "n3"}
	faultPaths = []string{"shop/store", "shop/web/api", "shop/web/cache"}
)

func TestParseFaults(t *testing.T) {
	plan := `# what goes wrong
- {at: 1m, partition: [n1, n2], for: 20s}
- at: 10s
  node: n2
  down: 30s
- {at: 20s, crash: shop/web/*, times: 3, every: 100ms}
- {at: 5s, leader: down}
- {at: 3m, drain: n3}
`
	got, err := ParseFaults("p.yaml", []byte(plan), faultNodes, faultPaths)
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{
		{At: 5 * time.Second, Leader: "down"},
		{At: 10 * time.Second, Node: "n2", Down: 30 * time.Second},
		{At: 20 * time.Second, Crash: "shop/web/*", Times: 3, Every: 100 * time.Millisecond},
		{At: time.Minute, Partition: []string{"n1", "n2"}, For: 20 * time.Second},
		{At: 3 * time.Minute, Drain: "n3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFaultMistakes(t *testing.T) {
	for plan, want := range map[string]string{
		"":                                "p:1:1: the file is empty; a plan is a list of faults",
		"at: 3s":                          "p:1:1: a plan is a list of faults, not a map; begin each with a dash",
		"- n2":                            `p:1:3: fault 1 must be a map, not "n2"`,
		"- {node: n2}":                    "p:1:3: fault 1 has no at",
		"- {at: 3, node: n2}":             "p:1:8: at must be a duration, not 3; write 3s for seconds",
		"- {at: 3s, nod: n2}":             `p:1:12: unknown key "nod" in fault 1; did you mean "node"?`,
		"- {at: 3s, node: n2, drain: n1}": "p:1:3: fault 1 needs exactly one of node, crash, partition, leader and drain; it has node and drain",
		"- {at: 3s}":                      "it has none",
		"- {at: 3s, node: n2, for: 3s}":   `p:1:22: "for" in fault 1 belongs to partition, leader, drain, not to node`,
		"- {at: 3s, crash: shop/store, down: 1s}": `"down" in fault 1 belongs to node, not to crash`,
		"- {at: 3s, node: n9}":                    `p:1:18: fault 1 means the node "n9", which there is not; there are n1, n2, n3`,
		"- {at: 3s, partition: [n1, n1]}":         "p:1:23: partition names n1 twice",
		"- {at: 3s, partition: [n3, n1, n2]}":     "p:1:23: partition names every node, so that none is cut off",
		"- {at: 3s, partition: [n1, n7]}":         `means the node "n7"`,
		"- {at: 3s, leader: up}":                  "p:1:20: leader must be one of down",
		"- {at: 3s, crash: shop/web/apj}":         `p:1:19: fault 1: no worker of the tree is meant by "shop/web/apj"; did you mean "shop/web/api"?`,
		"- {at: 3s, crash: 'shop/[web/api'}":      `is no pattern of paths`,
		"- {at: 3s, crash: shop/store, times: 0}": "times must be a whole number from 1 to 10000, not 0",
		"- {at: 3s, node: n1}\n- {at: 3s":         "p:2:",
	} {
		_, err := ParseFaults("p", []byte(plan), faultNodes, faultPaths)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v\nwant %s", plan, err, want)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	plan := strings.Repeat("- {at: 1s, node: n1}\n", MaxFaults)
	if faults, err := ParseFaults("p", []byte(plan), faultNodes, faultPaths); err != nil || len(faults) != MaxFaults {
		t.Errorf("%d, %v", len(faults), err)
	}
	if _, err := ParseFaults("p", []byte(plan+"- {at: 1s, node: n1}"), faultNodes, faultPaths); err == nil || !strings.Contains(err.Error(), "at most 10000 faults") {
		t.Errorf("one more: %v", err)
	}
}

// FuzzFaults looks for panics, and for plans that are read otherwise once written.
func FuzzFaults(f *testing.F) {
	f.Add("- {at: 1s, node: n1, down: 3s}\n- {at: 2s, crash: shop/**, times: 3, every: 100ms}")
	f.Add("- {at: 1m, partition: n3, for: 1h}\n- &x {at: 5s, leader: down}\n- *x")
	f.Fuzz(func(t *testing.T, plan string) {
		faults, err := ParseFaults("p", []byte(plan), faultNodes, faultPaths)
		if err != nil || len(faults) == 0 {
			return
		}
		again, err := ParseFaults("p", FormatFaults(faults), faultNodes, faultPaths)
		if err != nil || !reflect.DeepEqual(again, faults) {
			t.Fatalf("%q is read as %v, and that as %v (%v)", plan, faults, again, err)
		}
	})
}

func TestHits(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"shop/web/api", "shop/web/api", true}, {"shop/*", "shop/web/api", false}, {"shop/*/api", "shop/web/api", true},
		{"shop/**", "shop/web/api", true}, {"shop/w*/**", "shop/web/api", true}, {"shop/web/api/**", "shop/web/api", false},
		{"shop/web/a?i", "shop/web/api", true}, {"shop/web", "shop/web/api", false},
	} {
		if got := (Fault{Crash: tt.pattern}).Hits(tt.path); got != tt.want {
			t.Errorf("%s hits %s: %v", tt.pattern, tt.path, got)
		}
	}
}

// TestFormatFaults: what is written is read as the same.
func TestFormatFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.Map(rapid.IntRange(1, 1<<40), func(n int) time.Duration { return max(time.Millisecond, time.Duration(n)) })
		f := Fault{At: some.Draw(rt, "at")}
		switch rapid.IntRange(0, 4).Draw(rt, "kind") {
		case 0:
			f.Node, f.Down = rapid.SampledFrom(faultNodes).Draw(rt, "node"), some.Draw(rt, "down")
		case 1:
			f.Crash = rapid.SampledFrom([]string{"shop/**", "*/store", "shop/web/api"}).Draw(rt, "crash")
			f.Times, f.Every = rapid.IntRange(1, 9).Draw(rt, "times"), some.Draw(rt, "every")
		case 2:
			f.Partition, f.For = faultNodes[:rapid.IntRange(1, 2).Draw(rt, "nodes")], some.Draw(rt, "for")
		case 3:
			f.Leader = LeaderDown
		case 4:
			f.Drain, f.For = "n1", some.Draw(rt, "for")
		}
		got, err := ParseFaults("p", FormatFaults([]Fault{f}), faultNodes, faultPaths)
		if err != nil || !reflect.DeepEqual(got, []Fault{f}) {
			rt.Fatalf("%s: got %+v, %v; want %+v", f, got, err, f)
		}
	})
}
