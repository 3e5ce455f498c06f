package check

import (
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/supervisor"
)

// intensity is P3 and P10 by brute force: of all charges of a child since its
// supervisor began anew, at most its budget lie in any period (its ends
// included), and it escalates only when the budget is spent, what is held back
// included. Of a restart that a node made alone the log says when it was told; it is
// older, and so may count no more. The lives themselves tell the same in real time,
// those that a node began alone among them.
func intensity(in *Input, v *Verdict) {
	charges := make(map[string][]charge)
	restarts, escalations, alone := 0, 0, 0
	for _, d := range in.Log.Decisions {
		c := in.child(d.Path)
		if c.Period == 0 {
			continue
		}
		if d.Verdict == supervisor.VerdictStart && d.Cause.Kind == supervisor.CauseRetry || d.Cause.Kind == supervisor.CauseEscalation || d.Cause.Kind == supervisor.CauseDependency {
			charges[d.Path] = nil // its supervisor began anew
		}
		if d.Verdict == supervisor.VerdictReset { // somebody asked for it
			charges[d.Path] = nil
			continue
		}
		within, told := recent(charges[d.Path], d.Time-c.Period)
		switch {
		case d.Verdict == supervisor.VerdictEscalate:
			escalations++
			early := within+told+d.Before.Held < c.Restarts && d.Cause.Kind != supervisor.CauseFatal
			if early || within > c.Restarts {
				v.bad("%s escalated at index %d after %d restarts of %d in %v", d.Path, d.Index, within+told, c.Restarts, c.Period)
			}
		case d.Cause.Kind == supervisor.CauseAutonomy:
			alone++
			for range d.After.Used - d.Before.Used {
				charges[d.Path] = append(charges[d.Path], charge{d.Time, true})
			}
		case d.After.Used > d.Before.Used:
			restarts++
			if within++; within > c.Restarts {
				v.bad("%s restarted %d times in %v, at index %d, %d are allowed", d.Path, within, c.Period, d.Index, c.Restarts)
			}
			if d.After.Used < within || d.After.Used > within+told {
				v.bad("%s restarted %d times in %v, at index %d, but was told %d", d.Path, within+told, c.Period, d.Index, d.After.Used)
			}
			charges[d.Path] = append(charges[d.Path], charge{d.Time, false})
		}
	}
	births := in.births(v)
	v.need(restarts > 0 && births > 0, "nothing crashed")
	v.need(escalations > 0, "no budget was ever spent")
	v.count("charged restarts", restarts)
	v.count("escalations", escalations)
	v.count("reports of nodes that were alone", alone)
	v.count("lives that began after a crash", births)
	v.count("elections", len(in.Leaders))
}

// uneven is how much less a program may take to begin than the one before it: by
// so much lives may be closer together than what was decided.
const uneven = 500 * time.Millisecond

// births counts, in real time, the lives that began after a crash.
func (in *Input) births(v *Verdict) (restarts int) {
	byChild := in.lives()
	for _, c := range in.Run.Children {
		if c.Period == 0 {
			continue
		}
		var began []history.Time
		for i, l := range byChild[c.Path] {
			switch supervisor.CauseKind(l.Reason) {
			case supervisor.CauseRetry, supervisor.CauseEscalation, supervisor.CauseOperator, supervisor.CauseUpdate, supervisor.CauseDependency:
				if i > 0 && byChild[c.Path][i-1].Epoch != l.Epoch {
					began = nil
					continue
				}
			}
			if again := i > 0 && byChild[c.Path][i-1].Epoch == l.Epoch; !again && l.Reason != string(supervisor.CauseCrash) {
				continue
			}
			restarts++
			began = append(began, l.Time)
			if first := len(began) - 1 - c.Restarts; first >= 0 && l.Time.Sub(began[first]) < c.Period-uneven {
				v.bad("%s began %d times after crashes within %v, the last time on %s at %d, %d are allowed in %v",
					c.Path, c.Restarts+1, l.Time.Sub(began[first]), l.Node, l.Time, c.Restarts, c.Period)
			}
		}
	}
	return restarts
}

