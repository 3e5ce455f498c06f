package supervisor

import (
	"errors"
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
	size   map[string]int             // of pools, by path
	failed bool
}

func newMany(spec Spec) *manyModel {
	m := &manyModel{spec: spec, size: make(map[string]int)}
	for _, c := range spec.Children {
		if c.Pool != nil {
			m.size["t/"+c.ID] = c.Pool.Size
		}
	}
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
	if !c.Many() {
		return []string{path}
	}
	var all []string
	for i := range c.Replicas + m.size[path] {
		all = append(all, path+"/"+strconv.Itoa(i+1))
	}
	return all
}

// spend charges an account and tells whether the budget allowed it.
func (m *manyModel) spend(account string, shared string, p RestartPolicy, override *int, now time.Duration) bool {
	budget := p.MaxRestarts
	if p.Scope == ScopeSupervisor {
		account = shared
	} else if override != nil {
		budget = *override
	}
	used := 0
	for _, at := range m.charge[account] {
		if now-at <= p.MaxSeconds {
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
	override := c.MaxRestarts
	if c.Many() {
		p := m.spec.RestartPolicy
		if c.Pool != nil {
			p, override = c.Pool.RestartPolicy, nil
		}
		if m.spend(path, child+"/*", p, c.MaxRestarts, now) {
			return map[string]Verdict{path: VerdictRestart}
		}
		verdicts[path] = VerdictEscalate
	}
	if !m.spend(child, root+"/*", m.spec.RestartPolicy, override, now) {
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
	if c.Many() {
		delete(m.charge, child+"/*")
	}
	for _, path := range m.paths(c) {
		switch {
		case c.Many():
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
			case 3:
				scaleMany(rt, w, model)
			default:
				compareMany(rt, w, model)
			}
		}
	})
}

func drawMany(rt *rapid.T) Spec {
	spec := Spec{Name: "t", Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt)}
	for _, id := range []string{"a", "b", "c"} {
		c := ChildSpec{ID: id, RestartType: restartTypes.Draw(rt, "type"), Program: &Program{Argv: []string{"v1"}}}
		shared := spec.RestartPolicy.shared()
		if rapid.IntRange(0, 2).Draw(rt, "pool") == 0 {
			c.Pool = &Pool{Size: rapid.IntRange(0, 3).Draw(rt, "size"), Max: 3, RestartPolicy: drawPolicy(rt)}
			shared = c.Pool.RestartPolicy.shared()
		} else {
			c.Replicas = rapid.IntRange(0, 3).Draw(rt, "replicas")
		}
		if !shared && rapid.Bool().Draw(rt, "override") {
			n := rapid.IntRange(0, 3).Draw(rt, "max_restarts")
			c.MaxRestarts = &n
		}
		spec.Children = append(spec.Children, c)
	}
	return spec
}

// scaleMany gives a pool another size. One that was going and is wanted again is up, and
// has spent what it had, for it had not gone yet.
func scaleMany(rt *rapid.T, w *walk, model *manyModel) {
	c := model.spec.Children[rapid.IntRange(0, 2).Draw(rt, "scaled")]
	path, size := "t/"+c.ID, rapid.IntRange(0, 4).Draw(rt, "to")
	ds, err := w.step(Scale{Path: path, Size: size, By: "ann"})
	if c.Pool == nil || size > 3 {
		if !errors.Is(err, ErrRefused) {
			rt.Fatalf("scaling %s to %d: %v", path, size, err)
		}
		return
	}
	before := model.paths(c)
	model.size[path] = size
	after := model.paths(c)
	want := make(map[string]Verdict)
	for _, p := range before[min(len(before), size):] {
		want[p] = VerdictRemove
		delete(model.up, p)
		if w.tree.byPath[p] == nil { // it had no life that had to end first
			delete(model.charge, p)
		}
	}
	for _, p := range after[min(len(after), len(before)):] {
		n := w.tree.byPath[p]
		if len(n.history.list()) < 2 || n.window == nil {
			delete(model.charge, p)
		}
		if model.up[p] = !model.failed; model.failed {
			continue
		}
		if want[p] = VerdictStart; n.life.Phase == PhaseStopping {
			want[p] = VerdictRestart
		}
	}
	if size != len(before) {
		want[path] = VerdictScale
	}
	got := make(map[string]Verdict)
	for _, d := range ds {
		got[d.Path] = d.Verdict
	}
	if err != nil || !maps.Equal(got, want) {
		rt.Fatalf("%s is scaled from %d to %d: %v %v, the model says %v", path, len(before), size, err, got, want)
	}
}

// compareMany ends one life, or starts the tree again if it has failed.
func compareMany(rt *rapid.T, w *walk, model *manyModel) {
	if model.failed {
		w.must(Start{Path: "t", By: "ann"})
		model.start()
		return
	}
	pos := rapid.IntRange(0, len(model.spec.Children)-1).Draw(rt, "child")
	if len(model.paths(model.spec.Children[pos])) == 0 {
		return
	}
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
