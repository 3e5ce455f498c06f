package runner

import (
	"sync"
	"time"
)

// flushTime bounds how long the queue waits for its reader after the end.
const flushTime = time.Second

// eventQueue hands events to one reader, in order, without ever making the
// writer wait. It holds at most four events for each life, and lives are limited by the
// system.
type eventQueue struct {
	out  chan Event
	wake chan struct{}

	mu      sync.Mutex
	pending []Event // in order; the head stays here until out has taken it
	closed  bool
}

func newEventQueue() *eventQueue {
	return &eventQueue{out: make(chan Event, 256), wake: make(chan struct{}, 1)}
}

// put adds e. The usual way is straight into out: a hop through run would cost
// the latency of every restart.
func (q *eventQueue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return // a process that would not die in time did so now
	}
	if len(q.pending) == 0 {
		select {
		case q.out <- e:
			return
		default:
		}
	}
	q.pending = append(q.pending, e)
	poke(q.wake)
}

func (q *eventQueue) head() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) == 0 {
		return Event{}, false
	}
	return q.pending[0], true
}

func (q *eventQueue) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending = q.pending[1:]; len(q.pending) == 0 {
		q.pending = nil // let go of what a storm allocated
	}
}

// run moves what did not fit into out at once. After stop it gives the reader
// flushTime to take the rest, then closes out.
func (q *eventQueue) run(stop <-chan struct{}) {
	defer q.close()
	var late <-chan time.Time
	for {
		e, ok := q.head()
		switch {
		case ok:
			select {
			case q.out <- e:
				q.pop()
			case <-stop:
				late, stop = time.After(flushTime), nil
			case <-late:
				return
			}
		case stop == nil:
			return
		default:
			select {
			case <-q.wake:
			case <-stop:
				late, stop = time.After(flushTime), nil
			}
		}
	}
}

func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.out)
}

// poke wakes whoever listens on c, a channel of capacity 1. The wake says only
// "look again", so one that is already waiting is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Events is the queue of events for process tables other than Runner: Put never waits,
// C is for one reader.
type Events struct{ q *eventQueue }

// NewEvents gives an empty queue.
func NewEvents() *Events { return &Events{q: newEventQueue()} }

// Put adds an event.
func (e *Events) Put(ev Event) { e.q.put(ev) }

// C is where the reader takes them; it is closed when Run ends.
func (e *Events) C() <-chan Event { return e.q.out }

// Run moves on what did not fit into C at once, until stop is closed; then the reader
// has a second to take the rest.
func (e *Events) Run(stop <-chan struct{}) { e.q.run(stop) }
