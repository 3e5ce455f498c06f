package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/wire"
	"github.com/selfware/selfware/supervisor/health"
)

// This file is what a child says of itself, in the words of sd_notify(3), so that
// programs written for systemd need no change. A child that is to speak finds the name
// of a datagram socket in NOTIFY_SOCKET. The keeper holds a copy of the socket: the name
// outlives the runner, and what is said while there is none waits for the next.
//
// The name is one of the kernel's own (it begins with @), not a file: a child of another
// user need not be let into the data folder, there is no length that a folder may have,
// and nothing is left behind. Anybody on the machine may write to it, as to systemd's, and
// so each message is heeded only if the kernel says that its sender is of the child's
// process group.

const (
	// maxNotice bounds a message, in bytes; systemd's bound. Longer ones are dropped.
	maxNotice = 4096
	// maxPassed is how many descriptors a message may bring; all are closed.
	maxPassed = 16
	// noticesAtOnce is how many messages of a child are read before others have their turn.
	noticesAtOnce = 16
	// maxStatus bounds what is kept of a STATUS, in bytes.
	maxStatus = 256
	// maxExtension bounds by how much a child may put off a deadline at a time.
	maxExtension = 24 * time.Hour
)

// speaks tells whether a life of s says how it is.
func (s *Spec) speaks() bool {
	return s.Notify || s.Probe != nil && s.Probe.Notify || s.Liveness != nil && s.Liveness.Heartbeat > 0
}

// notifyEnv is what tells a child where to speak, and how often it must.
func notifyEnv(s *Spec, name string) []string {
	env := []string{"NOTIFY_SOCKET=" + name}
	if s.Liveness != nil && s.Liveness.Heartbeat > 0 {
		// Without WATCHDOG_PID, which cannot be known before, it is for whoever reads it.
		env = append(env, fmt.Sprintf("WATCHDOG_USEC=%d", s.Liveness.Heartbeat.Microseconds()))
	}
	return env
}

// listenNotices makes a socket of a name that nobody can guess.
func listenNotices() (fd int, name string, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		name = "@selfware/notify/" + strings.ToLower(rand.Text())
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
		}
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, "", fmt.Errorf("cannot make its NOTIFY_SOCKET: %v", err)
	}
	return fd, name, nil
}

func (r *Runner) closeNotices(p *life) {
	if p.notify >= 0 {
		r.notices.del(p.notify)
		unix.Close(p.notify)
		p.notify = -1
	}
}

// onNotice reads what a child says.
func (r *Runner) onNotice(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id]
	if p == nil || p.notify < 0 {
		return // it ended while this was on its way
	}
	for range noticesAtOnce {
		if !r.hear(p) {
			return
		}
	}
}

// hear reads one message; false: there is none. Under mu.
func (r *Runner) hear(p *life) bool {
	text, sender, err := readNotice(p.notify)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false
	case err != nil || !p.owns(sender):
		r.log.Debug("message to a child's NOTIFY_SOCKET is not heeded", "key", p.key, "sender", sender, "err", err)
	default:
		r.heed(p, text)
	}
	return true
}

// readNotice reads one message, and who sent it, which the kernel vouches for. What
// comes with it is closed: that is also the answer that BARRIER=1 waits for.
func readNotice(fd int) (text string, sender int, err error) {
	var buf [maxNotice]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*maxPassed))
	n, oobn, flags, _, err := unix.Recvmsg(fd, buf[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return "", 0, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return "", 0, err
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			sender = int(cred.Pid)
		} else if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			closeAll(fds)
		}
	}
	if flags&unix.MSG_TRUNC != 0 {
		return "", sender, fmt.Errorf("it has more than %d bytes", maxNotice)
	}
	return string(buf[:n]), sender, nil
}

// owns tells whether a process is of p's group, be it a zombie.
func (p *life) owns(pid int) bool {
	if pid <= 0 {
		return false // of another pid namespace
	}
	group, err := unix.Getpgid(pid)
	return pid == p.pid || err == nil && group == p.pid
}

// heed does what a message says: lines of NAME=value, of which those that concern a
// supervisor count. Under mu.
func (r *Runner) heed(p *life, text string) {
	said, speaks := "", false
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "READY":
			r.saysReady(p, value)
		case "STATUS":
			p.says = sane(value, maxStatus)
			r.log.Debug("child says", "key", p.key, "status", p.says)
		case "STOPPING":
			r.saysStopping(p, value)
		case "WATCHDOG":
			r.saysAlive(p, value)
		case "WATCHDOG_USEC":
			if every, ok := microseconds(value); ok && every > 0 && p.beat != nil {
				p.beat.SetTimeout(every)
			}
		case "EXTEND_TIMEOUT_USEC":
			if more, ok := microseconds(value); ok {
				r.extend(p, min(more, maxExtension))
			}
		case wordName:
			said, speaks = value, true
		}
	}
	if speaks { // whether it is about to end may stand below
		r.saysWord(p, said)
	}
}

func microseconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 53)
	return time.Duration(n) * time.Microsecond, err == nil
}

// saysReady: READY=1, which is what a probe of sort notify waits for. Under mu.
func (r *Runner) saysReady(p *life, value string) {
	if value != "1" || p.ready || p.up {
		return
	}
	p.ready = true
	if p.probed != nil && p.probed.Probe != nil && p.probed.Probe.Notify && time.Since(p.since) >= p.minUp {
		r.confirmUp(p) // at once: what it says next may be of a child that is up
		return
	}
	r.send(&wire.Message{Op: wire.Note, Key: p.key, Note: p.note()}) // it will not say so twice
	poke(p.noticed)
}

// saysStopping: STOPPING=1, so p is about to end by itself. It is not asked how it is
// any more, and has its grace to do so. Under mu.
func (r *Runner) saysStopping(p *life, value string) {
	if value != "1" || !p.up && !p.ready || p.stopping || p.leaving || p.reaped {
		return
	}
	r.log.Debug("child says that it is about to end", "key", p.key)
	p.leaving = true
	if p.up && p.unprobe != nil {
		p.unprobe()
	}
	r.send(&wire.Message{Op: wire.Note, Key: p.key, Note: p.note()})
	r.stopTimer(p)
	r.afterGrace(p, p.grace)
}

// saysAlive: WATCHDOG=1 is a heartbeat; WATCHDOG=trigger says that it is not well.
// Under mu.
func (r *Runner) saysAlive(p *life, value string) {
	switch {
	case p.beat == nil:
	case value == "1":
		p.beat.Beat()
	case value == "trigger":
		r.judge(p, health.Unhealthy("it says so itself (WATCHDOG=trigger)", p.probed.Liveness.severity()))
	}
}

// extend puts off the deadline of what p is at, its start or its end, until so long from
// now, if that is later. Under mu.
func (r *Runner) extend(p *life, by time.Duration) {
	switch {
	case p.reaped:
	case p.stopAt != 0:
		if now := BootTime(); now < p.stopAt+p.grace && now+by > p.stopAt+p.grace {
			p.grace = now + by - p.stopAt
			r.stopTimer(p)
			r.afterGrace(p, by)
			r.send(&wire.Message{Op: wire.Note, Key: p.key, Note: p.note()})
		}
	case p.leaving:
		r.stopTimer(p)
		r.afterGrace(p, by)
	case !p.up:
		p.startBy = time.Now().Add(by)
		poke(p.noticed)
	}
}
