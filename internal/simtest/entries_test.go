package simtest

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// hashEvery: the whole state is hashed at indexes that are multiples of it; what an
// entry was and what it brought about is compared at every index.
const hashEvery = 8

// remembered bounds the entries that are kept to be compared with a replica that is
// behind.
const remembered = 4096

// entry is what one index did on the first replica that applied it.
type entry struct {
	term   uint64
	data   uint64 // hash of the entry
	effect uint64 // hash of the records it made
	state  string // hash of the whole state; empty: not taken
}

// applied is called by each replica, in its own goroutine, after each entry.
func (o *oracle) applied(p *process, index, term uint64, data []byte) {
	if p.dead.Load() {
		return // it may have been given what it cannot store
	}
	h := fnv.New64a()
	h.Write(data)
	e := entry{term: term, data: h.Sum64()}
	p.node.Machine().View(func(v fsm.View) {
		h := fnv.New64a()
		fmt.Fprint(h, v.Clock(), v.Generation())
		records, _ := v.Records(index-1, 1<<30, 1<<30)
		for _, r := range records {
			fmt.Fprint(h, r.N, r.Kind, r.Sentence)
		}
		e.effect = h.Sum64()
	})
	if index%hashEvery == 0 {
		_, hash, err := p.node.Machine().Hash()
		if err != nil {
			o.s.failf("cannot hash the state of %s: %v", p.m.name, err)
		}
		e.state = hash
	}
	o.s.mark(p.m.name, index, term, e.effect) // the data has times that real clocks show
	o.compare(p.m, index, e)
}

// appliedAt is when the first replica applied an entry.
func (o *oracle) appliedAt(index uint64) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.when[index]
}

// compare checks what an entry was and did against what it was and did elsewhere
// (P9; raft#695 shows as two entries at one index).
func (o *oracle) compare(m *machine, index uint64, e entry) {
	o.mu.Lock()
	if _, ok := o.when[index]; !ok {
		o.when[index] = time.Now()
	}
	other, seen := o.entries[index]
	switch {
	case seen:
		o.counts.compared++
	case index >= o.floor:
		o.entries[index] = e
		if index >= remembered && len(o.entries) > 2*remembered {
			o.forgetBelow(index - remembered)
		}
	}
	o.mu.Unlock()
	switch {
	case !seen:
	case other.term != e.term || other.data != e.data:
		o.s.failf("P9: at index %d, %s applied another entry (term %d) than another replica did (term %d)", index, m.name, e.term, other.term)
	case other.effect != e.effect:
		o.s.failf("P9: the entry at index %d did something else on %s than on another replica", index, m.name)
	case other.state != e.state:
		o.s.failf("P9: at index %d the state of %s differs from another replica's", index, m.name)
	}
}

// place is where an entry is in a log.
type place struct{ index, term uint64 }

// stored is called with all that is written into any log. Raft's promise is that two
// logs which have an entry of one index and term have the same one there, to the moment
// at which its leader appended it. With raft#695 a node writes an entry under a term
// that another led; whether it then counts as committed is only a matter of time.
func (o *oracle) stored(m *machine, logs []*raft.Log) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range logs {
		h := fnv.New64a()
		fmt.Fprint(h, l.Type, l.AppendedAt.UnixNano())
		h.Write(l.Data)
		h.Write(l.Extensions)
		at := place{l.Index, l.Term}
		other, seen := o.logs[at]
		switch {
		case !seen && l.Index >= o.floor:
			o.logs[at] = h.Sum64()
		case seen && other == h.Sum64():
			o.counts.matched++
		case seen:
			o.s.failf("log matching (raft#695): %s has another entry at index %d, term %d, than another node", m.name, l.Index, l.Term)
		}
	}
}

// forgetBelow runs with mu held.
func (o *oracle) forgetBelow(index uint64) {
	o.floor = index
	for at := range o.logs {
		if at.index < index {
			delete(o.logs, at)
		}
	}
	for i := range o.entries {
		if i < index {
			delete(o.entries, i)
		}
	}
}

// another: a forced recovery begins another history; the former one is no measure
// of it.
func (o *oracle) another() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.entries)
	clear(o.logs)
}

// total gives the counts so far.
func (o *oracle) total() counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts
}

// oneLeader: in each term, one node at most leads.
func (o *oracle) oneLeader(m *machine) {
	term, ok := m.p.node.Serves()
	if !ok {
		return
	}
	if other, seen := o.leaders[term]; seen && other != m.id {
		o.s.failf("two leaders in term %d: %s and %s", term, other, m.id)
	}
	o.leaders[term] = m.id
}

// life checks a decision against what really happened to the lives of its child.
func (o *oracle) life(d *supervisor.Decision) {
	was := o.epochs[d.Path]
	if d.Cause.Kind == supervisor.CauseAutonomy {
		return // tells of an older life, and begins none
	}
	ref := supervisor.Ref{Path: d.Path, Epoch: was}
	o.kept(d, ref)
	o.groups.take(d, ref)
	switch d.Verdict {
	case supervisor.VerdictStart, supervisor.VerdictRestart, supervisor.VerdictMove:
		if d.Epoch < was {
			o.s.failf("P1: %s went from epoch %v back to %v (%s)", d.Path, was, d.Epoch, d.Sentence)
		}
		o.epochs[d.Path] = max(was, d.Epoch)
	case supervisor.VerdictEscalate, supervisor.VerdictFinish, supervisor.VerdictFail, supervisor.VerdictShutdown:
	default:
		return
	}
	if d.Cause.Kind != supervisor.CauseCrash && d.Cause.Kind != supervisor.CauseExit || d.Cause.Path != d.Path || was == 0 {
		return
	}
	// P7: of one death there is one decision. A second one would be about the life
	// that the first began.
	if first, again := o.ends[ref]; again {
		o.s.failf("P7: two decisions on one end: %s; %s", first, d.Sentence)
	}
	o.ends[ref] = d.Sentence
	if l, begun := o.s.procs.Life(ref); begun && l.End.IsZero() && l.Alone == 0 {
		o.s.failf("P7: a decision on the end of a life that runs: %s: %v", d.Sentence, &l)
	} else if !begun && !strings.Contains(d.Cause.Detail+d.Sentence, "not run") {
		o.counts.unborn++
	}
}

// kept: of an end that its keeper kept over the death of an agent, the next agent tells:
// the leader must not take it for a life that nobody knows of, which is over uncharged.
func (o *oracle) kept(d *supervisor.Decision, ref supervisor.Ref) {
	if d.Cause.Kind != supervisor.CauseNodeLost || !strings.Contains(d.Sentence, "loses its place") || !strings.Contains(d.Cause.Detail, "its agent restarted") {
		return
	}
	l, begun := o.s.procs.Life(ref)
	if begun && !l.Start.IsZero() && !l.Forgotten && o.s.named(l.Node).id == d.Cause.Path {
		o.s.failf("an end, or a life, was lost with an agent: %s: %v", d.Sentence, &l)
	}
}
