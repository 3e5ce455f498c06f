package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/keeper/wire"
)

var (
	// ErrClosed: the runner has ended or is ending, so it starts nothing more.
	ErrClosed = errors.New("runner is closed")
	// ErrKeyInUse: a life of this key has not ended yet.
	ErrKeyInUse = errors.New("key is in use")
	// ErrNoLogs: no child of this name ever ran on this node, or all it left is gone.
	ErrNoLogs = errors.New("no logs")
	// ErrTooManyFollowers: as many readers follow logs as the runner allows.
	ErrTooManyFollowers = errors.New("too many log followers")
)

// maxWait bounds how long Run waits for killed children before it returns.
const maxWait = 5 * time.Second

// Config says where a Runner keeps its files. Dir and Keeper are required.
type Config struct {
	Dir         string       // data folder of the node; logs/ below it is used
	Keeper      *Keeper      // holds the processes; the Runner owns it from New on
	Logger      *slog.Logger // nil = discard
	LogMaxBytes int64        // a log file is rotated at the first line end beyond this; 0 = 8 MiB
	LogKeep     int          // rotated files kept of each stream, besides the current one; 0 = 3
}

// Validate returns the first fault of c.
func (c *Config) Validate() error {
	if c.Dir == "" {
		return errors.New("cannot use runner config: Dir is empty")
	}
	if c.Keeper == nil {
		return errors.New("cannot use runner config: Keeper is missing")
	}
	if c.LogMaxBytes < 0 || c.LogKeep < 0 || c.LogKeep > 100 {
		return errors.New("cannot use runner config: LogMaxBytes must not be negative, and LogKeep must be within 0 and 100")
	}
	return nil
}

func (c *Config) fill() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LogMaxBytes == 0 {
		c.LogMaxBytes = 8 << 20
	}
	if c.LogKeep == 0 {
		c.LogKeep = 3
	}
}

// Runner owns the processes of one node. See the package comment.
type Runner struct {
	cfg       Config
	log       *slog.Logger
	baseEnv   []string
	leftovers int

	keeper  *Keeper
	lost    chan struct{} // closed when the keeper says nothing more
	yield   chan struct{} // closed when it asks for the end
	helpers *poller       // status pipes of helpers
	notices *poller       // NOTIFY_SOCKETs
	events  *eventQueue
	logs    *logStore
	probing chan struct{} // a token for each probe attempt under way

	wakeSpawner chan struct{}
	quit        chan struct{} // closed when the last child is gone, or was given up
	owners      sync.WaitGroup

	mu                sync.Mutex
	queue             []*life          // accepted, not forked; in order
	byKey             map[string]*life // all that have not ended, probes too
	byID              map[uint64]*life // those with a process, by their id in the poller
	unsettled         map[string]bool  // ended, and the keeper is not to forget it yet
	nextID            uint64
	until             time.Duration // of Hold
	overdue           *time.Timer   // looks whether the keeper is late; nil before the first Hold
	closed            bool
	ran               bool
	yielded, detached bool
	idle              chan struct{} // closed when closed and byKey is empty
}

// New adopts what the keeper holds, has it kill what an earlier keeper on the
// same folder left behind, and starts nothing.
func New(c Config) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.fill()
	r := &Runner{
		cfg: c, log: c.Logger, baseEnv: baseEnv(), events: newEventQueue(), probing: make(chan struct{}, maxProbes),
		keeper: c.Keeper, lost: make(chan struct{}), yield: make(chan struct{}),
		wakeSpawner: make(chan struct{}, 1), quit: make(chan struct{}), idle: make(chan struct{}),
		byKey: make(map[string]*life), byID: make(map[uint64]*life), unsettled: make(map[string]bool),
	}
	if err := r.open(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Runner) open() error {
	var err error
	if r.logs, err = newLogStore(filepath.Join(r.cfg.Dir, "logs"), r.cfg.LogMaxBytes, r.cfg.LogKeep, r.log); err != nil {
		return err
	}
	if r.helpers, err = newPoller("helpers"); err != nil {
		return err
	}
	if r.notices, err = newPoller("notices"); err != nil {
		return err
	}
	r.adopt()
	r.send(&wire.Message{Op: wire.Sweep})
	swept, err := r.keeper.until(wire.Swept)
	if err == nil {
		r.leftovers = int(swept.Number)
	}
	return err
}

// close frees what open took; each part may be missing.
func (r *Runner) close() {
	if r.helpers != nil {
		r.helpers.close()
	}
	if r.notices != nil {
		r.notices.close()
	}
	if r.logs != nil {
		r.logs.close()
	}
	r.keeper.Close()
}

