package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/jepsen-lite/check"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// TestMatrixPlan: every workload meets every nemesis, with a seed of its own, and
// what cannot be run is refused before anything is.
func TestMatrixPlan(t *testing.T) {
	m, err := parseMatrix([]string{"--workload", "exclusive,fenced", "--nemesis", "none,kill-node,partition+pause", "--seed", "7", "--dir", "x"})
	if err != nil {
		t.Fatal(err)
	}
	cells := m.cells()
	if len(cells) != 6 || cells[0].Seed != 7 || cells[5].Seed != 12 || cells[5].Workload != "fenced" || cells[5].Nemesis != "partition+pause" {
		t.Errorf("%+v", cells)
	}
	for want, args := range map[string][]string{
		"--dir":           {},
		`there is no nem`: {"--dir", "x", "--nemesis", "none,earthquake"},
		`there is no wor`: {"--dir", "x", "--workload", "exclusive,nothing", "--nemesis", "none"},
		"at once":         {"--dir", "x", "--nemesis", "slow-loss+partition-one"},
		"too short":       {"--dir", "x", "--nemesis", "none", "--time", "11s"},
		`"y" is no flag`:  {"--dir", "x", "y"},
	} {
		if _, err := parseMatrix(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
	if m, err := parseMatrix([]string{"--dir", "x", "--workload", "all", "--nemesis", "none"}); err != nil || len(m.cells()) != len(workloadNames()) {
		t.Errorf("all workloads: %v, %v", m.works, err)
	}
}

// TestMatrixClocks: cells whose nodes cannot be built here are marked before any is run,
// and so says a run alone.
func TestMatrixClocks(t *testing.T) {
	out := t.TempDir()
	args := []string{"--nemesis", "clock-drift,kill-node,pause-agent+clock-wall,mixed", "--binary", "./selfware-node", "--dir", out}
	m, err := parseMatrix(args)
	if err != nil {
		t.Fatal(err)
	}
	marked := func() (errs, told string) {
		var b bytes.Buffer
		cells := m.cells()
		if err := m.mark(&b, cells); err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			errs += c.Error + ";"
		}
		return errs, b.String()
	}
	if errs, told := marked(); errs != ";;;;" || told != "" {
		t.Errorf("in the module: %s %s", errs, told)
	}
	t.Chdir(t.TempDir())
	why := lab.Clocks()
	if why == nil {
		t.Fatal("clocks can be built of nothing")
	}
	errs, told := marked()
	if errs != fmt.Sprintf("%v;;%v;;", why, why) || strings.Count(told, "will not be tested") != 2 || !strings.Contains(told, "exclusive under clock-drift") {
		t.Errorf("outside: %s\n%s", errs, told)
	}
	if valid, err := runCommand(t.Context(), m.args(m.cells()[0])); valid || err == nil || err.Error() != why.Error() {
		t.Errorf("a run: %v, %v", valid, err)
	}
	if valid, err := matrixCommand(t.Context(), append(args, "--limit", "1ns")); valid || err == nil {
		t.Errorf("a matrix: %v, %v", valid, err)
	}
	cells, err := history.LoadOne[[]cell](out, fileMatrix)
	if err != nil || len(cells) != 4 || cells[0].Error != why.Error() || cells[1].Error != "not run: the time is over" {
		t.Errorf("%+v, %v", cells, err)
	}
}

// TestMatrixTable: a cell tells what its run found, to people and to programs, and
// one that is not valid or was not tested makes the whole so.
func TestMatrixTable(t *testing.T) {
	c := cell{Workload: "exclusive", Nemesis: "freeze-node", Overlap: -1, Thaw: -1}
	c.take(results{
		Valid: true,
		Checkers: []check.Verdict{
			{Checker: "evidence", Valid: true, Counts: []check.Count{{Name: "faults", N: 3}}},
			{Checker: "overlap", Valid: true, Counts: []check.Count{{Name: "longest overlap, µs", N: 0}, {Name: "longest after a freeze, µs", N: 1070}}},
		},
		Recovery: []check.Recovery{
			{Nemesis: "freeze-node", Exclusive: true, N: 3, Median: 4741 * time.Millisecond, Max: 6 * time.Second},
			{Nemesis: "freeze-node", N: 2, Median: time.Second, Max: 2 * time.Second},
		},
	})
	want := "| exclusive | freeze-node | valid | 3 | 4.74s, 6s | 1s, 2s | 0s | 1.07ms |  |\n"
	if got := c.row(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	bad := c
	bad.Valid, bad.NotValid = false, []string{"overlap", "liveness"}
	untested := cell{Workload: "churn", Nemesis: "none", Error: "cannot a|b", Overlap: -1, Thaw: -1}
	for row, cell := range map[string]cell{
		"| **not valid** | 3 | 4.74s, 6s | 1s, 2s | 0s | 1.07ms | overlap liveness |": bad,
		"| churn | none | not tested | 0 | - | - | - | - | cannot a/b |":              untested,
	} {
		if !strings.Contains(cell.row(), row) {
			t.Errorf("got %s, want %s", cell.row(), row)
		}
	}
	var b bytes.Buffer
	if valid, err := verdictOf(&b, []cell{c}); !valid || err != nil || !strings.Contains(b.String(), want) {
		t.Errorf("%v, %v:\n%s", valid, err, b.String())
	}
	if valid, err := verdictOf(&b, []cell{c, bad}); valid || err != nil {
		t.Errorf("one that is not valid: %v, %v", valid, err)
	}
	if _, err := verdictOf(&b, []cell{c, untested}); err == nil {
		t.Error("one was not tested, and nobody said so")
	}
	dir := t.TempDir()
	if err := write(dir, []cell{c, bad}); err != nil {
		t.Fatal(err)
	}
	read, err := history.LoadOne[[]cell](dir, fileMatrix)
	if err != nil || len(read) != 2 || read[0].Thaw != 1070*time.Microsecond || read[1].NotValid[0] != "overlap" || read[0].Recovery[0].Median != c.Recovery[0].Median {
		t.Errorf("%+v, %v from %s", read, err, filepath.Join(dir, fileMatrix))
	}
}
