package simtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Limits of shrinking: a run is not exactly repeated, so a plan that fails is given
// several tries to.
const (
	maxTrials   = 60
	triesEach   = 2
	shrinkTime  = 3 * time.Minute
	minimalWait = 5 * time.Second // of faults, before the heal
)

// report tells of a failed plan: how to run it again, and, if asked to shrink, the
// smallest one found that still fails.
func report(t *testing.T, p Plan, shrinking bool) {
	t.Logf("replay with SELFWARE_SEED=%d (day plans: SELFWARE_PLAN)\n%v", p.Seed, p)
	if !shrinking || os.Getenv("SELFWARE_SHRINK") == "0" {
		return
	}
	began := time.Now()
	small, trials := shrink(p, func(p Plan) bool {
		for range triesEach {
			if time.Since(began) < shrinkTime && fails(t, p) {
				return true
			}
		}
		return false
	})
	file := filepath.Join(os.TempDir(), fmt.Sprintf("selfware-plan-%d.json", p.Seed))
	if err := os.WriteFile(file, small.JSON(), 0o644); err != nil {
		t.Error(err)
	}
	t.Logf("after %d trials, the smallest plan that fails has %d of %d faults. Replay with SELFWARE_PLAN=%s; keep it in internal/simtest/corpus.\n%v%s",
		trials, len(small.Faults), len(p.Faults), file, small, small.JSON())
}

// fails runs a plan in a process of its own.
func fails(t *testing.T, p Plan) bool {
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, p.JSON(), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestPlan$", "-test.timeout", "2m")
	cmd.Env = append(os.Environ(), "SELFWARE_PLAN="+file, "SELFWARE_SHRINK=0")
	return cmd.Run() != nil
}

// shrink makes a failing plan smaller as long as it fails.
func shrink(p Plan, fails func(Plan) bool) (small Plan, trials int) {
	try := func(q Plan) bool {
		if trials >= maxTrials || reflect.DeepEqual(p, q) {
			return false
		}
		trials++
		if fails(q) {
			p = q
			return true
		}
		return false
	}
	for size := (len(p.Faults) + 1) / 2; size > 0; size /= 2 {
		for at := 0; at < len(p.Faults); {
			if q := p.without(at, min(at+size, len(p.Faults))); !try(q) {
				at += size
			}
		}
	}
	for try(p.shorter()) {
	}
	for p.Nodes > 1 && try(p.smaller()) {
	}
	for i := len(p.Trees) - 1; i >= 0 && len(p.Trees) > 1; i-- {
		try(p.withoutTree(i))
	}
	for _, calmer := range knobs {
		q := p
		calmer(&q)
		try(q)
	}
	return p, trials
}

var knobs = []func(*Plan){
	func(p *Plan) { p.Loss = 0 },
	func(p *Plan) { p.Twice, p.Late = 0, 0 },
	func(p *Plan) { p.Repeats = 0 },
	func(p *Plan) { p.Drift = false },
	func(p *Plan) { p.Fsync = 0 },
	func(p *Plan) { p.Snapshots = 0 },
	func(p *Plan) { p.Latency = 300 * time.Microsecond },
	func(p *Plan) { p.Scripts = nil },
}

// without leaves some of the faults out.
func (p Plan) without(from, to int) Plan {
	p.Faults = slices.Concat(p.Faults[:from], p.Faults[to:])
	return p
}

// shorter ends the faults soon after the last one has begun.
func (p Plan) shorter() Plan {
	last := time.Duration(0)
	for _, f := range p.Faults {
		last = max(last, f.At)
	}
	p.Safety = min(p.Safety, last+minimalWait)
	return p
}

// smaller has a node less, and no fault of that one.
func (p Plan) smaller() Plan {
	gone := fmt.Sprintf("n%d", p.Nodes)
	p.Nodes--
	p.Faults = slices.DeleteFunc(slices.Clone(p.Faults), func(f Fault) bool { return f.Who == gone || f.To == gone })
	return p
}

// withoutTree has no tree i, and nothing that happens to it.
func (p Plan) withoutTree(i int) Plan {
	name := p.Trees[i].Name
	p.Trees = slices.Delete(slices.Clone(p.Trees), i, i+1)
	p.Faults = slices.DeleteFunc(slices.Clone(p.Faults), func(f Fault) bool {
		return f.Path == name || strings.HasPrefix(f.Path, name+"/") || f.Tree != nil && f.Tree.Name == name
	})
	return p
}

// TestShrink: of a plan that fails for two of its faults, little else remains.
func TestShrink(t *testing.T) {
	big := draw(7)
	big.Nodes = 5
	big.Faults = append(big.Faults, Fault{At: 20 * time.Second, What: "wipe", Who: "n2"}, Fault{At: 21 * time.Second, What: "freeze", Who: "n3"})
	has := func(p Plan, what string) bool {
		return slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.What == what && f.At >= 20*time.Second })
	}
	small, trials := shrink(big, func(p Plan) bool { return has(p, "wipe") && has(p, "freeze") })
	if len(small.Faults) != 2 || small.Nodes != 3 || small.Safety > 30*time.Second || len(small.Trees) != 1 || small.Drift || trials > maxTrials {
		t.Errorf("after %d trials:\n%v", trials, small)
	}
}

// TestPlansAreData: every plan is the same after a journey through JSON, and drawn
// the same each time.
func TestPlansAreData(t *testing.T) {
	for seed := range uint64(100) {
		for _, p := range []Plan{draw(seed), drawDay(seed)} {
			var q Plan
			if err := json.Unmarshal(p.JSON(), &q); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.JSON(), q.JSON()) || p.String() != q.String() {
				t.Errorf("seed %d: the plan is another after its journey:\n%v\n%v", seed, p, q)
			}
		}
		for _, f := range append(draw(seed).Faults, drawDay(seed).Faults...) {
			if !slices.Contains(everyKind, f.What) {
				t.Errorf("seed %d: nobody asks whether %q ever does anything", seed, f.What)
			}
		}
		if first, again := draw(seed).String(), draw(seed).String(); first != again {
			t.Errorf("seed %d: two plans", seed)
		}
	}
}
