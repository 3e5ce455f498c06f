package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// local owns the tree of a supervisor in a process. One goroutine runs it: it steps the
// tree with what the components do, and makes true what the tree orders.
type local struct {
	name string
	tree *Tree
	// children are the workers by path; the map never changes.
	children map[string]*localChild
	sup      *Supervisor

	box    mailbox
	events chan ChildEvent
	asks   chan func()
	done   chan struct{}

	base   context.Context // of all lives: its values, and not its end
	ending <-chan struct{}
	lives  sync.WaitGroup
	alive  int // lives whose goroutine has yet to return
	// closing: what still runs is the last of it.
	closing bool
	err     error
	retry   *time.Timer

	decide func(Input, Stamp) ([]Decision, error) // the tree's Step
	index  uint64
	began  time.Time
	pid    int
	log    logbook

	inbox []message     // spare
	due   []*localChild // spare
}

func newLocal(ctx context.Context, s *Supervisor) (*local, error) {
	tree, err := NewTree(s.spec)
	if err != nil {
		return nil, err
	}
	l := &local{
		name: s.spec.Name, tree: tree, sup: s,
		children: make(map[string]*localChild, len(s.workers)),
		box:      mailbox{wake: make(chan struct{}, 1)},
		events:   make(chan ChildEvent, SendLimit), asks: make(chan func()), done: make(chan struct{}),
		base: context.WithoutCancel(ctx), ending: ctx.Done(),
		decide: tree.Step, began: time.Now(), pid: os.Getpid(), log: logbook{out: s.log},
	}
	for i, w := range s.workers {
		path := s.spec.Name + w.path
		l.children[path] = &localChild{path: path, ord: i, instance: w.instance, Child: w.Child}
	}
	return l, nil
}

// child finds a worker by its path, with or without the supervisor's own name.
func (l *local) child(path string) *localChild {
	if c := l.children[path]; c != nil {
		return c
	}
	return l.children[l.name+"/"+path]
}

// now is the time since the supervisor began: cluster time for its tree.
func (l *local) now() time.Duration { return time.Since(l.began) }

// until is how long it is to a time of now's; 0 if that is over.
func (l *local) until(at time.Duration) time.Duration {
	if at == 0 {
		return 0
	}
	return max(0, at-l.now())
}

// run is the owner's loop. It ends when nothing is left to run.
func (l *local) run() {
	l.must(Start{Path: l.name})
	for l.settle(); !l.closing || l.alive > 0; l.settle() {
		select {
		case <-l.box.wake:
			l.receive()
		case ev := <-l.events:
			l.believe(ev)
		case ask := <-l.asks:
			ask()
		case <-l.ending:
			l.ending = nil
			l.stop("its context has ended")
		}
	}
	if l.retry != nil {
		l.retry.Stop()
	}
	l.lives.Wait()
	l.sup.running.Store(false)
	close(l.done)
}

// receive takes what has come, one by one: what the tree orders is done before the
// next is looked at.
func (l *local) receive() {
	l.inbox = l.box.take(l.inbox[:0])
	for _, m := range l.inbox {
		switch m.kind {
		case hasStarted:
			l.started(m.life)
		case hasEnded:
			l.ended(m.life, m.err)
		case isSilent:
			l.silent(m.life)
		case isOverdue:
			l.overdue(m.life)
		case isDue:
			l.begin(m.child)
		case isRetry:
			_, _ = l.step(Start{Path: l.name, By: RetryBy}) // stale, if someone has started it
		}
		l.settle()
	}
	clear(l.inbox)
}

// step gives the tree an input, and writes down what it concludes.
func (l *local) step(in Input) ([]Decision, error) {
	l.index++
	ds, err := l.decide(in, Stamp{Index: l.index, Time: l.now()})
	for i := range ds {
		l.log.decision(&ds[i])
		switch {
		case ds[i].Path != l.name:
		case ds[i].Verdict == VerdictFail:
			l.failed(ds[i])
		case ds[i].Verdict == VerdictFinish:
			l.finished()
		}
	}
	return ds, err
}

// must is step for what the tree cannot refuse.
func (l *local) must(in Input) {
	if _, err := l.step(in); err != nil {
		panic(fmt.Sprintf("supervisor: %+v: %v", in, err))
	}
}

// tell tells the tree about a life; err is how its component ended, for the log. What
// comes too late to matter is stale.
func (l *local) tell(c *localChild, e Epoch, ev ChildEvent, err error) {
	ev.Path, ev.Epoch, ev.Ordered = c.path, e, true
	l.log.event(ev, err)
	if _, err := l.step(ev); err != nil && !errors.Is(err, ErrStale) {
		panic(fmt.Sprintf("supervisor: %+v: %v", ev, err))
	}
}

// failed: the outermost supervisor gave up. The tree stops all children; then it is
// over, or begins anew.
func (l *local) failed(d Decision) {
	if at, again := l.tree.RetryAt(); again {
		l.retry = time.AfterFunc(l.until(at), func() { l.box.put(message{kind: isRetry}) })
		return
	}
	if !l.closing {
		l.closing, l.err = true, fmt.Errorf("%w: %s", ErrExhausted, d.Sentence)
	}
}

// stop stops everything, for good.
func (l *local) stop(by string) {
	if l.closing {
		return
	}
	l.closing = true
	l.must(Stop{Path: l.name, By: by})
}

