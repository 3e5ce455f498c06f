package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// act is what a component does in one life.
type act struct {
	up    time.Duration // when it says that it is ready; negative: never
	after time.Duration // when it ends by itself; negative: never
	how   string        // nil, error, panic, goexit, or a verdict
	deaf  time.Duration // how long it goes on after it was told to stop
}

// deed is what is done to the tree from outside.
type deed struct {
	pause time.Duration
	what  string // crash, exit, start, stop, restart
	path  string
}

// story is a tree, what its components do in their lives, one after the other and
// again, and what is done to it.
type story struct {
	spec    Spec
	acts    map[string][]act
	grace   time.Duration
	deeds   []deed
	cancels bool // ends by its context, else by Stop
}

var spans = rapid.SampledFrom([]time.Duration{0, time.Second, 2 * time.Second, 2500 * time.Millisecond, 7 * time.Second})

func drawStory(rt *rapid.T) story {
	s := story{
		spec: drawSpec(rt), acts: make(map[string][]act),
		grace: spans.Draw(rt, "grace"), cancels: rapid.Bool().Draw(rt, "cancels"),
	}
	s.spec.RetryAfter = rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "retry")
	s.cast(rt, s.spec.Name, s.spec.Children)
	paths := append(slices.Sorted(maps.Keys(s.acts)), slices.Sorted(maps.Keys(supervisors(s.spec)))...)
	for range rapid.IntRange(0, 15).Draw(rt, "deeds") {
		s.deeds = append(s.deeds, deed{
			spans.Draw(rt, "pause"),
			rapid.SampledFrom([]string{"crash", "crash", "exit", "start", "stop", "restart"}).Draw(rt, "what"),
			rapid.SampledFrom(paths).Draw(rt, "path"),
		})
	}
	return s
}

// cast gives every worker its part.
func (s *story) cast(rt *rapid.T, parent string, children []ChildSpec) {
	for _, c := range children {
		path := parent + "/" + c.ID
		if c.Supervisor != nil {
			s.cast(rt, path, c.Children)
		} else {
			s.acts[path] = rapid.SliceOfN(rapid.Custom(drawAct), 1, 4).Draw(rt, "acts")
		}
	}
}

func drawAct(rt *rapid.T) act {
	maybe := rapid.OneOf(spans, rapid.Just(-time.Second))
	return act{
		up: rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, -1}).Draw(rt, "up"), after: maybe.Draw(rt, "after"),
		how:  rapid.SampledFrom([]string{"nil", "error", "error", "error", "panic", "goexit", "finish", "fail", "escalate"}).Draw(rt, "how"),
		deaf: rapid.OneOf(rapid.Just(time.Duration(0)), spans).Draw(rt, "deaf"),
	}
}

// begun is one start or return of a component, as it happened.
type begun struct {
	Ref
	at time.Duration
}

// due is one start as it was ordered, for a time.
type due struct {
	begun
	ordered time.Duration
}

// witness watches what runs, and what the tree ordered.
type witness struct {
	mu      sync.Mutex
	l       *local
	story   story
	lives   map[string]int // how often it began
	running map[string]int // how many goroutines are in Run
	starts  []begun
	returns []begun
	faults  []string

	// Of a second tree, that is given the same and asked for all its orders each time.
	twin    *Tree
	ordered []due
	given   map[Ref]bool
	revoked map[Ref]time.Duration // when an ordered life was to stop, or over
}

func (w *witness) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// component acts the child's part.
func (w *witness) component(path string) Component {
	return ComponentFunc(func(ctx context.Context) error {
		ref := Ref{path, ctx.Value(lifeKey{}).(*localLife).epoch}
		a := w.enter(ref)
		defer w.leave(ref)
		switch {
		case a.up == 0:
			Ready(ctx)
		case a.up > 0:
			defer time.AfterFunc(a.up, func() { Ready(ctx) }).Stop()
		}
		var end <-chan time.Time
		if a.after >= 0 {
			end = time.After(a.after)
		}
		select {
		case <-ctx.Done():
			time.Sleep(a.deaf)
		case <-end:
		}
		switch a.how {
		case "error":
			return errBroken
		case "finish":
			return Finish(nil)
		case "fail":
			return DoNotRestart(errBroken)
		case "escalate":
			return Escalate(errBroken)
		case "panic":
			panic("boom")
		case "goexit":
			runtime.Goexit()
		}
		return nil
	})
}

