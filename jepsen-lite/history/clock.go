package history

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now is the time.
func Now() Time {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails for unknown clocks only
	return Time(ts.Nano())
}

// At is the stamp of a time that this process took with time.Now; 0 for none.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Now().Add(-time.Since(t))
}
