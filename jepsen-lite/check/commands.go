package check

import (
	"slices"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/supervisor"
)

// durability is P2, by the log and by lists: what was acknowledged is there for
// ever, what was refused is not.
func durability(in *Input, v *Verdict) {
	calls := in.calls()
	acked, lists := in.logged(calls, v), 0
	added := make(map[string]history.Time) // since when an element must be there
	possible := make(map[string]bool)
	for _, c := range calls {
		if c.Kind != history.Add {
			continue
		}
		possible[c.Value] = c.outcome != history.Fail
		if c.outcome == history.OK {
			added[c.Value] = c.returned
		}
	}
	final := false
	for _, c := range calls {
		if c.Kind != history.List || c.outcome != history.OK {
			continue
		}
		lists++
		final = final || c.Final
		in.list(c, added, possible, v)
	}
	v.need(acked > 0, "no command was acknowledged")
	if len(possible) > 0 {
		v.need(final, "the set was not read at the end")
	}
	v.count("acknowledged commands", acked)
	v.count("elements", len(added))
	v.count("lists", lists)
}

// logged compares commands with the log: those acknowledged are in it, those
// refused are not, and none is in it twice.
func (in *Input) logged(calls []call, v *Verdict) (acked int) {
	if !in.Log.Complete {
		v.bad("vacuous: no disk has the whole log")
		return 0
	}
	written := in.written()
	for _, c := range calls {
		n := distinct(written[c.ID])
		switch {
		case !changes(c.Kind):
		case n > 1:
			v.bad("%s %s %s (%s) was carried out %d times", c.Kind, c.Key, c.Value, c.ID, n)
		case c.outcome == history.OK && n == 0:
			v.bad("%s %s %s (%s) was acknowledged by %s and is not in the log", c.Kind, c.Key, c.Value, c.ID, c.Node)
		case c.outcome == history.Fail && n > 0:
			v.bad("%s %s %s (%s) was refused by %s (%s) and carried out", c.Kind, c.Key, c.Value, c.ID, c.Node, c.answer.Error)
		case c.outcome == history.OK:
			acked++
		}
	}
	return acked
}

// distinct counts commands by their request: a repeat of one is answered from
// memory.
func distinct(commands []history.Command) int {
	requests := make(map[string]bool)
	for _, c := range commands {
		requests[c.Request] = true
	}
	return len(requests)
}

func (in *Input) list(c call, added map[string]history.Time, possible map[string]bool, v *Verdict) {
	has := make(map[string]bool)
	for _, value := range c.answer.Values {
		has[value] = true
		if !possible[value] {
			v.bad("a list of %s (%s) has %s, which was refused or never added", c.Node, c.ID, value)
		}
	}
	for value, since := range added {
		if since < c.Time && !has[value] {
			v.bad("a list of %s (%s) lacks %s, which was acknowledged before", c.Node, c.ID, value)
		}
	}
}

// toggle is an operator's order to stop or start a child, as the log has it.
type toggle struct {
	index uint64
	stop  bool
}

// orders are all of one child.
type orders []toggle

// stoppedAt tells whether the child was stopped for all of an entry of the log: by
// an earlier one, and not started in it.
func (o orders) stoppedAt(index uint64) (stopped bool) {
	for _, order := range o {
		switch {
		case order.index < index:
			stopped = order.stop
		case order.index == index && !order.stop:
			return false
		}
	}
	return stopped
}

// stopped is P11: after an operator's stop nothing of the child begins, until an
// operator's start. Order and decisions are the log's, lives are the witnesses'.
func stopped(in *Input, v *Verdict) {
	byPath := in.orders()
	lives := in.lives()
	stops, seen := 0, 0
	for path, all := range byPath {
		for _, o := range all {
			if o.stop {
				stops++
			}
		}
		for _, d := range in.Log.Decisions {
			if d.Path == path && begins(d) && all.stoppedAt(d.Index) {
				v.bad("%s was stopped, and decided to begin at index %d: %s", path, d.Index, d.Sentence)
			}
		}
		for _, l := range lives[path] {
			seen++
			if all.stoppedAt(supervisor.Epoch(l.Epoch).Index()) {
				v.bad("%s was stopped, and began on %s by a decision after that (epoch %d)", path, l.Node, l.Epoch)
			}
		}
	}
	v.need(stops > 0, "nothing was stopped")
	v.count("stops", stops)
	v.count("lives of what was stopped", seen)
}

// orders are those of every child, in the order of the log.
func (in *Input) orders() map[string]orders {
	asked := make(map[string]call)
	for _, c := range in.calls() {
		if c.Kind == history.Stop || c.Kind == history.Start {
			asked[c.ID] = c
		}
	}
	byPath := make(map[string]orders)
	for _, cmd := range in.Log.Commands {
		if c, ok := asked[cmd.By]; ok && cmd.Error == "" {
			byPath[c.Key] = append(byPath[c.Key], toggle{cmd.Index, c.Kind == history.Stop})
		}
	}
	return byPath
}

// begins tells whether a decision makes a new life.
func begins(d supervisor.Decision) bool {
	switch d.Verdict {
	case supervisor.VerdictStart, supervisor.VerdictRestart, supervisor.VerdictMove:
		return d.Epoch == d.Stamp.Epoch()
	}
	return false
}

// minority is P12: a node that surely reaches no majority acknowledges nothing.
// What it was asked before the cut, or answers after it, does not count.
func minority(in *Input, v *Verdict) {
	tried, cuts := 0, in.effects(history.CutOff)
	for _, c := range in.calls() {
		for _, e := range cuts {
			if !slices.Contains(e.Nodes, c.Node) || c.Time < e.From+afterCut || c.Time > e.To {
				continue
			}
			tried++
			if c.outcome == history.OK && c.returned < e.To {
				v.bad("%s, cut off with %v, acknowledged %s %s %s (%s)", c.Node, e.Nodes, c.Kind, c.Key, c.Value, c.ID)
			}
		}
	}
	v.need(len(cuts) > 0, "no node was cut off from the majority")
	v.need(len(cuts) == 0 || tried > 0, "no node that was cut off was asked anything")
	v.count("cuts", len(cuts))
	v.count("operations asked of the cut off", tried)
}

// afterCut is when what was on its way at the cut has surely arrived.
const afterCut = history.Time(500e6)
