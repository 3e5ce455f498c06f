package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

// This file tells bad nodes from bad children, and keeps new lives off a bad node.
// Package doc, "Circuits of nodes", says how.

const (
	// faultWindow is how long a failure is held against a node, or a child.
	faultWindow = 60 * time.Second
	// trialTime is how long a life must have been there, and be up, to be a good trial.
	trialTime = 10 * time.Second
	// MaxFaults is how many children are remembered to have failed lately. The
	// failures of more are held against no node: so many are nobody's alone.
	MaxFaults = 8_192
)

// circuitConfig has the seed's figures. The ends of trials are told by pass, in
// trialTime, and not by a limit of the circuit's own.
var circuitConfig = func() breaker.Config {
	c := breaker.DefaultConfig()
	c.TrialTimeout = 0
	return c
}()

// fault is the last failure of a child.
type fault struct {
	Path string        `cbor:"1,keyasint"`
	Node string        `cbor:"2,keyasint"`
	At   time.Duration `cbor:"3,keyasint"`
	// Roams: it failed on another node not long before. It is the child's fault.
	Roams bool `cbor:"4,keyasint,omitempty"`
}

// circuit is what the log holds against a node. One that is closed is not kept.
type circuit struct {
	Node  string          `cbor:"1,keyasint"`
	State breaker.Circuit `cbor:"2,keyasint"`
	Why   string          `cbor:"3,keyasint"`
	// Lives are those of the trials; the id of a trial is the life's epoch.
	Lives []supervisor.Ref `cbor:"4,keyasint,omitempty"`
}

// crashed: the decisions answer a failure of the child itself. What was ordered, or
// ended as it should, or with its node or lease, is none.
func crashed(ds []supervisor.Decision, path string) bool {
	return slices.ContainsFunc(ds, func(d supervisor.Decision) bool {
		return d.Path == path && d.Cause.Kind == supervisor.CauseCrash && d.Cause.Path == path
	})
}

// blame holds a failure against the node it happened on, or against the child.
func (s *state) blame(host string, ev supervisor.ChildEvent) {
	n := s.nodes[host]
	if n == nil {
		return
	}
	last, failed := s.faults[ev.Path]
	roams := failed && s.clock-last.At <= faultWindow && (last.Roams || last.Node != host) && !bug.On("bad-child-blamed-on-nodes")
	remembered := failed || len(s.faults) < MaxFaults
	if remembered {
		s.setFault(fault{Path: ev.Path, Node: host, At: s.clock, Roams: roams})
	}
	if s.unhealthy(host) {
		return // it is shut already, until the node itself is well
	}
	if c, ok := s.circuits[host]; ok {
		outcome := breaker.Failure
		if roams {
			outcome = breaker.Abandoned
		}
		s.settle(n, c.end(supervisor.Ref{Path: ev.Path, Epoch: ev.Epoch}, outcome, s.clock), ev.Path+" failed there in its trial")
		return
	}
	if roams || !remembered || len(s.against[host]) < circuitConfig.FailureThreshold || !s.mayOpen() {
		return
	}
	if paths := s.suspects(host); s.kinds(paths) >= circuitConfig.FailureThreshold {
		s.trip(n, fmt.Sprintf("%d children failed there within %v", len(paths), faultWindow), someOf(paths))
	}
}

// shownPaths is how many children the sentence of an opening names.
const shownPaths = 5

func someOf(paths []string) string {
	if more := len(paths) - shownPaths; more > 0 {
		return fmt.Sprintf(" (%s and %d more)", strings.Join(paths[:shownPaths], ", "), more)
	}
	return " (" + strings.Join(paths, ", ") + ")"
}

// trip opens a node's circuit, or begins its time anew. why is kept and goes into each
// decision that passes the node over, so it is short; detail is told once.
func (s *state) trip(n *Node, why, detail string) {
	s.open(n.ID, why)
	s.recordCircuit(n, fmt.Sprintf("opened: %s%s; no child is placed there for %v", why, detail, circuitConfig.ResetTimeout))
}

func (s *state) open(id, why string) {
	c := s.circuits[id]
	c.Node, c.Why, c.Lives = id, why, nil
	c.State, _ = c.State.Step(circuitConfig, breaker.Tripped{}, s.clock)
	s.circuits[id] = c
}

// mayOpen: at most half of the nodes that are alive are bad. If more seem to be, it
// is not the nodes.
func (s *state) mayOpen() bool {
	alive, open := 0, 1
	for id, n := range s.nodes { // order-free: sums
		if n.State == NodeAlive {
			alive++
			if _, bad := s.circuits[id]; bad {
				open++
			}
		}
	}
	return 2*open <= alive
}

// suspects are the children that failed on a node lately and nowhere else, sorted. What
// is older is forgotten on the way; the rest are few, for they open the circuit.
func (s *state) suspects(host string) (paths []string) {
	for _, path := range slices.Sorted(maps.Keys(s.against[host])) {
		if f := s.faults[path]; s.clock-f.At <= faultWindow {
			paths = append(paths, path)
		} else {
			s.dropFault(path)
		}
	}
	return paths
}

// kinds counts children, and all instances of one as one: they run the same program.
func (s *state) kinds(paths []string) int {
	kinds := make(map[string]bool)
	for _, path := range paths {
		kind := path
		if t := s.trees[supervisor.TreeName(path)]; t != nil {
			kind = cmp.Or(t.Kin(path), path)
		}
		kinds[kind] = true
	}
	return len(kinds)
}

