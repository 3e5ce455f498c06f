package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/cmd/selfware-node/show"
)

const (
	askTime      = 5 * time.Second
	startTime    = 60 * time.Second
	tick         = 250 * time.Millisecond
	restartPause = 5 * time.Second
	// calm is how long nothing must happen before dev says what to kill next.
	calm = time.Second
	// stopTime is the default grace of a child and some more.
	stopTime = 15 * time.Second
	maxNodes = 99
)

// Config says what to run. Zero values are defaults.
type Config struct {
	// Binary is the selfware-node to run as nodes, Called what the user calls it.
	Binary, Called string
	// Nodes is how many, at least 1; 0 is 3.
	Nodes   int
	Profile string // as in node.Options
	// Data is where the nodes' data dirs are, n1 and so on; empty is a temporary
	// folder that is removed at the end.
	Data string
	// TreeName and Tree are a checked tree file to apply; empty is none.
	TreeName, Tree string
	// NoRestart leaves nodes that end as they are.
	NoRestart bool
	LogLevel  string // of the nodes, into files; "" is info
	// Out gets everything that is printed; nil discards it.
	Out   io.Writer
	Color bool
	// AtOnce, when closed, ends all without waiting for children to stop.
	AtOnce <-chan struct{}
}

// Validate says what is wrong, and fills in the defaults.
func (c *Config) Validate() error {
	if c.Nodes == 0 {
		c.Nodes = 3
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	switch {
	case c.Nodes < 1 || c.Nodes > maxNodes:
		return fmt.Errorf("cannot run %d nodes: 1 to %d", c.Nodes, maxNodes)
	case c.Binary == "":
		return errors.New("cannot run nodes without the path of the binary")
	}
	return nil
}

type exit struct {
	m   *member
	err error
}

// dev is one run. All fields belong to the goroutine of Run, but for the
// channels.
type dev struct {
	cfg     Config
	dir     string
	temp    bool
	resumed bool // the data dir was prepared before
	members []*member
	wg      sync.WaitGroup

	exits  chan exit
	events chan api.Event
	looked chan look

	looking bool
	changed time.Time // of the last thing that happened; zero once all is said
	said    string    // what to kill, as said last
	lastAt  api.Event // the last event printed
}

// look is an answer of the cluster, or an error.
type look struct {
	status api.Status
	err    error
}

// Run runs the cluster until ctx ends, and leaves nothing behind.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	// Nodes are told to stop when the thread that forked them ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := &dev{
		cfg: cfg, exits: make(chan exit, cfg.Nodes), events: make(chan api.Event, 256), looked: make(chan look, 1),
	}
	if err := d.makeDir(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	err := d.run(ctx)
	cancel()
	return errors.Join(err, d.stop())
}

func (d *dev) makeDir() (err error) {
	if d.cfg.Data == "" {
		d.temp = true
		if d.dir, err = os.MkdirTemp("", "selfware-dev-"); err != nil {
			return fmt.Errorf("cannot make a data dir: %w", err)
		}
		return nil
	}
	d.dir, err = filepath.Abs(d.cfg.Data)
	return err
}

func (d *dev) run(ctx context.Context) error {
	if err := d.prepare(); err != nil {
		return err
	}
	for _, m := range d.members {
		if err := d.start(m); err != nil {
			return err
		}
	}
	if err := d.await(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	d.banner()
	d.follow(ctx)
	if d.cfg.Tree != "" {
		done, err := d.members[0].client.Apply(ctx, d.cfg.TreeName, d.cfg.Tree, "")
		if err != nil {
			return fmt.Errorf("cannot apply the tree: %w", err)
		}
		d.printf("%s\n\n", done.Message)
	}
	return d.watch(ctx)
}

// await waits until every node is alive.
func (d *dev) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, errSlow)
	defer cancel()
	poll := time.NewTicker(tick)
	defer poll.Stop()
	for {
		select {
		case e := <-d.exits:
			e.m.pid, e.m.dirty = 0, e.err != nil
			return fmt.Errorf("cannot start %s (%v); its log %s ends with:\n%s", e.m.name, e.err, e.m.log, e.m.lastWords())
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), errSlow) {
				return nil
			}
			m := d.members[0]
			return fmt.Errorf("%w within %v; the log %s ends with:\n%s", errSlow, startTime, m.log, m.lastWords())
		case <-poll.C:
		}
		if st, err := d.members[0].client.Status(ctx); err == nil && alive(st) == len(d.members) {
			return nil
		}
	}
}

var errSlow = errors.New("the nodes did not find each other")

func alive(st api.Status) (n int) {
	for _, s := range st.Nodes {
		if s.Status == "alive" {
			n++
		}
	}
	return n
}

// follow follows the events of the cluster through every node at once.
func (d *dev) follow(ctx context.Context) {
	since := "0"
	if d.resumed {
		since = ""
	}
	for _, m := range d.members {
		d.wg.Go(func() {
			at := since
			for ctx.Err() == nil {
				err := m.client.Follow(ctx, at, func(e api.Event) error {
					at = fmt.Sprintf("%d.%d", e.Index, e.N)
					select {
					case d.events <- e:
					case <-ctx.Done():
					}
					return ctx.Err()
				})
				if p := (*api.Problem)(nil); errors.As(err, &p) && p.Code == api.CodeGone {
					at = ""
				}
				pause(ctx, time.Second)
			}
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// watch prints what happens, and keeps the nodes running, until ctx ends.
func (d *dev) watch(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	d.changed = time.Now()
	for {
		select {
		case e := <-d.events:
			d.event(e)
		case x := <-d.exits:
			d.exited(x)
		case l := <-d.looked:
			d.looking = false
			d.tellNext(l)
		case <-ticker.C:
			if err := d.restartDue(); err != nil {
				return err
			}
			d.lookIfCalm(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// event prints an event that no other node has told before.
func (d *dev) event(e api.Event) {
	if e.Index < d.lastAt.Index || e.Index == d.lastAt.Index && e.N <= d.lastAt.N {
		return
	}
	d.lastAt, d.changed = e, time.Now()
	show.Event(d.cfg.Out, e, show.Style{Color: d.cfg.Color})
}

func (d *dev) exited(x exit) {
	why := "it exited by itself"
	if x.err != nil {
		why = x.err.Error()
	}
	next := "it stays down"
	if !d.cfg.NoRestart {
		next = fmt.Sprintf("it is started again in %v", restartPause)
		x.m.due = time.Now().Add(restartPause)
	}
	d.note("node %s (pid %d) is gone: %s; %s", x.m.name, x.m.pid, why, next)
	if time.Since(x.m.started) < restartPause {
		d.printf("  its log %s ends with:\n%s\n", x.m.log, x.m.lastWords())
	}
	x.m.pid, x.m.dirty, d.changed = 0, x.err != nil, time.Now()
}

func (d *dev) restartDue() error {
	for _, m := range d.members {
		if m.pid != 0 || m.due.IsZero() || time.Now().Before(m.due) {
			continue
		}
		if err := d.start(m); err != nil {
			return err
		}
		d.note("node %s runs again (pid %d)", m.name, m.pid)
		d.changed = time.Now()
	}
	return nil
}

// lookIfCalm asks for the status once nothing has happened for a while.
func (d *dev) lookIfCalm(ctx context.Context) {
	if d.looking || d.changed.IsZero() || time.Since(d.changed) < calm {
		return
	}
	for _, m := range d.members {
		if m.pid != 0 {
			d.looking = true
			d.wg.Go(func() {
				st, err := m.client.Status(ctx)
				d.looked <- look{st, err}
			})
			return
		}
	}
}
