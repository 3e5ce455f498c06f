package runner

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/wire"
)

// A group whose leader is gone and whose helpers have been sent SIGKILL is
// given lingerMax to be gone too, looked at every lingerStep.
const (
	lingerStep = time.Millisecond
	lingerMax  = 250 * time.Millisecond
)

// onHelper handles the status pipe of one helper.
func (r *Runner) onHelper(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.byID[id]; p != nil { // else it ended while this was on its way
		r.readStatus(p)
	}
}

// readStatus takes what the helper of a limited child has to say: nothing
// means that the program runs. Under mu.
func (r *Runner) readStatus(p *life) {
	var buf [1024]byte
	for p.status >= 0 {
		n, err := unix.Read(p.status, buf[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		case n > 0 && len(p.failure) < 4*len(buf):
			p.failure += string(buf[:n])
		case n > 0:
		default:
			r.closeStatus(p)
			if p.failure == "" {
				r.confirmExec(p)
			}
		}
	}
}

func (r *Runner) closeStatus(p *life) {
	if p.status >= 0 {
		r.helpers.del(p.status)
		unix.Close(p.status)
		p.status = -1
	}
}

// onExited takes the exit status of p, which the keeper has reaped. It has killed
// what was left in the group too. Under mu.
func (r *Runner) onExited(p *life, m *wire.Message) {
	r.readStatus(p)
	r.closeStatus(p) // its helper died in the middle of a word
	p.reaped = true
	r.lastWords(p)
	r.closeNotices(p)
	p.fenced = m.Fenced || p.overdue
	delete(r.byID, p.id)
	end := Event{Code: -1}
	if ws := syscall.WaitStatus(m.Number); ws.Signaled() {
		end.Signal = signalName(ws.Signal())
	} else {
		end.Code = ws.ExitStatus()
	}
	r.finishGroup(p, end, time.Now().Add(lingerMax))
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(sig))
}

// finishGroup ends p when its whole group is gone: a helper that dies a moment
// later could still hold the port that the next life needs. Under mu.
func (r *Runner) finishGroup(p *life, end Event, deadline time.Time) {
	gone := errors.Is(unix.Kill(-p.pid, 0), unix.ESRCH)
	if !gone && time.Now().Before(deadline) {
		r.stopTimer(p)
		p.timer = time.AfterFunc(lingerStep, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.finishGroup(p, end, deadline)
		})
		return
	}
	if !gone {
		r.log.Warn("processes of a dead child's group have not vanished", "key", p.key, "group", p.pid)
	}
	r.finish(p, end)
}

// finish reports the end of p and forgets it. Under mu.
func (r *Runner) finish(p *life, end Event) {
	if r.byKey[p.key] != p {
		return
	}
	r.stopTimer(p)
	r.closeNotices(p)
	delete(r.byKey, p.key)
	end.Kind, end.Requested, end.BeforeUp, end.Fenced = Exited, p.stopping, !p.up, p.fenced
	end.Word, end.Because = p.word.Verdict, p.word.Because
	if !p.unwell.IsHealthy() {
		end.Requested, end.Unwell = false, p.unwell
	}
	if p.failure != "" {
		end.Kind, end.Err = Failed, p.failure
	}
	if p.pid != 0 {
		r.unsettled[p.key] = true
	}
	if p.onEnd != nil {
		r.settle(p.key)
	}
	r.emit(p, end)
	if p.unprobe != nil {
		p.unprobe()
	}
	for _, s := range p.streams {
		s.drain()
	}
	p.spec, p.launch, p.probed, p.streams, p.reaped = nil, nil, nil, nil, true
	if r.closed && !r.detached && len(r.byKey) == 0 {
		close(r.idle)
	}
}

// Settle has the keeper forget the end of a life. Until then it tells the next runner
// of it, as if it ended just then. An unknown key does nothing.
func (r *Runner) Settle(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle(key)
}

func (r *Runner) settle(key string) {
	if r.unsettled[key] {
		delete(r.unsettled, key)
		r.send(&wire.Message{Op: wire.Forget, Key: key})
	}
}

func (r *Runner) stopTimer(p *life) {
	if p.timer != nil {
		p.timer.Stop()
	}
}
