package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Defaults that a zero value in Config stands for: those of a Kubernetes liveness probe.
const (
	DefaultInterval         = 10 * time.Second
	DefaultTimeout          = time.Second
	DefaultFailureThreshold = 3
	DefaultSuccessThreshold = 1
)

// Config says what a HealthMonitor watches, and how. Check is required.
type Config struct {
	Check    HealthCheck
	Interval time.Duration // from the end of one attempt to the next; 0 = DefaultInterval
	Timeout  time.Duration // of one attempt; 0 = DefaultTimeout

	FailureThreshold int // failures in a row that make it Unhealthy; 0 = DefaultFailureThreshold
	SuccessThreshold int // successes in a row that end that; 0 = DefaultSuccessThreshold

	// Severity of all failures of this check. "" = as the check says, and Critical if it
	// says nothing in time.
	Severity Severity
	// Slots bounds the attempts under way of all monitors that share it: each puts a
	// token in, and takes it out at its end. Nil = no bound.
	Slots chan struct{}
	// OnChange takes each new status whose kind or severity is another than before. It
	// is called by Run, which waits for it. Nil = nobody wants to know.
	OnChange func(HealthStatus)
}

// Validate returns the first fault of c.
func (c *Config) Validate() error {
	switch {
	case c.Check == nil:
		return errors.New("cannot use health config: Check is missing")
	case c.Interval < 0 || c.Timeout < 0 || c.FailureThreshold < 0 || c.SuccessThreshold < 0:
		return errors.New("cannot use health config: times and thresholds must not be negative")
	case c.Slots != nil && cap(c.Slots) == 0:
		return errors.New("cannot use health config: Slots has no room")
	}
	if c.Severity != "" {
		if _, err := ParseSeverity(string(c.Severity)); err != nil {
			return fmt.Errorf("cannot use health config: %w", err)
		}
	}
	return nil
}

func (c *Config) fill() {
	c.Interval = cmp.Or(c.Interval, DefaultInterval)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.FailureThreshold = cmp.Or(c.FailureThreshold, DefaultFailureThreshold)
	c.SuccessThreshold = cmp.Or(c.SuccessThreshold, DefaultSuccessThreshold)
	if c.OnChange == nil {
		c.OnChange = func(HealthStatus) {}
	}
}

// HealthMonitor asks one check at an interval. See the package comment.
type HealthMonitor struct {
	cfg    Config
	asked  chan HealthStatus // of the attempt under way that did not answer in time; else nil
	checks sync.WaitGroup

	mu    sync.Mutex
	judge judge
}

// NewMonitor makes a monitor that has not begun. What it watches counts as healthy
// until it has failed.
func NewMonitor(c Config) (*HealthMonitor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.fill()
	return &HealthMonitor{cfg: c, judge: judge{failures: c.FailureThreshold, successes: c.SuccessThreshold}}, nil
}

// Status is the verdict of now, with the reason of the latest answer that bears it out.
func (m *HealthMonitor) Status() HealthStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.judge.status
}

// Run watches until ctx ends, and returns nil. It runs once.
func (m *HealthMonitor) Run(ctx context.Context) error {
	defer m.checks.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(m.cfg.Interval):
		}
		answer := m.attempt(ctx)
		if ctx.Err() != nil {
			return nil // whatever it says, it may be for that reason
		}
		m.take(answer)
	}
}

// take lets an answer count.
func (m *HealthMonitor) take(answer HealthStatus) {
	if answer.Kind == KindUnhealthy {
		answer.Severity = cmp.Or(m.cfg.Severity, answer.Severity, Critical)
	}
	m.mu.Lock()
	changed := m.judge.take(answer)
	m.mu.Unlock()
	if changed {
		m.cfg.OnChange(answer)
	}
}

// attempt asks once, unless the attempt before still goes on: then it is that which
// has failed again, or has now answered.
func (m *HealthMonitor) attempt(ctx context.Context) HealthStatus {
	if m.asked != nil {
		select {
		case <-m.asked: // too late to count
			m.asked = nil
		default:
			return m.silent()
		}
	}
	if !m.enter(ctx) {
		return HealthStatus{}
	}
	asking, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	answers := make(chan HealthStatus, 1)
	m.checks.Go(func() {
		defer m.leave()
		answers <- ask(asking, m.cfg.Check)
	})
	defer cancel()
	select {
	case answer := <-answers:
		if asking.Err() == nil {
			return answer
		}
	case <-asking.Done():
		m.asked = answers
	}
	return m.silent()
}

func (m *HealthMonitor) silent() HealthStatus {
	return Unhealthy(fmt.Sprintf("%s: no answer within %s", m.cfg.Check.Name(), m.cfg.Timeout), "")
}

// enter waits for a slot, and tells whether there was one before ctx ended.
func (m *HealthMonitor) enter(ctx context.Context) bool {
	if m.cfg.Slots == nil {
		return true
	}
	select {
	case m.cfg.Slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (m *HealthMonitor) leave() {
	if m.cfg.Slots != nil {
		<-m.cfg.Slots
	}
}

// ask takes a panic for an answer.
func ask(ctx context.Context, c HealthCheck) (answer HealthStatus) {
	defer func() {
		if why := recover(); why != nil {
			answer = Unhealthy(fmt.Sprintf("%s: the check panicked: %s", c.Name(), clip(fmt.Sprint(why))), "")
		}
	}()
	return c.Check(ctx)
}

// judge makes verdicts of answers.
type judge struct {
	failures, successes int // thresholds
	failed, passed      int // in a row
	status              HealthStatus
}

// take counts an answer, and tells whether the verdict is another one now.
func (j *judge) take(answer HealthStatus) bool {
	if answer.Kind == KindUnhealthy {
		j.failed, j.passed = j.failed+1, 0
		if j.failed < j.failures {
			return false
		}
	} else {
		j.failed, j.passed = 0, j.passed+1
		if j.status.Kind == KindUnhealthy && j.passed < j.successes {
			return false
		}
	}
	before := j.status
	j.status = answer
	return before.Kind != answer.Kind || before.Severity != answer.Severity
}
