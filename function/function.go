package function

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/supervisor"
)

// Func is the work of a child. It is called once for each life, and never while a call
// for the same child has yet to return on this node. Returning nil is a normal exit, an
// error an abnormal one, and a panic a crash.
//
// It must return soon after ctx is done, since nothing can end a goroutine from outside;
// context.Cause(ctx) says why. One that does not return within the child's grace is
// reported and waited for. An exclusive one that has not returned when the lease of its
// node ends takes the whole program with it: see node.Embed.Fatal.
type Func func(ctx context.Context, life Life) error

// Life is one life of a child, as its function sees it.
type Life struct {
	// Path names the child, and Node the node it runs on, as people call it.
	Path, Node string
	// Fence is the token of this life: of two lives of a child the later has the greater
	// one. Resources that compare it refuse a life that was followed (package fence).
	Fence fence.Token
	// Reason is why it began: initial, crash, group, move, failover:NODE, update,
	// operator or autonomy; Attempt counts the restarts in a row before it.
	Reason  string
	Attempt int
	// Env is what a process would have in its environment besides its node's own: env of
	// the tree file, and SELFWARE_*.
	Env map[string]string

	signs supervisor.Signs
}

// NewLife is for those who call functions: the life has no signs where s has none.
func NewLife(l Life, s supervisor.Signs) Life {
	l.signs = s
	return l
}

// Ready says that the child is up, which one with probe: {notify: true} must. Once is
// enough. supervisor.Ready does the same with the function's context.
func (l Life) Ready() {
	if l.signs.Ready != nil {
		l.signs.Ready()
	}
}

// Heartbeat is a sign of life, which a child with liveness: {heartbeat: …} must give that
// often. supervisor.Beat does the same with the function's context.
func (l Life) Heartbeat() {
	if l.signs.Beat != nil {
		l.signs.Beat()
	}
}

// Epoch is the life's place in the log of the cluster: unique, and greater than that of
// any life of the child before it in the same generation.
func (l Life) Epoch() uint64 { return l.Fence.Epoch }

// Generation is that of the cluster: a restore or a forced recovery begins another.
func (l Life) Generation() uint64 { return l.Fence.Generation }

// MaxFuncs is how many functions a program may register.
const MaxFuncs = 1024

// Registry is the functions of one node. The zero value is empty and ready.
type Registry struct {
	mu    sync.Mutex
	funcs map[string]Func
	hooks []func(name string)
}

// Register adds a function, for as long as the node lives. The cluster learns of it at
// once, and begins to place children with that name here. A name that is not 1 to 64
// letters, digits, '-', '_' and '.', or is taken, and a nil function, are refused.
func (r *Registry) Register(name string, f Func) error {
	if err := supervisor.ValidFunc(name); err != nil {
		return fmt.Errorf("cannot register a function: %w", err)
	}
	if f == nil {
		return fmt.Errorf("cannot register %s: the function is nil", name)
	}
	hooks, err := r.add(name, f)
	for _, hook := range hooks {
		hook(name)
	}
	return err
}

func (r *Registry) add(name string, f Func) ([]func(string), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.funcs[name] != nil:
		return nil, fmt.Errorf("cannot register %s: the name is taken", name)
	case len(r.funcs) >= MaxFuncs:
		return nil, fmt.Errorf("cannot register %s: a program has at most %d functions", name, MaxFuncs)
	case r.funcs == nil:
		r.funcs = make(map[string]Func)
	}
	r.funcs[name] = f
	return slices.Clone(r.hooks), nil
}

// Lookup finds a function; nil if there is none of that name.
func (r *Registry) Lookup(name string) Func {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.funcs[name]
}

// Notify has hook called after each registration from now on, by who registers.
func (r *Registry) Notify(hook func(name string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, hook)
}

// Labels are those of a node with these functions, over its own.
func (r *Registry) Labels(own map[string]string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	labels := maps.Clone(own)
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[supervisor.EmbeddedLabel] = supervisor.LabelYes
	for name := range r.funcs {
		labels[supervisor.FuncLabel(name)] = supervisor.LabelYes
	}
	return labels
}

// ErrNone: the node is no part of a program that could have functions.
var ErrNone = errors.New("this node runs processes, and is not embedded in a program: see node.Start")
