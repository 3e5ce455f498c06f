package supervisor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plain is a rollout in the plainest words, for permanent workers of one
// one_for_one supervisor: which version each has, who waits, who has a turn. It is
// told what happens, and looks at the tree for nothing but who runs.
type plain struct {
	policy  UpdatePolicy
	order   []string
	version map[string]string
	target  map[string]string
	base    map[string]string
	waits   map[string]bool
	tries   map[string]bool
	up      map[string]life // running, since Since
	phase   RolloutPhase    // or none
}

func newPlain(w *walk, p UpdatePolicy) *plain {
	m := &plain{policy: p, waits: map[string]bool{}, tries: map[string]bool{}, up: map[string]life{}}
	m.aim(w.tree.Spec())
	m.version = maps.Clone(m.target)
	return m
}

// aim makes a spec the one that all children are to have.
func (m *plain) aim(s Spec) {
	m.order, m.target = nil, make(map[string]string)
	for _, c := range s.Children {
		path := s.Name + "/" + c.ID
		m.order = append(m.order, path)
		m.target[path] = c.Program.Argv[0]
	}
}

func (m *plain) active() bool { return m.phase != "" && m.phase != RolloutReverted }

func (m *plain) moving() bool { return m.phase == RolloutUpdating || m.phase == RolloutReverting }

func (m *plain) stood(path string, now time.Duration) bool {
	l, up := m.up[path]
	return up && now-l.Since >= m.policy.MinReady
}

// due: there is something to do for an Advance.
func (m *plain) due(now time.Duration) bool {
	for path := range m.tries {
		if m.stood(path, now) {
			return m.moving()
		}
	}
	room := len(m.tries) < m.policy.Parallel && len(m.waits) > 0
	return m.moving() && (room || len(m.tries)+len(m.waits) == 0)
}

// take follows an input that the tree took.
func (m *plain) take(in Input, now time.Duration) {
	switch in := in.(type) {
	case Edit:
		if !m.active() || m.base == nil {
			m.base = m.target
		}
		m.aim(in.Spec)
		m.phase = RolloutUpdating
		m.spread("")
		m.step(now)
	case Advance:
		m.step(now)
	case Rollout:
		switch in.Verb {
		case RolloutPause:
			m.phase = RolloutHalted
		case RolloutResume:
			m.phase = RolloutUpdating
		case RolloutRevert:
			m.revert("", now)
		}
	case ChildEvent:
		if in.Type == EventExited && !in.Ordered && m.tries[in.Path] && m.moving() {
			m.failure(in.Path, now)
		}
	}
}

func (m *plain) failure(path string, now time.Duration) {
	switch {
	case m.stood(path, now):
		delete(m.tries, path)
	case m.phase == RolloutReverting:
	case m.policy.AutoRevert:
		m.revert(path, now)
	default:
		m.phase = RolloutHalted
	}
}

func (m *plain) revert(failed string, now time.Duration) {
	m.target, m.base, m.phase = m.base, nil, RolloutReverting
	m.spread(failed)
	m.step(now)
}

// spread sees who has to change: at once if it has its turn, later otherwise.
func (m *plain) spread(failed string) {
	clear(m.waits)
	for _, path := range m.order {
		switch {
		case m.version[path] == m.target[path] && path != failed:
		case m.tries[path]:
			m.begin(path)
		default:
			m.waits[path] = true
		}
	}
}

func (m *plain) begin(path string) {
	m.version[path], m.tries[path] = m.target[path], true
	delete(m.waits, path)
	delete(m.up, path)
}

func (m *plain) step(now time.Duration) {
	for path := range m.tries {
		if m.stood(path, now) {
			delete(m.tries, path)
		}
	}
	for _, path := range m.order {
		if m.waits[path] && len(m.tries) < m.policy.Parallel {
			m.begin(path)
		}
	}
	switch {
	case len(m.tries)+len(m.waits) > 0:
	case m.phase == RolloutReverting:
		m.phase = RolloutReverted
	default:
		m.phase = ""
	}
}

// look sees who runs.
func (m *plain) look(t *Tree) {
	for _, path := range m.order {
		l, was := t.byPath[path].life, m.up[path]
		switch {
		case l.Phase != PhaseRunning:
			delete(m.up, path)
		case was.Epoch != l.Epoch:
			m.up[path] = life{Epoch: l.Epoch, Since: t.at.Time}
		}
	}
}

