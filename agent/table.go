package agent

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

const (
	// maxOrders bounds the orders a node may hold.
	maxOrders = 1 << 18
	// maxRemembered bounds the paths kept only for the last epoch they had here.
	maxRemembered = 1 << 14
)

// entry is a child in the table, with the places it stands in.
type entry struct {
	child
	queued bool      // in dirty
	idle   bool      // in idle
	held   bool      // in the agent's held
	wake   time.Time // zero: not in wakes
	slot   int       // where in wakes
}

// table is the orders and lives of the node, by path. It asks for time and
// never takes it.
type table struct {
	children map[string]*entry
	orders   int
	dirty    []*entry // to plan, in the order they were touched
	wakes    wakeHeap
	idle     []*entry // had neither orders nor lives, oldest first
}

func newTable() *table { return &table{children: make(map[string]*entry)} }

func (t *table) get(path string) *entry {
	e := t.children[path]
	if e == nil {
		e = &entry{child: child{path: path}}
		t.children[path] = e
	}
	return e
}

// touch has e planned again.
func (t *table) touch(e *entry) {
	if !e.queued {
		e.queued = true
		t.dirty = append(t.dirty, e)
	}
}

// next takes the first entry to plan, nil if there is none.
func (t *table) next() *entry {
	if len(t.dirty) == 0 {
		t.dirty = nil
		return nil
	}
	e := t.dirty[0]
	t.dirty[0] = nil
	t.dirty = t.dirty[1:]
	e.queued = false
	return e
}

// put adds or replaces one order. What is known of its back-off and of the
// life's end stays.
func (t *table) put(in link.Order, now time.Time) {
	e := t.get(in.Path)
	due := now.Add(max(0, in.Delay))
	o := e.order(in.Epoch)
	if o == nil {
		i, _ := slices.BinarySearchFunc(e.child.orders, in.Epoch, func(o order, at supervisor.Epoch) int { return cmp.Compare(o.epoch, at) })
		e.child.orders = slices.Insert(e.child.orders, i, order{epoch: in.Epoch, due: due})
		o = &e.child.orders[i]
		t.orders++
	}
	if due.Before(o.due) {
		o.due = due
	}
	o.halt, o.program, o.reason, o.attempt = in.Action == supervisor.Halt, in.Program, in.StartReason, in.Attempt
	o.exclusive, o.generation, o.instance, o.exits = in.Exclusive, in.Generation, in.Instance, in.Exits
	if !same(o.local, in.Local) {
		o.local, o.since = in.Local, now
	}
	// An exit that is still on its way answers this order too.
	l := e.life(in.Epoch)
	if l != nil {
		l.exclusive = in.Exclusive
	}
	o.answered = l != nil && l.phase == ended && l.pending
	t.touch(e)
}

// same: the order brings the budget that was here before.
func same(a, b *supervisor.LocalBudget) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// drop removes one order.
func (t *table) drop(ref supervisor.Ref) {
	e := t.children[ref.Path]
	if e == nil {
		return
	}
	n := len(e.child.orders)
	e.child.orders = slices.DeleteFunc(e.child.orders, func(o order) bool { return o.epoch == ref.Epoch })
	t.orders -= n - len(e.child.orders)
	t.touch(e)
}

// replace makes orders the whole of what is ordered.
func (t *table) replace(orders []link.Order, now time.Time) {
	named := make(map[supervisor.Ref]bool, len(orders))
	for _, o := range orders {
		named[o.Ref] = true
		t.put(o, now)
	}
	for _, e := range t.children {
		e.child.orders = slices.DeleteFunc(e.child.orders, func(o order) bool {
			return !named[supervisor.Ref{Path: e.path, Epoch: o.epoch}]
		})
	}
	t.orders = len(named)
	t.touchAll()
}

// touchAll has every child planned again, in the order of their paths after
// those that wait already.
func (t *table) touchAll() {
	all := make([]*entry, 0, len(t.children))
	for _, e := range t.children {
		if !e.queued {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.path, b.path) })
	for _, e := range all {
		t.touch(e)
	}
}

// begin records a life that starts here, or that was found here.
func (t *table) begin(e *entry, epoch supervisor.Epoch) *life {
	if l := e.life(epoch); l != nil {
		return l
	}
	i, _ := slices.BinarySearchFunc(e.lives, epoch, func(l life, at supervisor.Epoch) int { return cmp.Compare(l.epoch, at) })
	e.lives = slices.Insert(e.lives, i, life{epoch: epoch, confirm: true})
	e.last = max(e.last, epoch)
	return &e.lives[i]
}

// forget drops a life that has ended.
func (t *table) forget(e *entry, epoch supervisor.Epoch) {
	e.lives = slices.DeleteFunc(e.lives, func(l life) bool { return l.epoch == epoch && l.phase == ended })
}

// rest files e where the oldest are let go, if nothing holds it any more.
func (t *table) rest(e *entry) {
	if !e.empty() || e.idle {
		return
	}
	e.idle = true
	t.idle = append(t.idle, e)
	for len(t.idle) > maxRemembered {
		old := t.idle[0]
		t.idle[0] = nil
		t.idle = t.idle[1:]
		old.idle = false
		if old.empty() && !old.queued && !old.held {
			delete(t.children, old.path)
		}
	}
}

// inventory is what runs here, in the order of paths, and what has ended without
// the leader knowing: the end that is about to be reported must find the life still
// there, or nobody is charged for it.
func (t *table) inventory() []link.Life {
	var lives []link.Life
	for _, e := range t.children {
		for _, l := range e.lives {
			if l.phase != ended || l.pending {
				ref := supervisor.Ref{Path: e.path, Epoch: l.epoch}
				lives = append(lives, link.Life{Ref: ref, PID: l.pid, Up: l.phase == up})
			}
		}
	}
	slices.SortFunc(lives, func(a, b link.Life) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Epoch, b.Epoch))
	})
	return lives
}

// setWake has e planned again at the given time; zero takes that back.
func (t *table) setWake(e *entry, at time.Time) {
	switch {
	case e.wake.Equal(at):
	case e.wake.IsZero():
		e.wake = at
		heap.Push(&t.wakes, e)
	case at.IsZero():
		heap.Remove(&t.wakes, e.slot)
		e.wake = at
	default:
		e.wake = at
		heap.Fix(&t.wakes, e.slot)
	}
}

// wakeAt is the next time that something is due; zero: nothing waits.
func (t *table) wakeAt() time.Time {
	if len(t.wakes) == 0 {
		return time.Time{}
	}
	return t.wakes[0].wake
}

// wakeDue touches what is due.
func (t *table) wakeDue(now time.Time) {
	for len(t.wakes) > 0 && !t.wakes[0].wake.After(now) {
		e := heap.Pop(&t.wakes).(*entry)
		e.wake = time.Time{}
		t.touch(e)
	}
}

// wakeHeap is a container/heap by time; each entry knows its slot.
type wakeHeap []*entry

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}
func (h *wakeHeap) Push(x any) {
	e := x.(*entry)
	e.slot = len(*h)
	*h = append(*h, e)
}
func (h *wakeHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
