package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// This file is what every goroutine of a component has around it, in a Supervisor of
// this process and in a node that runs functions of its program.

// Signs takes what a component says of itself while it runs; nil is nobody.
type Signs struct{ Ready, Beat func() }

// lifeKey is where the context of a component has its signs.
type lifeKey struct{}

// signs is who hears a component: a *localLife, or heard.
type signs interface {
	sayReady()
	sayBeat()
}

type heard Signs

func (h *heard) sayReady() {
	if h.Ready != nil {
		h.Ready()
	}
}

func (h *heard) sayBeat() {
	if h.Beat != nil {
		h.Beat()
	}
}

// WithSigns gives a context from which Ready and Beat reach s: for those who run
// components without a Supervisor.
func WithSigns(ctx context.Context, s Signs) context.Context {
	h := heard(s)
	return context.WithValue(ctx, lifeKey{}, signs(&h))
}

// Ready says that the component whose context this is has come up: the word of a
// child with Child.Ready. Once is enough. Without such a context it does nothing.
func Ready(ctx context.Context) {
	if s, ok := ctx.Value(lifeKey{}).(signs); ok {
		s.sayReady()
	}
}

// Beat is a sign of life from the component whose context this is; see
// Child.Heartbeat. It costs a look at the clock. Without such a context it does
// nothing.
func Beat(ctx context.Context) {
	if s, ok := ctx.Value(lifeKey{}).(signs); ok {
		s.sayBeat()
	}
}

// Attend runs a component in this goroutine. Whatever way it ends, ended learns of it
// last: its error, a *PanicError, or that its goroutine was ended by runtime.Goexit.
// Outcome says what these mean.
func Attend(ctx context.Context, c Component, ended func(error)) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		ended(err)
	}()
	err = c.Run(ctx)
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

// Place is where it panicked, as "file:line"; "" if the stack does not tell.
func (e *PanicError) Place() string {
	_, below, _ := strings.Cut(string(e.Stack), "\npanic(")
	lines := strings.Split(below, "\n")
	for i := 2; i+1 < len(lines); i += 2 { // each frame has two: what it is, and where
		if strings.HasPrefix(lines[i], "runtime.") {
			continue
		}
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " ")
		return place
	}
	return ""
}

// maxDetail bounds what an event carries of a component's error, in bytes.
const maxDetail = 1024

// Outcome is the event that the end of a component amounts to: nil is a normal exit, an
// error an abnormal one, and all else a crash. Whose event it is remains to be said.
func Outcome(err error) ChildEvent {
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
