package supervisor

import "sync"

// messageKind says what the owner is told.
type messageKind uint8

const (
	hasStarted messageKind = iota // life runs, or is ready
	hasEnded                      // life has returned err
	isSilent                      // life may have missed its heartbeat
	isOverdue                     // life's grace is over
	isDue                         // child's back-off is over
	isRetry                       // the tree's retry_after is over
)

// message is what goroutines and timers tell the owner.
type message struct {
	kind  messageKind
	life  *localLife
	child *localChild
	err   error
}

// mailbox never makes its senders wait. It holds no more than a few messages per
// child: a life starts and ends once, and has one timer.
type mailbox struct {
	mu    sync.Mutex
	items []message
	wake  chan struct{} // has room for one: "look again"
}

func (b *mailbox) put(m message) {
	b.mu.Lock()
	first := len(b.items) == 0
	b.items = append(b.items, m)
	b.mu.Unlock()
	if !first {
		return // the owner has yet to take what was there before, and knows
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the box; spare is what it fills next.
func (b *mailbox) take(spare []message) []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = spare
	return items
}
