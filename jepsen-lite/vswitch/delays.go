package vswitch

import (
	"container/heap"
	"sync"
	"time"
)

// delays sends packets when they are due, all from one goroutine, so that two
// that are due in some order leave in that order.
type delays struct {
	mu    sync.Mutex
	queue queue
	next  uint64
	wake  chan struct{}
	done  chan struct{}
	once  sync.Once
}

type waiting struct {
	due    time.Time
	seq    uint64
	send   func([]byte)
	packet []byte
}

type queue []waiting

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].seq < q[j].seq
	}
	return q[i].due.Before(q[j].due)
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(waiting)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = waiting{}
	*q = (*q)[:last]
	return w
}

func newDelays() *delays {
	return &delays{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (d *delays) add(due time.Time, send func([]byte), packet []byte) {
	d.mu.Lock()
	d.next++
	first := len(d.queue) == 0 || due.Before(d.queue[0].due)
	heap.Push(&d.queue, waiting{due, d.next, send, packet})
	d.mu.Unlock()
	if first {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

func (d *delays) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w, wait := d.take(time.Now())
		if w.send != nil {
			w.send(w.packet)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-d.wake:
		case <-d.done:
			return
		}
	}
}

// take gives a packet that is due, or how long there is none.
func (d *delays) take(now time.Time) (waiting, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return waiting{}, time.Hour
	}
	if wait := d.queue[0].due.Sub(now); wait > 0 {
		return waiting{}, wait
	}
	return heap.Pop(&d.queue).(waiting), 0
}

func (d *delays) close() { d.once.Do(func() { close(d.done) }) }
