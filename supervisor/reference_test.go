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

// naive is OTP's rule for a flat tree in the plainest words: it keeps every charge
// for ever and counts those in the window each time.
type naive struct {
	spec    Spec
	alive   map[string]bool // runs, or is about to
	over    map[string]bool // has failed for good
	charges map[string][]time.Duration
	failed  bool
	paused  bool
	owed    map[string]bool // ended while it was paused
}

func newNaive(spec Spec) *naive {
	m := &naive{spec: spec}
	m.start()
	return m
}

func (m *naive) path(c ChildSpec) string { return m.spec.Name + "/" + c.ID }

func (m *naive) start() {
	m.owed = make(map[string]bool)
	m.failed, m.alive, m.over, m.charges = false, make(map[string]bool), make(map[string]bool), make(map[string][]time.Duration)
	for _, c := range m.spec.Children {
		m.alive[m.path(c)] = true
	}
}

// word is what a child says of its own end, or else what its exit rules say.
func (m *naive) word(c ChildSpec, ev ChildEvent) Verdict {
	switch ev.Word {
	case VerdictFinish, VerdictFail, VerdictMove, VerdictEscalate:
		return ev.Word
	}
	exit := Exit(strconv.Itoa(ev.Code)) // they end by code here
	switch {
	case c.Exits == nil:
		return ""
	case slices.Contains(c.Exits.FinishOn, exit):
		return VerdictFinish
	case slices.Contains(c.Exits.NeverRestartOn, exit):
		return VerdictFail
	case slices.Contains(c.Exits.MoveOn, exit):
		return VerdictMove
	case slices.Contains(c.Exits.EscalateOn, exit):
		return VerdictEscalate
	}
	return ""
}

// end says what becomes of each child when the one at pos has ended.
func (m *naive) end(pos int, ev ChildEvent, now time.Duration) map[string]Verdict {
	c := m.spec.Children[pos]
	path, word, normal := m.path(c), m.word(m.spec.Children[pos], ev), ev.Code == 0
	switch {
	case word == VerdictEscalate && !m.paused:
		m.failed = true
		return map[string]Verdict{path: VerdictEscalate, m.spec.Name: VerdictFail}
	case word == VerdictFinish:
		return m.gone(c, VerdictFinish)
	case word == VerdictFail:
		m.over[path] = true
		return m.gone(c, VerdictFail)
	case word == "" && c.RestartType != Permanent && normal:
		return m.gone(c, VerdictFinish)
	case c.RestartType == Temporary:
		return m.gone(c, VerdictFail)
	case m.paused:
		m.owed[path] = true
		return map[string]Verdict{path: VerdictWait}
	}
	used, budget, account := 0, m.spec.RestartPolicy.MaxRestarts, path
	if m.spec.RestartPolicy.Scope == ScopeSupervisor {
		account = "" // all of them together
	}
	for _, at := range m.charges[account] {
		if now-at <= m.spec.RestartPolicy.MaxSeconds {
			used++
		}
	}
	if c.MaxRestarts != nil {
		budget = *c.MaxRestarts
	}
	if used+1 > budget {
		m.failed = true
		return map[string]Verdict{path: VerdictEscalate, m.spec.Name: VerdictFail}
	}
	m.charges[account] = append(m.charges[account], now)
	verdicts := m.group(pos)
	if word == VerdictMove {
		verdicts[path] = VerdictMove
	}
	return verdicts
}

func (m *naive) group(pos int) map[string]Verdict {
	verdicts := make(map[string]Verdict)
	for i, c := range m.spec.Children {
		path := m.path(c)
		switch strategy := m.spec.Strategy; {
		case i == pos:
			verdicts[path] = VerdictRestart
		case strategy == OneForOne, strategy == RestForOne && i < pos, m.over[path]:
		case c.RestartType != Temporary:
			verdicts[path], m.alive[path] = VerdictRestart, true
		case m.alive[path]:
			verdicts[path], m.alive[path] = VerdictStop, false
		}
	}
	return verdicts
}

// TestReference compares the verdicts of the tree with those of the naive model.
func TestReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		spec := drawFlat(rt)
		w, model := newWalk(rt, spec), newNaive(spec)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 6).Draw(rt, "do") {
			case 6:
				pauseOrResume(w, model)
			case 0:
				w.now += pauses.Draw(rt, "pause")
			case 1, 2:
				w.obey(allNodes)
			default:
				compare(rt, w, model)
			}
		}
	})
}

