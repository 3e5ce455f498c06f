package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
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

type lifeKey struct{}

// Ready says that the component whose context this is has come up: the word of a
// child with Child.Ready. Once is enough. Without such a context it does nothing.
func Ready(ctx context.Context) {
	if f, ok := ctx.Value(lifeKey{}).(*localLife); ok && f.ready.CompareAndSwap(false, true) {
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

// Beat is a sign of life from the component whose context this is; see
// Child.Heartbeat. It costs a look at the clock. Without such a context it does
// nothing.
func Beat(ctx context.Context) {
	if f, ok := ctx.Value(lifeKey{}).(*localLife); ok {
		f.beat.Store(int64(f.clock()))
	}
}

// run is the goroutine of the life. Whatever way the component ends, Goexit included,
// the owner learns of it last.
func (f *localLife) run() {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		f.cancel(nil)
		f.box.put(message{kind: hasEnded, life: f, err: err})
	}()
	if !f.child.Ready {
		f.box.put(message{kind: hasStarted, life: f})
	}
	err = f.child.Component.Run(f.ctx)
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

// errGoexit is how a component ended that neither returned nor panicked.
var errGoexit = errors.New("its goroutine ended with runtime.Goexit")

// PanicError is how a component ended that panicked.
type PanicError struct {
	Value any
	// Stack is the goroutine's, as debug.Stack writes it.
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// maxDetail bounds what an event carries of a component's error, in bytes.
const maxDetail = 1024

// outcome is the event that a component's return amounts to.
func outcome(err error) ChildEvent {
	if err == nil {
		return ChildEvent{Type: EventExited, Reason: ExitNormal, Detail: "returned nil"}
	}
	detail := err.Error()
	if len(detail) > maxDetail {
		detail = detail[:maxDetail] + "..."
	}
	if _, panicked := err.(*PanicError); panicked || err == errGoexit {
		return ChildEvent{Type: EventCrashed, Detail: detail}
	}
	return ChildEvent{Type: EventExited, Reason: ExitError, Code: 1, Detail: detail, Word: wordOf(err)}
}
