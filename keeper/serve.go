package keeper

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/keeper/wire"
)

// serve begins to listen to an agent. One that was there before is cut off, and what
// it still wanted is not done: the next one would not know of it.
func (k *Keeper) serve(fd int) {
	conn := wire.NewConn(fd)
	k.lives.lock()
	if old := k.lives.link; old != nil {
		old.Shut()
	}
	k.lives.link = conn
	for _, m := range k.work {
		closeAll(m.FDs)
	}
	k.work = nil
	k.lives.mu.Unlock()
	k.threads.Go(func() { k.listen(conn) })
}

// serveNext listens to the next of the agents that are not the keeper's own.
func (k *Keeper) serveNext() bool {
	if len(k.cfg.Conns) == 0 {
		return false
	}
	fd := k.cfg.Conns[0]
	k.cfg.Conns = k.cfg.Conns[1:]
	k.serve(fd)
	return true
}

// listen does what an agent asks for, until the connection ends. It waits for
// nothing else: what takes time is left to the main thread.
func (k *Keeper) listen(conn *wire.Conn) {
	for {
		m, err := conn.Recv()
		if err != nil {
			break
		}
		if bug.On("hold-revives") {
			k.lives.mu.Lock()
		} else {
			k.lives.lock()
		}
		if k.lives.link == conn {
			k.obey(m)
		} else {
			closeAll(m.FDs)
		}
		k.lives.mu.Unlock()
	}
	k.lives.lock()
	if k.lives.link == conn {
		k.lives.link = nil
	}
	k.lives.mu.Unlock()
	conn.Close()
	poke(k.wake)
}

// obey does what m asks for. Under mu.
func (k *Keeper) obey(m *wire.Message) {
	l := k.lives
	c := l.byKey[m.Key]
	if m.Op != wire.Spawn && m.Op != wire.Store {
		closeAll(m.FDs)
	}
	switch m.Op {
	case wire.Attach:
		l.tellAll(k.record.Head().Marker())
	case wire.Running:
		l.ran, l.ever = true, true
		poke(k.wake)
	case wire.Spawn, wire.Sweep:
		k.work = append(k.work, m)
		poke(k.wake)
	case wire.Hold:
		l.hold(time.Duration(m.Number))
	case wire.Store:
		l.store(m.Key, m.FDs)
	case wire.LastWord:
		l.said = string(m.Note[:min(len(m.Note), maxSaid)])
	}
	if c == nil {
		return // or it was a message about no life
	}
	switch m.Op {
	case wire.Signal:
		if m.Note != nil {
			l.annotate(c, m.Note)
		}
		k.signal(c, unix.Signal(m.Number))
	case wire.Note:
		l.annotate(c, m.Note)
	case wire.Forget:
		l.forget(c)
	}
}

// signal signals the group of a life. Under mu.
func (k *Keeper) signal(c *life, sig unix.Signal) {
	if c.ended {
		return
	}
	if sig == unix.SIGKILL {
		c.kill()
		return
	}
	if err := unix.Kill(-c.pid, sig); err != nil && err != unix.ESRCH {
		no, _ := err.(unix.Errno)
		k.lives.tell(&wire.Message{Op: wire.Unsent, Key: c.key, Number: int64(no)})
	}
}
