package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// notes are Processes that do nothing but note what was asked.
type notes struct {
	started, stopped []supervisor.Ref
	events           chan Event
}

func (n *notes) Start(l Launch) error                { n.started = append(n.started, l.Ref); return nil }
func (n *notes) Stop(ref supervisor.Ref, why string) { n.stopped = append(n.stopped, ref) }
func (n *notes) Live() []link.Life                   { return nil }
func (n *notes) Hold(time.Duration)                  {}
func (n *notes) Settle(supervisor.Ref)               {}
func (n *notes) Events() <-chan Event                { return n.events }

// still is an agent whose loop does not run, in a settled session.
func still(t *testing.T) (*Agent, *notes) {
	n := &notes{}
	a, err := New(Config{
		Node: link.Node{ID: "i", Name: "n"}, Runner: n,
		Dial: func(context.Context) (link.Link, error) { return nil, errors.New("no route") },
	})
	if err != nil {
		t.Fatal(err)
	}
	a.ses = &session{settled: true}
	a.timer = time.NewTimer(time.Hour)
	return a, n
}

func TestStrangeEvents(t *testing.T) {
	a, n := still(t)
	a.onEvent(Event{Key: "not ours", Kind: runner.Exited})
	if len(a.out.items) != 0 {
		t.Errorf("told: %+v", a.out.items)
	}
	// A life that nobody ordered is reported, and stopped.
	a.onEvent(Event{Key: "a@1", Kind: runner.Up, PID: 7})
	a.reconcile()
	if len(n.stopped) != 1 || n.stopped[0] != (supervisor.Ref{Path: "a", Epoch: 1}) {
		t.Errorf("stopped: %v", n.stopped)
	}
	// A life ends once.
	for range 3 {
		a.onEvent(Event{Key: "a@1", Kind: runner.Exited, PID: 7, Code: 1})
	}
	a.onEvent(Event{Key: "a@1", Kind: runner.Up, PID: 7})
	if len(a.out.items) != 2 || a.out.items[1].Type != supervisor.EventExited {
		t.Errorf("told: %+v", a.out.items)
	}
}

func TestStartsAreDoneSomeAtATime(t *testing.T) {
	a, n := still(t)
	d := &link.Down{Full: true}
	for i := range 100 {
		ref := supervisor.Ref{Path: fmt.Sprintf("t/%03d", i), Epoch: 1}
		d.Orders = append(d.Orders, link.Order{Order: supervisor.Order{Ref: ref, Action: supervisor.Run, Program: &supervisor.Program{Argv: []string{"x"}}}})
	}
	a.obey(d, mark{1, 1})
	for i := 1; len(n.started) < 100; i++ {
		if a.reconcile(); len(n.started) != min(100, i*maxActions) {
			t.Fatalf("%d started in round %d", len(n.started), i)
		}
	}
}

// When the node ends its children are killed: that must not look like crashes.
func TestEndsAfterTheEndAreNotTold(t *testing.T) {
	a, n := still(t)
	n.events = make(chan Event, 100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		n.events <- Event{Key: "a@1", Kind: runner.Exited}
	}
	close(n.events)
	for range 400 {
		if err := a.wait(ctx); err != nil || len(a.out.items) != 0 {
			t.Fatalf("told: %+v, %v", a.out.items, err)
		}
	}
}

// What the leader said counts, even if the link breaks at the same moment.
func TestOwnReasonComesFirst(t *testing.T) {
	tests := []struct {
		why      error
		min, max time.Duration
	}{
		{refusal("no"), refusedPause, refusedPause},
		{errRedirected, 0, 0},
		{errDeposed, DefaultRedial / 2, DefaultRedial},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			a, _ := still(t)
			a.ses.why = tt.why
			a.onEnded(io.EOF)
			if d := time.Until(a.redialAt); d < tt.min || d > tt.max {
				t.Errorf("%v: next try after %v", tt.why, d)
			}
		})
	}
}