// Leftovers returns how many processes of an earlier keeper had to be killed.
func (r *Runner) Leftovers() int { return r.leftovers }

// Events is the one stream of events, for one reader. It is closed when Run
// returns. Nothing is dropped while Run runs; when it ends, the reader has one
// second to take the rest.
func (r *Runner) Events() <-chan Event { return r.events.out }

// Running tells the keeper that the node has begun its work: should this process
// end from now on, it is started again.
func (r *Runner) Running() { r.send(&wire.Message{Op: wire.Running}) }

// Yield is closed when the keeper wants this process to end without its children:
// see Detach.
func (r *Runner) Yield() <-chan struct{} { return r.yield }

// Detach has Run end without ending the children: they wait for the next agent.
func (r *Runner) Detach() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detached = true
}

// Run does the work until ctx ends. Then, unless Detach was called, it has every
// process group killed at once, waits for them at most five seconds, and returns
// nil, or an error that says how many would not die. It returns an error if the
// keeper has gone. Start may be called before Run. Run runs once.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.ran {
		r.mu.Unlock()
		return errors.New("cannot run the runner: it has run already")
	}
	r.ran = true
	r.mu.Unlock()
	r.owners.Go(r.spawnLoop)
	r.owners.Go(func() { r.helpers.wait(r.onHelper) })
	r.owners.Go(func() { r.notices.wait(r.onNotice) })
	r.owners.Go(r.logs.pump)
	r.owners.Go(func() { r.events.run(r.quit) })
	r.resume()
	r.owners.Go(r.receive)
	select {
	case <-ctx.Done():
		return r.shutdown()
	case <-r.lost:
		return errors.Join(errors.New("cannot go on: the keeper has ended"), r.shutdown())
	}
}

func (r *Runner) shutdown() error {
	r.mu.Lock()
	r.closed = true
	keys := slices.Collect(maps.Keys(r.byKey))
	if r.detached {
		keys = nil
	}
	if len(keys) == 0 {
		close(r.idle)
	}
	r.mu.Unlock()
	for _, key := range keys {
		r.Kill(key)
	}
	var err error
	select {
	case <-r.idle:
	case <-r.lost:
	case <-time.After(maxWait):
		r.mu.Lock()
		err = fmt.Errorf("cannot end %d processes: still there %s after SIGKILL", len(r.byKey), maxWait)
		r.mu.Unlock()
	}
	close(r.quit)
	r.endProbes()
	r.helpers.close()
	r.notices.close()
	r.logs.stop()
	r.keeper.conn.Shut()
	r.owners.Wait()
	r.close()
	return err
}

// endProbes ends the probes of those that live on, and hears no more of them.
func (r *Runner) endProbes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.byKey {
		if p.unprobe != nil {
			p.unprobe()
		}
		r.closeNotices(p)
	}
}

// Start accepts s and returns at once; what comes of it is told by events. It
// fails only with ErrClosed, ErrKeyInUse, or for an impossible key; a spec that
// cannot be started yields a Failed event.
func (r *Runner) Start(s Spec) error {
	if s.Key == "" || isProbe(s.Key) || len(s.Key) > wire.MaxKey/2 {
		return errors.New("cannot start: the key is empty or too long")
	}
	return r.enqueue(&life{key: s.Key, name: s.Name, spec: &s})
}

func (r *Runner) enqueue(p *life) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("cannot start %s: %w", p.key, ErrClosed)
	}
	if r.byKey[p.key] != nil {
		return fmt.Errorf("cannot start %s: %w", p.key, ErrKeyInUse)
	}
	r.nextID++
	p.id, p.status, p.notify = r.nextID, -1, -1
	r.byKey[p.key] = p
	r.queue = append(r.queue, p)
	poke(r.wakeSpawner)
	return nil
}

// Live returns every life that has not ended, also those that wait to be
// forked, sorted by key.
func (r *Runner) Live() []Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Process, 0, len(r.byKey))
	for _, key := range slices.Sorted(maps.Keys(r.byKey)) {
		p := r.byKey[key]
		if p.onEnd != nil {
			continue // a probe
		}
		one := Process{
			Key: p.key, Name: p.name, PID: p.pid, StartTime: p.start, Since: p.since, Up: p.up, Stopping: p.stopping,
			Status: p.says,
		}
		p.tellHealth(&one)
		list = append(list, one)
	}
	return list
}
