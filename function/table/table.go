package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// Fixed times of a table.
const (
	// awaitFunc is how long a life waits for its function to be registered.
	awaitFunc = 10 * time.Second
	// watchStuck is how often a function that does not return is complained about.
	watchStuck = 10 * time.Second
	// maxWait bounds how long Run waits for functions to return.
	maxWait = 5 * time.Second
)

// ErrClosed: the table has ended or is ending, so it begins nothing more.
var ErrClosed = errors.New("the node stops")

// Config is what a table needs.
type Config struct {
	// Node is what people call the node.
	Node string
	// Functions are those of the program. Required.
	Functions *function.Registry
	// Fatal must end the process: an exclusive function runs on after the lease of its
	// node. Required.
	Fatal func(error)
	// Clock is the time since the machine booted, suspension included. Nil = CLOCK_BOOTTIME.
	Clock func() time.Duration
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Validate returns the first fault of c.
func (c *Config) Validate() error {
	switch {
	case c.Functions == nil:
		return errors.New("cannot use function config: Functions is missing")
	case c.Fatal == nil:
		return errors.New("cannot use function config: Fatal is missing")
	}
	return nil
}

// Table runs the functions of one node. It implements agent.Processes.
type Table struct {
	cfg    Config
	log    *slog.Logger
	events *runner.Events
	pid    int
	calls  sync.WaitGroup // functions, and what watches them

	mu     sync.Mutex
	lives  map[string]*life // by key, all that have not ended
	until  time.Duration    // of Hold
	fence  *time.Timer      // when that is; nil before the first
	closed bool
	idle   chan struct{} // closed when closed and lives is empty
}

// New returns an empty table.
func New(c Config) (*Table, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = runner.BootTime
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Table{
		cfg: c, log: c.Logger, events: runner.NewEvents(), pid: os.Getpid(),
		lives: make(map[string]*life), idle: make(chan struct{}),
	}
	c.Functions.Notify(t.registered)
	return t, nil
}

// Run passes events on until ctx ends. Then all that still runs is told to end, is
// waited for five seconds at most, and an error says what has not returned by then.
func (t *Table) Run(ctx context.Context) error {
	stop := make(chan struct{})
	t.calls.Go(func() { t.events.Run(stop) })
	<-ctx.Done()
	t.mu.Lock()
	t.closed = true
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		t.stop(t.lives[key], "the node stops")
	}
	if len(t.lives) == 0 {
		close(t.idle)
	}
	t.mu.Unlock()
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case <-t.idle:
		close(stop)
		t.calls.Wait()
		return nil
	case <-late.C:
		close(stop)
		return fmt.Errorf("cannot end %v: %w", t.Running(), ErrStuck)
	}
}

// ErrStuck: functions ignore that their contexts have ended.
var ErrStuck = errors.New("functions have not returned")

// Idle is closed when Run is over and no function runs any more.
func (t *Table) Idle() <-chan struct{} { return t.idle }

// Running lists the paths whose functions have yet to return, sorted.
func (t *Table) Running() (paths []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lives {
		paths = append(paths, l.Path)
	}
	slices.Sort(paths)
	return paths
}

// Start implements agent.Processes.
func (t *Table) Start(l agent.Launch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := agent.Key(l.Ref)
	switch {
	case t.closed:
		return fmt.Errorf("cannot start %s: %w", l.Path, ErrClosed)
	case t.lives[key] != nil:
		return fmt.Errorf("cannot start %s: it runs already", key)
	case l.Program == nil || l.Program.Func == "":
		return fmt.Errorf("cannot start %s: this node is embedded in a program, and runs functions only (func:, not run:)", l.Path)
	}
	f := &life{Launch: l, table: t, key: key, grace: cmp.Or(l.Program.Grace, supervisor.DefaultGrace)}
	t.lives[key] = f
	if run := t.cfg.Functions.Lookup(l.Program.Func); run != nil {
		t.begin(f, run)
		return nil
	}
	t.log.Warn("waiting for a function to be registered", "path", l.Path, "func", l.Program.Func, "for", awaitFunc)
	f.after(awaitFunc, func() {
		t.fail(f, fmt.Sprintf("this program has not registered %s, though its node once said so", l.Program.Func))
	})
	return nil
}

// registered begins what has waited for a function.
func (t *Table) registered(name string) {
	run := t.cfg.Functions.Lookup(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		if f := t.lives[key]; !f.begun && f.Program.Func == name {
			t.begin(f, run)
		}
	}
}

// Stop implements agent.Processes.
func (t *Table) Stop(ref supervisor.Ref, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.lives[agent.Key(ref)]; f != nil {
		t.stop(f, reason)
	}
}

// Settle implements agent.Processes: nobody is told of an end twice, since table and
// agent end together.
func (t *Table) Settle(supervisor.Ref) {}

// Live implements agent.Processes.
func (t *Table) Live() []link.Life {
	t.mu.Lock()
	defer t.mu.Unlock()
	lives := make([]link.Life, 0, len(t.lives))
	for _, key := range slices.Sorted(maps.Keys(t.lives)) {
		f := t.lives[key]
		lives = append(lives, link.Life{Ref: f.Ref, PID: t.pid, Up: f.up})
	}
	return lives
}

// Events implements agent.Processes.
func (t *Table) Events() <-chan agent.Event { return t.events.C() }

// Hold implements agent.Processes. Of an exclusive function that has not returned by
// then, Fatal is told.
func (t *Table) Hold(until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
	if left := until - t.cfg.Clock(); t.fence == nil {
		t.fence = time.AfterFunc(left, t.enforce)
	} else {
		t.fence.Reset(left)
	}
}

// enforce ends the program if an exclusive function has outlived its lease.
func (t *Table) enforce() {
	t.mu.Lock()
	if left := t.until - t.cfg.Clock(); left > 0 {
		t.fence.Reset(left) // a later Hold came
		t.mu.Unlock()
		return
	}
	var late []string
	for _, f := range t.lives {
		if f.Exclusive && f.begun && !f.overdue {
			f.overdue = true
			f.cancel(errLease)
			late = append(late, f.Path)
		}
	}
	t.mu.Unlock()
	if len(late) > 0 {
		slices.Sort(late)
		t.cfg.Fatal(fmt.Errorf("the lease of this node has run out, and exclusive functions have not returned: %v", late))
	}
}

var errLease = errors.New("the lease of this node has run out")

// held: exclusive lives may begin. Under mu.
func (t *Table) held() bool { return t.fence != nil && t.cfg.Clock() < t.until }
