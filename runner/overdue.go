package runner

import (
	"time"

	"github.com/selfware/selfware/keeper/leftover"
)

// keeperLate is how long after the moment that Hold named the keeper may take to
// kill what is exclusive. Then it stands still or is starved, and the runner does it:
// the leader gives a node cluster.Times.Kill, 250 ms at least.
const keeperLate = 100 * time.Millisecond

// lookAfter sets the clock of killOverdue going for a new moment. Under mu.
func (r *Runner) lookAfter(until time.Duration) {
	r.until = until
	late := until + keeperLate - BootTime()
	if r.overdue == nil {
		r.overdue = time.AfterFunc(late, r.killOverdue)
		return
	}
	r.overdue.Reset(late)
}

// ended tells whether the children are no longer this runner's. Under mu.
func (r *Runner) ended() bool {
	select {
	case <-r.lost:
		return true
	default:
		return r.detached
	}
}

// killOverdue kills the groups of exclusive lives that the keeper should have killed,
// and did not. Their ends are told when it goes on: until it reaps them their pids
// cannot belong to others.
func (r *Runner) killOverdue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended() {
		return // another process may have moved the moment
	}
	if left := r.until + keeperLate - BootTime(); left > 0 {
		r.overdue.Reset(left) // a later Hold came
		return
	}
	for _, p := range r.byKey {
		if !p.exclusive || p.pid == 0 || p.reaped || p.overdue {
			continue
		}
		p.overdue = leftover.KillGroup(p.pid, p.start)
		if p.overdue {
			r.log.Warn("the keeper is late: killed an exclusive child in its place", "key", p.key, "pid", p.pid)
		}
	}
}
