package breaker

import (
	"fmt"
	"slices"
)

// State says whether calls may begin.
type State uint8

const (
	Closed State = iota
	Open
	HalfOpen
)

var stateNames = []string{Closed: "closed", Open: "open", HalfOpen: "half_open"}

func (s State) String() string { return name(stateNames, s) }

// MarshalText gives the name.
func (s State) MarshalText() ([]byte, error) { return text("state", stateNames, s) }

// UnmarshalText reads a name that MarshalText gave.
func (s *State) UnmarshalText(t []byte) error { return read("state", stateNames, t, s) }

// Outcome says how a call ended.
type Outcome uint8

const (
	Success   Outcome = iota
	Failure           // it gave an error
	Timeout           // its time ran out: its context's, or that of a trial
	Panic             // its function panicked, or ended its goroutine
	Abandoned         // its caller gave it up, which says nothing of what was called
)

var outcomeNames = []string{
	Success: "success", Failure: "failure", Timeout: "timeout", Panic: "panic", Abandoned: "abandoned",
}

// bad outcomes are held against what was called.
func (o Outcome) bad() bool { return o == Failure || o == Timeout || o == Panic }

func (o Outcome) String() string { return name(outcomeNames, o) }

// MarshalText gives the name.
func (o Outcome) MarshalText() ([]byte, error) { return text("outcome", outcomeNames, o) }

// UnmarshalText reads a name that MarshalText gave.
func (o *Outcome) UnmarshalText(t []byte) error { return read("outcome", outcomeNames, t, o) }

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("unknown (%d)", uint8(v))
}

func text[T ~uint8](what string, names []string, v T) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, fmt.Errorf("cannot write %s %d: there is no such", what, uint8(v))
	}
	return []byte(names[v]), nil
}

func read[T ~uint8](what string, names []string, t []byte, v *T) error {
	i := slices.Index(names, string(t))
	if i < 0 {
		return fmt.Errorf("cannot read %s %q: there is no such", what, t)
	}
	*v = T(i)
	return nil
}
