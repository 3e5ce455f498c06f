package supervisor

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// SendLimit is how many events may wait for a supervisor in a process; the seed's
// figure. Send waits for room.
const SendLimit = 100

// Handle is a supervisor that runs. Its methods may be called from anywhere, also
// from the components, but for Wait and Stop, which wait for these.
type Handle struct {
	local *local
	owner sync.WaitGroup
}

// Name is the first part of every path.
func (h *Handle) Name() string { return h.local.name }

// Send tells the supervisor about a child: EventCrashed, EventExited and
// EventHeartbeat, as Crashed, Exited and Heartbeat make them, or EventStarted. A
// child that is said to be over is told to stop, and has ended for that reason once
// it has returned.
//
// The path may leave out the supervisor's own name. Epoch 0 means the life of now;
// one of another life changes nothing. ErrUnknown: there is no such child. ErrRefused:
// it is no event to send. ErrStopped: the supervisor has ended.
func (h *Handle) Send(ev ChildEvent) error {
	switch ev.Type {
	case EventCrashed, EventExited, EventHeartbeat, EventStarted:
	default:
		return fmt.Errorf("%w: cannot send event type %q", ErrRefused, ev.Type)
	}
	c := h.local.child(ev.Path)
	if c == nil {
		return fmt.Errorf("%w: %s has no component %q", ErrUnknown, h.Name(), ev.Path)
	}
	ev.Path = c.path
	select {
	case h.local.events <- ev:
		return nil
	case <-h.local.done:
		return ErrStopped
	}
}

// Do carries out an operator's verb, Start, Stop, Restart, Pause, Resume or Reset, on any path of the tree,
// and says what was decided. It does not wait for what follows. What is stopped stays
// so until it is started. Other inputs are ErrRefused, and so is what cannot be.
// ErrStopped: the supervisor has ended, or is about to.
func (h *Handle) Do(in Input) (ds []Decision, err error) {
	switch in.(type) {
	case Start, Stop, Restart, Pause, Resume, Reset:
	default:
		return nil, fmt.Errorf("%w: cannot do %T in a process", ErrRefused, in)
	}
	err = ErrStopped
	h.ask(func() {
		if !h.local.closing {
			ds, err = h.local.step(in)
		}
	})
	return ds, err
}

// Children is the status of every child, supervisors included, in start order.
func (h *Handle) Children() (all []Status) {
	h.read(func() { all = h.local.tree.Children() })
	return all
}

// Child is the status of one child; false if there is none of this path.
func (h *Handle) Child(path string) (s Status, ok bool) {
	h.read(func() { s, ok = h.local.tree.Child(path) })
	return s, ok
}

// Why is the chain of decisions behind a child's present state, oldest first, at most
// HistoryLimit.
func (h *Handle) Why(path string) (ds []Decision) {
	h.read(func() { ds = append(ds, h.local.tree.History(path)...) })
	return ds
}

// Alive lists the children whose component has yet to return, in start order; stuck
// ones included, although their phase may be another.
func (h *Handle) Alive() (paths []string) {
	h.read(func() { paths = h.local.running() })
	return paths
}

// Done is closed when the supervisor has ended and every component has returned.
func (h *Handle) Done() <-chan struct{} { return h.local.done }

// Wait waits until the supervisor has ended and every component has returned. nil: it
// was stopped, or has finished (Builder.WithAutoShutdown). ErrExhausted: it gave up, and the error says why.
func (h *Handle) Wait() error {
	h.owner.Wait()
	return h.local.err
}

// Stop stops all children, last first, and waits as Wait does, with the same errors; or
// until ctx has ended: then the error names those that still run. They go on being
// waited for.
func (h *Handle) Stop(ctx context.Context) error {
	h.ask(func() { h.local.stop("Handle.Stop") })
	select {
	case <-h.local.done:
		return h.Wait()
	case <-ctx.Done():
		return fmt.Errorf("cannot stop %s: %w: these have not returned: %s",
			h.Name(), context.Cause(ctx), strings.Join(h.Alive(), ", "))
	}
}

// ask has the owner of the tree run f, and waits for that; false: it has ended.
func (h *Handle) ask(f func()) bool {
	ran := make(chan struct{})
	select {
	case h.local.asks <- func() { f(); close(ran) }:
		<-ran
		return true
	case <-h.local.done:
		return false
	}
}

// read is ask for what changes nothing: when the owner has ended, anybody may look.
func (h *Handle) read(f func()) {
	if !h.ask(f) {
		f()
	}
}