// setFault and dropFault are the only ones to change faults, and against with it.
func (s *state) setFault(f fault) {
	old, failed := s.faults[f.Path]
	if failed && old.Node == f.Node && old.Roams == f.Roams {
		s.faults[f.Path] = f
		return
	}
	s.dropFault(f.Path)
	if s.faults[f.Path] = f; f.Roams {
		return
	}
	if s.against[f.Node] == nil {
		s.against[f.Node] = make(map[string]bool)
	}
	s.against[f.Node][f.Path] = true
}

func (s *state) dropFault(path string) {
	f := s.faults[path]
	delete(s.faults, path)
	delete(s.against[f.Node], path)
	if len(s.against[f.Node]) == 0 {
		delete(s.against, f.Node)
	}
}

// admit makes a life that was given a node a trial of its circuit, if that is
// half-open and has room. Placement saw to it that it has, or that no other node fits.
func (s *state) admit(host string, life supervisor.Ref) {
	c, ok := s.circuits[host]
	if !ok || s.unhealthy(host) {
		return
	}
	next, answer := c.State.Step(circuitConfig, breaker.Asked{ID: uint64(life.Epoch)}, s.clock)
	if c.State = next; answer.Admitted {
		c.Lives = append(slices.Clip(c.Lives), life)
	}
	s.circuits[host] = c
}

// end tells the circuit how one of its trials ended; of other lives it knows nothing.
func (c circuit) end(life supervisor.Ref, o breaker.Outcome, now time.Duration) circuit {
	ticket := breaker.Ticket{ID: uint64(life.Epoch), Turn: c.State.Turn}
	c.State, _ = c.State.Step(circuitConfig, breaker.Ended{Ticket: ticket, Outcome: o}, now)
	c.Lives = slices.DeleteFunc(slices.Clone(c.Lives), func(r supervisor.Ref) bool {
		return !slices.ContainsFunc(c.State.Trials, func(t breaker.Trial) bool { return t.ID == uint64(r.Epoch) })
	})
	return c
}

// pass is what time brings: failures are forgotten, and circuits move on.
func (s *state) pass(before time.Duration) {
	if before/faultWindow != s.clock/faultWindow {
		for path, f := range s.faults { // order-free: each is judged alone
			if s.clock-f.At > faultWindow {
				s.dropFault(path)
			}
		}
	}
	if len(s.circuits) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.circuits)) {
		if n := s.nodes[id]; n == nil || n.State == NodeGone {
			delete(s.circuits, id)
		} else {
			s.settle(n, s.advanced(s.circuits[id], s.clock), "")
		}
	}
}

// advanced is the circuit as it is at a time: a trial that is up when its time is
// over was good, one that is not says nothing.
func (s *state) advanced(c circuit, now time.Duration) circuit {
	if s.unhealthy(c.Node) {
		return c
	}
	c.State, _ = c.State.Step(circuitConfig, breaker.Passed{}, now)
	trials := c.State.Trials
	for i, life := range c.Lives {
		if now-trials[i].Since < trialTime || c.State.State != breaker.HalfOpen {
			break
		}
		outcome := breaker.Abandoned
		if s.up(life) {
			outcome = breaker.Success
		}
		c = c.end(life, outcome, now)
	}
	return c
}

func (s *state) up(life supervisor.Ref) bool {
	t := s.trees[supervisor.TreeName(life.Path)]
	if t == nil {
		return false
	}
	st, ok := t.Child(life.Path)
	return ok && st.Epoch == life.Epoch && st.Phase == supervisor.PhaseRunning
}

// settle puts a node's circuit in the place of the one before, and tells what became
// of it. A closed one is forgotten, with all that was held against the node.
func (s *state) settle(n *Node, c circuit, why string) {
	was := s.circuits[n.ID].State.State
	if c.State.State == breaker.Open && was != breaker.Open {
		c.Why = "a child on trial failed there"
	}
	s.circuits[n.ID] = c
	switch is := c.State.State; {
	case is == was:
	case is == breaker.Open:
		s.recordCircuit(n, fmt.Sprintf("opened again: %s; no child is placed there for %v", why, circuitConfig.ResetTimeout))
	case is == breaker.HalfOpen:
		s.recordCircuit(n, fmt.Sprintf("half-open: at most %d children at once try the node", circuitConfig.HalfOpenMaxRequests))
	default:
		delete(s.circuits, n.ID)
		for _, path := range slices.Sorted(maps.Keys(s.against[n.ID])) {
			s.dropFault(path)
		}
		s.recordCircuit(n, fmt.Sprintf("closed: %d children on trial stayed up there for %v", circuitConfig.SuccessThreshold, trialTime))
	}
}

func (s *state) recordCircuit(n *Node, what string) {
	s.record(Record{Kind: KindNode, Node: n.ID, Sentence: "node " + n.Name + ": circuit " + what})
}

// Circuit is what keeps new lives off a node.
type Circuit struct {
	State breaker.State
	Since time.Duration // cluster time
	// Room is how many lives may be placed there as trials now.
	Room int
	// Why says what opened it; empty if it is closed.
	Why string
}

// Circuit gives a node's circuit as of a cluster time, which may be later than that
// of the last entry.
func (v View) Circuit(id string, now time.Duration) Circuit {
	c, ok := v.s.circuits[id]
	if !ok {
		return Circuit{}
	}
	c = v.s.advanced(c, max(now, v.s.clock))
	if c.State.State == breaker.Closed {
		return Circuit{}
	}
	return Circuit{State: c.State.State, Since: c.State.Since, Room: c.State.Room(circuitConfig), Why: c.Why}
}
