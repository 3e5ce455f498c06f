package simproc

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/supervisor"
)

// Script says how the lives of one path behave. The zero value is a program
// that starts at once, runs until it is stopped, and then ends at once.
type Script struct {
	// Latency is the time from Start to executing.
	Latency time.Duration
	// UpAfter is the time from executing to being up; for a program with a
	// MinUptime the longer of the two counts.
	UpAfter time.Duration
	// Fail, if set, makes every start fail with these words after Latency.
	Fail string
	// Crashes makes the first lives of the path, wherever they run, exit with
	// code 1 after CrashAfter.
	Crashes    int
	CrashAfter time.Duration
	// Exit makes each further life exit with Code or Signal after ExitAfter.
	Exit      bool
	ExitAfter time.Duration
	Code      int
	Signal    string
	// Word is what those that Exit say just before (X_SELFWARE=).
	Word string
	// Asks has each life ask to be moved, so long after it executes; 0: none does.
	Asks time.Duration
	// StopTime is the time from the stop signal to the end; beyond the
	// program's grace it is killed. Hang never ends by the stop signal.
	StopTime time.Duration
	Hang     bool
}

// Bad, among the arguments of a program, makes it exit with code 1 after badFor, whatever
// the script of its path: a bad version.
const Bad = "bad"

const badFor = 800 * time.Millisecond

// Life is one life in the World's log.
type Life struct {
	supervisor.Ref
	Node      string
	Argv      []string
	Env       []string
	Exclusive bool
	Alone     int       // how often its node had restarted it alone
	Begun     time.Time // when the agent asked for it
	Start     time.Time // when it executed; zero: never
	Up        time.Time // when its start was confirmed; zero: never
	Asked     time.Time // when it was first asked to stop; zero: never
	Why       string    // it was asked to
	End       time.Time // zero: it runs
	How       string    // how it ended
	Exit      string    // its exit code, or the signal that ended it; empty: neither
	Word      string    // what it said last
	// Forgotten: the keeper that knew how it ended, or ended it with itself, is dead, and
	// no agent had settled it.
	Forgotten bool
}

func (l *Life) String() string {
	return fmt.Sprintf("%s@%v on %s from %v to %v: %s", l.Path, l.Epoch, l.Node, l.Start, l.End, l.How)
}

// World is the scripts and the lives of all nodes of a test.
type World struct {
	mu        sync.Mutex
	scripts   map[string]Script
	otherwise Script
	begun     map[string]int // lives by path
	lives     []*Life
	pid       int
	byRef     map[supervisor.Ref]*Life
	freezes   map[string][]span // of machines
	counts    Counts
}

// Counts are what keepers did besides starting and stopping.
type Counts struct {
	Fenced  int // exclusive lives that ran into their deadline
	Adopted int // lives that a new agent found
	Retold  int // ends that a new agent was told of
}

// Counts gives the counts so far.
func (w *World) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

func (w *World) count(add func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	add(&w.counts)
}

// NewWorld returns a world without lives, in which every program has the zero Script.
func NewWorld() *World {
	return &World{scripts: make(map[string]Script), begun: make(map[string]int),
		freezes: make(map[string][]span), byRef: make(map[supervisor.Ref]*Life)}
}

// Script sets how further lives of path behave.
func (w *World) Script(path string, s Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scripts[path] = s
}

// Otherwise sets how lives of paths without a script behave.
func (w *World) Otherwise(s Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.otherwise = s
}

// Lives is the log: every life that was ever asked for, in that order.
func (w *World) Lives() []Life {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]Life, len(w.lives))
	for i, l := range w.lives {
		out[i] = *l
	}
	return out
}

// Life gives the newest life of that epoch; ok is false if none was ever asked for.
func (w *World) Life(ref supervisor.Ref) (l Life, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if found := w.byRef[ref]; found != nil {
		return *found, true
	}
	return l, false
}

// Running lists the lives that have not ended, in the order they were asked for.
func (w *World) Running() []Life {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Life
	for _, l := range w.lives {
		if l.End.IsZero() {
			out = append(out, *l)
		}
	}
	return out
}

// Repeats lists the lives whose epoch was begun more than once. The node that began
// it may begin it again alone, and counts how often.
func (w *World) Repeats() []Life {
	seen := make(map[supervisor.Ref]Life)
	var out []Life
	for _, l := range w.Lives() {
		if last, ok := seen[l.Ref]; ok && (last.Node != l.Node || l.Alone != last.Alone+1) || !ok && l.Alone != 0 {
			out = append(out, l)
		}
		seen[l.Ref] = l
	}
	return out
}

// Overlaps lists the pairs of lives of one path that ran at the same time:
// on one node, or on any two if anywhere is set.
func (w *World) Overlaps(anywhere bool) []string {
	var out []string
	byPath := make(map[string][]Life)
	for _, l := range w.Lives() {
		for _, m := range byPath[l.Path] {
			if (anywhere || l.Node == m.Node) && overlap(&l, &m) {
				out = append(out, m.String()+" and "+l.String())
			}
		}
		byPath[l.Path] = append(byPath[l.Path], l)
	}
	return out
}

func overlap(a, b *Life) bool {
	endsBefore := func(x, y *Life) bool { return !x.End.IsZero() && !x.End.After(y.Begun) }
	return !endsBefore(a, b) && !endsBefore(b, a)
}

// begin logs a new life and returns its script: its own copy, with the crash
// that is its turn already in it.
func (w *World) begin(node string, launch agent.Launch) (*Life, Script, int) {
	ref := launch.Ref
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.scripts[ref.Path]
	if !ok {
		s = w.otherwise
	}
	if slices.Contains(launch.Program.Argv, Bad) {
		s.Exit, s.ExitAfter, s.Code, s.Signal = true, badFor, 1, ""
	}
	if w.begun[ref.Path] < s.Crashes {
		s.Exit, s.ExitAfter, s.Code, s.Signal = true, s.CrashAfter, 1, ""
	}
	w.begun[ref.Path]++
	w.pid++
	l := &Life{Ref: ref, Node: node, Argv: launch.Program.Argv, Env: slices.Clone(launch.Env), Alone: launch.Restarts,
		Exclusive: launch.Exclusive, Begun: time.Now()}
	w.lives = append(w.lives, l)
	w.byRef[ref] = l
	return l, s, w.pid
}

func (w *World) executed(l *Life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Start = time.Now()
}

func (w *World) up(l *Life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Up = time.Now()
}

func (w *World) asked(l *Life, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Asked, l.Why = time.Now(), why
}

// forgotten marks the newest life of an epoch, unless it was forgotten before.
func (w *World) forgotten(ref supervisor.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.byRef[ref]; l != nil {
		l.Forgotten = true
	}
}

func (w *World) ended(l *Life, how string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.End, l.How = time.Now(), how
}

// exited notes how a process ends, and what it said.
func (w *World) exited(l *Life, exit, word string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l.Exit, l.Word = exit, word
}
