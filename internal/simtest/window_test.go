package simtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// window counts the charges of one child as the event stream tells them.
type window struct {
	charges  []time.Duration
	mayBeNew bool // since the last charge
	merged   bool // some charges are older than the stream tells
	renewed  supervisor.Stamp
}

// take checks a decision against the charges before it.
func (w *window) take(d *supervisor.Decision) error {
	if d.Verdict == supervisor.VerdictReset {
		return w.reset(d)
	}
	charged := d.After.Used > d.Before.Used
	if !charged && d.Verdict != supervisor.VerdictEscalate {
		return nil
	}
	w.charges = slices.DeleteFunc(w.charges, func(at time.Duration) bool { return at < d.Time-d.Before.Period })
	switch n := len(w.charges); {
	case d.Before.Used == n:
	case d.Before.Used < n && (w.mayBeNew || w.merged):
		w.charges = w.charges[n-d.Before.Used:]
	default:
		return fmt.Errorf("it says %d restarts in %v, the stream tells of %d", d.Before.Used, d.Before.Period, n)
	}
	w.mayBeNew = false
	if d.Cause.Kind == supervisor.CauseAutonomy {
		w.merge(d)
		return nil
	}
	switch {
	case charged && (d.After.Used != d.Before.Used+1 || d.After.Used > d.After.Max):
		return fmt.Errorf("charged from %v to %v", d.Before, d.After)
	case !charged && d.Cause.Kind != supervisor.CauseFatal && d.Before.Used+d.Before.Held < d.Before.Max:
		return fmt.Errorf("escalated at %v", d.Before)
	case charged:
		w.charges = append(w.charges, d.Time)
	}
	return nil
}

// reset has an operator's request forget all charges; what it says there were must be
// what the stream tells.
func (w *window) reset(d *supervisor.Decision) error {
	w.charges = slices.DeleteFunc(w.charges, func(at time.Duration) bool { return at < d.Time-d.Before.Period })
	if n := len(w.charges); d.Before.Used > n || d.Before.Used < n && !w.mayBeNew && !w.merged || d.After.Used != 0 {
		return fmt.Errorf("a reset forgets %d restarts in %v and leaves %d, the stream tells of %d", d.Before.Used, d.Before.Period, d.After.Used, n)
	}
	w.charges, w.mayBeNew, w.merged = nil, false, false
	return nil
}

// merge takes what a node did alone: some charges, none later than now, and with as
// many as the budget has the window drops older ones.
func (w *window) merge(d *supervisor.Decision) {
	w.merged = true
	for range d.After.Used - d.Before.Used {
		w.charges = append(w.charges, d.Time)
	}
}
