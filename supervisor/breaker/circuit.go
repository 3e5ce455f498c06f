package breaker

import (
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// Circuit is the state of one breaker, as plain data. The zero value is closed, and
// nothing has happened yet. Times are since an origin that its owner chooses.
type Circuit struct {
	State State `json:"state"`
	// Since is when it came into State.
	Since time.Duration `json:"since"`
	// Turn counts the changes of State: what began in an earlier turn counts no more.
	Turn uint64 `json:"turn,omitempty"`
	// Failures in a row, while Closed.
	Failures int `json:"failures,omitempty"`
	// Successes of trials, while HalfOpen.
	Successes int `json:"successes,omitempty"`
	// Trials in flight, while HalfOpen, in the order in which they began.
	Trials []Trial `json:"trials,omitempty"`
}

// Trial is a call in flight through a half-open circuit.
type Trial struct {
	ID    uint64        `json:"id"`
	Since time.Duration `json:"since"`
}

// Ticket stands for a call that was let through.
type Ticket struct {
	ID   uint64 `json:"id"`
	Turn uint64 `json:"turn"`
}

// Event is what may happen to a circuit.
type Event interface{ event() }

type (
	// Asked: may the call of this id, which no trial in flight has, begin?
	Asked struct{ ID uint64 }
	// Ended: the call of the ticket ended, or is given up.
	Ended struct {
		Ticket  Ticket
		Outcome Outcome
	}
	// Tripped opens the circuit, or begins its time anew, for a reason of its owner.
	Tripped struct{}
	// Passed: nothing but time.
	Passed struct{}
)

func (Asked) event()   {}
func (Ended) event()   {}
func (Tripped) event() {}
func (Passed) event()  {}

// Answer says what came of an event.
type Answer struct {
	// Admitted: the call may begin, and its end is to be told with Ticket.
	Admitted bool
	Ticket   Ticket
	// Counted: the outcome was news, and of this turn.
	Counted bool
}

// Step gives the circuit after an event at a time. The given one is not changed.
func (c Circuit) Step(cfg Config, ev Event, now time.Duration) (Circuit, Answer) {
	c = c.pass(cfg, now)
	switch ev := ev.(type) {
	case Asked:
		return c.ask(cfg, ev.ID, now)
	case Ended:
		return c.end(cfg, ev, now)
	case Tripped:
		return c.become(Open, now), Answer{}
	}
	return c, Answer{}
}

// pass makes the changes that time brought, each as of the moment it was due.
func (c Circuit) pass(cfg Config, now time.Duration) Circuit {
	for {
		switch {
		case c.State == Open && now-c.Since >= cfg.ResetTimeout:
			c = c.become(HalfOpen, c.Since+cfg.ResetTimeout)
		case c.State == HalfOpen && cfg.TrialTimeout > 0 && len(c.Trials) > 0 && now-c.Trials[0].Since >= cfg.TrialTimeout:
			c = c.become(Open, c.Trials[0].Since+cfg.TrialTimeout)
		default:
			return c
		}
	}
}

func (c Circuit) ask(cfg Config, id uint64, now time.Duration) (Circuit, Answer) {
	switch {
	case c.State == Open, c.State == HalfOpen && len(c.Trials) >= cfg.HalfOpenMaxRequests:
		return c, Answer{}
	case c.State == HalfOpen:
		c.Trials = append(slices.Clip(c.Trials), Trial{ID: id, Since: now})
	}
	return c, Answer{Admitted: true, Ticket: Ticket{ID: id, Turn: c.Turn}}
}

func (c Circuit) end(cfg Config, ev Ended, now time.Duration) (Circuit, Answer) {
	if ev.Ticket.Turn != c.Turn || c.State == Open {
		return c, Answer{}
	}
	if c.State == Closed {
		return c.endCall(cfg, ev.Outcome, now), Answer{Counted: true}
	}
	i := slices.IndexFunc(c.Trials, func(t Trial) bool { return t.ID == ev.Ticket.ID })
	if i < 0 || ev.Outcome == Abandoned && bug.On("trial-never-freed") {
		return c, Answer{}
	}
	c.Trials = slices.Concat(c.Trials[:i], c.Trials[i+1:])
	return c.endTrial(cfg, ev.Outcome, now), Answer{Counted: true}
}

// endCall counts the end of a call through a closed circuit.
func (c Circuit) endCall(cfg Config, o Outcome, now time.Duration) Circuit {
	switch {
	case o == Abandoned:
		return c
	case !o.bad():
		c.Failures = 0
		return c
	}
	if c.Failures++; c.Failures < cfg.FailureThreshold {
		return c
	}
	return c.become(Open, now)
}

// endTrial counts the end of a trial, which is in flight no more.
func (c Circuit) endTrial(cfg Config, o Outcome, now time.Duration) Circuit {
	switch {
	case o == Abandoned:
		return c
	case o.bad():
		return c.become(Open, now)
	}
	if c.Successes++; c.Successes < cfg.SuccessThreshold {
		return c
	}
	return c.become(Closed, now)
}

func (c Circuit) become(s State, at time.Duration) Circuit {
	return Circuit{State: s, Since: at, Turn: c.Turn + 1}
}

// Room is how many more trials a half-open circuit lets begin; 0 in other states.
func (c Circuit) Room(cfg Config) int {
	if c.State != HalfOpen {
		return 0
	}
	return max(0, cfg.HalfOpenMaxRequests-len(c.Trials))
}
