package simtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// settled says what is not yet as it should be at rest; empty: nothing.
func (s *sim) settled() (why string) {
	switch {
	case !s.whole():
		return "the cluster is not whole"
	case !s.client.idle():
		return "a request has no answer"
	}
	if path := s.resumeAll(); path != "" {
		return path + " is paused"
	}
	for _, m := range s.machines {
		if ends := m.procs.Unsettled(); len(ends) > 0 {
			return fmt.Sprintf("the keeper of %s still keeps the ends %v", m.name, ends)
		}
	}
	return s.children()
}

// children says which child is not as it should be at rest; empty: none.
func (s *sim) children() (why string) {
	s.view(func(v fsm.View) {
		running := make(map[string][]string) // path -> "node epoch" of its lives
		for _, l := range s.procs.Running() {
			running[l.Path] = append(running[l.Path], fmt.Sprintf("%s %v up=%v", s.named(l.Node).id, l.Epoch, !l.Start.IsZero()))
		}
		for _, name := range v.TreeNames() {
			t := v.Tree(name)
			if _, waits := t.RetryAt(); waits && why == "" {
				why = name + " waits for its retry"
			}
			if _, moves := t.NextAt(); moves && why == "" {
				why = name + " is being updated"
			}
			for _, c := range t.Children() {
				if c.Supervisor {
					continue
				}
				if w := s.wrong(t, c, running[c.Path]); w != "" && why == "" && waitsFor(v, t, c) == "" {
					why = w
				}
				delete(running, c.Path)
			}
		}
		for path, lives := range running {
			if why == "" {
				why = fmt.Sprintf("%s runs (%v) and no tree names it", path, lives)
			}
		}
	})
	return why
}

// wrong says what is wrong with a worker at rest.
func (s *sim) wrong(t *supervisor.Tree, c supervisor.Status, lives []string) string {
	switch c.Phase {
	case supervisor.PhaseRunning:
		if want := fmt.Sprintf("%s %v up=true", c.Node, c.Epoch); len(lives) != 1 || lives[0] != want {
			return fmt.Sprintf("%s should run once, as %q, but runs as %q", c.Path, want, lives)
		}
	case supervisor.PhaseFinished, supervisor.PhaseFailed, supervisor.PhaseStopped:
		if len(lives) > 0 {
			return fmt.Sprintf("%s is %s but runs as %q", c.Path, c.Phase, lives)
		}
		if c.Phase != supervisor.PhaseStopped && mustRun(t, c.Path) && !s.endedForGood(t, c) {
			return fmt.Sprintf("%s is permanent, its supervisors run, but it is %s", c.Path, c.Phase)
		}
	case supervisor.PhaseAway:
		return fmt.Sprintf("%s waits for its node, and all nodes are there", c.Path)
	default:
		return fmt.Sprintf("%s is still %s", c.Path, c.Phase)
	}
	return ""
}

// mustRun: the child is permanent and no supervisor above it is down.
func mustRun(t *supervisor.Tree, path string) bool {
	permanent := false
	each(t.Shape(), func(p string, c *supervisor.ChildSpec) {
		if p == path {
			permanent = c.RestartType == supervisor.Permanent
		}
	})
	if !permanent || t.Status() == supervisor.TreeFailed || t.Status() == supervisor.TreeStopped || t.Status() == supervisor.TreeFinished {
		return false
	}
	for up := parent(path); strings.Contains(up, "/"); up = parent(up) {
		if c, ok := t.Child(up); ok && (c.Phase == supervisor.PhaseFailed || c.Phase == supervisor.PhaseStopped || c.Phase == supervisor.PhaseFinished) {
			return false
		}
	}
	return true
}

