package simproc

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// maxUnread bounds the events that wait for the agent.
const maxUnread = 1 << 16

// Table is the processes of one node.
type Table struct {
	world  *World
	node   string
	events chan agent.Event

	mu    sync.Mutex
	lives map[string]*process // by key
	until time.Duration       // of Hold
}

// process is a life that has not ended.
type process struct {
	log      *Life
	script   Script
	pid      int
	grace    time.Duration
	running  bool // executes
	up       bool
	stopping bool
	timers   []*time.Timer
}

// Table returns a new, empty table of processes for a node.
func (w *World) Table(node string) *Table {
	return &Table{
		world: w, node: node,
		events: make(chan agent.Event, maxUnread), lives: make(map[string]*process),
	}
}

// Events implements agent.Processes.
func (t *Table) Events() <-chan agent.Event { return t.events }

// Live implements agent.Processes.
func (t *Table) Live() []link.Life {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lives []link.Life
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		p := t.lives[key]
		life := link.Life{Ref: p.log.Ref, Up: p.up}
		if p.running {
			life.PID = p.pid
		}
		lives = append(lives, life)
	}
	return lives
}

// Start implements agent.Processes.
func (t *Table) Start(l agent.Launch) error {
	key := agent.Key(l.Ref)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lives[key] != nil {
		return fmt.Errorf("cannot start %s: it runs already", key)
	}
	if l.Program == nil || len(l.Program.Argv) == 0 {
		return errors.New("cannot start: no command is given")
	}
	p := &process{grace: cmp.Or(l.Program.Grace, supervisor.DefaultGrace)}
	p.log, p.script, p.pid = t.world.begin(t.node, l)
	p.script.UpAfter = max(p.script.UpAfter, l.Program.MinUptime)
	t.lives[key] = p
	t.after(key, p, p.script.Latency, func() { t.execute(key, p) })
	return nil
}

// Stop implements agent.Processes.
func (t *Table) Stop(ref supervisor.Ref, reason string) {
	key := agent.Key(ref)
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.lives[key]
	if p == nil || p.stopping {
		return
	}
	p.stopping = true
	switch {
	case !p.running:
		t.fail(key, p, "stopped before it was started")
	case p.script.Hang || p.script.StopTime > p.grace:
		t.after(key, p, p.grace, func() { t.exit(key, p, -1, "SIGKILL") })
	default:
		t.after(key, p, p.script.StopTime, func() { t.exit(key, p, -1, "SIGTERM") })
	}
}

// Kill ends the running lives of path, as if somebody on the node had sent them
// a signal. It tells whether there was one.
func (t *Table) Kill(path, signal string) (found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		if p := t.lives[key]; p.log.Path == path && p.running {
			t.exit(key, p, -1, signal)
			found = true
		}
	}
	return found
}

// Exit ends the running lives of path by their own, with a code.
func (t *Table) Exit(path string, code int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		if p := t.lives[key]; p.log.Path == path && p.running {
			t.exit(key, p, code, "")
		}
	}
}

// KillAll is the death of the node: everything ends and nobody is told. The
// table can be used again, by a new agent, as after a reboot.
func (t *Table) KillAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, p := range t.lives {
		t.remove(key, p, "its node died")
	}
	for {
		select {
		case <-t.events:
		default:
			return
		}
	}
}

// execute and the functions below it run with mu held.
func (t *Table) execute(key string, p *process) {
	s := p.script
	if s.Fail != "" {
		t.fail(key, p, s.Fail)
		return
	}
	p.running = true
	t.world.executed(p.log)
	t.emit(key, p, agent.Event{Kind: runner.Spawned})
	if s.Exit {
		t.after(key, p, s.ExitAfter, func() { t.exit(key, p, s.Code, s.Signal) })
	}
	if !s.Exit || s.ExitAfter > s.UpAfter {
		t.after(key, p, s.UpAfter, func() { t.confirm(key, p) })
	}
}

func (t *Table) confirm(key string, p *process) {
	if !p.stopping {
		p.up = true
		t.emit(key, p, agent.Event{Kind: runner.Up})
	}
}

func (t *Table) fail(key string, p *process, why string) {
	t.remove(key, p, why)
	t.emit(key, p, agent.Event{Kind: runner.Failed, Err: why, Requested: p.stopping, BeforeUp: true})
}

func (t *Table) exit(key string, p *process, code int, signal string) {
	how := fmt.Sprintf("exit code %d", code)
	if signal != "" {
		code, how = -1, signal
	}
	t.remove(key, p, how)
	t.emit(key, p, agent.Event{
		Kind: runner.Exited, Code: code, Signal: signal, Requested: p.stopping, BeforeUp: !p.up,
	})
}

// after does f, with mu held, once d has passed, if the life has not ended by then.
func (t *Table) after(key string, p *process, d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	p.timers = append(p.timers, time.AfterFunc(d, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.lives[key] == p {
			f()
		}
	}))
}

func (t *Table) remove(key string, p *process, how string) {
	delete(t.lives, key)
	for _, timer := range p.timers {
		timer.Stop()
	}
	t.world.ended(p.log, how)
}

// emit never waits: mu is held, and a bubble must not wait with a lock held.
func (t *Table) emit(key string, p *process, e agent.Event) {
	e.Key, e.At = key, time.Now()
	if p.running {
		e.PID = p.pid
	}
	select {
	case t.events <- e:
	default:
		panic(fmt.Sprintf("simproc: %d events of node %s are unread", maxUnread, t.node))
	}
}

// Hold implements agent.Processes.
func (t *Table) Hold(until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
}
