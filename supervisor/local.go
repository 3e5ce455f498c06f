package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// The files named local*.go are the supervisor of one process: they alone of this
// package know goroutines and clocks. Package doc, "In one process", says what they
// promise.

// Errors of the supervisor in a process.
var (
	// ErrStopped: the supervisor has ended, or is about to.
	ErrStopped = errors.New("supervisor has stopped")
	// ErrExhausted: the outermost supervisor spent its budget and gave up.
	ErrExhausted = errors.New("supervisor gave up")
)

// LocalNode is the one node of a supervisor in a process, as decisions name it.
const LocalNode = "local"

// Component is the work of a child. Run returns when it has ended: nil is a normal
// exit, an error an abnormal one, a panic a crash; Finish, DoNotRestart and Escalate make
// errors that say what should follow. It must return soon after ctx
// is done, for nothing can end a goroutine from outside; context.Cause(ctx) says
// why, if it was not simply told to stop. ctx goes with Beat and Ready.
//
// Run is called again for each restart, never while a former call for the same child
// has yet to return. A Supervisor is a Component too: as a child it becomes part of
// its parent's tree, so that what it cannot repair escalates to the parent.
type Component interface {
	Run(ctx context.Context) error
}

// ComponentFunc is a function as a Component.
type ComponentFunc func(ctx context.Context) error

// Run calls f.
func (f ComponentFunc) Run(ctx context.Context) error { return f(ctx) }

// Child is one child of a supervisor in a process, with all that can be said of it.
type Child struct {
	// ID is its name among its siblings: letters, digits, '-', '_' and '.', 64 at most.
	ID string
	// RestartType is Permanent if empty.
	RestartType RestartType
	// MaxRestarts overrides the budget of the supervisor's policy for this child.
	MaxRestarts *int
	// Significant: its end, by itself and for good, may be that of its supervisor; see
	// Builder.WithAutoShutdown. It must be Transient or Temporary.
	Significant bool
	// Grace is how long it may take to return when it is told to stop. After that it
	// is reported (EventStuck), and counts as ended for all but its own next life. 0 is
	// DefaultGrace.
	Grace time.Duration
	// Heartbeat is the longest time between two signs of life: calls of Beat, or
	// Heartbeat events. One that is late is told to stop, and has exited for
	// ExitTimeout. 0 asks for none.
	Heartbeat time.Duration
	// Ready: it is up when it calls Ready, and not already when it runs. In supervisors
	// that order their children, later siblings wait for that.
	Ready bool
	// Replicas of the component run side by side, each in a goroutine of its own and as
	// a child "1", "2" and so on of this one; Instance tells it which it is. 0 is the
	// component alone.
	Replicas int
	// Component is its work, or a *Supervisor.
	Component Component
}

// Builder puts a Supervisor together. The zero value is not usable; see New.
type Builder struct {
	spec     Spec
	children []Child
	log      chan<- Entry
}

// New begins a supervisor with the seed's defaults: one_for_one, and 5 restarts in
// 60 s after waits of 1 s to 60 s. The name is the first part of every path.
func New(name string) *Builder {
	return &Builder{spec: Spec{Name: name, Strategy: OneForOne, RestartPolicy: DefaultRestartPolicy()}}
}

// WithStrategy says which siblings share a child's fate.
func (b *Builder) WithStrategy(s Strategy) *Builder {
	b.spec.Strategy = s
	return b
}

// WithRestartPolicy sets the budget of restarts and the waits before them.
func (b *Builder) WithRestartPolicy(p RestartPolicy) *Builder {
	b.spec.RestartPolicy = p
	return b
}

// WithRetryAfter starts the whole tree again, so long after its outermost supervisor
// gave up. Without it the supervisor then ends.
func (b *Builder) WithRetryAfter(d time.Duration) *Builder {
	b.spec.RetryAfter = d
	return b
}

// WithLog has events and decisions sent to a channel, for as long as the supervisor
// lives. It never waits for a reader: what does not fit is dropped and counted
// (Entry.Dropped). The channel stays open; it may be closed after Handle.Wait. Only the
// outermost supervisor's counts.
func (b *Builder) WithLog(log chan<- Entry) *Builder {
	b.log = log
	return b
}

// AddChild adds a permanent child: the last one so far in start order.
func (b *Builder) AddChild(id string, c Component) *Builder {
	return b.Add(Child{ID: id, Component: c})
}

