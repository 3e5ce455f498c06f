package runner

import "time"

// Hold lets exclusive lives run until a moment of CLOCK_BOOTTIME.
func (r *Runner) Hold(until time.Duration) { r.until.Store(int64(until)) }
