package supervisor

import (
	"fmt"
	"time"
)

// Entry is a line of a supervisor's log: an event, or a decision that it led to.
type Entry struct {
	Time time.Time
	// Event is what was seen of a child; nil for a decision.
	Event *ChildEvent
	// Err, of an event, is what the component returned: a *PanicError has the stack.
	// ErrStale: the event was sent, and is not about a life of now.
	Err error
	// Decision is what was concluded, and why; nil for an event.
	Decision *Decision
	// Dropped entries before this one found no room.
	Dropped int
}

// String is the entry in one line, without the time.
func (e Entry) String() string {
	lost := ""
	if e.Dropped > 0 {
		lost = fmt.Sprintf("(%d entries were dropped) ", e.Dropped)
	}
	switch {
	case e.Decision != nil:
		return fmt.Sprintf("%s%s: %s", lost, e.Decision.Verdict, e.Decision.Sentence)
	case e.Event == nil:
		return lost
	}
	what := fmt.Sprintf("%s%s %s", lost, e.Event.Path, e.Event.Type)
	if e.Event.Reason != "" {
		what += " " + string(e.Event.Reason)
	}
	if e.Event.Detail != "" {
		what += ": " + e.Event.Detail
	}
	if e.Err == ErrStale {
		what += " (stale)"
	}
	return what
}

// logbook sends entries to whom it may concern, and waits for nobody.
type logbook struct {
	out     chan<- Entry
	dropped int
}

func (b *logbook) event(ev ChildEvent, err error) {
	if b.out != nil {
		seen := ev // only what is written down goes to the heap
		b.write(Entry{Event: &seen, Err: err})
	}
}

func (b *logbook) decision(d *Decision) {
	if b.out != nil {
		b.write(Entry{Decision: d})
	}
}

func (b *logbook) write(e Entry) {
	e.Time, e.Dropped = time.Now(), b.dropped
	select {
	case b.out <- e:
		b.dropped = 0
	default:
		b.dropped++
	}
}