// Add adds a child with more than the defaults.
func (b *Builder) Add(c Child) *Builder {
	b.children = append(b.children, c)
	return b
}

// Build checks it all, nested supervisors included. The error names the path of the
// first child that cannot be.
func (b *Builder) Build() (*Supervisor, error) {
	s := &Supervisor{spec: b.spec, log: b.log}
	s.spec.Children = make([]ChildSpec, 0, len(b.children))
	for _, c := range b.children {
		if err := s.add(c); err != nil {
			return nil, err
		}
	}
	if err := s.spec.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// inProcess stands for the program that a worker of the cluster would have.
var inProcess = &Program{Argv: []string{"(in this process)"}}

// Supervisor is a tree of components, checked and ready to start.
type Supervisor struct {
	spec Spec
	// workers are all that have a component, nested ones included, in start order.
	workers []placed
	log     chan<- Entry
	running atomic.Bool
}

// placed is a worker and its path below the supervisor's own.
type placed struct {
	path     string
	instance string // of one of many of its kind
	Child
}

func (s *Supervisor) add(c Child) error {
	path := s.spec.Name + "/" + c.ID
	spec := ChildSpec{ID: c.ID, RestartType: c.RestartType, MaxRestarts: c.MaxRestarts, Replicas: c.Replicas, Significant: c.Significant}
	if spec.RestartType == "" {
		spec.RestartType = Permanent
	}
	nested, isSupervisor := c.Component.(*Supervisor)
	switch {
	case c.Component == nil, isSupervisor && nested == nil:
		return fmt.Errorf("cannot use %s: it has no component", path)
	case c.Grace < 0 || c.Heartbeat < 0:
		return fmt.Errorf("cannot use %s: grace and heartbeat must not be negative", path)
	case isSupervisor && (c.Grace > 0 || c.Heartbeat > 0 || c.Ready):
		return fmt.Errorf("cannot use %s: grace, heartbeat and ready are for its children to have", path)
	case isSupervisor && c.Replicas != 0:
		return fmt.Errorf("cannot use %s: replicas are for its children to have", path)
	case c.Replicas < 0 || c.Replicas > MaxChildren:
		return fmt.Errorf("cannot use %s: replicas must be 0 to %d", path, MaxChildren)
	case isSupervisor && nested.spec.RetryAfter > 0:
		return fmt.Errorf("cannot use %s: only the outermost supervisor can retry", path)
	case isSupervisor:
		spec.Supervisor = &SupervisorSpec{
			Strategy: nested.spec.Strategy, RestartPolicy: nested.spec.RestartPolicy, AutoShutdown: nested.spec.AutoShutdown,
		}
		spec.Children = nested.spec.Children
		for _, w := range nested.workers {
			s.workers = append(s.workers, placed{"/" + c.ID + w.path, w.instance, w.Child})
		}
	default:
		if c.Grace == 0 {
			c.Grace = DefaultGrace
		}
		spec.Program = inProcess
		s.workers = append(s.workers, instancesOf(c)...)
	}
	s.spec.Children = append(s.spec.Children, spec)
	return nil
}

// instancesOf are the goroutines of a child.
func instancesOf(c Child) []placed {
	if c.Replicas == 0 {
		return []placed{{"/" + c.ID, "", c}}
	}
	var all []placed
	for i := range c.Replicas {
		name := strconv.Itoa(i + 1)
		all = append(all, placed{"/" + c.ID + "/" + name, name, c})
	}
	return all
}

// Name is the first part of every path.
func (s *Supervisor) Name() string { return s.spec.Name }

// Spec is the tree as the core knows it; not to be changed.
func (s *Supervisor) Spec() Spec { return s.spec }

// Start starts the children, in their order, and returns at once. When ctx ends they
// are all stopped, last first. Of a Supervisor that runs already it is ErrRefused.
func (s *Supervisor) Start(ctx context.Context) (*Handle, error) {
	if !s.running.CompareAndSwap(false, true) {
		return nil, fmt.Errorf("%w: cannot start %s: it runs already", ErrRefused, s.Name())
	}
	l, err := newLocal(ctx, s)
	if err != nil {
		s.running.Store(false)
		return nil, err
	}
	h := &Handle{local: l}
	h.owner.Go(l.run)
	return h, nil
}

// Run starts the supervisor and waits until it has ended; see Handle.Wait.
func (s *Supervisor) Run(ctx context.Context) error {
	h, err := s.Start(ctx)
	if err != nil {
		return err
	}
	return h.Wait()
}
