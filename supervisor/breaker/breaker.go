package breaker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrCircuitOpen is the error of a call that was not made: the circuit is open, or
// half-open with as many trials in flight as may be.
var ErrCircuitOpen = errors.New("circuit open")

// CircuitBreaker guards calls within one process. Its methods may be called from
// any goroutine.
type CircuitBreaker struct {
	cfg   Config
	began time.Time

	mu      sync.Mutex
	circuit Circuit
	calls   uint64 // ids given so far
	metrics Metrics
}

// New gives a closed breaker. An error says what is wrong with the Config.
func New(cfg Config) (*CircuitBreaker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &CircuitBreaker{cfg: cfg, began: time.Now()}, nil
}

// Call calls fn, or gives ErrCircuitOpen and does not. fn runs on the caller's
// goroutine; its context ends with ctx, and, if the call is a trial, after
// TrialTimeout. What fn returns is returned. An error, a deadline and a panic are
// failures; the end of ctx by cancellation is none.
func (b *CircuitBreaker) Call(ctx context.Context, fn func(context.Context) error) error {
	c, err := b.begin()
	if err != nil {
		return err
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.end(OutcomeOf(ctx, ctx.Err())) })
	outcome := Panic
	defer func() { // runs before cancel
		stop()
		c.end(outcome)
	}()
	err = fn(ctx)
	outcome = OutcomeOf(ctx, err)
	return err
}

// OutcomeOf is the outcome of a call that returned err, or, if err is nil, that did
// what it should; an error under a context that has ended goes back to that.
func OutcomeOf(ctx context.Context, err error) Outcome {
	switch over := ctx.Err(); {
	case err == nil:
		return Success
	case errors.Is(over, context.DeadlineExceeded):
		return Timeout
	case over != nil:
		return Abandoned
	}
	return Failure
}

// Begin is Call for a call that is not a function: done is to be told its outcome,
// and hears the first one only. A trial that is never done fails after TrialTimeout.
func (b *CircuitBreaker) Begin() (done func(Outcome), err error) {
	c, err := b.begin()
	if err != nil {
		return nil, err
	}
	return c.end, nil
}

// Trip opens the circuit for ResetTimeout from now, whatever calls have told.
func (b *CircuitBreaker) Trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step(Tripped{})
}

// State is the state at this moment.
func (b *CircuitBreaker) State() State { return b.Circuit().State }

// Circuit is the whole state at this moment, not to be changed. Times are since New.
func (b *CircuitBreaker) Circuit() Circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.step(Passed{})
	return b.circuit
}

// call is one that was let through.
type call struct {
	b      *CircuitBreaker
	ticket Ticket
	state  State // in which it began
	once   sync.Once
}

func (b *CircuitBreaker) begin() (*call, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	a := b.step(Asked{ID: b.calls})
	if a.Admitted {
		return &call{b: b, ticket: a.Ticket, state: b.circuit.State}, nil
	}
	b.metrics.of(b.circuit.State).Refused++
	if b.circuit.State == HalfOpen {
		return nil, fmt.Errorf("%w: it is half-open and %d trials are under way", ErrCircuitOpen, len(b.circuit.Trials))
	}
	left := b.circuit.Since + b.cfg.ResetTimeout - time.Since(b.began)
	return nil, fmt.Errorf("%w: it may be tried again in %v", ErrCircuitOpen, left.Round(time.Millisecond))
}

// step does one event at this moment; the lock is held.
func (b *CircuitBreaker) step(ev Event) Answer {
	var a Answer
	b.circuit, a = b.circuit.Step(b.cfg, ev, time.Since(b.began))
	return a
}

// bound limits the time of a trial.
func (c *call) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.state == HalfOpen && c.b.cfg.TrialTimeout > 0 {
		return context.WithTimeout(ctx, c.b.cfg.TrialTimeout)
	}
	return context.WithCancel(ctx)
}

// end tells the outcome, once.
func (c *call) end(o Outcome) {
	c.once.Do(func() {
		c.b.mu.Lock()
		defer c.b.mu.Unlock()
		c.b.step(Ended{Ticket: c.ticket, Outcome: o})
		c.b.metrics.of(c.state).count(o)
	})
}
