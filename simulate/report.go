package simulate

import (
	"math"
	"slices"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// Report is what came of a simulation.
type Report struct {
	Tree    string        `json:"tree"`
	Nodes   int           `json:"nodes"`
	For     time.Duration `json:"for"`
	Assumed Assumed       `json:"assumed"`
	Faults  []spec.Fault  `json:"faults"`
	Events  []Event       `json:"events"`
	// Untold is how many events there were beyond MaxEvents.
	Untold   int       `json:"untold,omitempty"`
	Children []Summary `json:"children"`
	ByFault  []Summary `json:"by_fault"`
	// Lives are the processes, by their beginning; Gaps the times without one.
	Lives []Life `json:"lives"`
	Gaps  []Gap  `json:"gaps"`
}

// EventKind says what an Event is about.
type EventKind string

const (
	KindFault    EventKind = "fault"
	KindLeader   EventKind = "leader"
	KindDecision EventKind = "decision"
	KindNode     EventKind = "node"
	KindTree     EventKind = "tree"
)

// Event is one thing that happened.
type Event struct {
	At      time.Duration      `json:"at"`
	Kind    EventKind          `json:"kind"`
	Fault   int                `json:"fault,omitempty"` // number of a fault, from 1
	Verdict supervisor.Verdict `json:"verdict,omitempty"`
	Path    string             `json:"path,omitempty"`
	Node    string             `json:"node,omitempty"`
	Text    string             `json:"text"`
}

// Summary counts and measures gaps: of one child, or of one fault.
type Summary struct {
	// Of a child: its path, where and in which phase it was at the end, and how often
	// it was restarted and moved.
	Path     string           `json:"path,omitempty"`
	Phase    supervisor.Phase `json:"phase,omitempty"`
	Node     string           `json:"node,omitempty"`
	Restarts int              `json:"restarts,omitempty"`
	Moves    int              `json:"moves,omitempty"`
	// Why it waits for a node at the end, if it does.
	Why string `json:"why,omitempty"`
	// Twice is for how long more than one process of it ran.
	Twice time.Duration `json:"twice,omitempty"`
	// Of a fault: its number, from 1, and how many children had a gap; 0 is what goes
	// back to none.
	Fault    int `json:"fault,omitempty"`
	Children int `json:"children,omitempty"`

	Count  int           `json:"count"`
	Open   int           `json:"open,omitempty"` // gaps that had not ended
	Total  time.Duration `json:"total"`
	Median time.Duration `json:"median"`
	P90    time.Duration `json:"p90"`
	Max    time.Duration `json:"max"`
}

// say tells an event of this moment.
func (w *world) say(e Event) {
	if len(w.report.Events) >= MaxEvents {
		w.report.Untold++
		return
	}
	e.At = w.now
	w.report.Events = append(w.report.Events, e)
}

// tell tells what the last entry decided.
func (w *world) tell() {
	var records []fsm.Record
	w.machine.View(func(v fsm.View) { records, _ = v.Records(w.told.index, w.told.n, math.MaxInt32) })
	for _, r := range records {
		w.told = place{r.Index, r.N}
		e := Event{Kind: EventKind(r.Kind), Node: r.Node, Text: r.Sentence}
		if d := r.Decision; d != nil {
			e.Verdict, e.Path, e.Node = d.Verdict, d.Path, d.Node
			if fault, ok := w.blame[d.Cause.Path]; ok {
				w.blame[d.Path] = fault
			}
		}
		w.say(e)
	}
}

// finish sums up.
func (w *world) finish() Report {
	w.ledger.close(w.now)
	r := w.report
	r.Lives, r.Gaps = w.ledger.lives, w.ledger.gaps
	w.machine.View(func(v fsm.View) {
		for _, path := range Workers(w.cfg.Tree) {
			s := summarise(r.Gaps, func(g Gap) bool { return g.Path == path })
			s.Path, s.Twice = path, w.ledger.twice[path]
			if t := v.Tree(r.Tree); t != nil {
				st, _ := t.Child(path)
				s.Phase, s.Node, s.Restarts, s.Moves = st.Phase, st.Node, st.Restarts, st.Moves
			}
			if waits, ok := cluster.Explain(v, path); ok {
				s.Why = waits.Why
			}
			r.Children = append(r.Children, s)
		}
	})
	for i := range len(r.Faults) + 1 {
		s := summarise(r.Gaps, func(g Gap) bool { return g.Fault == i })
		if s.Fault = i; i > 0 || s.Count > 0 {
			r.ByFault = append(r.ByFault, s)
		}
	}
	return *r
}

// summarise measures the gaps that are meant.
func summarise(gaps []Gap, meant func(Gap) bool) (s Summary) {
	var lengths []time.Duration
	paths := make(map[string]bool)
	for _, g := range gaps {
		if !meant(g) {
			continue
		}
		lengths = append(lengths, g.Length())
		paths[g.Path] = true
		s.Total += g.Length()
		if g.Open {
			s.Open++
		}
	}
	if s.Count, s.Children = len(lengths), len(paths); s.Count == 0 {
		return s
	}
	slices.Sort(lengths)
	s.Median, s.P90, s.Max = quantile(lengths, 50), quantile(lengths, 90), lengths[len(lengths)-1]
	return s
}

// quantile is the least length that q in 100 do not exceed.
func quantile(sorted []time.Duration, q int) time.Duration {
	return sorted[(len(sorted)*q+99)/100-1]
}