// settle makes true what the tree orders, until it orders nothing new: of what is
// ordered at once the stops first, last child first, then the starts in their order.
func (l *local) settle() {
	for paths := l.tree.Changed(); len(paths) > 0; paths = l.tree.Changed() {
		due := l.due[:0]
		for _, path := range paths {
			if c := l.children[path]; c != nil {
				_, c.order, _ = l.tree.Order(path)
				due = append(due, c)
			}
		}
		if len(due) > 1 {
			slices.SortFunc(due, func(a, b *localChild) int { return cmp.Compare(a.ord, b.ord) })
		}
		for _, c := range slices.Backward(due) {
			l.halt(c)
		}
		for _, c := range due {
			l.place(c)
			l.begin(c)
		}
		l.due = due
	}
}

// place gives a life that is due its node: there is one.
func (l *local) place(c *localChild) {
	if c.order.Action != "" {
		return
	}
	if req, ok := l.tree.Request(c.path); ok {
		l.must(Assign{Path: req.Path, Epoch: req.Epoch, Node: LocalNode})
	}
}

// begin begins the life that is ordered, if it is time and no goroutine of a former
// one is left. One that is to stop before it has begun does not begin.
func (l *local) begin(c *localChild) {
	o := c.order
	if o.Action != Run || o.Epoch == c.begun || c.life != nil {
		return
	}
	if s, _ := l.tree.Child(c.path); s.Phase == PhaseStopping {
		return
	}
	c.disarm()
	if wait := l.until(o.NotBefore); wait > 0 {
		c.alarm = time.AfterFunc(wait, func() { l.box.put(message{kind: isDue, child: c}) })
		return
	}
	f := &localLife{child: c, epoch: o.Epoch, clock: l.now, box: &l.box}
	f.ctx, f.cancel = context.WithCancelCause(context.WithValue(l.base, lifeKey{}, f))
	c.begun, c.life = o.Epoch, f
	l.alive++
	if c.Heartbeat > 0 {
		f.beat.Store(int64(l.now()))
		f.after(c.Heartbeat, isSilent)
	}
	l.lives.Go(f.run)
}

// halt ends the life that is ordered to stop.
func (l *local) halt(c *localChild) {
	switch o := c.order; {
	case o.Action != Halt:
	case o.Epoch != c.begun:
		c.disarm()
		c.begun = o.Epoch
		l.tell(c, o.Epoch, ChildEvent{Type: EventExited, Reason: ExitKilled, Detail: "it had not begun"}, nil)
	case c.life != nil:
		l.condemn(c.life, ChildEvent{}, nil)
	}
}

// condemn tells a life to stop. It ends as end says, or else by what it returns.
func (l *local) condemn(f *localLife, end ChildEvent, cause error) {
	if f.condemned {
		return
	}
	f.condemned, f.end = true, end
	f.after(f.child.Grace, isOverdue)
	f.cancel(cause)
}

// current tells whether a life is still of interest to the tree.
func (f *localLife) current() bool { return f.child.life == f && !f.told }

// started: the component runs, or says that it is ready.
func (l *local) started(f *localLife) {
	if f.current() {
		l.tell(f.child, f.epoch, ChildEvent{Type: EventStarted, PID: l.pid}, nil)
	}
}

// ended: the component has returned. Now the next life may begin.
func (l *local) ended(f *localLife, err error) {
	c := f.child
	f.disarm()
	c.life = nil
	l.alive--
	if f.told {
		l.log.event(ChildEvent{Path: c.path, Epoch: f.epoch, Type: EventReturned, Detail: "it has returned at last"}, err)
		l.begin(c)
		return
	}
	end := f.end
	if end.Type == "" {
		end = Outcome(err)
	}
	l.tell(c, f.epoch, end, err)
}

// silent looks whether a life has given a sign of itself in time.
func (l *local) silent(f *localLife) {
	if !f.current() || f.condemned {
		return
	}
	idle := l.now() - time.Duration(f.beat.Load())
	if left := f.child.Heartbeat - idle; left > 0 {
		f.after(left, isSilent)
		return
	}
	detail := fmt.Sprintf("no heartbeat for %v", idle)
	l.condemn(f, ChildEvent{Type: EventExited, Reason: ExitTimeout, Detail: detail}, errors.New(detail))
}

// overdue: the component did not return within its grace. The tree goes on as if it
// had ended, as after a SIGKILL; but a goroutine cannot be killed, so its child's next
// life waits for it.
func (l *local) overdue(f *localLife) {
	if !f.current() {
		return
	}
	f.told = true
	detail := fmt.Sprintf("it did not return within its grace of %v", f.child.Grace)
	l.log.event(ChildEvent{Path: f.child.path, Epoch: f.epoch, Type: EventStuck, Detail: detail}, nil)
	end := f.end
	if end.Type == "" {
		end = ChildEvent{Type: EventExited, Reason: ExitKilled, Detail: detail}
	}
	l.tell(f.child, f.epoch, end, nil)
}

// believe takes what was sent about a child.
func (l *local) believe(ev ChildEvent) {
	f := l.children[ev.Path].life
	if f == nil || !f.current() || ev.Epoch != 0 && ev.Epoch != f.epoch {
		l.log.event(ev, ErrStale)
		return
	}
	switch ev.Type {
	case EventHeartbeat:
		f.beat.Store(int64(l.now()))
	case EventStarted:
		l.started(f)
	default:
		l.condemn(f, ev, errors.New(describe(ev)))
	}
}

// running lists the children whose goroutine has yet to return.
func (l *local) running() []string {
	var paths []string
	for _, w := range l.sup.workers {
		if path := l.name + w.path; l.children[path].life != nil {
			paths = append(paths, path)
		}
	}
	return paths
}
