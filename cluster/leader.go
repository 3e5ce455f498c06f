package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// Limits of the leader (P15).
const (
	maxWaiting = 4096 // proposals that wait for the next entry
	maxBatch   = 2048 // inputs in one entry
	maxEntry   = 4 << 20
	maxAssigns = 512 // placements per entry
	// maxContacts are nodes that this leader has heard of in its term, those that it
	// did not let in among them.
	maxContacts = 2 * fsm.MaxNodes
)

// leader is the leader's work in one term. One goroutine, lead's, owns all of it
// but what is marked otherwise.
type leader struct {
	n   *Node
	ctx context.Context // ends with the leadership
	log *raft.Raft

	term uint64
	base time.Duration // cluster time at the barrier
	// began is the moment of the barrier.
	began  time.Time
	leases leases

	// Queues into the loop; senders give up when ctx ends.
	proposals chan *proposal
	news      chan sessionNews
	probes    chan probed
	proved    chan error
	committed chan outcome

	waiting []*proposal // for the next entry
	flight  []*proposal // in the entry that commits now
	commits chan []byte // to the committer, capacity 1

	decider  Decider
	contacts map[string]*contact // by node id
	// vitals is what the steward, another goroutine, may know of contacts.
	vitals  sync.Map        // node id -> vital
	ordered map[string]sent // by path: the order last given
	pinged  time.Time
	first   uint64    // an index of this term
	summed  time.Time // when this leader last asked for a checksum, or began
	split   uint64    // the checksum entry that replicas were last seen to differ at
	// idle is set while nothing the leader could do has changed.
	idle bool
}

// sent is an order that a node was given.
type sent struct {
	node string
	ref  supervisor.Ref
}

// proposal is one command on its way into the log. then runs in the loop.
type proposal struct {
	cmd  fsm.Command
	size int // inputs it carries
	then func(fsm.Result, error)
}

// outcome is what became of an entry.
type outcome struct {
	results []fsm.Result
	err     error
}

// sessionNews is what a session's reader tells the loop.
type sessionNews struct {
	s      *session
	opened bool
	closed bool
	gone   bool // closed by the other end's kernel: its process is gone
	// restored: the state was replaced; every node must be told all anew.
	restored bool
	up       link.Up
}

// lead is being the leader: it returns when the term, or ctx, ends. Everything
// it starts ends with it.
func (n *Node) lead(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &leader{
		n: n, ctx: ctx, log: n.raft, term: n.raft.CurrentTerm(), decider: *NewDecider(n.times),
		proposals: make(chan *proposal, maxWaiting), news: make(chan sessionNews, 256),
		probes: make(chan probed, 16), committed: make(chan outcome, 1), commits: make(chan []byte, 1),
		proved: make(chan error, 1), contacts: make(map[string]*contact), ordered: make(map[string]sent),
		leases: leases{last: make(map[string]time.Duration), since: make(map[string]time.Duration), condemned: make(map[string]bool)},
	}
	if !l.catchUp() {
		return
	}
	done := make(chan struct{}, 2)
	n.wg.Go(func() { l.commit(); done <- struct{}{} })
	n.wg.Go(func() { l.steward(); done <- struct{}{} })
	n.leading.Store(l)
	l.run()
	n.leading.Store(nil)
	cancel()
	<-done
	<-done
	l.abandon()
}

// catchUp waits until every entry of earlier terms is applied here. Acting on
// less would act on a state that was already left (nomad#5906).
func (l *leader) catchUp() bool {
	for l.ctx.Err() == nil {
		var err error
		if !bug.On("barrier-skipped") {
			err = l.log.Barrier(5 * time.Second).Error()
		}
		if err == nil {
			l.began, l.leases.barrier = time.Now(), l.clock()
			l.summed, l.first = l.began, l.log.AppliedIndex()
			l.n.rep.m.TakeChanged() // each node gets all its orders on contact
			l.n.rep.m.View(func(v fsm.View) { l.base = v.Clock() })
			if bug.On("window-forgotten-on-leader-change") {
				l.base += time.Hour
			}
			l.inheritContacts()
			l.n.log.Info("leading", "term", l.term, "cluster_time", l.base)
			return true
		}
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrRaftShutdown) {
			return false
		}
		l.n.log.Warn("cannot catch up with the log yet", "why", err)
		select {
		case <-time.After(l.n.times.Tick): // a transfer under way refuses at once
		case <-l.ctx.Done():
		}
	}
	return false
}

// clock is the time since this machine booted.
func (l *leader) clock() time.Duration { return l.n.cfg.Clock() }

// now is cluster time: the state's clock at take-over plus what has passed here
// since, never by the wall clock. Any goroutine may ask.
func (l *leader) now() time.Duration { return l.base + l.clock() - l.leases.barrier }

// commit puts entries through raft, one at a time.
func (l *leader) commit() {
	for {
		select {
		case data := <-l.commits:
			f := l.log.Apply(data, 5*time.Second)
			o := outcome{}
			if !bug.On("ack-before-commit") {
				o.err = f.Error()
			}
			if o.err == nil && !bug.On("ack-before-commit") {
				switch r := f.Response().(type) {
				case []fsm.Result:
					o.results = r
				case error:
					o.err = r
				}
			}
			l.committed <- o
		case <-l.ctx.Done():
			return
		}
	}
}

