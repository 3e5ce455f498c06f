package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
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

// maxWait bounds how long Run waits for killed children before it returns, and
// New for those of an earlier runner.
const maxWait = 5 * time.Second

// Config says where a Runner keeps its files. Only Dir is required.
type Config struct {
	Dir         string       // data folder of the node; logs/ and run/ below it are used
	BootID      string       // names this boot of the machine; "" = what the kernel says
	Logger      *slog.Logger // nil = discard
	LogMaxBytes int64        // a log file is rotated at the first line end beyond this; 0 = 8 MiB
	LogKeep     int          // rotated files kept of each stream, besides the current one; 0 = 3
}

// Validate returns the first fault of c.
func (c *Config) Validate() error {
	if c.Dir == "" {
		return errors.New("cannot use runner config: Dir is empty")
	}
	if c.LogMaxBytes < 0 || c.LogKeep < 0 || c.LogKeep > 100 {
		return errors.New("cannot use runner config: LogMaxBytes must not be negative, and LogKeep must be within 0 and 100")
	}
	return nil
}

func (c *Config) fill() error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LogMaxBytes == 0 {
		c.LogMaxBytes = 8 << 20
	}
	if c.LogKeep == 0 {
		c.LogKeep = 3
	}
	if c.BootID != "" {
		return nil
	}
	var err error
	c.BootID, err = readBootID()
	return err
}

// Runner owns the processes of one node. See the package comment.
type Runner struct {
	cfg       Config
	log       *slog.Logger
	baseEnv   []string
	marker    string // environment entry that all our children carry
	leftovers int

	children *poller // pidfds of children, and status pipes of helpers
	events   *eventQueue
	logs     *logStore
	lives    *livesFile
	devNull  *os.File
	probing  chan struct{} // a token for each probe attempt under way

	wakeSpawner chan struct{}
	quit        chan struct{} // closed when the last child is gone, or was given up
	owners      sync.WaitGroup
	ownFS       bool // the spawner thread has its own umask; set before it starts anything

	until atomic.Int64 // of Hold

	// forking is held from fork until the child is known, so that the reaper
	// of orphans cannot take it for one of its own.
	forking sync.Mutex

	mu     sync.Mutex
	queue  []*life          // accepted, not forked; in order
	byKey  map[string]*life // all that have not ended, probes too
	byID   map[uint64]*life // those with a process, by their id in the poller
	nextID uint64
	closed bool
	ran    bool
	idle   chan struct{} // closed when closed and byKey is empty
}

// New takes possession of c.Dir, kills what an earlier runner on it left
// behind, and starts nothing. It fails if another runner uses the folder.
func New(c Config) (*Runner, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.fill(); err != nil {
		return nil, err
	}
	r := &Runner{
		cfg: c, log: c.Logger, baseEnv: baseEnv(), events: newEventQueue(), probing: make(chan struct{}, maxProbes),
		wakeSpawner: make(chan struct{}, 1), quit: make(chan struct{}), idle: make(chan struct{}),
		byKey: make(map[string]*life), byID: make(map[uint64]*life),
	}
	if err := r.open(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *Runner) open() error {
	runDir := filepath.Join(r.cfg.Dir, "run")
	if err := os.MkdirAll(runDir, 0o750); err != nil {
		return fmt.Errorf("cannot create the run folder: %v", err)
	}
	var err error
	if r.lives, r.leftovers, err = openLives(runDir, r.cfg.BootID, r.log); err != nil {
		return err
	}
	r.marker = r.lives.marker()
	if r.logs, err = newLogStore(filepath.Join(r.cfg.Dir, "logs"), r.cfg.LogMaxBytes, r.cfg.LogKeep, r.log); err != nil {
		return err
	}
	if r.children, err = newPoller("children"); err != nil {
		return err
	}
	if r.devNull, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("cannot open %s: %v", os.DevNull, err)
	}
	return nil
}

// close frees what open took; each part may be missing.
func (r *Runner) close() {
	if r.children != nil {
		r.children.close()
	}
	if r.logs != nil {
		r.logs.close()
	}
	if r.lives != nil {
		r.lives.close()
	}
	if r.devNull != nil {
		r.devNull.Close()
	}
}

// Leftovers returns how many processes of an earlier runner New had to kill.
func (r *Runner) Leftovers() int { return r.leftovers }

// Events is the one stream of events, for one reader. It is closed when Run
// returns. Nothing is dropped while Run runs; when it ends, the reader has one
// second to take the rest.
func (r *Runner) Events() <-chan Event { return r.events.out }

// Run does the work until ctx ends. Then it kills every process group at once,
// waits for them at most five seconds, and returns nil, or an error that says
// how many would not die. Start may be called before Run. Run runs once.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.ran {
		r.mu.Unlock()
		return errors.New("cannot run the runner: it has run already")
	}
	r.ran = true
	r.mu.Unlock()
	r.owners.Go(r.spawnLoop)
	r.owners.Go(func() { r.children.wait(r.onReady) })
	r.owners.Go(r.logs.pump)
	r.owners.Go(func() { r.events.run(r.quit) })
	if os.Getpid() == 1 {
		r.owners.Go(r.reapOrphans)
	}
	<-ctx.Done()
	return r.shutdown()
}

func (r *Runner) shutdown() error {
	r.mu.Lock()
	r.closed = true
	keys := slices.Collect(maps.Keys(r.byKey))
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
	case <-time.After(maxWait):
		r.mu.Lock()
		err = fmt.Errorf("cannot end %d processes: still there %s after SIGKILL", len(r.byKey), maxWait)
		r.mu.Unlock()
	}
	close(r.quit)
	r.children.close()
	r.logs.stop()
	r.owners.Wait()
	r.close()
	return err
}

// Start accepts s and returns at once; what comes of it is told by events. It
// fails only with ErrClosed, ErrKeyInUse, or for an empty key; a spec that
// cannot be started yields a Failed event.
func (r *Runner) Start(s Spec) error {
	if s.Key == "" {
		return errors.New("cannot start: the key is empty")
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
	p.id, p.pidfd, p.status = r.nextID, -1, -1
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
		list = append(list, Process{
			Key: p.key, Name: p.name, PID: p.pid, StartTime: p.start, Since: p.since, Up: p.up, Stopping: p.stopping,
		})
	}
	return list
}

// signalGroup signals the whole process group of p. It is safe only under mu
// and before p is reaped: until then its pid cannot belong to another.
func (r *Runner) signalGroup(p *life, sig unix.Signal) {
	if p.pid == 0 || p.reaped {
		return
	}
	if err := unix.Kill(-p.pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
		r.log.Warn("cannot signal process group", "key", p.key, "pid", p.pid, "signal", unix.SignalName(sig), "err", err)
	}
}
