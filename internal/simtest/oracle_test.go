package simtest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// counts shows that a run was not empty.
type counts struct {
	elections, losses, moves, restarts, escalations, failures, pauses int
	alone                                                             int // restarts that a node made alone, as told
	matched                                                           int // stored entries that another disk had
	compared                                                          int // entries that another replica had applied before
	records                                                           int
	fenced                                                            int // nodes fenced
	unborn                                                            int // ends of lives that never began
}

func (c *counts) add(d counts) {
	c.elections += d.elections
	c.losses += d.losses
	c.pauses += d.pauses
	c.moves += d.moves
	c.restarts += d.restarts
	c.escalations += d.escalations
	c.failures += d.failures
	c.alone += d.alone
	c.compared += d.compared
	c.records += d.records
	c.matched += d.matched
	c.fenced += d.fenced
	c.unborn += d.unborn
}

func (c counts) String() string {
	return fmt.Sprintf("%d elections, %d nodes lost, %d moves, %d restarts (told by %d nodes that were alone), %d escalations, %d trees failed, %d nodes fenced, %d records, %d entries compared as stored, %d as applied",
		c.elections, c.losses, c.moves, c.restarts, c.alone, c.escalations, c.failures, c.fenced, c.records, c.matched, c.compared)
}

// oracle watches a cluster from outside.
type oracle struct {
	s *sim

	mu      sync.Mutex
	entries map[uint64]entry
	when    map[uint64]time.Time // an entry was first applied
	floor   uint64               // entries below it are not remembered any more
	logs    map[place]uint64     // hash of what is stored there, on any disk
	counts  counts
	leaders map[uint64]string // by term

	// The event stream as far as it was read, and who led last.
	index   uint64
	n       int
	windows map[string]*window
	epochs  map[string]supervisor.Epoch // of the newest life, by path
	ends    map[supervisor.Ref]string   // the sentences that decided on the ends of lives
	groups  groups
	leader  string
	paused  pausedPaths
	// lost are the sentences of node losses, moved of moves.
	lost, moved []string
}

func newOracle(s *sim) *oracle {
	return &oracle{
		s: s, entries: make(map[uint64]entry), when: make(map[uint64]time.Time), logs: make(map[place]uint64), leaders: make(map[uint64]string),
		windows: make(map[string]*window), epochs: make(map[string]supervisor.Epoch), ends: make(map[supervisor.Ref]string),
		groups: newGroups(), paused: make(pausedPaths),
	}
}

// look is called often: it reads on in the event stream, checks windows, and
// notes who leads.
func (o *oracle) look() {
	for _, m := range o.s.up() {
		o.oneLeader(m)
	}
	if l := o.s.leader(); l != nil {
		if id := l.name + "." + l.p.boot + fmt.Sprint(l.p.node.Term()); id != o.leader {
			o.leader = id
			o.counts.elections++
			o.s.notef("leader %s in term %d", l.name, l.p.node.Term())
		}
	}
	var best *machine
	for _, m := range o.s.up() {
		if best == nil || m.index() > best.index() {
			best = m
		}
	}
	if best == nil || best.index() <= o.index {
		return
	}
	for {
		var records []fsm.Record
		best.p.node.Machine().View(func(v fsm.View) {
			all, complete := v.Records(o.index, o.n, 1000)
			if !complete {
				o.s.failf("the event stream has a gap after %d", o.index)
			}
			records = all
		})
		if len(records) == 0 {
			return
		}
		for _, r := range records {
			o.take(r)
		}
	}
}

func (o *oracle) take(r fsm.Record) {
	o.index, o.n = r.Index, r.N
	o.counts.records++
	o.s.notef("[%d.%d] %s", r.Index, r.N, r.Sentence)
	if r.Kind == fsm.KindNode {
		o.groups.shake(r.Sentence, r.Index)
	}
	switch {
	case r.Kind == fsm.KindNode && strings.Contains(r.Sentence, " is lost "):
		o.counts.losses++
		o.lost = append(o.lost, r.Sentence)
	case r.Kind == fsm.KindNode && strings.Contains(r.Sentence, "lease"):
		o.counts.fenced++
	case r.Kind == fsm.KindTree:
		if strings.Contains(r.Sentence, "is new") || strings.Contains(r.Sentence, "was applied") || strings.Contains(r.Sentence, "is deleted") {
			o.forget(r.Sentence)
		}
	case r.Decision != nil:
		o.decision(r.Decision)
	}
}

func (o *oracle) decision(d *supervisor.Decision) {
	switch d.Verdict {
	case supervisor.VerdictMove:
		o.counts.moves++
		o.moved = append(o.moved, d.Sentence)
	case supervisor.VerdictRestart:
		o.counts.restarts++
	case supervisor.VerdictEscalate:
		o.counts.escalations++
	case supervisor.VerdictFail:
		if !strings.Contains(d.Path, "/") {
			o.counts.failures++
		}
	}
	if d.Cause.Kind == supervisor.CauseAutonomy {
		o.counts.alone++
	}
	o.calm(d)
	o.life(d)
	w := o.windows[d.Path]
	if w == nil {
		w = &window{}
		o.windows[d.Path] = w
	}
	if err := w.take(d); err != nil {
		o.s.failf("P3: %s at %d: %v (%s)", d.Path, d.Index, err, d.Sentence)
	}
	if renews(d) {
		o.renewed(d)
	}
}

// renews: the decision may have given d.Path, and what is below it, new windows.
func renews(d *supervisor.Decision) bool {
	if d.Verdict == supervisor.VerdictReset {
		return false
	}
	switch d.Cause.Kind {
	case supervisor.CauseCrash, supervisor.CauseExit, supervisor.CausePlacement, supervisor.CauseConfirmed,
		supervisor.CauseOrdered, supervisor.CauseAutonomy, supervisor.CauseWord:
		return false
	case supervisor.CauseNodeLost, supervisor.CauseDrain: // only what a group took along
		return strings.Contains(d.Sentence, "restarts because of")
	case supervisor.CauseGroup:
		return parent(d.Cause.Path) != parent(d.Path)
	}
	return true
}

func parent(path string) string { return path[:max(0, strings.LastIndex(path, "/"))] }

// renewed notes that windows at and below a path may have been emptied.
func (o *oracle) renewed(d *supervisor.Decision) {
	for path, w := range o.windows {
		if path == d.Path || strings.HasPrefix(path, d.Path+"/") {
			w.renewed = d.Stamp
			w.mayBeNew = true
		}
	}
}

// forget drops what is known of a tree that was edited.
func (o *oracle) forget(sentence string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(sentence, "tree "), " ")
	o.paused.forget(name, !strings.Contains(sentence, "was applied"))
	for path, w := range o.windows {
		if supervisor.TreeName(path) == name {
			w.mayBeNew = true
		}
	}
}
