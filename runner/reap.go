package runner

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A group whose leader is gone and whose helpers have been sent SIGKILL is
// given lingerMax to be gone too, looked at every lingerStep.
const (
	lingerStep = time.Millisecond
	lingerMax  = 250 * time.Millisecond
)

// onReady handles one ready descriptor of the children's poller.
func (r *Runner) onReady(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id>>1]
	if p == nil {
		return // it ended while this was on its way
	}
	if id&1 == 1 {
		r.readStatus(p)
		return
	}
	r.reap(p)
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
			r.children.del(p.status)
			unix.Close(p.status)
			p.status = -1
			if p.failure == "" {
				r.confirmExec(p)
			}
		}
	}
}

// reap takes the exit status of p, whose process has ended. Under mu.
func (r *Runner) reap(p *life) {
	r.readStatus(p)
	// As long as the dead leader is not waited for, nobody else can get its
	// number: the right moment to kill what it left in its group.
	unix.Kill(-p.pid, unix.SIGKILL)
	var ws unix.WaitStatus
	got, err := 0, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		got, err = unix.Wait4(p.pid, &ws, unix.WNOHANG, nil)
	}
	if err == nil && got == 0 {
		return // not yet; the poller calls again
	}
	p.reaped = true
	delete(r.byID, p.id)
	r.children.del(p.pidfd)
	unix.Close(p.pidfd)
	p.pidfd = -1
	if p.status >= 0 { // its helper died in the middle of a word
		r.children.del(p.status)
		unix.Close(p.status)
		p.status = -1
	}
	end := Event{Code: -1}
	switch {
	case err != nil:
		end.Err = "its exit status is lost: " + err.Error()
	case ws.Signaled():
		end.Signal = signalName(ws.Signal())
	default:
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
	delete(r.byKey, p.key)
	end.Kind, end.Requested, end.BeforeUp = Exited, p.stopping, !p.up
	if p.failure != "" {
		end.Kind, end.Err = Failed, p.failure
	}
	r.emit(p, end)
	if p.unprobe != nil {
		p.unprobe()
	}
	for _, s := range p.streams {
		s.drain()
	}
	if p.pid != 0 {
		r.lives.died(p.pid)
	}
	p.spec, p.streams, p.reaped = nil, nil, true
	if r.closed && len(r.byKey) == 0 {
		close(r.idle)
	}
}

func (r *Runner) stopTimer(p *life) {
	if p.timer != nil {
		p.timer.Stop()
	}
}

// orphanAge is how often unknown zombies of our own group are looked at again.
const orphanAge = time.Second

// reapOrphans is for pid 1 of a container or machine: it reaps processes that
// were handed to us because their parent died, and no others.
func (r *Runner) reapOrphans() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-died:
		case <-again.C:
		}
		if wait := r.sweepOrphans(); wait > 0 {
			again.Reset(wait)
		}
	}
}

// sweepOrphans reaps until it meets a zombie that is not its own to reap, which
// hides those behind it: it then returns when to look again.
func (r *Runner) sweepOrphans() time.Duration {
	for {
		again, found := r.reapOrphan()
		if again > 0 || !found {
			return again
		}
	}
}

func (r *Runner) reapOrphan() (again time.Duration, found bool) {
	r.forking.Lock()
	defer r.forking.Unlock()
	pid := peekZombie()
	if pid <= 0 {
		return 0, false
	}
	r.mu.Lock()
	known := false
	for _, p := range r.byID {
		known = known || p.pid == pid
	}
	r.mu.Unlock()
	if known {
		return time.Millisecond, true // the reaper of children is about to take it
	}
	if pgid, err := unix.Getpgid(pid); err != nil || pgid == unix.Getpgrp() {
		return orphanAge, true // started by another package of this process, which waits for it
	}
	unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return 0, true
}

// peekZombie returns the pid of some dead child of ours without reaping it.
func peekZombie() int {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil || info.Signo == 0 {
		return 0
	}
	// x/sys keeps the union of siginfo_t closed. Of a SIGCHLD it begins with
	// si_pid, after three ints, aligned as a pointer is.
	const union = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), union)))
}
