package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/keeper/wire"
	"github.com/selfware/selfware/supervisor/health"
)

// Keeper is the connection to the process that forks, signals and reaps for a
// Runner, and what it held when the connection began.
type Keeper struct {
	conn   *wire.Conn
	pid    int    // of the keeper
	marker string // environment entry that all children carry
	lives  []*wire.Message
	exits  []*wire.Message
	stored map[string]int
}

// Attach asks the keeper at the other end of fd what it holds.
func Attach(fd int) (*Keeper, error) {
	k := &Keeper{conn: wire.NewConn(fd), stored: make(map[string]int)}
	if err := k.conn.Send(&wire.Message{Op: wire.Attach}); err != nil {
		return nil, fmt.Errorf("cannot speak to the keeper: %w", err)
	}
	if _, err := k.until(wire.Attached); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

// until gathers what comes before the answer op.
func (k *Keeper) until(op wire.Op) (*wire.Message, error) {
	for {
		m, err := k.conn.Recv()
		if err != nil {
			return nil, fmt.Errorf("cannot hear the keeper: %w", err)
		}
		switch m.Op {
		case op:
			return m, nil
		case wire.Welcome:
			k.pid, k.marker = m.PID, m.Key
			k.exits = nil // told on this connection before it was asked: all of it follows
		case wire.Life:
			k.lives = append(k.lives, m)
		case wire.Exited:
			k.exits = append(k.exits, m)
		case wire.Stored:
			k.keep(m)
		}
	}
}

func (k *Keeper) keep(m *wire.Message) {
	for _, fd := range m.FDs {
		k.stored[m.Key] = fd // there is one, or none if there is no room for it
	}
}

// Stored gives the file of a descriptor that an agent before this one stored, once.
func (k *Keeper) Stored(name string) *os.File {
	fd, ok := k.stored[name]
	if !ok {
		return nil
	}
	delete(k.stored, name)
	return os.NewFile(uintptr(fd), name)
}

// Store has the keeper hold a copy of a descriptor, for the next agent.
func (k *Keeper) Store(name string, fd int) error {
	return k.conn.Send(&wire.Message{Op: wire.Store, Key: name, FDs: []int{fd}, Lent: true})
}

// Drop has the keeper close what it holds under a name.
func (k *Keeper) Drop(name string) error {
	return k.conn.Send(&wire.Message{Op: wire.Store, Key: name})
}

// LastWord tells the keeper why this process is about to end, for whoever waits for an
// upgrade to it.
func (k *Keeper) LastWord(why error) {
	text := why.Error()
	_ = k.conn.Send(&wire.Message{Op: wire.LastWord, Note: []byte(text[:min(len(text), wire.MaxNote)])})
}

// Close ends the connection. Runner does it, once there is one.
func (k *Keeper) Close() {
	for _, fd := range k.stored {
		unix.Close(fd)
	}
	for _, m := range k.lives {
		closeAll(m.FDs)
	}
	k.stored, k.lives = nil, nil
	k.conn.Close()
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// note is what the keeper remembers of a life for the next agent.
type note struct {
	Name    string
	StopSig syscall.Signal
	Grace   time.Duration
	MinUp   time.Duration `json:",omitempty"`
	Up      bool          `json:",omitempty"`
	// StopAt is when the stop signal was sent, of CLOCK_BOOTTIME; 0 = it was not.
	StopAt  time.Duration `json:",omitempty"`
	Failure string        `json:",omitempty"`
	Ready   bool          `json:",omitempty"` // it has said so
	Leaving bool          `json:",omitempty"` // it has said that it is about to end
	Word    word          `json:",omitzero"`  // what it said should follow from its end
	Asked   bool          `json:",omitempty"` // it has asked to be moved
	// Unwell is why it is being stopped, if that was not asked for.
	Unwell *health.HealthStatus `json:",omitempty"`
	Probe  *Spec                `json:",omitempty"` // what its probe, until it has passed, and its liveness check need
	Blind  bool                 `json:",omitempty"` // there was no room for that, for want of a smaller environment
}

// note describes p as it is now. Under mu.
func (p *life) note() []byte {
	n := note{
		Name: p.name, StopSig: p.stopSig, Grace: p.grace, MinUp: p.minUp, Up: p.up, StopAt: p.stopAt, Failure: p.failure,
		Ready: p.ready, Leaving: p.leaving, Word: p.word, Asked: p.asked,
	}
	if !p.stopping {
		n.Probe = p.probed
	}
	if !p.unwell.IsHealthy() {
		n.Unwell = &p.unwell
	}
	text, err := json.Marshal(n)
	if len(text) > wire.MaxNote || err != nil {
		n.Probe, n.Blind = nil, true
		text, _ = json.Marshal(n)
	}
	return text
}

// BootTime is the clock that Hold goes by: CLOCK_BOOTTIME.
func BootTime() time.Duration { return wire.BootTime() }

// send tells the keeper something. If it is gone, receive knows.
func (r *Runner) send(m *wire.Message) {
	if err := r.keeper.conn.Send(m); err != nil && !errors.Is(err, wire.ErrClosed) {
		r.log.Error("cannot speak to the keeper", "key", m.Key, "err", err)
	}
}

// receive takes what the keeper says until the connection ends.
func (r *Runner) receive() {
	for {
		m, err := r.keeper.conn.Recv()
		if err != nil {
			break
		}
		r.onMessage(m)
	}
	close(r.lost)
}

func (r *Runner) onMessage(m *wire.Message) {
	closeAll(m.FDs) // none is expected
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Op == wire.Yield {
		if !r.yielded {
			r.yielded = true
			close(r.yield)
		}
		return
	}
	p := r.byKey[m.Key]
	if p == nil {
		if m.Op == wire.Exited {
			r.send(&wire.Message{Op: wire.Forget, Key: m.Key})
		}
		return
	}
	switch m.Op {
	case wire.Spawned:
		r.onSpawned(p, m)
	case wire.Failed:
		r.onRefused(p, m)
	case wire.Exited:
		r.onExited(p, m)
	case wire.Unsent:
		r.log.Warn("cannot signal process group", "key", p.key, "pid", p.pid, "err", syscall.Errno(m.Number))
	}
}

// adopt takes over what the keeper holds from an agent before this one.
func (r *Runner) adopt() {
	for _, m := range r.keeper.lives {
		p := &life{key: m.Key, status: -1, notify: -1, forked: true, pid: m.PID, start: m.Start, begun: true, exclusive: m.Exclusive}
		p.since = time.Now().Add(time.Duration(m.Number) - BootTime())
		var n note
		if err := json.Unmarshal(m.Note, &n); err != nil && !isProbe(m.Key) {
			r.log.Warn("cannot read what was noted of a child", "key", m.Key, "err", err)
		}
		p.name, p.stopSig, p.grace, p.minUp, p.up = n.Name, n.StopSig, n.Grace, n.MinUp, n.Up
		p.stopAt, p.stopping, p.failure, p.probed = n.StopAt, n.StopAt != 0, n.Failure, n.Probe
		p.ready, p.leaving, p.noticed = n.Ready, n.Leaving, make(chan struct{}, 1)
		p.word, p.asked = n.Word, n.Asked
		if n.Unwell != nil {
			p.unwell = *n.Unwell
		}
		if n.Blind {
			r.log.Warn("child is not asked any more: its environment was too large to be kept", "key", p.key)
		}
		if isProbe(m.Key) {
			p.onEnd = func(Event) {} // whoever waited for it is gone
		}
		r.adoptFiles(p, m.FDs)
		r.nextID++
		p.id = r.nextID
		r.byKey[p.key], r.byID[p.id] = p, p
	}
	r.keeper.lives = nil
}

// adoptFiles takes over what the keeper held for p: its two logs, and its NOTIFY_SOCKET if
// it has one.
func (r *Runner) adoptFiles(p *life, fds []int) {
	for i, fd := range fds {
		switch {
		case checkName(p.name) != nil || i > len(streamNames):
			unix.Close(fd)
		case i == len(streamNames):
			p.notify = fd
		default:
			p.streams = append(p.streams, r.logs.newStream(p.name, streamNames[i], fd))
		}
	}
}

// resume goes on with all that was adopted, as if nothing had been.
func (r *Runner) resume() {
	r.mu.Lock()
	for _, p := range r.byKey {
		if p.begun {
			r.resumeLife(p)
		}
	}
	r.mu.Unlock()
	for _, m := range r.keeper.exits {
		r.onMessage(m)
	}
	r.keeper.exits = nil
}

// resumeLife sets the clocks of p going again. Under mu.
func (r *Runner) resumeLife(p *life) {
	r.watch(p)
	if p.asked && !p.stopping && p.onEnd == nil {
		r.emitAsked(p) // told or not: twice does no harm
	}
	switch {
	case p.onEnd != nil || p.stopping && p.stopSig == unix.SIGKILL || p.failure != "":
		p.stopSig = unix.SIGKILL
		r.killNow(p)
	case p.stopping:
		r.afterGrace(p, p.stopAt+p.grace-BootTime())
	case p.leaving:
		r.afterGrace(p, p.grace)
	case p.up:
		r.watchHealth(p)
	default:
		r.awaitUp(p)
	}
}

// probeMark begins the keys of exec probes, which no caller may use.
const probeMark = "\x00probe of "

func isProbe(key string) bool { return strings.HasPrefix(key, probeMark) }
