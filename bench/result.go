package bench

import (
	"fmt"
	"math"
	"strconv"
)

// Result is one line of the table: what was measured, beside its floor.
type Result struct {
	Row   string `json:"row"`
	What  string `json:"what"`
	Unit  string `json:"unit"`
	Floor string `json:"floor_is,omitempty"` // what the floor does
	// Bare is the floor's figures, Ours are ours.
	Bare *Summary `json:"floor,omitempty"`
	Ours *Summary `json:"ours"`
	Goal string   `json:"goal,omitempty"`
	// Met is nil where there is no goal.
	Met *bool `json:"met,omitempty"`

	goal goal
}

// judge fills in Goal and Met.
func (r *Result) judge() {
	if met, ok := r.goal.met(r.Ours, r.Bare); ok {
		r.Goal, r.Met = r.goal.text(r.Unit), &met
	}
}

// ratio is ours over the floor, by medians; empty without a floor.
func (r *Result) ratio() string {
	if r.Bare == nil || r.Bare.Median == 0 {
		return ""
	}
	return number(r.Ours.Median/r.Bare.Median) + "×"
}

func (r *Result) verdict() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "yes"
	}
	return "**no**"
}

// line says the result in one line, for people who watch.
func (r *Result) line() string {
	text := fmt.Sprintf("(%s) %s: median %s, p99 %s, worst %s %s", r.Row, r.What, number(r.Ours.Median), number(r.Ours.P99), number(r.Ours.Max), r.Unit)
	if r.Bare != nil {
		text += fmt.Sprintf("; floor %s, p99 %s", number(r.Bare.Median), number(r.Bare.P99))
	}
	if r.Met != nil {
		text += fmt.Sprintf("; goal %s: %s", r.Goal, map[bool]string{true: "met", false: "MISSED"}[*r.Met])
	}
	return text
}

// number prints three digits that count.
func number(v float64) string {
	digits := 0
	if v != 0 {
		digits = max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	}
	text := strconv.FormatFloat(v, 'f', min(digits, 3), 64)
	if digits > 0 {
		for text[len(text)-1] == '0' {
			text = text[:len(text)-1]
		}
	}
	if text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return text
}
