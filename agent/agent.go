package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// maxActions bounds the children that are planned before the loop looks again
// at what has happened: 500 orders at once must not hold up an exit.
const maxActions = 32

// mark is how new a Down is.
type mark struct{ term, index uint64 }

func (m mark) before(n mark) bool { return m.term < n.term || m.term == n.term && m.index < n.index }

// Agent makes the orders of its node true. Run's goroutine owns all of it.
type Agent struct {
	cfg Config
	log *slog.Logger
	rng *rand.Rand

	table *table
	out   outbox
	held  []*entry // cannot be brought closer while out is full
	seen  mark
	lease lease
	// alone: there has been no settled session for Config.Alone; parted is when there
	// last was one, or when the agent began.
	alone  bool
	parted time.Time

	ses      *session  // nil between two sessions
	redialAt time.Time // when ses is nil
	tries    int       // failed since the last settled session
	freeAt   time.Time // of the last redial without a pause
	timer    *time.Timer
	returns  atomic.Bool  // set from outside, before ctx of Run ends
	health   *link.Health // of the node; nil if nothing is known of it
	// introduce asks for a session in which the node says anew what it is.
	introduce chan struct{}
}

// New returns an agent that Run starts.
func New(c Config) (*Agent, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.fill()
	a := &Agent{
		cfg: c, log: c.Logger, table: newTable(), introduce: make(chan struct{}, 1),
		rng: rand.New(rand.NewPCG(c.Seed, 0x5e1f)),
	}
	a.adopt()
	return a, nil
}

// Return makes the end of Run one that is announced to be short: Config.End is not
// called, and Bye says that the children run on until the next agent is there.
func (a *Agent) Return() { a.returns.Store(true) }

// Run does the node's duty until ctx ends; it then calls Config.End, says Bye,
// waits for its own goroutines and returns nil. It returns an error if the process table ends
// before ctx. It leaves the processes alone. Run runs once.
func (a *Agent) Run(ctx context.Context) error {
	a.timer = time.NewTimer(0)
	defer a.timer.Stop()
	a.parted = time.Now()
	a.dial(ctx)
	for {
		a.arm()
		err := a.wait(ctx)
		if err != nil || ctx.Err() != nil {
			if a.cfg.End != nil && !a.returns.Load() {
				a.cfg.End()
			}
			a.leave()
			return err
		}
		a.onTime(ctx)
		a.flush() // what happened goes out before what follows from it is done
		a.reconcile()
		a.flush()
	}
}

// always is ready: it lets the loop go on, but look at everything else first.
var always = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// wait takes the next thing that happens.
func (a *Agent) wait(ctx context.Context) error {
	var unplanned <-chan struct{}
	if len(a.table.dirty) > 0 {
		unplanned = always
	}
	var in <-chan inbound
	if a.ses != nil {
		in = a.ses.in
	}
	select {
	case <-ctx.Done():
	case e, ok := <-a.cfg.Runner.Events():
		switch {
		case ctx.Err() != nil: // the children are being killed: their ends are no news
		case !ok:
			return errors.New("cannot go on: the process table has ended")
		default:
			a.onEvent(e)
		}
	case m := <-in:
		a.onSession(m)
	case h := <-a.cfg.Health:
		a.health = &h
	case <-a.introduce:
		a.reintroduce()
	case <-a.timer.C:
	case <-unplanned:
	}
	return nil
}

// adopt takes over what the process table holds already, from an agent before
// this one. What that one still had to report is said again: said twice, it
// changes nothing.
func (a *Agent) adopt() {
	if bug.On("agent-restart-trusts-now") {
		a.lease.tenure, a.lease.from = held, a.cfg.Clock()
		a.cfg.Runner.Hold(a.lease.from + a.cfg.Lease.Fence)
	}
	for _, l := range a.cfg.Runner.Live() {
		if bug.On("adopt-forgets") {
			break
		}
		e := a.table.get(l.Path)
		own := a.table.begin(e, l.Epoch)
		own.pid = l.PID
		ev := supervisor.ChildEvent{Path: l.Path, Epoch: l.Epoch, Type: supervisor.EventSpawned, PID: l.PID}
		if l.Up {
			own.phase, ev.Type = up, supervisor.EventStarted
		}
		a.out.add(ev)
	}
}

// arm sets the one timer to the next moment at which time alone matters.
func (a *Agent) arm() {
	next := a.table.wakeAt()
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	if a.ses == nil {
		sooner(a.redialAt)
	} else {
		for _, l := range a.ses.limits(&a.cfg) {
			sooner(l.at)
		}
	}
	for _, t := range a.leaseTimes() {
		sooner(t)
	}
	if a.cfg.Alone > 0 && !a.alone && !a.settled() {
		sooner(a.parted.Add(a.cfg.Alone))
	}
	if next.IsZero() {
		a.timer.Stop()
		return
	}
	a.timer.Reset(time.Until(next))
}

// onTime does what is due.
func (a *Agent) onTime(ctx context.Context) {
	now := time.Now()
	a.lapse()
	a.lookAlone(now)
	a.table.wakeDue(now)
	switch {
	case a.ses != nil:
		a.ses.expire(&a.cfg, now)
	case !now.Before(a.redialAt):
		a.dial(ctx)
	}
}

