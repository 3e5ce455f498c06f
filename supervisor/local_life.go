package supervisor

import (
	"context"
	"sync/atomic"
	"time"
)

// localChild is a worker of a process: what the tree wants of it, and the goroutine
// that may still run. The owner's alone, but for what never changes.
type localChild struct {
	path string
	ord  int // place in start order
	// instance tells it from others of its kind; empty if it has none.
	instance string
	Child

	order Order
	// begun is the last life that was begun here, or whose beginning was given up.
	begun Epoch
	// life is there while a goroutine of this child may run. No other begins.
	life  *localLife
	alarm *time.Timer // for the end of a back-off
}

func (c *localChild) disarm() {
	if c.alarm != nil {
		c.alarm.Stop()
	}
}

// localLife is one call of a component's Run.
type localLife struct {
	child  *localChild
	epoch  Epoch
	clock  func() time.Duration
	box    *mailbox
	ctx    context.Context
	cancel context.CancelCauseFunc
	// beat is when it last gave a sign of life.
	beat  atomic.Int64
	ready atomic.Bool

	// The owner's: condemned once it is told to stop, for which it has ended as end
	// says, if that says anything; told once the tree knows of its end.
	condemned, told bool
	end             ChildEvent
	alarm           *time.Timer // for its heartbeat, or for its grace
}

func (f *localLife) sayReady() {
	if f.ready.CompareAndSwap(false, true) {
		f.box.put(message{kind: hasStarted, life: f})
	}
}

// Instance tells a component with Child.Replicas which of them it is: "1", "2" and so
// on. Without such a context it is empty.
func Instance(ctx context.Context) string {
	if f, ok := ctx.Value(lifeKey{}).(*localLife); ok {
		return f.child.instance
	}
	return ""
}

func (f *localLife) sayBeat() { f.beat.Store(int64(f.clock())) }

// run is the goroutine of the life. Whatever way the component ends, Goexit included,
// the owner learns of it last.
func (f *localLife) run() {
	if !f.child.Ready {
		f.box.put(message{kind: hasStarted, life: f})
	}
	Attend(f.ctx, f.child.Component, func(err error) {
		f.cancel(nil)
		f.box.put(message{kind: hasEnded, life: f, err: err})
	})
}

// after has the owner reminded of the life.
func (f *localLife) after(d time.Duration, kind messageKind) {
	f.disarm()
	f.alarm = time.AfterFunc(d, func() { f.box.put(message{kind: kind, life: f}) })
}

func (f *localLife) disarm() {
	if f.alarm != nil {
		f.alarm.Stop()
	}
}