func (w *witness) enter(ref Ref) act {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starts = append(w.starts, begun{ref, w.l.now()})
	if w.running[ref.Path]++; w.running[ref.Path] > 1 {
		w.fault("%s runs twice", ref.Path)
	}
	acts := w.story.acts[ref.Path]
	w.lives[ref.Path]++
	return acts[(w.lives[ref.Path]-1)%len(acts)]
}

func (w *witness) leave(ref Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running[ref.Path]--
	w.returns = append(w.returns, begun{ref, w.l.now()})
}

// step is the tree's, watched: the twin must conclude the same, and what it orders is
// written down.
func (w *witness) step(in Input, at Stamp) ([]Decision, error) {
	ds, err := w.l.tree.Step(in, at)
	w.mu.Lock()
	defer w.mu.Unlock()
	same, sameErr := w.twin.Step(in, at)
	if fmt.Sprint(ds, err) != fmt.Sprint(same, sameErr) {
		w.fault("%+v: %v, %v and not %v, %v", in, ds, err, same, sameErr)
	}
	w.levels(at.Time)
	return ds, err
}

// levels compares all the twin's orders with those before.
func (w *witness) levels(now time.Duration) {
	run := make(map[Ref]bool)
	for _, o := range w.twin.Orders(LocalNode) {
		if s, _ := w.twin.Child(o.Path); o.Action != Run || s.Phase == PhaseStopping {
			continue
		}
		run[o.Ref] = true
		if !w.given[o.Ref] {
			w.given[o.Ref] = true
			w.ordered = append(w.ordered, due{begun{o.Ref, max(now, o.NotBefore)}, now})
		}
	}
	for ref := range w.given {
		if _, known := w.revoked[ref]; !known && !run[ref] {
			w.revoked[ref] = now
		}
	}
}

// build makes the story's supervisor of a spec.
func (w *witness) build(name string, is SupervisorSpec, children []ChildSpec, path string) (*Supervisor, error) {
	b := New(name).WithStrategy(is.Strategy).WithRestartPolicy(is.RestartPolicy).WithAutoShutdown(is.AutoShutdown)
	if path == name {
		b.WithRetryAfter(w.story.spec.RetryAfter)
	}
	for _, c := range children {
		child := Child{ID: c.ID, RestartType: c.RestartType, MaxRestarts: c.MaxRestarts, Significant: c.Significant}
		below := path + "/" + c.ID
		if c.Supervisor != nil {
			nested, err := w.build(c.ID, *c.Supervisor, c.Children, below)
			if err != nil {
				return nil, err
			}
			child.Component = nested
		} else {
			child.Ready, child.Grace, child.Component = true, max(1, w.story.grace), w.component(below)
		}
		b.Add(child)
	}
	return b.Build()
}