func drawFlat(rt *rapid.T) Spec {
	left := 4
	spec := Spec{Name: "t", Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt)}
	spec.Children = drawChildren(rt, spec.RestartPolicy, 4, &left)
	for i := range spec.Children {
		spec.Children[i].MoveAfter, spec.Children[i].Replicas, spec.Children[i].Pool, spec.Children[i].Update, spec.Children[i].EachNode = 0, 0, nil, nil, false
	}
	spec.AutoShutdown = drawSignificance(rt, spec.Children)
	return spec
}

// resume says what becomes of each child when the pause is over: who ended meanwhile
// starts, and takes along whom the strategy says.
func (m *naive) resume() map[string]Verdict {
	verdicts, first := map[string]Verdict{m.spec.Name: VerdictResume}, -1
	for i, c := range m.spec.Children {
		if m.owed[m.path(c)] && first < 0 {
			first = i
		}
	}
	for i, c := range m.spec.Children {
		path := m.path(c)
		switch strategy := m.spec.Strategy; {
		case m.owed[path]:
			verdicts[path] = VerdictStart
		case first < 0, strategy == OneForOne, strategy == RestForOne && i < first, m.over[path]:
		case c.RestartType != Temporary:
			verdicts[path], m.alive[path] = VerdictRestart, true
		case m.alive[path]:
			verdicts[path], m.alive[path] = VerdictStop, false
		}
	}
	m.paused, m.owed = false, make(map[string]bool)
	return verdicts
}

// pauseOrResume pauses the tree when it is at rest, or resumes it.
func pauseOrResume(w *walk, m *naive) {
	w.Helper()
	for did := true; did; {
		did, _ = w.obey(allNodes)
	}
	if !m.paused {
		m.paused = true
		if ds, err := w.step(Pause{Path: "t", By: "ann"}); err != nil || len(ds) != 1 || ds[0].Verdict != VerdictPause {
			w.Fatalf("a pause: %v %+v", err, ds)
		}
		return
	}
	for _, node := range allNodes { // each has told what it did alone: nothing
		if _, err := w.step(Returned{Node: node}); err != nil && !errors.Is(err, ErrStale) {
			w.Fatalf("%v", err)
		}
	}
	got := make(map[string]Verdict)
	ds, err := w.step(Resume{Path: "t", By: "ann"})
	for _, d := range ds {
		got[d.Path] = d.Verdict
		if d.Before != d.After {
			w.Fatalf("a resume charges %+v", d)
		}
	}
	if want := m.resume(); err != nil || !maps.Equal(got, want) {
		w.Fatalf("a resume: %v %v, the model says %v", err, got, want)
	}
}

// compare ends one life, or starts the tree again if it has failed.
func compare(rt *rapid.T, w *walk, model *naive) {
	if model.failed {
		if model.paused {
			pauseOrResume(w, model)
		}
		w.must(Start{Path: "t", By: "ann"})
		model.start()
		return
	}
	pos := rapid.IntRange(0, len(model.spec.Children)-1).Draw(rt, "child")
	path := model.path(model.spec.Children[pos])
	if l := w.tree.byPath[path].life; !l.held() || l.Phase == PhaseStopping {
		return
	}
	ev := ChildEvent{Path: path, Epoch: w.tree.byPath[path].life.Epoch, Type: EventExited, Reason: ExitError}
	if ev.Code = max(0, rapid.IntRange(-1, 5).Draw(rt, "code")); ev.Code == 0 {
		ev.Reason = ExitNormal
	}
	if rapid.IntRange(0, 3).Draw(rt, "speaks") == 0 {
		ev.Word = words.Draw(rt, "word")
	}
	got := make(map[string]Verdict)
	ds, err := w.step(ev)
	for _, d := range ds {
		got[d.Path] = d.Verdict
	}
	if want := model.end(pos, ev, w.now); err != nil || !maps.Equal(got, want) {
		rt.Fatalf("%s ends at %v (%+v): %v %v, the model says %v", path, w.now, ev, err, got, want)
	}
}
