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

// Table is the keeper of one node and all that it holds. It outlives the agent.
type Table struct {
	world   *World
	node    string
	machine Machine

	mu     sync.Mutex
	events chan agent.Event    // to the agent of the time
	lives  map[string]*process // by key
	away   bool                // there is no agent
	kept   []agent.Event       // ends that no agent has settled, oldest first
	heirs  []link.Life         // what of kept the agent that begins finds beside lives
	until  time.Duration       // of Hold
	fence  *time.Timer         // when until has passed
	frozen bool
	thaws  int      // so far
	due    []func() // what time brought while frozen
}

// Machine is what a table must know of the machine it is on. The zero value is one
// whose clock is right and whose keeper is always on time.
type Machine struct {
	// Clock is the time since the machine booted, Rate how fast it goes.
	Clock func() time.Duration
	Rate  float64
	// Lag is how late the keeper gets to run, drawn each time.
	Lag func() time.Duration
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
	word     string // what it said last
	asked    bool   // it asked to be moved
	timers   []*time.Timer
	stopAt   time.Time   // when it was asked to stop
	killing  *time.Timer // the end of its grace, which its agent waits for
}

// Table returns a new, empty table of processes for a node.
func (w *World) Table(node string) *Table {
	began := time.Now()
	return w.TableOn(node, Machine{Clock: func() time.Duration { return time.Since(began) }})
}

// TableOn is Table on a machine with faults of its own.
func (w *World) TableOn(node string, m Machine) *Table {
	if m.Rate == 0 {
		m.Rate = 1
	}
	if m.Lag == nil {
		m.Lag = func() time.Duration { return 0 }
	}
	return &Table{
		world: w, node: node, machine: m,
		events: make(chan agent.Event, maxUnread), lives: make(map[string]*process),
	}
}

// Events implements agent.Processes.
func (t *Table) Events() <-chan agent.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events
}

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
	lives = append(lives, t.heirs...)
	t.heirs = nil // from now on events have told of them
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
	if t.away {
		return errors.New("cannot start: there is no agent")
	}
	if l.Program == nil || len(l.Program.Argv) == 0 {
		return errors.New("cannot start: no command is given")
	}
	t.settle(key)
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
	p.stopping, p.stopAt = true, time.Now()
	t.world.asked(p.log, reason)
	switch {
	case !p.running:
		t.fail(key, p, "stopped before it was started", false)
	case p.script.Hang || p.script.StopTime > p.grace:
		t.killAfter(key, p, p.grace)
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

// KillAll is the death of the node, or of its keeper: everything ends and nobody is
// told. The table can be used again, by a new agent, as after a reboot.
func (t *Table) KillAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, p := range t.lives {
		t.remove(key, p, "its node died")
		t.world.forgotten(p.log.Ref)
	}
	for _, e := range t.kept {
		ref, _ := agent.ParseKey(e.Key)
		t.world.forgotten(ref)
	}
	if t.frozen {
		t.world.thaw(t.node)
	}
	t.until, t.kept, t.heirs, t.due, t.frozen = 0, nil, nil, nil, false
	if t.fence != nil {
		t.fence.Stop()
	}
	t.replaceAgent()
}

// killAfter ends the patience with a life that does not stop. mu is held.
func (t *Table) killAfter(key string, p *process, d time.Duration) {
	p.killing = t.after(key, p, max(d, time.Nanosecond), func() { t.exit(key, p, -1, "SIGKILL") })
}

// execute and the functions below it run with mu held.
func (t *Table) execute(key string, p *process) {
	s := p.script
	switch {
	case s.Fail != "":
		t.fail(key, p, s.Fail, false)
		return
	case p.log.Exclusive && t.machine.Clock() >= t.until:
		t.fail(key, p, "the moment until which it may run has passed", true)
		return
	}
	p.running = true
	t.world.executed(p.log)
	t.emit(key, p, agent.Event{Kind: runner.Spawned})
	if s.Exit {
		t.after(key, p, s.ExitAfter, func() {
			if s.Word != "" {
				p.word = s.Word
			}
			t.exit(key, p, s.Code, s.Signal)
		})
	}
	if s.Asks > 0 {
		t.after(key, p, s.Asks, func() { t.ask(key, p) })
	}
	if !s.Exit || s.ExitAfter > s.UpAfter {
		t.after(key, p, s.UpAfter, func() { t.confirm(key, p) })
	}
}

func (t *Table) confirm(key string, p *process) {
	if !p.stopping {
		p.up = true
		t.world.up(p.log)
		t.emit(key, p, agent.Event{Kind: runner.Up})
	}
}

// ask is a child that asks to be moved.
func (t *Table) ask(key string, p *process) {
	if !p.stopping {
		p.word, p.asked = string(supervisor.VerdictMove), true
		t.emit(key, p, agent.Event{Kind: runner.Asked, Word: p.word})
	}
}

func (t *Table) fail(key string, p *process, why string, fenced bool) {
	t.remove(key, p, why)
	t.emit(key, p, agent.Event{Kind: runner.Failed, Err: why, Requested: p.stopping, BeforeUp: true, Fenced: fenced})
}

func (t *Table) exit(key string, p *process, code int, signal string) {
	how, exit := fmt.Sprintf("exit code %d", code), fmt.Sprint(code)
	if signal != "" {
		code, how, exit = -1, signal, signal
	}
	t.world.exited(p.log, exit, p.word)
	t.remove(key, p, how)
	t.emit(key, p, agent.Event{
		Kind: runner.Exited, Code: code, Signal: signal, Requested: p.stopping, BeforeUp: !p.up, Word: p.word,
	})
}

// after does f, with mu held, once d has passed, if the life has not ended by then.
func (t *Table) after(key string, p *process, d time.Duration, f func()) *time.Timer {
	if d <= 0 {
		f()
		return nil
	}
	timer := time.AfterFunc(d, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.unlessFrozen(func() {
			if t.lives[key] == p {
				f()
			}
		})
	})
	p.timers = append(p.timers, timer)
	return timer
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
	if e.Kind == runner.Exited {
		t.kept = append(t.kept, e)
	}
	if t.away {
		return
	}
	select {
	case t.events <- e:
	default:
		panic(fmt.Sprintf("simproc: %d events of node %s are unread", maxUnread, t.node))
	}
}