// charge is one restart: of the log, or told by a node that was alone.
type charge struct {
	at   time.Duration
	told bool
}

// recent counts the charges that are not before since: those of the log, and those
// that were told since then.
func recent(charges []charge, since time.Duration) (n, told int) {
	for _, c := range charges {
		switch {
		case c.at < since:
		case c.told:
			told++
		default:
			n++
		}
	}
	return n, told
}

// once is P1 and P7: an end of a life is decided on once however often it is
// reported, and the epochs of a child only grow.
func once(in *Input, v *Verdict) {
	type lifeOf struct {
		path  string
		epoch supervisor.Epoch
	}
	decided := make(map[lifeOf]int)
	repeats := 0
	for _, e := range in.Log.Ends {
		key := lifeOf{e.Path, e.Epoch}
		if !e.Decided {
			repeats++
			continue
		}
		if decided[key]++; decided[key] > 1 {
			v.bad("the end of %s, epoch %v, was decided on again at index %d", e.Path, e.Epoch, e.Index)
		}
	}
	newest := make(map[string]supervisor.Epoch)
	made := 0
	for _, d := range in.Log.Decisions {
		if !begins(d) {
			continue // it may be about the end of an older life
		}
		made++
		switch newest := newest[d.Path]; {
		case d.Epoch < newest:
			v.bad("%s went back from epoch %v to %v at index %d", d.Path, newest, d.Epoch, d.Index)
		case d.Epoch == newest:
			v.bad("%s began twice with epoch %v, at index %d", d.Path, d.Epoch, d.Index)
		}
		newest[d.Path] = max(newest[d.Path], d.Epoch)
	}
	in.owners(v)
	v.need(made > 0, "no life was ever decided on")
	v.count("lives decided on", made)
	v.count("ends decided on", len(decided))
	v.count("ends that led to nothing", repeats)
}

// owners: an epoch is of one node, as the lives themselves tell it.
func (in *Input) owners(v *Verdict) {
	type token struct {
		child             string
		generation, epoch uint64
	}
	owner := make(map[token]history.Beat)
	for _, b := range in.Beats {
		if b.Type != history.Born {
			continue
		}
		t := token{b.Child, b.Generation, b.Epoch}
		if o, ok := owner[t]; ok && o.Node != b.Node {
			v.bad("%s, epoch %d, began on %s and on %s", b.Child, b.Epoch, o.Node, b.Node)
		}
		owner[t] = b
	}
}

// noFalseDeath is P16: no node is lost and nothing moves under faults that kill
// nothing. It judges runs that have no other faults.
func noFalseDeath(in *Input, v *Verdict) {
	harmless := 0
	for _, f := range in.Faults {
		if f.Benign {
			harmless++
		} else {
			v.bad("vacuous: %s is no benign fault", f.Nemesis)
		}
	}
	lost := 0
	for _, c := range in.Log.Commands {
		if c.Type == "lost" {
			lost++
			v.bad("node %s was lost at index %d: %s", in.name(c.By), c.Index, c.Request)
		}
	}
	moves := 0
	for _, d := range in.Log.Decisions {
		if d.Cause.Kind == supervisor.CauseNodeLost || d.Verdict == supervisor.VerdictMove {
			moves++
			v.bad("%s, at index %d", d.Sentence, d.Index)
		}
	}
	v.need(harmless > 0, "there was no fault")
	v.need(len(in.Log.Decisions) > 0, "nothing was decided")
	v.count("benign faults", harmless)
	v.count("nodes lost", lost)
	v.count("moves", moves)
}

func (in *Input) name(id string) string {
	if name, ok := in.Log.Names[id]; ok {
		return name
	}
	return id
}
