package simtest

import (
	"slices"

	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// applied is a spec and the entry that brought it.
type applied struct {
	index uint64
	spec  supervisor.Spec
}

// specAt gives the spec that a tree had when an entry was applied; ok is false if
// that is not known for sure.
func (c *client) specAt(tree string, index uint64) (spec supervisor.Spec, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.history[tree] {
		if a.index <= index {
			spec, ok = a.spec, true
		}
	}
	return spec, ok && !c.doubt[tree]
}

// edits lists the entries that brought the specs of a tree.
func (c *client) edits(tree string) (indexes []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.history[tree] {
		indexes = append(indexes, a.index)
	}
	return indexes
}

// inOrder: of siblings that were decided on together, none begins while one that
// comes before it is on its way up, or before that one has begun (P4).
func (s *sim) inOrder() (compared int) {
	batches := make(map[string][]simproc.Life)
	var keys []string
	for _, l := range s.procs.Lives() {
		key := parent(l.Path) + "@" + l.Epoch.String()
		if batches[key] == nil {
			keys = append(keys, key)
		}
		batches[key] = append(batches[key], l)
	}
	for _, key := range keys {
		lives := batches[key]
		spec, ok := s.client.specAt(supervisor.TreeName(lives[0].Path), lives[0].Epoch.Index())
		if !ok || strategyOf(spec, parent(lives[0].Path)) == supervisor.OneForOne {
			continue // independent children start side by side
		}
		order := workers(spec)
		slices.SortStableFunc(lives, func(a, b simproc.Life) int {
			return slices.Index(order, a.Path) - slices.Index(order, b.Path)
		})
		for j := 1; j < len(lives); j++ {
			s.follows(&lives[j-1], &lives[j])
			compared++
		}
	}
	return compared
}

// strategyOf gives the strategy of a supervisor, or of the tree itself.
func strategyOf(spec supervisor.Spec, of string) supervisor.Strategy {
	strategy := spec.Strategy
	each(spec.Expand(), func(path string, c *supervisor.ChildSpec) {
		if path == of && c.Supervisor != nil {
			strategy = c.Supervisor.Strategy
		}
	})
	return strategy
}

// follows checks two neighbours of one batch.
func (s *sim) follows(a, b *simproc.Life) {
	switch {
	case a.Path == b.Path || b.Start.IsZero() || b.Alone > 0:
	case a.Begun.After(b.Begun):
		s.failf("P4: %v was begun before its elder sibling %v", b, a)
	case !a.End.IsZero() && !a.End.After(b.Begun): // it came and went
	case a.Up.IsZero() || a.Up.After(b.Begun):
		s.failf("P4: %v was begun before its elder sibling was up: %v", b, a)
	}
}
