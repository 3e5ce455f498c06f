package simtest

import (
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// batchKey names what was decided at once in a tree.
type batchKey struct {
	tree  string
	epoch supervisor.Epoch
}

// groups is what the event stream tells of who was to end, and to begin, together.
type groups struct {
	batches map[batchKey][]supervisor.Ref // the lives that were to end
	keys    []batchKey
	before  map[supervisor.Ref]supervisor.Ref
	shaken  map[string][]shake
}

// shake is a loss, a return or a new start of a node: ends of lives may have been taken
// for granted.
type shake struct {
	index uint64
	seen  time.Time
}

func newGroups() groups {
	return groups{
		batches: make(map[batchKey][]supervisor.Ref),
		before:  make(map[supervisor.Ref]supervisor.Ref), shaken: make(map[string][]shake),
	}
}

// take notes a decision about a child whose newest life is was.
func (g *groups) take(d *supervisor.Decision, was supervisor.Ref) {
	switch d.Verdict {
	case supervisor.VerdictRestart, supervisor.VerdictMove, supervisor.VerdictStart:
		if next := (supervisor.Ref{Path: d.Path, Epoch: d.Epoch}); next != was {
			g.before[next] = was
		}
		if d.Cause.Kind == supervisor.CauseResume {
			return // its life ended before, alone or with others
		}
	case supervisor.VerdictStop:
	default:
		return
	}
	key := batchKey{supervisor.TreeName(d.Path), d.Stamp.Epoch()}
	if g.batches[key] == nil {
		g.keys = append(g.keys, key)
	}
	g.batches[key] = append(g.batches[key], was)
}

// shake notes a record about a node.
func (g *groups) shake(sentence string, index uint64) {
	words := strings.Fields(sentence) // "node NAME is lost"
	if len(words) > 1 {
		g.shaken[words[1]] = append(g.shaken[words[1]], shake{index, time.Now()})
	}
}

// lastHeld is the life that a child had when it got a new epoch: epochs may pass in
// which it never begins.
func (s *sim) lastHeld(ref supervisor.Ref) (l simproc.Life, ok bool) {
	for range 100 {
		if l, ok = s.procs.Life(ref); ok {
			return l, true
		}
		if ref, ok = s.oracle.groups.before[ref]; !ok {
			break
		}
	}
	return l, false
}

// noticed is how late the oracle may hear of what happened to a node.
const noticed = 30 * time.Second

// over: the life had ended by then, or its node's trouble excuses it.
func (s *sim) over(l *simproc.Life, by time.Time) bool {
	if l.Start.IsZero() || l.Alone > 0 || !l.End.IsZero() && !l.End.After(by) {
		return true
	}
	return slices.ContainsFunc(s.oracle.groups.shaken[l.Node], func(k shake) bool {
		return k.index >= l.Epoch.Index() && k.seen.Before(by.Add(noticed))
	})
}

// stopsInOrder: of siblings that are ended together, an elder one is asked to stop only
// when the younger ones have ended, and none begins anew before all have (P4).
func (s *sim) stopsInOrder() (compared int) {
	g := &s.oracle.groups
	for _, key := range g.keys {
		spec, ok := s.client.specAt(key.tree, key.epoch.Index())
		if members := g.batches[key]; ok && len(members) > 1 && anyGated(spec) {
			compared += s.stopsOf(key, spec, members)
		}
	}
	return compared
}

func (s *sim) stopsOf(key batchKey, spec supervisor.Spec, members []supervisor.Ref) (compared int) {
	order := workers(spec)
	for _, x := range members {
		for _, y := range members {
			at, other := slices.Index(order, x.Path), slices.Index(order, y.Path)
			old, held := s.lastHeld(y)
			if at < 0 || other < 0 || at == other || !held || !gated(strategyOf(spec, above(x.Path, y.Path))) {
				continue
			}
			asked, stopped := s.procs.Life(x)
			if stopped && at < other && s.orderedBy(key, &asked) && !s.edited(key.tree, x.Epoch, asked.Asked) {
				compared++
				if !s.over(&old, asked.Asked) {
					s.failf("P4: %v was asked to stop (%v) before its younger sibling had ended: %v", &asked, asked.Asked, &old)
				}
			}
			next, begun := s.procs.Life(supervisor.Ref{Path: x.Path, Epoch: key.epoch})
			if begun && next.Alone == 0 && !old.Asked.IsZero() && old.Epoch != key.epoch && !s.edited(key.tree, key.epoch, next.Begun) {
				compared++
				if !s.over(&old, next.Begun) {
					s.failf("P4: %v was begun (%v) before its sibling, which was ended with it, had ended: %v", &next, next.Begun, &old)
				}
			}
		}
	}
	return compared
}

// orderedBy: the life was asked to stop after that was decided, and because of it.
func (s *sim) orderedBy(key batchKey, l *simproc.Life) bool {
	return l.Why == "ordered to stop" && l.Asked.After(s.oracle.appliedAt(key.epoch.Index()))
}

// edited: the tree was edited after an epoch, by then. An edit does not make children
// wait for each other that were ending side by side, and nobody waits for those that it
// removes.
func (s *sim) edited(tree string, after supervisor.Epoch, by time.Time) bool {
	for _, at := range s.client.edits(tree) {
		if at > after.Index() && !s.oracle.appliedAt(at).After(by) {
			return true
		}
	}
	return false
}

// above is the supervisor that two children have in common, or the tree.
func above(x, y string) string {
	a, b := strings.Split(x, "/"), strings.Split(y, "/")
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return strings.Join(a[:n], "/")
}

func gated(s supervisor.Strategy) bool {
	return s == supervisor.OneForAll || s == supervisor.RestForOne
}

func anyGated(spec supervisor.Spec) (any bool) {
	any = gated(spec.Strategy)
	each(spec, func(_ string, c *supervisor.ChildSpec) {
		any = any || c.Supervisor != nil && gated(c.Supervisor.Strategy)
	})
	return any
}
