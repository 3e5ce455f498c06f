package health

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

// Defaults of Clock.
const (
	DefaultJump = time.Second
	DefaultHold = time.Minute
)

// Clock looks whether the machine's wall clock jumped: it was set, or the machine was
// suspended, since the wall clock went on and the steady one did not. It is Unhealthy and
// Critical for Hold after a jump of more than Jump between two checks. A clock that is slewed
// goes at most half a millisecond in a second astray, and is no jump. One Clock serves one
// monitor.
type Clock struct {
	Jump time.Duration // 0 = DefaultJump
	Hold time.Duration // 0 = DefaultHold
	// Read gives the wall clock and a steady clock; nil = those of this machine.
	Read func() (wall, steady time.Duration)

	mu     sync.Mutex
	looked bool
	ahead  time.Duration // of the wall clock, at the last look
	until  time.Duration // by the steady clock; 0: there was no jump yet
	words  string
}

// Name is "clock".
func (c *Clock) Name() string { return "clock" }

// Check compares the two clocks with how they were.
func (c *Clock) Check(context.Context) HealthStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	read := c.Read
	if read == nil {
		read = machineClocks
	}
	wall, steady := read()
	jump := wall - steady - c.ahead
	if c.looked && jump.Abs() > cmp.Or(c.Jump, DefaultJump) {
		way := "forward"
		if jump < 0 {
			way = "back"
		}
		c.words = fmt.Sprintf("clock: it jumped %s by %v", way, jump.Abs().Round(time.Millisecond))
		c.until = steady + cmp.Or(c.Hold, DefaultHold)
	}
	c.looked, c.ahead = true, wall-steady
	if c.until > 0 && steady < c.until {
		return Unhealthy(c.words, Critical)
	}
	return Healthy()
}

// began is any moment: only differences count. It has a steady reading, as time.Now has.
var began = time.Now()

func machineClocks() (wall, steady time.Duration) {
	now := time.Now()
	return time.Duration(now.UnixNano()), now.Sub(began)
}
