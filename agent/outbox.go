package agent

import (
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// maxUnacked is how many unacknowledged events stop the agent from beginning
// new lives. Events of lives that run are still taken: at most four for each.
const maxUnacked = 1 << 16

// outbox holds the events that the leader has not acknowledged, in order. Numbers
// grow, and those of dropped events are missing.
type outbox struct {
	items []item
	last  uint64 // the newest number given
	acked uint64
	sent  int // how many of items this session was given
}

// item is one event. Times are the moments whose ages it tells.
type item struct {
	supervisor.ChildEvent
	seq   uint64
	times []time.Time
}

// add numbers e.
func (o *outbox) add(e supervisor.ChildEvent) (seq uint64) { return o.addAt(e, nil) }

// addAt is add for an event that tells how long ago something was when it is sent.
func (o *outbox) addAt(e supervisor.ChildEvent, times []time.Time) (seq uint64) {
	o.last++
	o.items = append(o.items, item{e, o.last, slices.Clone(times)})
	return o.last
}

// drop forgets all events of a life: what became of it since says more.
func (o *outbox) drop(ref supervisor.Ref) {
	kept, sent := o.items[:0], 0
	for i, it := range o.items {
		if it.Path == ref.Path && it.Epoch == ref.Epoch {
			continue
		}
		if kept = append(kept, it); i < o.sent {
			sent++
		}
	}
	clear(o.items[len(kept):])
	o.items, o.sent = kept, sent
}

// ack drops the events up to seq and returns them. A number that was never
// given counts as the last one that was.
func (o *outbox) ack(seq uint64) []supervisor.ChildEvent {
	if seq = min(seq, o.last); seq <= o.acked {
		return nil
	}
	o.acked = seq
	var gone []supervisor.ChildEvent
	for len(gone) < len(o.items) && o.items[len(gone)].seq <= seq {
		gone = append(gone, o.items[len(gone)].ChildEvent)
	}
	n := len(gone)
	clear(o.items[:n])
	o.items, o.sent = o.items[n:], max(0, o.sent-n)
	if len(o.items) == 0 {
		o.items = nil // let go of what a storm allocated
	}
	return gone
}

// rewind makes the next session send everything again.
func (o *outbox) rewind() {
	if !bug.On("events-lost-with-session") {
		o.sent = 0
	}
}

// take returns a copy of the next events to send, at most limit, and the number of
// the last.
func (o *outbox) take(limit int, now time.Time) (events []supervisor.ChildEvent, seq uint64) {
	n := min(limit, len(o.items)-o.sent)
	if n <= 0 {
		return nil, 0
	}
	events = make([]supervisor.ChildEvent, n)
	for i := range events {
		it := &o.items[o.sent+i]
		events[i], seq = it.ChildEvent, it.seq
		for _, at := range it.times {
			events[i].Ages = append(events[i].Ages, now.Sub(at))
		}
	}
	o.sent += n
	return events, seq
}

// drained: this session was given everything.
func (o *outbox) drained() bool { return o.sent == len(o.items) }

func (o *outbox) full() bool { return len(o.items) >= maxUnacked }
