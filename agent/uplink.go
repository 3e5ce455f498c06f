package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
)

// dial begins a session.
func (a *Agent) dial(ctx context.Context) {
	a.out.rewind()
	a.ses = newSession(ctx, a.cfg.Dial, time.Now())
}

// onSession takes what the session tells.
func (a *Agent) onSession(m inbound) {
	s := a.ses
	switch {
	case m.ended != nil:
		a.onEnded(m.ended)
	case s.closing():
		// What it still had to say belongs to a session that is over.
	case m.opened:
		s.open, s.heard = true, time.Now()
	case m.wrote:
		s.writing = false
	case m.down != nil:
		s.heard = time.Now()
		a.onDown(m.down)
	}
}

// onEnded decides when to dial again.
func (a *Agent) onEnded(why error) {
	if a.ses.why != nil {
		why = a.ses.why
	}
	now := time.Now()
	if a.ses.settled {
		a.parted = now
	}
	a.ses = nil
	var no refusal
	switch {
	case errors.As(why, &no):
		a.redialAt = now.Add(refusedPause)
		a.log.Error("session refused", "why", why, "next_try", refusedPause)
		return
	case errors.Is(why, errChanged):
		a.redialAt = now
	case errors.Is(why, errRedirected) && now.Sub(a.freeAt) >= a.cfg.Redial:
		a.redialAt, a.freeAt = now, now
	default:
		a.redialAt = now.Add(a.pause())
	}
	a.log.Info("session ended", "why", why, "next_try", a.redialAt.Sub(now))
}

// pause grows from Redial to redialMax, less up to half of it at random: the
// nodes of a cluster that lost its leader must not all come at one moment.
func (a *Agent) pause() time.Duration {
	d := min(a.cfg.Redial<<min(a.tries, 10), max(redialMax, a.cfg.Redial))
	a.tries++
	return d - time.Duration(a.rng.Int64N(int64(d)/2+1))
}

// onDown takes one message of the leader. What is said of this session or of
// our own events holds whoever says it; orders only if they are not outdated.
func (a *Agent) onDown(d *link.Down) {
	s := a.ses
	switch {
	case d.Refused != "":
		s.close(refusal(d.Refused))
		return
	case d.Redirect:
		s.close(errRedirected)
		return
	}
	if d.Ping != 0 {
		s.pong = d.Ping
	}
	if d.Ack != 0 {
		a.acked(d.Ack)
	}
	if d.Grant != 0 {
		a.granted(time.Duration(d.Grant))
	}
	at := mark{d.Term, d.Index}
	switch {
	case !s.settled && d.Full && d.Term < a.seen.term:
		s.close(errDeposed)
	case !s.settled && d.Full:
		a.obey(d, at)
	case s.settled && (!at.before(a.seen) || bug.On("outdated-orders-obeyed")):
		a.obey(d, at)
	}
}

// obey takes over the orders of d.
func (a *Agent) obey(d *link.Down, at mark) {
	n := len(d.Orders)
	if !d.Full {
		n += a.table.orders
	}
	if n > maxOrders {
		a.ses.close(fmt.Errorf("cannot take %d orders: the limit is %d", n, maxOrders))
		return
	}
	now := time.Now()
	a.seen = at
	exclusive := slices.ContainsFunc(d.Orders, func(o link.Order) bool { return o.Exclusive })
	a.lease.wanted = exclusive || !d.Full && a.lease.wanted
	if d.Full && bug.On("orders-outlive-session") {
		a.ses.settled, a.tries, d.Full = true, 0, false
	}
	if d.Full {
		a.ses.settled, a.tries, a.alone = true, 0, false
		a.table.replace(d.Orders, now)
		return
	}
	for _, ref := range d.Drop {
		a.table.drop(ref)
	}
	for _, o := range d.Orders {
		a.table.put(o, now)
	}
}

// leave says Bye, if there is a session that takes it in time, and waits for
// the session's goroutines.
func (a *Agent) leave() {
	s := a.ses
	if s == nil {
		return
	}
	late := time.NewTimer(byeTime)
	defer late.Stop()
	for done := a.sayBye(); ; done = a.sayBye() {
		if done {
			s.close(errDone)
		}
		select {
		case m := <-s.in:
			if m.ended != nil {
				return
			}
			s.writing = s.writing && !m.wrote
		case <-late.C:
			s.close(errDone)
		}
	}
}

// sayBye tells whether there is nothing more to wait for.
func (a *Agent) sayBye() (done bool) {
	s := a.ses
	switch {
	case !s.open || s.bye && !s.writing:
		return true
	case !s.writing && !s.closing():
		s.bye = true
		up := link.Up{Bye: true, Returns: a.returns.Load(), Holds: len(a.cfg.Runner.Live()) > 0}
		up.Events, up.Seq = a.out.take(link.MaxEvents, time.Now())
		s.give(up)
	}
	return false
}
