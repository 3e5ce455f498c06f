package check

import (
	"slices"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// member is a life in a group, with its place in the start order.
type member struct {
	*life
	place int
}

// order is P4: the lives of a group that were decided on together begin in start
// order, after every older life of theirs has ended, and those that are asked to
// stop end in reverse order, but for those whose node was struck by a fault.
func order(in *Input, v *Verdict) {
	byChild := in.lives()
	groups := make(map[string][]member)
	for _, c := range in.Run.Children {
		if c.Group == "" {
			continue
		}
		for _, l := range byChild[c.Path] {
			groups[c.Group] = append(groups[c.Group], member{l, c.Place})
		}
	}
	batches, stops := 0, 0
	for _, lives := range groups {
		byEpoch := make(map[uint64][]member)
		for _, m := range lives {
			byEpoch[m.Epoch] = append(byEpoch[m.Epoch], m)
		}
		for epoch, batch := range byEpoch {
			if len(batch) > 1 {
				batches++
			}
			slices.SortFunc(batch, func(a, b member) int { return a.place - b.place })
			in.starts(batch, v)
			in.after(batch, lives, epoch, v)
			stops += in.stops(batch, v)
		}
	}
	v.need(batches >= 3, "%d groups began together", batches)
	v.need(stops > 0, "no group was stopped")
	v.count("groups that began together", batches)
	v.count("stops in order", stops)
}

// starts: each begins after those before it.
func (in *Input) starts(batch []member, v *Verdict) {
	for i := 1; i < len(batch); i++ {
		if a, b := batch[i-1], batch[i]; a.place < b.place && b.Time < a.Time {
			v.bad("%s began %v before %s, which stands before it (epoch %d)", b.Child, a.Time.Sub(b.Time), a.Child, a.Epoch)
		}
	}
}

// after: no life of the batch begins while an older one of its children runs.
// Only exclusive children promise that of a node that nobody can reach.
func (in *Input) after(batch, all []member, epoch uint64, v *Verdict) {
	places := make(map[int]bool)
	first := history.Never
	for _, m := range batch {
		places[m.place] = true
		first = min(first, m.Time)
	}
	for _, old := range all {
		if old.Epoch < epoch && places[old.place] && old.last > first && in.child(old.Child).Exclusive && !in.wasFrozen(old.life) {
			v.bad("%s of epoch %d still ran %v after its group began anew with epoch %d", old.Child, old.Epoch, old.last.Sub(first), epoch)
		}
	}
}

func (in *Input) wasFrozen(l *life) bool {
	return in.frozenAs(l, func(e history.Effect) bool { return e.To.Add(settling) > l.last })
}

// struck tells whether a fault was at the life's node when it ended. A node that
// cannot reach the leader stops its exclusive lives when its lease runs out,
// whatever their place.
func (in *Input) struck(l *life) bool {
	return slices.ContainsFunc(in.Faults, func(f history.Fault) bool {
		return slices.Contains(f.Nodes, l.Node) && f.Start < l.last && f.End.Add(settling) > l.last
	})
}

// stops: of two that were asked to stop, the later one had ended before the
// earlier one was asked.
func (in *Input) stops(batch []member, v *Verdict) (n int) {
	for i, a := range batch {
		for _, b := range batch[i+1:] {
			if a.term == 0 || b.term == 0 || a.place == b.place {
				continue
			}
			n++
			if b.last > a.term && !in.struck(a.life) && !in.struck(b.life) {
				v.bad("%s was asked to stop %v before %s, which stands after it, had ended (epoch %d)",
					a.Child, b.last.Sub(a.term), b.Child, a.Epoch)
			}
		}
	}
	return n
}