// onEvent records what happened to a life, and reports it.
func (a *Agent) onEvent(e Event) {
	ref, ok := ParseKey(e.Key)
	if !ok {
		a.log.Warn("event of a process that is not ours", "key", e.Key)
		return
	}
	entry := a.table.get(ref.Path)
	l := a.table.begin(entry, ref.Epoch)
	if l.phase == ended {
		return
	}
	a.table.touch(entry)
	switch e.Kind {
	case runner.Spawned:
		l.pid = e.PID
		if l.confirm {
			a.out.add(supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventSpawned, PID: e.PID, Restarts: l.alone.count})
		}
	case runner.Up:
		l.pid, l.phase = e.PID, up
		a.out.add(supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventStarted, PID: e.PID, Restarts: l.alone.count})
	case runner.Asked:
		a.asks(ref, l, e)
	case runner.Exited, runner.Failed:
		exit := exitOf(ref, e)
		if e.Fenced || l.fenced {
			exit.Type, exit.Detail = supervisor.EventFenced, clip("the lease of its node ran out: "+exit.Detail)
		}
		a.end(entry, l, exit)
	}
}

// end records the end of a life and reports it.
func (a *Agent) end(e *entry, l *life, exit supervisor.ChildEvent) {
	exit.Restarts, exit.Ordered = l.alone.count, l.stopping || l.disowned
	l.phase, l.exit, l.endedAt = ended, exit, time.Now()
	a.log.Debug("life ended", "path", e.path, "epoch", l.epoch, "how", exit.Detail)
	a.report(e, l)
}

// report sends how a life ended, for the first time or again.
func (a *Agent) report(e *entry, l *life) {
	l.seq, l.pending = a.out.add(l.exit), true
	if o := e.order(l.epoch); o != nil {
		o.answered = true
	}
	a.table.touch(e)
}

// acked drops what the leader has committed.
func (a *Agent) acked(seq uint64) {
	for _, ev := range a.out.ack(seq) {
		e := a.table.children[ev.Path]
		if e == nil {
			continue
		}
		if l := e.life(ev.Epoch); l != nil && l.pending && l.seq <= a.out.acked {
			l.pending = false
			a.cfg.Runner.Settle(supervisor.Ref{Path: ev.Path, Epoch: ev.Epoch})
			a.table.touch(e)
		}
	}
	if !a.out.full() {
		for _, e := range a.held {
			e.held = false
			a.table.touch(e)
		}
		a.held = nil
	}
}

// reconcile brings children closer to their orders, some at a time.
func (a *Agent) reconcile() {
	settled := a.settled()
	now := time.Now()
	for range maxActions {
		e := a.table.next()
		if e == nil {
			return
		}
		acts, wake := plan(&e.child, settled, a.lease.tenure, now)
		if a.alone && !settled {
			more, at := planAlone(&e.child, now)
			acts, wake = append(acts, more...), earlier(wake, at)
		}
		a.table.setWake(e, wake)
		for _, act := range acts {
			a.do(e, act)
		}
		a.table.rest(e)
	}
}

// do takes one step. Steps that make events wait while the leader takes none.
func (a *Agent) do(e *entry, act action) {
	ref := supervisor.Ref{Path: e.path, Epoch: act.epoch}
	if a.out.full() && act.verb != doStop && act.verb != doFence && act.verb != doForget {
		if !e.held {
			e.held = true
			a.held = append(a.held, e)
		}
		return
	}
	switch act.verb {
	case doStart:
		a.start(e, ref)
	case doAgain:
		a.again(e, ref)
	case doStop, doFence:
		a.log.Info("stopping", "path", ref.Path, "epoch", ref.Epoch, "why", act.why)
		e.life(ref.Epoch).stopping = true
		e.life(ref.Epoch).fenced = act.verb == doFence
		a.cfg.Runner.Stop(ref, act.why)
	case doReport:
		a.report(e, e.life(ref.Epoch))
	case doDisown:
		l := a.table.begin(e, ref.Epoch)
		l.disowned = true
		a.end(e, l, disown(ref, act.why))
	case doForget:
		a.table.forget(e, ref.Epoch)
	}
}

// start begins a life. From here on only again begins its epoch again.
func (a *Agent) start(e *entry, ref supervisor.Ref) {
	a.launch(e, a.table.begin(e, ref.Epoch), ref, e.order(ref.Epoch))
}

// launch begins a process of a life as an order says.
func (a *Agent) launch(e *entry, l *life, ref supervisor.Ref, o *order) {
	p := o.program
	if p == nil {
		a.end(e, l, refused(ref, "cannot start: the order has no program"))
		return
	}
	l.exclusive = o.exclusive
	l.confirm = p.MinUptime > 0 || p.Probe != nil
	env := environment(a.cfg.Env, a.cfg.Node.Name, ref, o)
	if err := a.cfg.Runner.Start(Launch{Ref: ref, Program: p, Env: env, Exclusive: o.exclusive, Restarts: l.alone.count}); err != nil {
		a.end(e, l, refused(ref, err.Error()))
	}
}

// flush gives the writer what there is to send, if it is idle.
func (a *Agent) flush() {
	s := a.ses
	if s == nil || !s.open || s.writing || s.closing() {
		return
	}
	var up link.Up
	switch {
	case !s.greeted:
		s.greeted = true
		up.Hello = &link.Hello{Node: a.node(), Lives: a.table.inventory()}
	default:
		// What happened is told once the orders are known: until then the node may be
		// alone, and answer the end of a life itself.
		if s.settled {
			up.Events, up.Seq = a.out.take(link.MaxEvents, time.Now())
			a.tell(up.Events)
			up.Obeyed = !s.obeyed && a.out.drained()
			s.obeyed = s.obeyed || up.Obeyed
			if a.health != s.health {
				up.Health, s.health = a.health, a.health
			}
		}
		up.Pong, s.pong = s.pong, 0
		up.Renew = a.renewal()
		if up.Events == nil && up.Pong == 0 && up.Renew == 0 && !up.Obeyed && up.Health == nil {
			return
		}
	}
	s.give(up)
}
