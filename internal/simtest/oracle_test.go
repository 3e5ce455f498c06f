package simtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// hashEvery: the state is hashed at indexes that are multiples of it.
const hashEvery = 8

// counts shows that a run was not empty.
type counts struct {
	elections, losses, moves, restarts, escalations, failures int
	alone                                                     int // restarts that a node made alone, as told
	compared                                                  int // hashes that had another to compare with
	records                                                   int
}

func (c *counts) add(d counts) {
	c.elections += d.elections
	c.losses += d.losses
	c.moves += d.moves
	c.restarts += d.restarts
	c.escalations += d.escalations
	c.failures += d.failures
	c.alone += d.alone
	c.compared += d.compared
	c.records += d.records
}

func (c counts) String() string {
	return fmt.Sprintf("%d elections, %d nodes lost, %d moves, %d restarts (told by %d nodes that were alone), %d escalations, %d trees failed, %d records, %d hashes compared",
		c.elections, c.losses, c.moves, c.restarts, c.alone, c.escalations, c.failures, c.records, c.compared)
}

// oracle watches a cluster from outside.
type oracle struct {
	s *sim

	mu     sync.Mutex
	hashes map[uint64]string // index -> hash
	counts counts

	// The event stream as far as it was read, and who led last.
	index   uint64
	n       int
	windows map[string]*window
	leader  string
	// lost are the sentences of node losses.
	lost []string
}

func newOracle(s *sim) *oracle {
	return &oracle{s: s, hashes: make(map[uint64]string), windows: make(map[string]*window)}
}

// follow compares the process's replica with the others' at each index that is
// seen on it, until it is dead.
func (o *oracle) follow(p *process) {
	o.s.wg.Go(func() {
		for {
			changed := p.node.Watch()
			var index uint64
			p.node.Machine().View(func(v fsm.View) { index = v.Index() })
			if index > 0 && index%hashEvery == 0 {
				o.compare(p)
			}
			select {
			case <-changed:
			case <-p.over:
				return
			}
		}
	})
}

// compare checks one replica's hash against what others had at its index.
func (o *oracle) compare(p *process) {
	index, hash, err := p.node.Machine().Hash()
	if err != nil {
		o.s.failf("cannot hash the state of %s: %v", p.m.name, err)
		return
	}
	o.mu.Lock()
	other, seen := o.hashes[index]
	if !seen {
		o.hashes[index] = hash
	} else {
		o.counts.compared++
	}
	o.mu.Unlock()
	if seen && other != hash {
		o.s.failf("P9: at index %d the state of %s differs from another replica's", index, p.m.name)
	}
}

// another: a forced recovery begins another history; the hashes of the former one
// are no measure of it.
func (o *oracle) another() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.hashes)
}

// total gives the counts so far.
func (o *oracle) total() counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts
}

// look is called often: it reads on in the event stream, checks windows, and
// notes who leads.
func (o *oracle) look() {
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
	switch {
	case r.Kind == fsm.KindNode && strings.Contains(r.Sentence, " is lost "):
		o.counts.losses++
		o.lost = append(o.lost, r.Sentence)
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
	switch d.Cause.Kind {
	case supervisor.CauseCrash, supervisor.CauseExit, supervisor.CausePlacement, supervisor.CauseConfirmed,
		supervisor.CauseOrdered, supervisor.CauseAutonomy:
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
	for path, w := range o.windows {
		if supervisor.TreeName(path) == name {
			w.mayBeNew = true
		}
	}
}

// window counts the charges of one child as the event stream tells them.
type window struct {
	charges  []time.Duration
	mayBeNew bool // since the last charge
	merged   bool // some charges are older than the stream tells
	renewed  supervisor.Stamp
}

// take checks a decision against the charges before it.
func (w *window) take(d *supervisor.Decision) error {
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
	case !charged && d.Before.Used+d.Before.Held < d.Before.Max:
		return fmt.Errorf("escalated at %v", d.Before)
	case charged:
		w.charges = append(w.charges, d.Time)
	}
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
