package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// A node that is without a leader for long enough (Times.Alone) restarts children
// alone, as far as it was lent a budget for it with their orders. What that budget
// allows is supervisor.LocalBudget's to say; here is, as in package agent, when it is
// asked.

// alone is what a life went through on its node.
type alone struct {
	epoch supervisor.Epoch
	ended time.Duration // of its last process
	told  bool          // a leader may know of that end
	count int           // restarts without a leader
	row   int           // of them in a row
	at    []time.Duration
	wake  time.Duration // when it is looked at again
}

// ages of the restarts without a leader.
func (l *alone) ages(now time.Duration) []time.Duration {
	ages := make([]time.Duration, len(l.at))
	for i, at := range l.at {
		ages[i] = now - at
	}
	return ages
}

// lend notes since when a node has the budget that comes with an order.
func (h *host) lend(o supervisor.Order) {
	was := h.orders[o.Path]
	same := was.Epoch == o.Epoch && (was.Local == o.Local || was.Local != nil && o.Local != nil && *was.Local == *o.Local)
	if !same {
		h.lent[o.Path] = h.w.now
	}
}

// isAlone: it has had no leader for long enough.
func (h *host) isAlone() bool { return h.on() && !h.linked && h.w.now >= h.parted+h.w.times.Alone }

// lookAlone answers the ends that no leader has answered, if the node is alone.
func (h *host) lookAlone() {
	if !h.isAlone() {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(h.orders)) {
		h.again(path)
	}
}

// plainCrash is how processes end here.
var plainCrash = supervisor.ChildEvent{Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1}

// again begins another process of a life that ended, now or when it may.
func (h *host) again(path string) {
	o, l := h.orders[path], h.lives[path]
	switch {
	case o.Local == nil || o.Action != supervisor.Run || h.procs[path] != nil || l == nil || l.epoch != o.Epoch:
		return // it may not, or there is nothing to answer
	case l.told && !o.Local.Sure(l.count):
		return // a leader may have moved the child
	}
	if said, _ := o.Exits.Ruling(&plainCrash); said != "" {
		return // whatever follows is no restart here
	}
	backoff, row, wait := o.Local.Next(l.ages(h.w.now), l.row, h.w.now-h.lent[path])
	if due := max(h.w.now+wait, l.ended+backoff); due > h.w.now {
		h.wakeAlone(path, l, due)
		return
	}
	l.at = append(slices.Clone(l.at[len(l.at)-len(o.Local.Recent(l.ages(h.w.now))):]), h.w.now)
	l.count, l.row = l.count+1, row
	h.outbox = slices.DeleteFunc(slices.Clone(h.outbox), func(ev supervisor.ChildEvent) bool { return ev.Path == path && ev.Epoch == o.Epoch })
	h.w.say(Event{Kind: KindNode, Node: h.id, Path: path, Text: path + " is restarted on " + h.id + " alone, without a leader"})
	h.report(supervisor.ChildEvent{Path: path, Epoch: o.Epoch, Type: supervisor.EventRestarted, Detail: "exit code 1"})
	h.run(o)
}

// wakeAlone looks at a life again, once.
func (h *host) wakeAlone(path string, l *alone, due time.Duration) {
	if l.wake > h.w.now && l.wake <= due {
		return
	}
	l.wake = due
	h.w.at(due, func() {
		if h.lives[path] == l && h.isAlone() {
			h.again(path)
		}
	})
}

// unsent is what the node reports now, with the ages of what it did alone.
func (h *host) unsent() []supervisor.ChildEvent {
	events := slices.Clone(h.outbox)
	for i := range events {
		ev := &events[i]
		l := h.lives[ev.Path]
		switch {
		case l == nil || l.epoch != ev.Epoch:
		case ev.Type == supervisor.EventRestarted:
			ev.Ages = l.ages(h.w.now)
		case ev.Type == supervisor.EventExited:
			l.told = true
		}
	}
	return events
}
