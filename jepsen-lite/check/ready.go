package check

import (
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// agentRest is the longest pause of a keeper before it starts an agent again that
// does not stay, as on a bad disk.
const agentRest = 5 * time.Second

// ready: what nodes say of their health is so. A node that reaches no majority says
// soon that it hears no leader; one that no fault has struck for a while says that
// it does. "busy" is neither: it is an answer to who asks too much.
func ready(in *Input, v *Verdict) {
	r := readiness{in: in, v: v, bounds: BoundsOf(in.Run.Profile), cuts: in.effects(history.CutOff), starved: in.starved()}
	for _, p := range in.Probes {
		if p.Says == "busy" {
			r.busy++
			continue
		}
		r.whileCut(p)
		r.whileWell(p)
	}
	r.returns()
	v.need(r.well > 0, "no node was asked while all was well")
	v.need(r.said > 0 || !r.long(), "no node that was cut off for long said that it hears no leader")
	v.count("answers", len(in.Probes))
	v.count("ready while well", r.well)
	v.count("not ready on a busy machine", r.excused)
	v.count("not ready while cut off", r.said)
	v.count("ready again after a cut", r.back)
	v.count("longest until ready again, ms", int(r.longest.Milliseconds()))
	v.count("busy", r.busy)
}

// readiness is the work of the checker ready.
type readiness struct {
	in      *Input
	v       *Verdict
	bounds  Bounds
	cuts    []history.Effect
	starved []span

	well, excused, said, back, busy int
	longest                         time.Duration
}

// readyAfter is when all nodes must be ready after a fault: later if it, or one that
// comes with it, ends agents.
func (r *readiness) readyAfter(f history.Fault) history.Time {
	bound := r.bounds.Ready
	if slices.ContainsFunc(r.in.Faults, func(g history.Fault) bool { return g.Down && g.Name() == f.Name() }) {
		bound += agentRest
	}
	return r.fair(r.ended(f), bound)
}

// ended is when a fault and those that came with it were over.
func (r *readiness) ended(f history.Fault) history.Time {
	end := f.End
	for _, g := range r.in.Faults {
		if g.Name() == f.Name() && g.Start <= f.End && f.Start <= g.End {
			end = max(end, g.End)
		}
	}
	return end
}

// long tells whether a cut lasted long enough for its nodes to have surely said so.
// Where another fault came with it they may have been unable to.
func (r *readiness) long() bool {
	return slices.ContainsFunc(r.in.Faults, func(f history.Fault) bool {
		return f.With == "" && slices.ContainsFunc(f.Effects, func(e history.Effect) bool {
			return e.Kind == history.CutOff && r.fair(e.From, r.bounds.Unready).Add(2*time.Second) < e.To
		})
	})
}

// whileCut judges an answer of a node that reaches no majority and had time to
// find that out.
func (r *readiness) whileCut(p history.Probe) {
	for _, e := range r.cuts {
		if !slices.Contains(e.Nodes, p.Node) || p.Time < r.fair(e.From, r.bounds.Unready) || p.Answered > e.To {
			continue
		}
		switch {
		case p.Ready():
			r.v.bad("%s said at %d that it hears the leader %s, cut off with %v for %v", p.Node, p.Time, p.Leader, e.Nodes, p.Time.Sub(e.From))
		case p.Status != 0:
			r.said++
		}
	}
}

// whileWell judges an answer that was asked for when no fault had been in force for
// a while.
func (r *readiness) whileWell(p history.Probe) {
	for _, f := range r.in.Faults {
		if f.Start < p.Answered && p.Time < r.readyAfter(f) {
			return
		}
	}
	if p.Time < r.in.Run.Began {
		return
	}
	// A busy machine excuses a node that is not ready; one that is ready is as well as
	// on any other.
	busy := slices.ContainsFunc(r.starved, func(s span) bool { return s.from < p.Answered && p.Time < s.to.Add(r.bounds.Ready) })
	switch {
	case p.Ready():
		r.well++
	case busy:
		r.excused++
	default:
		r.well++
		r.v.bad("%s said %q (%d) at %d, though %s", p.Node, p.Says, p.Status, p.Time, r.quiet(p))
	}
}

// quiet says why a node had no reason not to be ready.
func (r *readiness) quiet(p history.Probe) string {
	if slices.ContainsFunc(r.in.Faults, func(f history.Fault) bool { return f.Start < p.Time }) {
		return "all faults were long over"
	}
	return "no fault had come yet and nobody saw the machine too busy"
}

// returns judges how soon those that were cut off say that they are well again,
// where no further fault kept them from it.
func (r *readiness) returns() {
	for _, f := range r.in.Faults {
		end, due := r.ended(f), r.readyAfter(f)
		if r.in.Run.Ended < due || r.disturbed(end, due) {
			continue
		}
		for _, node := range cutBy(f) {
			r.again(node, end, due)
		}
	}
}

// disturbed tells whether a fault was in force between two moments.
func (r *readiness) disturbed(from, until history.Time) bool {
	return slices.ContainsFunc(r.in.Faults, func(f history.Fault) bool { return f.End > from && f.Start < until })
}

// cutBy are the nodes that a fault cut off, each once.
func cutBy(f history.Fault) (nodes []string) {
	for _, e := range f.Effects {
		if e.Kind == history.CutOff {
			nodes = append(nodes, e.Nodes...)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// again judges whether a node said in time that it is ready.
func (r *readiness) again(node string, healed, due history.Time) {
	i := slices.IndexFunc(r.in.Probes, func(p history.Probe) bool { return p.Node == node && p.Time >= healed && p.Ready() })
	if i < 0 || r.in.Probes[i].Answered > due {
		r.v.bad("%s, cut off until %d, did not say within %v that it is ready again", node, healed, due.Sub(healed))
		return
	}
	r.back++
	r.longest = max(r.longest, r.in.Probes[i].Answered.Sub(healed))
}

// fair is when something that begins at a moment must be so: after the bound, or
// after the bound from the end of each time in which the machine kept a node from
// running.
func (r *readiness) fair(from history.Time, bound time.Duration) history.Time {
	due := from.Add(bound)
	for _, s := range r.starved {
		if s.from < due && s.to > from {
			due = max(due, s.to.Add(bound))
		}
	}
	return due
}
