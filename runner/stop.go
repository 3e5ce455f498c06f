package runner

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/leftover"
	"github.com/selfware/selfware/keeper/wire"
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

// Hold lets exclusive lives run until a moment of CLOCK_BOOTTIME; then the keeper
// kills them, whatever has become of this process, and their end is Fenced. Should the
// keeper be late, this process does it. The latest call counts. Before the first, and after that moment, an exclusive life
// is refused with a Failed that is Fenced. A Hold of a runner before this one goes on.
func (r *Runner) Hold(until time.Duration) {
	r.send(&wire.Message{Op: wire.Hold, Number: int64(until)})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookAfter(until)
}

// signalGroup signals the whole process group of p, and notes how p is: the next
// agent goes on from there. Under mu.
func (r *Runner) signalGroup(p *life, sig unix.Signal) {
	if p.pid == 0 || p.reaped {
		return
	}
	m := &wire.Message{Op: wire.Signal, Key: p.key, Number: int64(sig)}
	if p.onEnd == nil {
		m.Note = p.note()
	}
	r.send(m)
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
	p.stopAt = BootTime()
	r.signalGroup(p, p.stopSig)
	r.afterGrace(p, p.grace)
}

// afterGrace kills p when what is left of its grace is over. Under mu.
func (r *Runner) afterGrace(p *life, left time.Duration) {
	p.timer = time.AfterFunc(left, func() {
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
	if p.stopAt == 0 && p.stopping {
		p.stopAt = BootTime()
	}
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
	stat, err := leftover.ReadStat(p.pid)
	if err != nil {
		stat.State = '?'
	}
	r.log.Warn("child does not die of SIGKILL; waiting for it", "key", p.key, "pid", p.pid,
		"state", string(stat.State), "for", time.Since(killed).Round(time.Second))
	p.timer = time.AfterFunc(watchDeath, func() { r.complain(p, killed) })
}
