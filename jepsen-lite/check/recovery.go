package check

import (
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// Bounds of a profile: how long a permanent child may be away because of one
// fault, and how long after the last fault all must run.
type Bounds struct {
	Exclusive, Other, Final time.Duration
	// What a node says of itself may be as late as it takes to find out: one that is
	// cut off gives up its leader and then its session (Unready); one that is healthy
	// again needs an election at most (Ready).
	Unready, Ready time.Duration
}

// BoundsOf are the bounds that a profile promises.
func BoundsOf(profile string) Bounds {
	switch profile {
	case "fast":
		return Bounds{3 * time.Second, 5 * time.Second, 10 * time.Second, 2 * time.Second, 2500 * time.Millisecond}
	case "wan":
		return Bounds{40 * time.Second, 40 * time.Second, 90 * time.Second, 16 * time.Second, 25 * time.Second}
	}
	return Bounds{8 * time.Second, 12 * time.Second, 20 * time.Second, 4 * time.Second, 5 * time.Second}
}

// Recovery is what one kind of fault cost: times without a life of a child that
// must run.
type Recovery struct {
	Nemesis   string        `json:"nemesis"`
	Exclusive bool          `json:"exclusive"`
	N         int           `json:"n"`
	Median    time.Duration `json:"median"`
	Max       time.Duration `json:"max"`
}

// gap is a time in which a child had no life that ran.
type gap struct {
	span
	child history.Child
	fault *history.Fault // what it is because of; nil if it is not known
}

// notice is the least gap that is told: shorter ones are restarts in place or a
// busy machine.
const notice = 100 * time.Millisecond

// gaps are the times without a permanent child, from its first life to the end.
func (in *Input) gaps() []gap {
	var all []gap
	byChild := in.lives()
	for _, c := range in.Run.Children {
		if !c.Permanent {
			continue
		}
		var ran []span
		for _, l := range byChild[c.Path] {
			ran = append(ran, l.segments...)
		}
		slices.SortFunc(ran, func(a, b span) int { return int(a.from - b.from) })
		if len(ran) == 0 {
			continue
		}
		end := ran[0].to
		for _, s := range append(ran[1:], span{in.Run.Ended, in.Run.Ended}) {
			if g := (span{end, s.from}); g.length() > notice {
				all = append(all, gap{g, c, in.blame(g)})
			}
			end = max(end, s.to)
		}
	}
	return all
}

// blame is the fault that a gap is because of: the last that began before it and
// was not long over.
func (in *Input) blame(g span) *history.Fault {
	var last *history.Fault
	for i := range in.Faults {
		f := &in.Faults[i]
		if f.Start <= g.from.Add(time.Second) && g.from <= f.End.Add(BoundsOf(in.Run.Profile).Final) && (last == nil || f.Start > last.Start) {
			last = f
		}
	}
	return last
}

// due is when a gap must be over: bound after it began, after each fault that
// came in it, after the end of each fault that took away the majority, and after
// the machine itself kept a node from running.
func (in *Input) due(g gap, bound time.Duration) history.Time {
	due := g.from.Add(bound)
	for _, f := range in.Faults {
		if f.Start > g.to || f.End.Add(settling) < g.from {
			continue
		}
		due = max(due, f.Start.Add(bound))
		if f.Quorum || g.child.Exclusive && len(in.Faults) > 0 && f.Clock {
			due = max(due, f.End.Add(bound))
		}
	}
	for _, s := range in.starved() {
		if s.from < g.to && s.to > g.from {
			due = max(due, s.to.Add(bound))
		}
	}
	return due
}

// hungry is the share of time for which an agent may wait for a processor before
// its machine is taken to be too busy for any bound to hold: elections are lost
// to pauses of 200 ms.
const hungry = 0.25

// starved are the times in which an agent could not run because the machine did
// other things.
func (in *Input) starved() []span {
	var all []span
	last := make(map[string]history.Sample)
	for _, s := range in.Samples {
		l, ok := last[s.Node]
		if last[s.Node] = s; !ok || l.PID != s.PID {
			continue
		}
		if took := s.Time.Sub(l.Time); float64(s.Waited-l.Waited) > hungry*float64(took) {
			all = append(all, span{l.Time, s.Time})
		}
	}
	return all
}

// liveness is P5.
func liveness(in *Input, v *Verdict) {
	bounds := BoundsOf(in.Run.Profile)
	permanent := 0
	byChild := in.lives()
	for _, c := range in.Run.Children {
		if c.Permanent {
			permanent++
			v.need(len(byChild[c.Path]) > 0, "%s never ran", c.Path)
		}
	}
	var longest time.Duration
	gaps := in.gaps()
	for _, g := range gaps {
		bound := bounds.Other
		if g.child.Exclusive {
			bound = bounds.Exclusive
		}
		longest = max(longest, g.length())
		if late := g.to.Sub(in.due(g, bound)); late > 0 {
			v.bad("%s did not run for %v from %d, %v more than is promised%s", g.child.Path, g.length(), g.from, late, g.because())
		}
	}
	switch {
	case in.Run.Settled == 0:
		v.bad("not all ran again after the last fault")
	case in.Run.Settled.Sub(in.Run.Healed) > bounds.Final:
		v.bad("all ran again only %v after the last fault, promised are %v", in.Run.Settled.Sub(in.Run.Healed), bounds.Final)
	case in.Run.Ended.Sub(in.Run.Settled) < 2*time.Second:
		v.bad("vacuous: nobody looked for 2 s whether all goes on")
	}
	v.need(permanent > 0, "the workload has no permanent child")
	v.count("permanent children", permanent)
	v.count("times away", len(gaps))
	v.count("node seconds without a processor", len(in.starved()))
	v.count("longest time away, ms", int(longest.Milliseconds()))
	v.count("all again after the last fault, ms", int(in.Run.Settled.Sub(in.Run.Healed).Milliseconds()))
}

func (g gap) because() string {
	if g.fault == nil {
		return ", because of no fault"
	}
	return " (" + g.fault.Name() + ": " + g.fault.What + ")"
}

// Recoveries are the times away by kind of fault.
func (in *Input) Recoveries() []Recovery {
	type key struct {
		nemesis   string
		exclusive bool
	}
	times := make(map[key][]time.Duration)
	var keys []key
	for _, g := range in.gaps() {
		if g.fault == nil {
			continue
		}
		k := key{g.fault.Name(), g.child.Exclusive}
		if times[k] == nil {
			keys = append(keys, k)
		}
		times[k] = append(times[k], g.length())
	}
	var all []Recovery
	for _, k := range keys {
		t := times[k]
		slices.Sort(t)
		all = append(all, Recovery{k.nemesis, k.exclusive, len(t), t[len(t)/2], t[len(t)-1]})
	}
	return all
}
