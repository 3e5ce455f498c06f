package health

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Heartbeat is a check that asks nobody: what it watches must call Beat. It is Degraded
// once the last beat is more than a timeout old, Unhealthy after two, and Unhealthy as
// long as none came at all; both are Critical.
type Heartbeat struct {
	mu      sync.Mutex
	timeout time.Duration
	last    time.Time // zero: none came
}

// NewHeartbeat makes a check that expects a beat in every timeout.
func NewHeartbeat(timeout time.Duration) *Heartbeat { return &Heartbeat{timeout: timeout} }

// Beat says that all is well.
func (h *Heartbeat) Beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = time.Now()
}

// SetTimeout changes how often a beat is expected, and counts as one.
func (h *Heartbeat) SetTimeout(timeout time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timeout, h.last = timeout, time.Now()
}

// Name is "heartbeat".
func (h *Heartbeat) Name() string { return "heartbeat" }

// Check looks at the clock.
func (h *Heartbeat) Check(context.Context) HealthStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	age := time.Since(h.last)
	switch {
	case h.last.IsZero():
		return Unhealthy("no heartbeat came", Critical)
	case age > 2*h.timeout:
		return Unhealthy(h.late(age), Critical)
	case age > h.timeout:
		return Degraded(h.late(age))
	}
	return Healthy()
}

func (h *Heartbeat) late(age time.Duration) string {
	return fmt.Sprintf("the last heartbeat came %s ago, one is due every %s", age.Round(time.Millisecond), h.timeout)
}