// equal compares the replicas of all machines at the leader's index.
func (s *sim) equal() string {
	l := s.leader()
	if l == nil {
		return "there is no leader"
	}
	index, hash, err := l.p.node.Machine().Hash()
	if err != nil {
		return err.Error()
	}
	voters := l.voters()
	for _, m := range s.up() {
		if !slices.Contains(voters, m.id) {
			continue
		}
		i, h, err := m.p.node.Machine().Hash()
		if err != nil || i != index {
			return fmt.Sprintf("%s is at %d and %s at %d (%v)", m.name, i, l.name, index, err)
		}
		if h != hash {
			s.failf("P9: at index %d, %s and %s differ", index, m.name, l.name)
		}
	}
	return ""
}

// promised checks what was acknowledged to the user, and what must never have
// happened.
func (s *sim) promised() {
	c := s.client
	c.mu.Lock()
	specs, stopped := c.specs, c.stopped
	shapes := make(map[string]supervisor.Spec)
	for name := range specs {
		shapes[name] = c.shape(name)
	}
	c.mu.Unlock()
	s.view(func(v fsm.View) {
		for _, name := range v.TreeNames() {
			if _, ok := specs[name]; !ok {
				s.failf("P2: tree %s was deleted, or never applied, and is there", name)
			}
		}
		for name, spec := range specs {
			t := v.Tree(name)
			switch {
			case t == nil:
				s.failf("P2: tree %s was applied and is not there", name)
				continue
			case fmt.Sprintf("%+v", plain(t.Spec())) != fmt.Sprintf("%+v", plain(spec)):
				s.failf("P2: tree %s has another spec than was applied last", name)
			}
			s.sameInstances(t, shapes[name])
			for _, path := range workers(shapes[name]) {
				if st, ok := t.Child(path); stopped[path] && (!ok || st.Phase != supervisor.PhaseStopped) {
					s.failf("P11: %s was stopped and is %s", path, st.Phase)
				}
			}
		}
	})
	s.heeded()
	if lives := s.procs.Repeats(); len(lives) > 0 {
		s.failf("P1: an epoch was begun twice: %v", &lives[0])
	}
	if both := s.procs.Overlaps(false); len(both) > 0 {
		s.failf("two lives of a child on one node: %s", both[0])
	}
}

// alone: of an exclusive child, one life runs at a time (P13).
func (s *sim) alone() (longest time.Duration) {
	for _, o := range s.procs.Doubles() {
		if !o.Thawed || o.For >= simproc.Thaw {
			s.failf("P13: two lives of an exclusive child %v", o)
		}
		longest = max(longest, o.For)
	}
	return longest
}

// plain gives a spec as text without pointers.
func plain(spec supervisor.Spec) (out []string) {
	out = append(out, fmt.Sprint(spec.Name, spec.Strategy, spec.RestartPolicy, spec.RetryAfter, spec.Exclusive, spec.After))
	each(spec, func(path string, c *supervisor.ChildSpec) {
		limit := -1
		if c.MaxRestarts != nil {
			limit = *c.MaxRestarts
		}
		out = append(out, fmt.Sprint(path, c.RestartType, limit, c.MoveAfter, c.Supervisor != nil, c.Placement.ApartFrom, c.Placement.Nodes, c.Exclusive, c.Replicas, c.Placement.Instances, c.Exits.Lists(), c.Pool != nil, c.EachNode, c.Significant, autoOf(spec, parent(path))))
	})
	return out
}

// rests waits until everything is as it should be and the replicas are equal.
func (s *sim) rests(limit time.Duration) time.Duration {
	s.t.Helper()
	why := ""
	began := time.Now()
	start := began
	for {
		s.oracle.look()
		s.operate()
		if s.rolling() && time.Since(began) < longestRollout { // the limit is for what comes after
			start = time.Now()
		}
		if why = s.settled(); why == "" {
			why = s.equal()
		}
		if why == "" {
			return time.Since(began)
		}
		if time.Since(start) > limit {
			s.failf("not at rest within %v: %s", limit, why)
			s.t.Fatalf("seed %d: not at rest within %v: %s\n%s", s.opt.seed, limit, why, s.picture())
		}
		time.Sleep(50 * time.Millisecond)
	}
}
