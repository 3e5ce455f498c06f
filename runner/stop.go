package runner

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// watchDeath is how often a process that survives SIGKILL is complained about.
const watchDeath = 10 * time.Second

// Stop begins to end the life of key: the stop signal to its whole process
// group, and SIGKILL after its grace. A start that is not forked yet is
// cancelled with a Failed event. An unknown key or a second call does nothing.
// The reason goes to the log.
func (r *Runner) Stop(key, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byKey[key]
	if p == nil || p.stopping || p.reaped {
		return
	}
	r.log.Debug("stopping", "key", key, "pid", p.pid, "reason", reason)
	p.stopping = true
	switch {
	case !p.forked:
		r.cancel(p)
	case p.pid != 0: // while it is being forked, register will see to it
		r.beginStop(p)
	}
}

// Kill ends the life of key at once with SIGKILL to its process group. It may
// follow a Stop. An unknown key does nothing.
func (r *Runner) Kill(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byKey[key]
	if p == nil || p.reaped {
		return
	}
	p.stopping = true
	p.stopSig = unix.SIGKILL // for register too, if it is just being forked
	switch {
	case !p.forked:
		r.cancel(p)
	case p.pid != 0:
		r.killNow(p)
	}
}

// cancel ends a life that was never forked. Under mu.
func (r *Runner) cancel(p *life) {
	r.queue = slices.DeleteFunc(r.queue, func(q *life) bool { return q == p })
	p.failure = "stopped before it was started"
	r.finish(p, Event{})
}

// beginStop sends the stop signal and sets the grace running. Under mu.
func (r *Runner) beginStop(p *life) {
	if p.stopSig == unix.SIGKILL {
		r.killNow(p)
		return
	}
	r.stopTimer(p)
	if p.unprobe != nil {
		p.unprobe()
	}
	r.signalGroup(p, p.stopSig)
	p.timer = time.AfterFunc(p.grace, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.killNow(p)
	})
}

// killNow sends SIGKILL to the group and keeps an eye on it: a process in an
// uninterruptible sleep dies only when the kernel lets go of it. Under mu.
func (r *Runner) killNow(p *life) {
	if p.reaped {
		return
	}
	r.stopTimer(p)
	r.signalGroup(p, unix.SIGKILL)
	killed := time.Now()
	p.timer = time.AfterFunc(watchDeath, func() { r.complain(p, killed) })
}

func (r *Runner) complain(p *life, killed time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.reaped {
		return
	}
	stat, err := readStat(p.pid)
	if err != nil {
		stat.state = '?'
	}
	r.log.Warn("child does not die of SIGKILL; waiting for it", "key", p.key, "pid", p.pid,
		"state", string(stat.state), "for", time.Since(killed).Round(time.Second))
	p.timer = time.AfterFunc(watchDeath, func() { r.complain(p, killed) })
}
