package supervisor

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// manyModel is the rule for a flat tree some of whose children have instances, in the
// plainest words. An instance over its budget is a failure of its child, and that one
// over its own is a failure of the tree.
type manyModel struct {
	spec   Spec
	charge map[string][]time.Duration // by account, for ever
	up     map[string]bool            // runs, or is about to
	down   map[string]bool            // children that ended for good, instances and all
	failed bool
}

func newMany(spec Spec) *manyModel {
	m := &manyModel{spec: spec}
	m.start()
	return m
}

func (m *manyModel) start() {
	m.failed, m.charge, m.up, m.down = false, make(map[string][]time.Duration), make(map[string]bool), make(map[string]bool)
	for _, c := range m.spec.Children {
		for _, path := range m.paths(c) {
			m.up[path] = true
		}
	}
}

// paths are those of the processes of a child.
func (m *manyModel) paths(c ChildSpec) []string {
	path := m.spec.Name + "/" + c.ID
	if c.Replicas == 0 {
		return []string{path}
	}
	var all []string
	for i := range c.Replicas {
		all = append(all, path+"/"+strconv.Itoa(i+1))
	}
	return all
}

// spend charges an account and tells whether the budget allowed it.
func (m *manyModel) spend(account string, shared string, c ChildSpec, now time.Duration) bool {
	budget := m.spec.RestartPolicy.MaxRestarts
	if m.spec.RestartPolicy.Scope == ScopeSupervisor {
		account = shared
	} else if c.MaxRestarts != nil {
		budget = *c.MaxRestarts
	}
	used := 0
	for _, at := range m.charge[account] {
		if now-at <= m.spec.RestartPolicy.MaxSeconds {
			used++
		}
	}
	if used >= budget {
		return false
	}
	m.charge[account] = append(m.charge[account], now)
	return true
}

// end says what becomes of whom when a process of the child at pos has ended.
func (m *manyModel) end(pos int, path string, normal bool, now time.Duration) map[string]Verdict {
	c := m.spec.Children[pos]
	child, root := m.spec.Name+"/"+c.ID, m.spec.Name
	switch {
	case c.RestartType != Permanent && normal:
		m.up[path] = false
		return map[string]Verdict{path: VerdictFinish}
	case c.RestartType == Temporary:
		m.up[path] = false
		return map[string]Verdict{path: VerdictFail}
	}
	verdicts := make(map[string]Verdict)
	if c.Replicas > 0 {
		if m.spend(path, child+"/*", c, now) {
			return map[string]Verdict{path: VerdictRestart}
		}
		verdicts[path] = VerdictEscalate
	}
	if !m.spend(child, root+"/*", c, now) {
		m.failed = true
		verdicts[child], verdicts[root] = VerdictEscalate, VerdictFail
		return verdicts
	}
	verdicts[child] = VerdictRestart
	for i := range m.spec.Children {
		if s := m.spec.Strategy; i == pos || s == OneForAll || s == RestForOne && i > pos {
			m.again(m.spec.Children[i], i == pos, verdicts)
		}
	}
	return verdicts
}

// again starts a child anew: all its instances, with empty windows.
func (m *manyModel) again(c ChildSpec, itself bool, verdicts map[string]Verdict) {
	child := m.spec.Name + "/" + c.ID
	if c.Replicas > 0 && c.RestartType == Temporary {
		if !m.down[child] {
			verdicts[child] = VerdictFail
		}
		m.down[child] = true
	}
	if m.down[child] {
		for _, path := range m.paths(c) {
			m.up[path] = false
		}
		return
	}
	if c.Replicas > 0 {
		delete(m.charge, child+"/*")
	}
	for _, path := range m.paths(c) {
		switch {
		case c.Replicas > 0:
			delete(m.charge, path)
			if m.up[path] = true; verdicts[path] != VerdictEscalate {
				verdicts[path] = VerdictRestart
			}
		case itself:
		case c.RestartType != Temporary:
			verdicts[path], m.up[path] = VerdictRestart, true
		case m.up[path]:
			verdicts[path], m.up[path] = VerdictStop, false
		}
	}
}

// TestInstancesReference compares the verdicts of a tree with those of the model.
func TestInstancesReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawMany(rt)
		w, model := newWalk(rt, spec), newMany(spec)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "do") {
			case 0:
				w.now += pauses.Draw(rt, "pause")
			case 1, 2:
				w.obey(allNodes)
			default:
				compareMany(rt, w, model)
			}
		}
	})
}

func drawMany(rt *rapid.T) Spec {
	spec := Spec{Name: "t", Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt)}
	for _, id := range []string{"a", "b", "c"} {
		c := ChildSpec{ID: id, RestartType: restartTypes.Draw(rt, "type"), Program: &Program{Argv: []string{"v1"}}, Replicas: rapid.IntRange(0, 3).Draw(rt, "replicas")}
		if !spec.RestartPolicy.shared() && rapid.Bool().Draw(rt, "override") {
			n := rapid.IntRange(0, 3).Draw(rt, "max_restarts")
			c.MaxRestarts = &n
		}
		spec.Children = append(spec.Children, c)
	}
	return spec
}

// compareMany ends one life, or starts the tree again if it has failed.
func compareMany(rt *rapid.T, w *walk, model *manyModel) {
	if model.failed {
		w.must(Start{Path: "t", By: "ann"})
		model.start()
		return
	}
	pos := rapid.IntRange(0, len(model.spec.Children)-1).Draw(rt, "child")
	path := rapid.SampledFrom(model.paths(model.spec.Children[pos])).Draw(rt, "process")
	if l := w.tree.byPath[path].life; !l.held() || l.Phase == PhaseStopping {
		return
	}
	normal := rapid.IntRange(0, 3).Draw(rt, "normal") == 0
	ev := ChildEvent{Path: path, Epoch: w.tree.byPath[path].life.Epoch, Type: EventExited, Reason: ExitError, Code: 1}
	if normal {
		ev.Reason, ev.Code = ExitNormal, 0
	}
	got := make(map[string]Verdict)
	ds, err := w.step(ev)
	for _, d := range ds {
		if got[d.Path] != VerdictEscalate { // what its supervisor then does is told apart
			got[d.Path] = d.Verdict
		}
	}
	if want := model.end(pos, path, normal, w.now); err != nil || !maps.Equal(got, want) {
		rt.Fatalf("%s ends at %v (normal: %v): %v %v, the model says %v", path, w.now, normal, err, got, want)
	}
	for _, path := range slices.Sorted(maps.Keys(model.up)) {
		l := w.tree.byPath[path].life
		if is := !l.settled() && !(l.Phase == PhaseStopping && l.Then != PhasePending) || l.Phase == PhaseRunning; is != model.up[path] && !model.failed {
			rt.Fatalf("%s is %s, the model says up: %v", path, l.Phase, model.up[path])
		}
	}
}
