package keeper

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/bug"
)

// orphanAge is how often a keeper without any child looks for orphans that were
// handed to it as process 1.
const orphanAge = time.Second

// reapAll waits for all children, of whom some are the keeper's own and some,
// for process 1, orphans.
func (k *Keeper) reapAll() {
	for {
		pid, err := nextDead()
		switch {
		case err == nil:
			k.reap(pid)
		case errors.Is(err, unix.EINTR):
		default: // no child
			select {
			case <-k.forked:
			case <-time.After(orphanAge):
			}
		}
	}
}

// reap takes the exit status of a process that has ended.
func (k *Keeper) reap(pid int) {
	k.burying.Lock()
	defer k.burying.Unlock()
	k.lives.lock()
	known := k.knows(pid)
	if known {
		k.bury(pid)
	}
	k.lives.mu.Unlock()
	if known {
		return
	}
	// It is an orphan, or was just being forked: then it is known afterwards.
	k.forking.Lock()
	defer k.forking.Unlock()
	k.lives.lock()
	defer k.lives.mu.Unlock()
	if !k.knows(pid) {
		unix.Wait4(pid, nil, unix.WNOHANG, nil)
		return
	}
	k.bury(pid)
}

func (k *Keeper) knows(pid int) bool { return pid == k.lives.agent || k.lives.byPID[pid] != nil }

// bury reaps one that is known. Under mu.
func (k *Keeper) bury(pid int) {
	l := k.lives
	// As long as the dead leader is not waited for, nobody else can get its
	// number: the right moment to kill what it left in its group.
	if !bug.On("group-left-behind") {
		unix.Kill(-pid, unix.SIGKILL)
	}
	c := l.byPID[pid]
	if c != nil && !bug.On("group-left-behind") {
		killCgroup(c.group)
	}
	var status unix.WaitStatus
	got, err := 0, error(unix.EINTR)
	for errors.Is(err, unix.EINTR) {
		got, err = unix.Wait4(pid, &status, unix.WNOHANG, nil)
	}
	if err == nil && got == 0 {
		return // not yet
	}
	if c == nil {
		l.agent, l.over = 0, &status
		if l.link != nil {
			l.link.Shut() // what it has said is still heard; whoever has a copy of its end is not
		}
	} else {
		c.ended, c.status = true, status
		delete(l.byPID, pid)
		l.died = append(l.died, c)
		l.tell(c.exit())
	}
	poke(k.wake)
}

// nextDead waits until some child has ended, and does not reap it.
func nextDead() (int, error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, err
	}
	// x/sys keeps the union of siginfo_t closed. Of a SIGCHLD it begins with
	// si_pid, after three ints, aligned as a pointer is.
	const union = (3*4 + unsafe.Sizeof(uintptr(0)) - 1) &^ (unsafe.Sizeof(uintptr(0)) - 1)
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), union))), nil
}

// poke wakes whoever listens on c, a channel of capacity 1. The wake says only
// "look again", so one that is already waiting is enough.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
