package agent

import (
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// maxUnacked is how many unacknowledged events stop the agent from beginning
// new lives. Events of lives that run are still taken: at most three for each.
const maxUnacked = 1 << 16

// outbox holds the events that the leader has not acknowledged, in order. The
// first one has number acked+1.
type outbox struct {
	events []supervisor.ChildEvent
	acked  uint64
	sent   int // how many of events this session was given
}

// add numbers e.
func (o *outbox) add(e supervisor.ChildEvent) (seq uint64) {
	o.events = append(o.events, e)
	return o.last()
}

// last is the number of the newest event.
func (o *outbox) last() uint64 { return o.acked + uint64(len(o.events)) }

// ack drops the events up to seq and returns them. A number that was never
// given counts as the last one that was.
func (o *outbox) ack(seq uint64) []supervisor.ChildEvent {
	seq = min(seq, o.last())
	if seq <= o.acked {
		return nil
	}
	n := int(seq - o.acked)
	gone := slices.Clone(o.events[:n])
	clear(o.events[:n])
	o.events, o.acked, o.sent = o.events[n:], seq, max(0, o.sent-n)
	if len(o.events) == 0 {
		o.events = nil // let go of what a storm allocated
	}
	return gone
}

// rewind makes the next session send everything again.
func (o *outbox) rewind() { o.sent = 0 }

// take returns a copy of the next events to send, at most limit, and the number of the last.
func (o *outbox) take(limit int) (events []supervisor.ChildEvent, seq uint64) {
	n := min(limit, len(o.events)-o.sent)
	if n <= 0 {
		return nil, 0
	}
	events = slices.Clone(o.events[o.sent : o.sent+n])
	o.sent += n
	return events, o.acked + uint64(o.sent)
}

func (o *outbox) full() bool { return len(o.events) >= maxUnacked }
