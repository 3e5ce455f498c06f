package main

import (
	"cmp"
	"path"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// What is seen of a trace, as bytes: the starts and stops of each step in their order,
// a started, stopped or failed (to start) with the child's number; end closes a step.
// dead closes the one in which the root gave up or shut down, absent stands where the worker did not
// run.
const (
	end     = 0
	started = 1
	stopped = 2
	dead    = 3
	absent  = 4
	failed  = 5
)

// machine runs a tree of ours as a node would that is always there and obeys at once,
// one order after the other: of those that are given at the same time the stops first,
// last child first, and then the starts, first child first.
type machine struct {
	tree   *supervisor.Tree
	paths  []string           // by number
	epochs []supervisor.Epoch // of the processes that run; 0: none
	fails  []int              // of its next starts
	at     supervisor.Stamp
	out    []byte
	// masked: in this step a supervisor gave up, or what stopped was more than the one
	// that shut down first (shut), so that the order of stops may differ.
	masked bool
	shut   string
	// shutdowns counts what significant children have led to.
	shutdowns map[string]int
}

// ours is what the core makes of a trace, and in which of its steps, counted from 0 for
// the start, the order of stops is masked.
func ours(t *trace) (out []byte, loose map[int]bool) {
	m, loose := play(t)
	return m.out, loose
}

func play(t *trace) (m *machine, loose map[int]bool) {
	tree, err := supervisor.NewTree(t.spec())
	if err != nil {
		panic(err) // draw gives trees that are valid
	}
	m = &machine{tree: tree, paths: []string{treeName}, shutdowns: make(map[string]int)}
	t.walk(func(_ int, path string, _ child) { m.paths = append(m.paths, path) })
	m.epochs, m.fails = make([]supervisor.Epoch, len(m.paths)), make([]int, len(m.paths))
	loose = make(map[int]bool)
	m.input(supervisor.Start{Path: treeName})
	m.obey()
	m.out = append(m.out, end)
	for i, s := range t.steps {
		m.at.Time += time.Duration(s.after) * time.Second
		if m.epochs[s.worker] == 0 {
			m.out = append(m.out, absent, end)
			continue
		}
		m.masked, m.shut = false, ""
		clear(m.fails)
		m.fails[s.worker] = s.fails
		m.dies(s.worker, s.why)
		m.obey()
		loose[i+1] = m.masked
		if s := tree.Status(); s == supervisor.TreeFailed || s == supervisor.TreeFinished {
			m.out = append(m.out, dead)
			break
		}
		m.out = append(m.out, end)
	}
	return m, loose
}

func (m *machine) input(in supervisor.Input) {
	m.at.Index++
	ds, err := m.tree.Step(in, m.at)
	if err != nil {
		panic(err) // only what happened is told, and only once
	}
	for _, d := range ds {
		switch d.Verdict {
		case supervisor.VerdictEscalate:
			m.masked = true
		case supervisor.VerdictShutdown:
			m.shut = cmp.Or(m.shut, path.Dir(d.Path))
		default:
			if d.Cause.Kind == supervisor.CauseShutdown {
				m.count(d)
			}
			continue
		}
		m.count(d)
		clear(m.fails) // what follows is begun anew, with workers that can be started
	}
}

// count notes what a significant child has led to.
func (m *machine) count(d supervisor.Decision) {
	st, _ := m.tree.Child(d.Path)
	switch {
	case d.Verdict == supervisor.VerdictShutdown && d.Cause.Kind == supervisor.CauseEscalation:
		m.shutdowns["gave up, and was significant"]++
	case d.Verdict == supervisor.VerdictShutdown && st.Supervisor:
		m.shutdowns["shut down, and was significant"]++
	case d.Verdict == supervisor.VerdictShutdown:
		m.shutdowns["significant worker"]++
	case d.Path == treeName:
		m.shutdowns["root"]++
	case st.Supervisor && d.Cause.Kind == supervisor.CauseShutdown:
		m.shutdowns[string(d.Verdict)]++
	}
}

func (m *machine) dies(number, why int) {
	ev := supervisor.ChildEvent{
		Path: m.paths[number], Epoch: m.epochs[number], Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1,
	}
	if why != 0 {
		ev.Reason, ev.Code = supervisor.ExitNormal, 0
	}
	m.epochs[number] = 0
	m.input(ev)
}

// obey does what the orders say until nothing is left to do.
func (m *machine) obey() {
	for m.place() || m.stop() || m.start() {
	}
}

func (m *machine) place() bool {
	for number := 1; number < len(m.paths); number++ {
		if r, ok := m.tree.Request(m.paths[number]); ok {
			m.input(supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: "n1"})
			return true
		}
	}
	return false
}

func (m *machine) stop() bool {
	for number := len(m.paths) - 1; number > 0; number-- {
		if _, o, ok := m.tree.Order(m.paths[number]); ok && o.Action == supervisor.Halt {
			m.masked = m.masked || m.shut != "" && !strings.HasPrefix(o.Path, m.shut+"/")
			m.out = append(m.out, stopped, byte(number))
			m.epochs[number] = 0
			m.input(supervisor.ChildEvent{
				Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Ordered: true,
			})
			return true
		}
	}
	return false
}

func (m *machine) start() bool {
	for number := 1; number < len(m.paths); number++ {
		_, o, ok := m.tree.Order(m.paths[number])
		if !ok || o.Action != supervisor.Run || m.epochs[number] == o.Epoch {
			continue
		}
		if m.fails[number] > 0 {
			m.fails[number]--
			m.out = append(m.out, failed, byte(number))
			m.input(supervisor.ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventCrashed, Detail: "not now"})
			return true
		}
		m.out = append(m.out, started, byte(number))
		m.epochs[number] = o.Epoch
		m.input(supervisor.ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventStarted, PID: number})
		return true
	}
	return false
}
