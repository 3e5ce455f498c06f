package agent

import (
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// This file is what a node does without a leader. An order may bring a budget of
// restarts that the node makes alone (supervisor.LocalBudget). After Config.Alone
// without a settled session, an end that the leader has not acknowledged is answered
// with another process of the same life, within that budget. Whether the leader
// knows of the end already, and has begun another life for it, cannot be known here:
// then its orders say so when the node is back, this life is stopped like any that
// was replaced, and the restart is charged once (see supervisor, "Alone").

// alone is what a life went through without a leader.
type alone struct {
	count int         // restarts
	at    []time.Time // of those that are within the period, oldest first
	row   int         // restarts in a row
}

// ages of the restarts within the period.
func (l *alone) ages(now time.Time) []time.Duration {
	ages := make([]time.Duration, len(l.at))
	for i, at := range l.at {
		ages[i] = now.Sub(at)
	}
	return ages
}

// next notes a restart.
func (l *alone) next(b *supervisor.LocalBudget, row int, now time.Time) {
	recent := b.Recent(l.ages(now))
	l.at = append(l.at[len(l.at)-len(recent):], now)
	l.count, l.row = l.count+1, row
}

// planAlone says what a node without a leader does about the end of the life that
// was ordered last, and when to look again.
func planAlone(c *child, now time.Time) (acts []action, wake time.Time) {
	o := c.order(c.newest())
	if o == nil || o.halt || o.local == nil {
		return nil, wake
	}
	for i := range c.lives {
		if c.lives[i].phase != ended {
			return nil, wake
		}
	}
	l := c.life(o.epoch)
	if l == nil || !l.pending || l.disowned || l.stopping || l.exit.Fatal || o.local.Transient && l.normal() {
		return nil, wake
	}
	if said, _ := o.exits.Ruling(&l.exit); said != "" && !bug.On("alone-deaf") {
		return nil, wake // whatever follows is no restart here
	}
	if l.told && !o.local.Sure(l.alone.count) {
		return nil, wake // a leader may have moved the child
	}
	backoff, _, wait := o.local.Next(l.alone.ages(now), l.alone.row, now.Sub(o.since))
	if wait > 0 && !bug.On("alone-without-budget") {
		return nil, now.Add(wait)
	}
	if due := l.endedAt.Add(backoff); now.Before(due) {
		return nil, due
	}
	return []action{{doAgain, o.epoch, "no leader answers its end"}}, wake
}

// normal: the life ended as it should.
func (l *life) normal() bool {
	return l.exit.Type == supervisor.EventExited && l.exit.Reason == supervisor.ExitNormal
}

// again begins another process of a life that ended. Its report takes the place of
// all that was not acknowledged of the life before.
func (a *Agent) again(e *entry, ref supervisor.Ref) {
	now := time.Now()
	o, l := e.order(ref.Epoch), e.life(ref.Epoch)
	_, row, _ := o.local.Next(l.alone.ages(now), l.alone.row, now.Sub(o.since))
	l.alone.next(o.local, row, now)
	a.log.Warn("restarting alone, without a leader", "path", ref.Path, "epoch", ref.Epoch, "restart", l.alone.count, "because", l.exit.Detail)
	a.out.drop(ref)
	a.out.addAt(supervisor.ChildEvent{
		Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventRestarted, Restarts: l.alone.count, Detail: l.exit.Detail,
	}, l.alone.at)
	l.phase, l.pid, l.pending, l.told, l.exit = starting, 0, false, false, supervisor.ChildEvent{}
	how := *o
	how.reason, how.attempt = string(supervisor.CauseAutonomy), o.attempt+l.alone.count
	a.launch(e, l, ref, &how)
}

// tell notes which ends the leader is told of.
func (a *Agent) tell(events []supervisor.ChildEvent) {
	for i := range events {
		if e := a.table.children[events[i].Path]; e != nil {
			if l := e.life(events[i].Epoch); l != nil && l.phase == ended {
				l.told = true
			}
		}
	}
}

// isAlone: there has been no settled session for Config.Alone.
func (a *Agent) isAlone(now time.Time) bool {
	return a.cfg.Alone > 0 && !a.settled() && !now.Before(a.parted.Add(a.cfg.Alone))
}

func (a *Agent) settled() bool { return a.ses != nil && a.ses.settled }

// lookAlone has everything planned again when the node finds itself alone.
func (a *Agent) lookAlone(now time.Time) {
	was := a.alone
	if a.alone = a.isAlone(now); a.alone && !was {
		a.log.Warn("no leader: restarting alone what may be", "for", now.Sub(a.parted))
		a.table.touchAll()
	}
}

// earlier gives the earlier of two times; zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