// compare holds the tree against the model.
func (m *plain) compare(w *walk) {
	w.Helper()
	phase := RolloutPhase("")
	if r, ok := w.tree.Rollout(); ok {
		phase = r.Phase
	}
	if phase != m.phase {
		w.Fatalf("the rollout is %q, the model says %q", phase, m.phase)
	}
	for _, path := range m.order {
		n := w.tree.byPath[path]
		_, o, _ := w.tree.Order(path)
		if got := n.spec.Program.Argv[0]; got != m.version[path] || o.Program != nil && o.Program.Argv[0] != got {
			w.Fatalf("%s has %s, the model says %s", path, got, m.version[path])
		}
		if (n.next != nil) != m.waits[path] || (n.watch != nil) != m.tries[path] {
			w.Fatalf("%s waits: %v, has its turn: %v; the model says %v, %v", path, n.next != nil, n.watch != nil, m.waits[path], m.tries[path])
		}
	}
	if len(m.tries) > m.policy.Parallel {
		w.Fatalf("%d children have a turn, %d may", len(m.tries), m.policy.Parallel)
	}
}

// TestRolloutReference: whatever happens during a rollout, each child has the version
// that the plain model says, and in the end all have the new one, or all the former.
func TestRolloutReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawRolling(rt)
		w := newWalk(rt, spec)
		w.heal()
		m := newPlain(w, *spec.Update)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			m.follow(w, func() error { return stepRolling(rt, w, m) })
		}
		if m.phase == RolloutHalted {
			word := rapid.SampledFrom([]RolloutVerb{RolloutResume, RolloutRevert}).Draw(rt, "word")
			m.follow(w, func() error { _, err := w.step(Rollout{Path: "t", Verb: word, By: "ann"}); return err })
		}
		for did, bound := true, 400; did; bound-- {
			if bound == 0 {
				rt.Fatalf("the rollout does not end: %+v", w.tree.Children())
			}
			m.follow(w, func() error { did, _ = w.obey(allNodes); return nil })
		}
		if m.active() || !maps.Equal(m.version, m.target) {
			rt.Fatalf("in the end the rollout is %q, with %v of %v", m.phase, m.version, m.target)
		}
	})
}

// follow lets something happen, and the model follow it.
func (m *plain) follow(w *walk, do func() error) {
	w.Helper()
	from, due := len(w.log), m.due(w.now)
	err := do()
	for _, e := range w.log[from:] {
		if _, advance := e.in.(Advance); advance && (err == nil) != m.due(e.at.Time) {
			w.Fatalf("Advance: %v; the model says %v (%v before)", err, m.due(e.at.Time), due)
		}
		if err == nil {
			m.take(e.in, e.at.Time)
			m.look(w.tree)
		}
	}
	m.compare(w)
}

func drawRolling(rt *rapid.T) Spec {
	spec := Spec{
		Name: "t", Strategy: OneForOne, RestartPolicy: RestartPolicy{MaxRestarts: MaxRestarts, MaxSeconds: time.Hour},
		Update: &UpdatePolicy{
			Parallel: rapid.IntRange(1, 3).Draw(rt, "parallel"), Deadline: MaxUpdateWait, AutoRevert: rapid.Bool().Draw(rt, "auto_revert"),
			MinReady: rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second}).Draw(rt, "min_ready"),
		},
	}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		spec.Children = append(spec.Children, ChildSpec{ID: id, RestartType: Permanent, Program: &Program{Argv: []string{"v1"}}})
	}
	return spec
}

// stepRolling does one thing that may happen during a rollout.
func stepRolling(rt *rapid.T, w *walk, m *plain) error {
	var in Input
	switch rapid.IntRange(0, 10).Draw(rt, "do") {
	case 0:
		w.now += pauses.Draw(rt, "pause")
		return nil
	case 1:
		in = editRolling(rt, w)
	case 2:
		in = Advance{}
	case 3:
		in = Rollout{Path: "t", Verb: rapid.SampledFrom([]RolloutVerb{RolloutPause, RolloutResume, RolloutResume, RolloutRevert}).Draw(rt, "word"), By: "ann"}
	case 4:
		in = NodeLost{Node: anyNode.Draw(rt, "node"), Reason: "silent"}
	case 5:
		in = Restart{Path: rapid.SampledFrom(m.order).Draw(rt, "child"), By: "ann"}
	case 6:
		path := rapid.SampledFrom(m.order).Draw(rt, "child")
		if l := w.tree.byPath[path].life; l.held() && l.Phase != PhaseStopping {
			in = ChildEvent{Path: path, Epoch: l.Epoch, Type: EventExited, Reason: ExitError, Code: 1}
			break
		}
		return nil
	default:
		_, _ = w.obey(allNodes)
		return nil
	}
	_, err := w.step(in)
	if err != nil && !errors.Is(err, ErrStale) && !errors.Is(err, ErrRefused) {
		rt.Fatalf("%+v: %v", in, err)
	}
	return err
}

func editRolling(rt *rapid.T, w *walk) Edit {
	spec := w.tree.Spec()
	spec.Children = slices.Clone(spec.Children)
	for i := range spec.Children {
		if v := rapid.IntRange(0, 3).Draw(rt, "version"); v > 0 {
			spec.Children[i].Program = &Program{Argv: []string{fmt.Sprint("v", v)}}
		}
	}
	return Edit{Spec: spec, By: "ann", Members: cluster(allNodes...)}
}
