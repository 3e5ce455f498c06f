package check

import (
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// afterThaw is how long two lives of an exclusive child may run at once after a
// whole node was frozen for longer than its lease (P13).
const afterThaw = 100 * time.Millisecond

// settling is how long after the end of a fault its exception holds.
const settling = 2 * time.Second

// overlap is P13: at most one life of an exclusive child at any time. Only a
// frozen node excuses it, and for less than afterThaw; a clock that runs beyond
// what leases assume excuses it, and is counted.
func overlap(in *Input, v *Verdict) {
	children, lives, moved := 0, 0, 0
	var froze, wrong, longest time.Duration
	byChild := in.lives()
	for _, c := range in.Run.Children {
		if !c.Exclusive {
			continue
		}
		children++
		all := byChild[c.Path]
		lives += len(all)
		v.need(len(all) > 0, "%s never ran", c.Path)
		for i, b := range all {
			if i > 0 && all[i-1].Node != b.Node {
				moved++
			}
			for _, a := range all[:i] {
				for _, both := range in.together(a, b) {
					switch d := both.length(); {
					case (in.thawed(a, both) || in.thawed(b, both)) && d < afterThaw:
						froze = max(froze, d)
					case in.wrongClock(a, b, both):
						wrong = max(wrong, d)
					default:
						longest = max(longest, d)
						v.bad("%s ran twice for %v: on %s (epoch %d, pid %d) and on %s (epoch %d, pid %d), at %d",
							c.Path, d, a.Node, a.Epoch, a.PID, b.Node, b.Epoch, b.PID, both.from)
					}
				}
			}
		}
	}
	v.need(children > 0, "the workload has no exclusive child")
	v.count("exclusive children", children)
	v.count("lives", lives)
	v.count("moves", moved)
	v.count("longest overlap, µs", int(longest.Microseconds()))
	v.count("longest after a freeze, µs", int(froze.Microseconds()))
	v.count("longest under a clock beyond bounds, µs", int(wrong.Microseconds()))
}

// together are the times at which both lives ran.
func (in *Input) together(a, b *life) []span {
	if a.last < b.Time || b.last < a.Time {
		return nil
	}
	var all []span
	for _, s := range in.frozen(a) {
		for _, o := range in.frozen(b) {
			if m := s.meet(o); m.from < m.to {
				all = append(all, m)
			}
		}
	}
	return all
}

// thawed tells whether a life was frozen with its whole node when it should have
// ended, or just before.
func (in *Input) thawed(l *life, both span) bool {
	return in.frozenAs(l, func(e history.Effect) bool { return e.From <= both.from && both.from <= e.To.Add(settling) })
}

// wrongClock tells whether a clock beyond bounds was in force, or just over, at
// the node of one of the lives.
func (in *Input) wrongClock(a, b *life, both span) bool {
	return slices.ContainsFunc(in.Faults, func(f history.Fault) bool {
		return f.Clock && f.Start <= both.from && both.from <= f.End.Add(settling) &&
			(slices.Contains(f.Nodes, a.Node) || slices.Contains(f.Nodes, b.Node))
	})
}

// fence is the other half of P13: what reaches a resource that checks epochs is
// in the order of the epochs, and an epoch is one life's.
func fence(in *Input, v *Verdict) {
	type token struct{ generation, epoch uint64 }
	newest := make(map[string]token)
	owner := make(map[string]map[token]history.Beat)
	value := make(map[string]uint64)
	born := make(map[int]history.Beat)
	for _, b := range in.Beats {
		if b.Type == history.Born {
			born[b.Life] = b
		}
	}
	accepted, refused, handed := 0, 0, 0
	for _, a := range in.Attempts {
		t, n := token{a.Generation, a.Epoch}, newest[a.Child]
		old := t.generation < n.generation || t.generation == n.generation && t.epoch < n.epoch
		if !a.Accepted {
			refused++
			if !old {
				v.bad("%s: epoch %d.%d was refused though none newer was seen", a.Child, t.generation, t.epoch)
			}
			continue
		}
		accepted++
		if old {
			v.bad("%s: epoch %d.%d was accepted after %d.%d, at %d", a.Child, t.generation, t.epoch, n.generation, n.epoch, a.Time)
		}
		if t != n {
			handed++
		}
		if value[a.Child]++; a.Value != value[a.Child] {
			v.bad("%s: the register is at %d after %d additions", a.Child, a.Value, value[a.Child])
		}
		newest[a.Child] = t
		if owner[a.Child] == nil {
			owner[a.Child] = make(map[token]history.Beat)
		}
		me := born[a.Life]
		if o, ok := owner[a.Child][t]; ok && o.Node != me.Node {
			v.bad("%s: epoch %d.%d is of two nodes, %s and %s", a.Child, t.generation, t.epoch, o.Node, me.Node)
		}
		owner[a.Child][t] = me
	}
	v.need(accepted > 0, "no addition was accepted")
	v.count("accepted", accepted)
	v.count("refused", refused)
	v.count("epochs", handed)
}
