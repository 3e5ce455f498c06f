package simproc

import (
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// Hold implements agent.Processes.
func (t *Table) Hold(until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
	t.guard()
}

// Settle implements agent.Processes.
func (t *Table) Settle(ref supervisor.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settle(agent.Key(ref))
}

func (t *Table) settle(key string) {
	t.kept = slices.DeleteFunc(t.kept, func(e agent.Event) bool { return e.Key == key })
}

// Unsettled lists the ends that the next agent would be told of.
func (t *Table) Unsettled() (keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.kept {
		keys = append(keys, e.Key)
	}
	return keys
}

// guard sets the keeper's timer to the deadline of the exclusive lives. The functions
// below run with mu held.
func (t *Table) guard() {
	if t.fence != nil {
		t.fence.Stop()
	}
	left := max(0, t.until-t.machine.Clock())
	t.fence = time.AfterFunc(time.Duration(float64(left)/t.machine.Rate)+t.machine.Lag(), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.unlessFrozen(t.enforce)
	})
}

// enforce kills the exclusive lives if their time is over.
func (t *Table) enforce() {
	if t.machine.Clock() < t.until {
		t.guard()
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		p := t.lives[key]
		if !p.log.Exclusive || !p.running {
			continue
		}
		t.remove(key, p, "fenced")
		t.world.count(func(c *Counts) { c.Fenced++ })
		t.emit(key, p, agent.Event{
			Kind: runner.Exited, Code: -1, Signal: "SIGKILL", Requested: p.stopping, BeforeUp: !p.up, Fenced: true,
		})
	}
}

func (t *Table) unlessFrozen(f func()) {
	if t.frozen {
		t.due = append(t.due, f)
		return
	}
	f()
}

// replaceAgent gives whoever comes next a channel of its own.
func (t *Table) replaceAgent() {
	t.events = make(chan agent.Event, maxUnread)
}

// Detach is the death of the agent alone. What it had not got to fork is gone with
// it, and so are the failures it had not read of: only what was forked has an end that
// the keeper keeps. Until there is another, nobody is killed for not stopping.
func (t *Table) Detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away, t.heirs = true, nil
	t.replaceAgent()
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		p := t.lives[key]
		if !p.running {
			t.remove(key, p, "its agent died before it was forked")
			continue
		}
		if p.killing != nil {
			p.killing.Stop()
		}
	}
}

// Attach lets a new agent take over. It finds the lives and the ends that none has
// settled, be it that an agent before it was told already; stops go on where they were.
func (t *Table) Attach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = false
	for _, e := range t.kept {
		t.events <- e
		ref, _ := agent.ParseKey(e.Key)
		t.heirs = append(t.heirs, link.Life{Ref: ref, PID: e.PID, Up: !e.BeforeUp})
	}
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		p := t.lives[key]
		if p.killing != nil {
			t.killAfter(key, p, p.grace-time.Since(p.stopAt))
		}
		if p.asked && !p.stopping { // told or not
			t.emit(key, p, agent.Event{Kind: runner.Asked, Word: p.word})
		}
	}
	t.world.count(func(c *Counts) { c.Adopted += len(t.lives); c.Retold += len(t.kept) })
}

// Freeze stops the whole machine, keeper and children too, until Thaw.
func (t *Table) Freeze() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen {
		t.world.thaw(t.node) // it may be about to get to run
		t.thaws++
	}
	t.frozen = true
	t.world.freeze(t.node)
}

// Thaw lets the machine go on. What fell due meanwhile happens a little later.
func (t *Table) Thaw(late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.frozen {
		return
	}
	t.world.thaw(t.node)
	t.thaws++
	turn := t.thaws
	time.AfterFunc(late, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.thaws != turn || !t.frozen {
			return // frozen again, or dead, before it got to run
		}
		t.frozen = false
		due := t.due
		t.due = nil
		for _, f := range due {
			f()
		}
	})
}
