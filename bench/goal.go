package bench

import "fmt"

// stat chooses one figure of a Summary.
type stat string

const (
	byMedian stat = "median"
	byP99    stat = "p99"
	byMax    stat = "worst"
)

func (s stat) of(sum *Summary) float64 {
	switch s {
	case byP99:
		return sum.P99
	case byMax:
		return sum.Max
	}
	return sum.Median
}

// goal is what a row should reach. Exactly one of the limits is set.
type goal struct {
	stat   stat
	most   float64 // at most this
	least  float64 // at least this
	times  float64 // at most so many times the floor
	beyond float64 // at most so much more than the floor
}

// text says the goal in the unit of its row.
func (g goal) text(unit string) string {
	switch {
	case g.most > 0:
		return fmt.Sprintf("%s ≤ %s %s", g.stat, number(g.most), unit)
	case g.least > 0:
		return fmt.Sprintf("%s ≥ %s %s", g.stat, number(g.least), unit)
	case g.times > 0:
		return fmt.Sprintf("%s ≤ %s × floor", g.stat, number(g.times))
	case g.beyond > 0:
		return fmt.Sprintf("%s ≤ floor + %s %s", g.stat, number(g.beyond), unit)
	}
	return ""
}

// met judges; ok is false where there is no goal, or no floor to judge it by.
func (g goal) met(ours, floor *Summary) (met, ok bool) {
	switch {
	case g.most > 0:
		return g.stat.of(ours) <= g.most, true
	case g.least > 0:
		return g.stat.of(ours) >= g.least, true
	case g.times > 0 && floor != nil:
		return g.stat.of(ours) <= g.times*g.stat.of(floor), true
	case g.beyond > 0 && floor != nil:
		return g.stat.of(ours) <= g.stat.of(floor)+g.beyond, true
	}
	return false, false
}