// live runs the story in a bubble, until nothing of it runs any more.
func (w *witness) live(ctx context.Context) error {
	spec := w.story.spec
	s, err := w.build(spec.Name, SupervisorSpec{Strategy: spec.Strategy, RestartPolicy: spec.RestartPolicy, AutoShutdown: spec.AutoShutdown}, spec.Children, spec.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.l, err = newLocal(ctx, s); err != nil {
		return err
	}
	if w.twin, err = NewTree(s.spec); err != nil {
		return err
	}
	w.l.decide = w.step
	h := &Handle{local: w.l}
	h.owner.Go(w.l.run)
	for _, d := range w.story.deeds {
		time.Sleep(d.pause)
		do(h, d)
	}
	if w.story.cancels {
		cancel()
	} else if err := h.Stop(ctx); err != nil && !errors.Is(err, ErrExhausted) {
		return err
	}
	if err := h.Wait(); err != nil && !errors.Is(err, ErrExhausted) {
		return err
	}
	if alive := h.Alive(); len(alive) > 0 {
		return fmt.Errorf("still alive: %v", alive)
	}
	return nil
}

// do does a deed; that it may be refused is part of the story.
func do(h *Handle, d deed) {
	switch d.what {
	case "crash":
		_ = h.Send(Crashed(d.path, nil))
	case "exit":
		_ = h.Send(Exited(d.path, ExitNormal))
	case "start":
		_, _ = h.Do(Start{Path: d.path, By: "test"})
	case "stop":
		_, _ = h.Do(Stop{Path: d.path, By: "test"})
	case "restart":
		_, _ = h.Do(Restart{Path: d.path, By: "test"})
	}
}

// judge compares what began with what was ordered.
func (w *witness) judge() {
	began := make(map[Ref]time.Duration)
	for _, s := range w.starts {
		if _, twice := began[s.Ref]; twice {
			w.fault("%v began twice", s.Ref)
		}
		if began[s.Ref] = s.at; !w.given[s.Ref] {
			w.fault("%v began unordered", s.Ref)
		}
	}
	prompt := make(map[Ref]bool) // began when it was ordered
	var ordered []begun
	for _, o := range w.ordered {
		at, did := began[o.Ref]
		over, revoked := w.revoked[o.Ref]
		switch free := w.free(o.begun); {
		case !did && (!revoked || over > free):
			w.fault("%v was ordered for %v and never began", o.Ref, free)
		case did && revoked && over < at:
			w.fault("%v began at %v, and was no longer ordered at %v", o.Ref, at, over)
		case did && at != free:
			w.fault("%v began at %v, not at %v", o.Ref, at, free)
		case did && at == o.ordered:
			prompt[o.Ref] = true
			ordered = append(ordered, o.begun)
		}
	}
	starts := slices.DeleteFunc(slices.Clone(w.starts), func(s begun) bool { return !prompt[s.Ref] })
	for path, strategy := range supervisors(w.story.spec) {
		for e := range w.given {
			did, should := below(starts, path, e.Epoch), below(ordered, path, e.Epoch)
			if strategy.gated() && !slices.Equal(did, should) {
				w.fault("%s: began %v, ordered %v", path, did, should)
			}
		}
	}
}

// free is when an ordered life can begin: when it is time, and those before it have
// returned.
func (w *witness) free(o begun) time.Duration {
	at := o.at
	for _, r := range w.returns {
		if r.Path == o.Path && r.Epoch < o.Epoch {
			at = max(at, r.at)
		}
	}
	return at
}

// below lists the lives of a supervisor's own workers that were decided on together.
func below(all []begun, path string, batch Epoch) (refs []Ref) {
	for _, s := range all {
		if s.Epoch == batch && s.Path[:strings.LastIndexByte(s.Path, '/')] == path {
			refs = append(refs, s.Ref)
		}
	}
	return refs
}

func supervisors(s Spec) map[string]Strategy {
	all := map[string]Strategy{s.Name: s.Strategy}
	var visit func(path string, children []ChildSpec)
	visit = func(path string, children []ChildSpec) {
		for _, c := range children {
			if c.Supervisor != nil {
				all[path+"/"+c.ID] = c.Supervisor.Strategy
				visit(path+"/"+c.ID, c.Children)
			}
		}
	}
	visit(s.Name, s.Children)
	return all
}

// TestLocalProperties: whatever the tree and its components, no child runs twice at
// once, what the tree orders begins, once, as soon as it can and in that order, and
// nothing else does; and it all ends.
func TestLocalProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &witness{
			story: drawStory(rt), lives: make(map[string]int), running: make(map[string]int),
			given: make(map[Ref]bool), revoked: make(map[Ref]time.Duration),
		}
		var err error
		synctest.Test(t, func(t *testing.T) { err = w.live(t.Context()) })
		if err != nil {
			rt.Fatal(err)
		}
		if w.judge(); len(w.faults) > 0 {
			rt.Fatal(strings.Join(w.faults, "\n"))
		}
	})
}
