package check

import (
	"maps"
	"slices"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// equality is P9 and what it rests on: disks agree on every entry that all of
// them reach, entries of one index and term are one entry anywhere, states of one
// index are one state, and a term has one leader.
func equality(in *Input, v *Verdict) {
	compared := in.entries(v)
	states := make(map[string][]string)
	read := 0
	for _, d := range in.Log.Disks {
		if d.Error != "" {
			v.bad("the disk of %s cannot be read: %s", d.Node, d.Error)
			continue
		}
		read++
		if d.Last < in.Log.Common {
			v.bad("%s is behind: it has %d of %d entries", d.Node, d.Last, in.Log.Common)
			continue
		}
		states[d.State] = append(states[d.State], d.Node)
	}
	if len(states) > 1 {
		v.bad("at index %d there are %d different states: %v", in.Log.Common, len(states), slices.Sorted(maps.Keys(states)))
	}
	terms := make(map[uint64]string)
	for _, l := range in.Leaders {
		if other, ok := terms[l.Term]; ok && other != l.Node {
			v.bad("term %d had two leaders, %s and %s", l.Term, other, l.Node)
		}
		terms[l.Term] = l.Node
	}
	v.need(read >= 2 || len(in.Run.Nodes) == 1, "%d disks could be read", read)
	v.need(compared > 0, "there is no entry to compare")
	v.need(len(terms) > 0, "no node said that it led")
	v.count("disks", read)
	v.count("entries", int(in.Log.Common))
	v.count("comparisons", compared)
	v.count("terms with a leader", len(terms))
}

// entries compares the logs and counts the comparisons.
func (in *Input) entries(v *Verdict) (compared int) {
	type place struct{ index, term uint64 }
	type owner struct {
		history.Entry
		node string
	}
	byPlace := make(map[place]owner)
	byIndex := make(map[uint64]owner)
	for _, d := range in.Log.Disks {
		for _, e := range d.Entries {
			p := place{e.Index, e.Term}
			if o, ok := byPlace[p]; ok {
				if compared++; o.Hash != e.Hash {
					v.bad("index %d of term %d differs between %s and %s", e.Index, e.Term, o.node, d.Node)
				}
			} else {
				byPlace[p] = owner{e, d.Node}
			}
			if e.Index > in.Log.Common {
				continue // the ends may differ: what is not committed gives way
			}
			if o, ok := byIndex[e.Index]; ok && o.Term != e.Term {
				v.bad("index %d is of term %d on %s and of term %d on %s", e.Index, o.Term, o.node, e.Term, d.Node)
			} else if !ok {
				byIndex[e.Index] = owner{e, d.Node}
			}
		}
	}
	return compared
}

// watch is the promise of the event stream: each subscriber, whatever node it was
// connected to, gets what the state recorded, in order, once, without gap.
func watch(in *Input, v *Verdict) {
	type place struct {
		index uint64
		n     int
	}
	at := make(map[place]int) // position in the stream
	for i, r := range in.Log.Records {
		at[place{r.Index, r.N}] = i
	}
	last := make(map[int]int)
	said := make(map[place]string)
	nodes := make(map[int]map[string]bool)
	for _, s := range in.Seen {
		p := place{s.Index, s.N}
		i, known := at[p]
		switch {
		case !known && s.Index <= in.Log.Common:
			v.bad("subscriber %d got %d.%d from %s, which is not in the log: %s", s.Subscriber, s.Index, s.N, s.Node, s.Sentence)
		case !known: // later than what all disks have
		case nodes[s.Subscriber] != nil && i <= last[s.Subscriber]:
			v.bad("subscriber %d got %d.%d from %s again or late", s.Subscriber, s.Index, s.N, s.Node)
		case nodes[s.Subscriber] != nil && i > last[s.Subscriber]+1:
			v.bad("subscriber %d got %d.%d from %s without the %d before it", s.Subscriber, s.Index, s.N, s.Node, i-last[s.Subscriber]-1)
		}
		if known {
			last[s.Subscriber] = i
		}
		if text, ok := said[p]; ok && text != s.Sentence {
			v.bad("%d.%d is %q to one and %q to another", s.Index, s.N, text, s.Sentence)
		}
		said[p] = s.Sentence
		if nodes[s.Subscriber] == nil {
			nodes[s.Subscriber] = make(map[string]bool)
		}
		nodes[s.Subscriber][s.Node] = true
	}
	changed := 0
	for id, of := range nodes {
		changed += len(of) - 1
		if rest := len(in.Log.Records) - 1 - last[id]; rest > 0 && in.Log.Records[last[id]+1].Index < in.settledIndex() {
			v.bad("subscriber %d never got the last %d events", id, rest)
		}
	}
	v.need(len(nodes) > 0 && len(in.Seen) >= 10*len(nodes), "%d subscribers got %d events", len(nodes), len(in.Seen))
	v.count("subscribers", len(nodes))
	v.count("events received", len(in.Seen))
	v.count("events in the log", len(in.Log.Records))
	v.count("times another node was asked", changed)
}

// settledIndex is the index that the last read of the run was answered with: all
// of before must have reached everyone.
func (in *Input) settledIndex() (index uint64) {
	for _, op := range in.Ops {
		if op.Final {
			continue
		}
		index = max(index, op.Index)
	}
	return index
}