// run is the loop. What arrives while an entry commits goes into the next one.
func (l *leader) run() {
	tick := time.NewTicker(l.n.times.Tick)
	defer tick.Stop()
	if l.n.cfg.Bootstrap {
		l.propose(&proposal{cmd: fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: l.n.cfg.ClusterID}}})
	}
	l.probeFormer()
	for {
		select {
		case <-l.ctx.Done():
			return
		case p := <-l.proposals:
			l.propose(p)
		case m := <-l.news:
			l.onNews(m)
		case p := <-l.probes:
			l.onProbe(p)
		case err := <-l.proved:
			l.onProved(err)
		case o := <-l.committed:
			l.onCommitted(o)
		case <-l.n.cfg.Gossip.Changed():
			l.idle = false
		case <-tick.C:
			l.onTick()
		}
		l.drain()
		l.prove()
		if l.flight == nil {
			l.propel()
		}
	}
}

// drain takes what else has arrived, so that it shares the entry.
func (l *leader) drain() {
	for len(l.waiting) < maxBatch {
		select {
		case p := <-l.proposals:
			l.propose(p)
		case m := <-l.news:
			l.onNews(m)
		default:
			return
		}
	}
}

func (l *leader) propose(p *proposal) {
	p.size = max(1, len(p.cmd.Events)+len(p.cmd.Assign))
	l.waiting = append(l.waiting, p)
}

func (l *leader) onTick() {
	l.idle = false
	l.probe()
	if time.Since(l.pinged) < l.n.times.Ping {
		return
	}
	l.pinged = time.Now()
	for _, c := range l.contacts {
		if c.session != nil {
			c.session.put(func(o *outbox) { o.ping = 1 })
		}
	}
}

// propel sends the next entry on its way: what waits, or else what the leader
// itself finds due.
func (l *leader) propel() {
	if !l.idle {
		l.idle = true
		for _, cmd := range l.due() {
			if cmd.Type == fsm.TypeNodeLost || cmd.Type == fsm.TypeNodeFenced {
				l.condemn(cmd)
			} else {
				l.propose(&proposal{cmd: cmd})
			}
		}
	}
	for len(l.waiting) > 0 {
		data, err := l.pack()
		if err == nil {
			l.commits <- data
			return
		}
		l.answer(outcome{err: err})
	}
}

// pack takes what shares the next entry out of waiting, into flight. An error is
// that of one proposal, alone in flight: it takes no other along.
func (l *leader) pack() ([]byte, error) {
	take, inputs := 0, 0
	for take < len(l.waiting) && (take == 0 || inputs+l.waiting[take].size <= maxBatch) {
		inputs += l.waiting[take].size
		if take++; l.waiting[take-1].cmd.Tree != nil {
			break // a tree may be large: it goes last in its entry
		}
	}
	for {
		entry := fsm.Entry{Time: l.now(), Wall: time.Now().UnixMilli()}
		for _, p := range l.waiting[:take] {
			entry.Commands = append(entry.Commands, p.cmd)
		}
		data, err := entry.Encode()
		if err == nil && len(data) > maxEntry {
			err = fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(data), maxEntry)
		}
		if err == nil || take == 1 {
			l.flight, l.waiting = l.waiting[:take:take], l.waiting[take:]
			return data, err
		}
		take /= 2
	}
}

// onCommitted answers who asked and gives the orders that follow.
func (l *leader) onCommitted(o outcome) {
	if o.err != nil {
		o.err = classify(o.err)
	}
	if o.err == nil {
		l.idle = false
		l.distribute() // first: a restart waits for its order, nobody for an acknowledgement
	}
	l.answer(o)
}

func (l *leader) answer(o outcome) {
	flight := l.flight
	l.flight = nil
	for i, p := range flight {
		var r fsm.Result
		if o.err == nil && i < len(o.results) {
			r = o.results[i]
		}
		if p.then != nil {
			p.then(r, o.err)
		}
	}
}

// classify tells what was surely not done from what may have been (raft's
// errors after leadership loss are ambiguous: raft#561).
func classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w (%v)", ErrNotLeader, err)
	}
	return fmt.Errorf("%w (%w)", ErrUncertain, err)
}

// abandon answers everything that is left when the term ends.
func (l *leader) abandon() {
	select {
	case o := <-l.committed:
		if o.err != nil {
			o.err = classify(o.err)
		}
		l.answer(o)
	default:
		l.answer(outcome{err: ErrUncertain})
	}
	for {
		select {
		case p := <-l.proposals:
			l.waiting = append(l.waiting, p)
			continue
		default:
		}
		break
	}
	for _, p := range l.waiting {
		if p.then != nil {
			p.then(fsm.Result{}, ErrNotLeader)
		}
	}
}

// distribute tells nodes what changed for them, path by changed path.
func (l *leader) distribute() {
	paths, nodes := l.n.rep.m.TakeChanged()
	if nodes {
		l.dismiss()
	}
	if len(paths) == 0 {
		return
	}
	l.n.rep.m.View(func(v fsm.View) {
		for _, path := range paths {
			l.give(v, path)
		}
	})
}

// dismiss tells nodes that have left so, and ends their sessions.
func (l *leader) dismiss() {
	for _, n := range l.nodes() {
		c := l.contacts[n.ID]
		if n.State == fsm.NodeGone && c != nil && c.session != nil {
			c.session.put(func(o *outbox) { o.refused, o.left = "it has left the cluster", true })
		}
	}
}

func (l *leader) give(v fsm.View, path string) {
	node, order, ok := v.Order(path)
	if was, had := l.ordered[path]; had && (!ok || was.node != node || was.ref != order.Ref) {
		l.toNode(was.node, func(o *outbox) {
			o.drop(was.ref)
			o.index = v.Index()
		})
		delete(l.ordered, path)
	}
	if !ok {
		return
	}
	l.ordered[path] = sent{node, order.Ref}
	l.toNode(node, func(o *outbox) {
		o.order(order)
		o.index = v.Index()
	})
}

func (l *leader) toNode(id string, change func(*outbox)) {
	if c := l.contacts[id]; c != nil && c.session != nil && c.admitted {
		c.session.put(change)
	}
}
