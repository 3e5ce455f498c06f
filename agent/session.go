package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/selfware/selfware/link"
)

// Why the agent itself ends a session.
var (
	errRedirected = errors.New("this node is not the leader")
	errDeposed    = errors.New("its leader has been replaced")
	errStalled    = errors.New("it does not read what is sent")
	errSilent     = errors.New("it says nothing")
	errSlow       = errors.New("dialling takes too long")
	errDone       = errors.New("the agent ends")
	errChanged    = errors.New("this node has changed, and says so in a new one")
)

// refusal is the leader's reason not to let the node join.
type refusal string

func (r refusal) Error() string { return "the cluster refuses this node: " + string(r) }

// inbound is one thing that a session tells the loop; one field is set.
type inbound struct {
	opened bool
	wrote  bool
	down   *link.Down
	ended  error // the last one; nothing of the session is left
}

// session is one attempt to talk to the leader, from dial to end. Its
// goroutines own nothing but the link: they pass on what arrives and send what
// they are given. All fields below the line belong to the agent's loop.
type session struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	in     chan inbound
	out    chan link.Up // capacity 1: the loop puts only while nothing is being written
	wg     sync.WaitGroup

	// ---
	began   time.Time    // of the dial
	open    bool         // there is a link
	greeted bool         // Hello was given to the writer
	settled bool         // a Full arrived: the orders are the whole
	obeyed  bool         // Obeyed was given to the writer
	health  *link.Health // what was given to the writer last; nil: nothing
	bye     bool         // Bye was given to the writer
	writing bool
	since   time.Time // of the write
	heard   time.Time // when something last arrived
	pong    uint64    // to answer; 0: nothing
	why     error     // the agent's own reason to close it
}

// newSession dials. It outlives ctx, so that the agent can say Bye: it ends by close.
func newSession(ctx context.Context, dial func(context.Context) (link.Link, error), now time.Time) *session {
	s := &session{in: make(chan inbound), out: make(chan link.Up, 1), began: now, heard: now}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	go s.run(dial) // waited for: its last word is ended
	return s
}

// close ends the session for a reason; ended tells when it is over.
func (s *session) close(why error) {
	if s.why == nil {
		s.why = why // the link may fail at the same time and be the first to cancel
	}
	s.cancel(why)
}

// closing says that the session is over for the loop, though not yet ended.
func (s *session) closing() bool { return s.ctx.Err() != nil }

func (s *session) run(dial func(context.Context) (link.Link, error)) {
	err := s.serve(dial)
	s.cancel(err) // keeps an earlier reason
	s.wg.Wait()
	s.in <- inbound{ended: context.Cause(s.ctx)}
}

// serve dials, then reads until the link fails or the session is closed.
func (s *session) serve(dial func(context.Context) (link.Link, error)) error {
	l, err := dial(s.ctx)
	if err != nil {
		return fmt.Errorf("cannot dial: %w", err)
	}
	s.wg.Add(1)
	context.AfterFunc(s.ctx, func() {
		defer s.wg.Done()
		l.Close()
	})
	s.wg.Go(func() { s.write(l) })
	for msg := (inbound{opened: true}); s.post(msg); {
		d, err := l.Recv()
		if err != nil {
			return fmt.Errorf("cannot receive: %w", err)
		}
		msg = inbound{down: &d}
	}
	return nil
}

// write sends what it is given, one message at a time.
func (s *session) write(l link.Link) {
	for {
		select {
		case up := <-s.out:
			if err := l.Send(up); err != nil {
				s.cancel(fmt.Errorf("cannot send: %w", err))
				return
			}
			if !s.post(inbound{wrote: true}) {
				return
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// post passes one thing to the loop, unless the session is closed.
func (s *session) post(m inbound) bool {
	select {
	case s.in <- m:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// limit is one time limit of a session.
type limit struct {
	at  time.Time
	why error
}

// limits are those that run now.
func (s *session) limits(c *Config) []limit {
	if s.closing() {
		return nil
	}
	if !s.open {
		return []limit{{s.began.Add(c.DialTimeout), errSlow}}
	}
	var all []limit
	if s.writing {
		all = append(all, limit{s.since.Add(c.SendTimeout), errStalled})
	}
	switch {
	case c.Silence > 0:
		all = append(all, limit{s.heard.Add(c.Silence), errSilent})
	case !s.settled: // it took the call, so it must say something
		all = append(all, limit{s.heard.Add(c.SendTimeout), errSilent})
	}
	return all
}

// expire closes the session if one of its times is over.
func (s *session) expire(c *Config, now time.Time) {
	for _, l := range s.limits(c) {
		if !now.Before(l.at) {
			s.close(l.why)
			return
		}
	}
}

// give hands one message to the writer, which must be idle.
func (s *session) give(up link.Up) {
	s.writing, s.since = true, time.Now()
	s.out <- up
}
