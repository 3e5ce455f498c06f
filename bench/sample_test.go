package bench

import (
	"errors"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	upTo := func(n int) (all []float64) {
		for i := range n {
			all = append(all, float64(n-i)) // falling: summarize must sort
		}
		return all
	}
	for _, c := range []struct {
		all                   []float64
		median, p99, min, max float64
	}{
		{[]float64{7}, 7, 7, 7, 7},
		{[]float64{2, 1}, 1, 2, 1, 2},
		{[]float64{3, 1, 2}, 2, 3, 1, 3},
		{upTo(99), 50, 99, 1, 99},
		{upTo(100), 50, 99, 1, 100},
		{upTo(200), 100, 198, 1, 200},
		{upTo(1000), 500, 990, 1, 1000},
	} {
		before := slices.Clone(c.all)
		s := summarize(c.all)
		if s.N != len(c.all) || s.Median != c.median || s.P99 != c.p99 || s.Min != c.min || s.Max != c.max {
			t.Errorf("of %d samples: %+v, want median %v p99 %v min %v max %v", len(c.all), *s, c.median, c.p99, c.min, c.max)
		}
		if !slices.Equal(before, s.All) {
			t.Error("samples lost the order in which they were taken")
		}
	}
	if summarize(nil) != nil {
		t.Error("a summary of nothing")
	}
}

func TestGoal(t *testing.T) {
	ours := &Summary{Median: 4, P99: 10, Max: 20}
	floor := &Summary{Median: 1, P99: 6, Max: 6}
	for _, c := range []struct {
		goal    goal
		floor   *Summary
		met, ok bool
		text    string
	}{
		{goal{stat: byMedian, times: 4}, floor, true, true, "median ≤ 4 × floor"},
		{goal{stat: byMedian, times: 3.9}, floor, false, true, "median ≤ 3.9 × floor"},
		{goal{stat: byMedian, times: 4}, nil, false, false, "median ≤ 4 × floor"},
		{goal{stat: byP99, beyond: 4}, floor, true, true, "p99 ≤ floor + 4 ms"},
		{goal{stat: byP99, beyond: 3}, floor, false, true, "p99 ≤ floor + 3 ms"},
		{goal{stat: byMax, most: 20}, floor, true, true, "worst ≤ 20 ms"},
		{goal{stat: byMax, most: 19}, floor, false, true, "worst ≤ 19 ms"},
		{goal{stat: byMedian, least: 4}, nil, true, true, "median ≥ 4 ms"},
		{goal{stat: byMedian, least: 5}, nil, false, true, "median ≥ 5 ms"},
		{goal{}, floor, false, false, ""},
	} {
		met, ok := c.goal.met(ours, c.floor)
		if met != c.met || ok != c.ok || c.goal.text("ms") != c.text {
			t.Errorf("%+v: %v %v %q, want %v %v %q", c.goal, met, ok, c.goal.text("ms"), c.met, c.ok, c.text)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.12345: "0.123", 0.0004: "0", 1: "1", 1.5: "1.5", 2.3456: "2.35", 12.34: "12.3", 100: "100",
		999.6: "1000", 3210.4: "3210", 72: "72", 0.83: "0.83", 0.1: "0.1",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, "abcdegf"}, {[]string{"all"}, "abcdegf"}, {[]string{"c"}, "c"}, {[]string{"f", "a"}, "fa"},
	} {
		chosen, err := choose(c.names)
		got := ""
		for _, r := range chosen {
			got += r.id
		}
		if err != nil || got != c.want {
			t.Errorf("choose(%q) = %q, %v, want %q", c.names, got, err, c.want)
		}
	}
	for _, names := range [][]string{{"h"}, {"a", ""}, {"list", "a"}, {"A"}} {
		if _, err := choose(names); !errors.Is(err, ErrRow) {
			t.Errorf("choose(%q): %v, want ErrRow", names, err)
		}
		if err := (Config{Rows: names}).Validate(); !errors.Is(err, ErrRow) {
			t.Errorf("Validate of %q: %v, want ErrRow", names, err)
		}
	}
}
