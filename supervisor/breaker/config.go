package breaker

import (
	"fmt"
	"time"
)

// Config says when a circuit opens and closes. It must be the same for every Step
// of one Circuit.
type Config struct {
	// FailureThreshold failures in a row open a closed circuit.
	FailureThreshold int `json:"failure_threshold"`
	// SuccessThreshold good trials close a half-open one.
	SuccessThreshold int `json:"success_threshold"`
	// ResetTimeout is how long an open circuit lets nothing through.
	ResetTimeout time.Duration `json:"reset_timeout"`
	// HalfOpenMaxRequests is how many trials may be in flight at once.
	HalfOpenMaxRequests int `json:"half_open_max_requests"`
	// TrialTimeout is how long a trial may take; one that takes longer has failed.
	// 0 sets no limit: the owner of the Circuit tells the end of every trial.
	TrialTimeout time.Duration `json:"trial_timeout,omitempty"`
}

// DefaultConfig has the seed's figures: 5 failures open a circuit for 30 s, then 3
// good trials, at most 3 at once and each of 30 s at most, close it.
func DefaultConfig() Config {
	return Config{
		FailureThreshold: 5, SuccessThreshold: 3, ResetTimeout: 30 * time.Second,
		HalfOpenMaxRequests: 3, TrialTimeout: 30 * time.Second,
	}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	switch {
	case c.FailureThreshold < 1:
		return fmt.Errorf("cannot use failure_threshold %d: it must be 1 or more", c.FailureThreshold)
	case c.SuccessThreshold < 1:
		return fmt.Errorf("cannot use success_threshold %d: it must be 1 or more", c.SuccessThreshold)
	case c.ResetTimeout <= 0:
		return fmt.Errorf("cannot use reset_timeout %v: it must be positive", c.ResetTimeout)
	case c.HalfOpenMaxRequests < 1:
		return fmt.Errorf("cannot use half_open_max_requests %d: it must be 1 or more", c.HalfOpenMaxRequests)
	case c.TrialTimeout < 0:
		return fmt.Errorf("cannot use trial_timeout %v: it must not be negative", c.TrialTimeout)
	}
	return nil
}
