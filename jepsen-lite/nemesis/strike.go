package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// kind is a Nemesis made of one function.
type kind struct {
	name, line string
	needs      lab.Caps
	target     Target // whom it is done to if nobody says
	uses       uses
	strike     func(ctx context.Context, s *strike) error
	// big faults take the quorum or the whole cluster: mixed leaves them out.
	big bool
}

// Name implements Nemesis.
func (k kind) Name() string { return k.name }

// Line implements Nemesis.
func (k kind) Line() string { return k.line }

// Needs implements Nemesis.
func (k kind) Needs() lab.Caps { return k.needs }

// Inject implements Nemesis.
func (k kind) Inject(ctx context.Context, l lab.Lab, rng *rand.Rand, target Target) (Fault, error) {
	if !l.Can().Has(k.needs) {
		return nil, &lab.Unable{Why: fmt.Sprintf("%s needs %v; the lab can %v", k.name, k.needs, l.Can())}
	}
	if target == Any {
		target = k.target
	}
	s := &strike{lab: l, rng: rng, target: target, traces: Evidence{}, record: Record{Nemesis: k.name}}
	if err := s.aim(ctx); err != nil {
		return nil, err
	}
	s.record.Start = time.Now()
	if err := k.strike(ctx, s); err != nil {
		s.failed = true
		return nil, errors.Join(fmt.Errorf("cannot do %s: %w", k.name, err), s.Heal(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// strike is one fault as it is done, and then the Fault.
type strike struct {
	lab    lab.Lab
	rng    *rand.Rand
	target Target
	all    []lab.Node // that have not left
	nodes  []lab.Node // those it is done to
	leader lab.Node   // nil if nobody leads

	loop loop

	mu     sync.Mutex
	record Record
	traces Evidence
	late   []func(Evidence) // traces that are counted when asked for
	heals  []func(context.Context) error
	healed bool
	failed bool // it could not be done: healing takes back what there is of it
}

// aim chooses the nodes.
func (s *strike) aim(ctx context.Context) error {
	for _, n := range s.lab.Nodes() {
		if !n.Left() {
			s.all = append(s.all, n)
		}
	}
	leader, err := lab.Leader(ctx, s.lab)
	if err == nil {
		s.leader = leader
	}
	n := len(s.all)
	shuffled := slices.Clone(s.all)
	s.rng.Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	switch s.target {
	case Leader:
		if s.leader == nil {
			return fmt.Errorf("cannot strike the leader: %w", err)
		}
		s.nodes = []lab.Node{s.leader}
	case Follower:
		shuffled = slices.DeleteFunc(shuffled, func(n lab.Node) bool { return s.leader != nil && n.Name() == s.leader.Name() })
		s.nodes = shuffled[:min(1, len(shuffled))]
	case Minority:
		s.nodes = shuffled[:1+s.rng.IntN(max(1, (n-1)/2))]
	case Majority:
		s.nodes = shuffled[:n/2+1]
	case All:
		s.nodes = slices.Clone(s.all)
	case One:
		s.nodes = shuffled[:1]
	default:
		return fmt.Errorf("cannot strike %q: there is no such target", s.target)
	}
	if len(s.nodes) == 0 {
		return errors.New("cannot strike: there is no node for it")
	}
	slices.SortFunc(s.nodes, func(a, b lab.Node) int { return strings.Compare(a.Name(), b.Name()) })
	return nil
}

// says describes the fault, with the nodes that it is done to.
func (s *strike) says(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.What = fmt.Sprintf(format, args...)
	s.record.Nodes = namesOf(s.nodes)
	s.record.Traits.Quorum = s.record.Traits.Quorum || len(s.nodes) > (len(s.all)-1)/2
}

func (s *strike) traits(f func(*Traits)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.record.Traits)
}

// effect says what is so for nodes from now until the function it gives is called.
func (s *strike) effect(kind history.EffectKind, nodes []lab.Node) (over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.record.Effects)
	s.record.Effects = append(s.record.Effects, Effect{Kind: kind, Nodes: namesOf(nodes), From: time.Now()})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.record.Effects[i].To = time.Now()
	}
}

// saw counts a trace.
func (s *strike) saw(what string, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traces[what] += n
}

// later counts traces when they are asked for, and for the last time at Heal.
func (s *strike) later(f func(Evidence)) { s.late = append(s.late, f) }

// undo adds a step of healing; steps are done last first.
func (s *strike) undo(f func(context.Context) error) { s.heals = append(s.heals, f) }

// revive lets healing start those of the nodes that are down by then. One that was
// down before is another fault's, which may still be in force when this one could
// not be done.
func (s *strike) revive() {
	down := make(map[string]bool)
	for _, n := range s.nodes {
		_, err := n.Keeper()
		down[n.Name()] = err != nil
	}
	s.undo(func(ctx context.Context) error {
		var errs []error
		for _, n := range s.nodes {
			if s.failed && down[n.Name()] {
				continue
			}
			if _, err := n.Keeper(); err != nil && !n.Left() {
				errs = append(errs, n.Start(ctx))
			}
		}
		return errors.Join(errs...)
	})
}

// Record implements Fault.
func (s *strike) Record() Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.record
	r.Effects = slices.Clone(r.Effects)
	return r
}

// Heal implements Fault. Steps that failed are tried again when it is called
// again.
func (s *strike) Heal(ctx context.Context) error {
	if s.healed {
		return nil
	}
	errs := []error{s.loop.end()}
	s.count()
	for i := len(s.heals) - 1; i >= 0; i-- {
		if err := s.heals[i](ctx); err != nil {
			errs = append(errs, err)
		} else {
			s.heals = slices.Delete(s.heals, i, i+1)
		}
	}
	err := errors.Join(errs...)
	s.healed = err == nil
	s.mu.Lock()
	s.record.End = time.Now()
	s.mu.Unlock()
	return err
}

func (s *strike) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.late {
		f(s.traces)
	}
}

// Evidence implements Fault.
func (s *strike) Evidence() Evidence {
	if !s.healed {
		s.count()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.traces)
}

// loop is a goroutine that does something again and again until the end.
type loop struct {
	quit chan struct{}
	done chan error
}

// start calls step with a channel that is closed at the end, until it says that
// it is over.
func (l *loop) start(step func(quit <-chan struct{}) (more bool, err error)) {
	quit, done := make(chan struct{}), make(chan error, 1)
	l.quit, l.done = quit, done
	go func() {
		for {
			more, err := step(quit)
			if err != nil || !more {
				done <- err
				return
			}
		}
	}()
}

func (l *loop) end() error {
	if l.quit == nil {
		return nil
	}
	close(l.quit)
	l.quit = nil
	return <-l.done
}

// rest waits, and tells whether the end came first.
func rest(quit <-chan struct{}, d time.Duration) (over bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-quit:
		return true
	}
}

func namesOf(nodes []lab.Node) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name()
	}
	return names
}

// list is names as one says them.
func list(nodes []lab.Node) string {
	names := namesOf(nodes)
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// between draws a duration.
func (s *strike) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.rng.Int64N(int64(high-low)+1))
}
