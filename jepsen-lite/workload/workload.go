package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/witness"
)

// Workload is something to do.
type Workload struct {
	Name, Line string
	// Checkers judge it, besides those that judge every run.
	Checkers []string
	// Trees are what runs.
	Trees []Tree
	// Mix is what clients do, by weight; Clients is how many there are, Pace how
	// long each waits between two operations on average.
	Mix     map[history.Kind]int
	Clients int
	Pace    time.Duration
	// Subscribers follow the event stream.
	Subscribers int
	// Churn takes nodes into the cluster and out of it, between faults.
	Churn bool
	// Crowd is how many requests come at once, again and again, in the middle of the
	// run: more than a node serves.
	Crowd int
}

// Tree is a supervision tree of witnesses.
type Tree struct {
	Name     string
	Strategy string // "" is one_for_one
	Policy   string // restart_policy, in YAML
	Retry    time.Duration
	// Exclusive makes it so for all children.
	Exclusive bool
	// MinUptime is how long a child must live before the next one may start.
	MinUptime time.Duration
	// Toggled: operators stop and start the children.
	Toggled  bool
	Children []Member
	// Restarts in Period are the budget of each; Period 0 is not judged.
	Restarts int
	Period   time.Duration
}

// Member is a child and how it behaves.
type Member struct {
	ID     string
	Script witness.Script
}

// What the history calls a node that joins or leaves, and a crowd.
const (
	Churn   = "churn"
	Crowded = "crowd"
)

// always are the checkers of every run.
var always = []string{"evidence", "linearizable", "durability", "liveness", "once", "equality", "availability", "health", "resources", "logs"}

const generous = "{max_restarts: 1000, max_seconds: 600, backoff: {fixed: 50ms}}"

// Workloads are all there are.
func Workloads() []Workload {
	calm := map[history.Kind]int{history.Write: 4, history.Read: 5, history.Look: 1}
	steady := Tree{Name: "steady", Policy: generous, Children: members(3, witness.Script{})}
	solo := Tree{Name: "solo", Policy: generous, Exclusive: true, Children: members(6, witness.Script{Linger: 30 * time.Millisecond})}
	solo.Children[5].Script.Deaf = true // only SIGKILL ends it
	return []Workload{
		{
			Name: "register", Line: "clients write, swap, read and delete registers through every node",
			Trees: []Tree{steady}, Clients: 8, Pace: 200 * time.Millisecond,
			Mix: map[history.Kind]int{history.Write: 5, history.Swap: 5, history.Read: 10, history.Delete: 1, history.Look: 1},
		},
		{
			Name: "set", Line: "clients add elements to a set that must never lose one",
			Trees: []Tree{steady}, Clients: 6, Pace: 500 * time.Millisecond,
			Mix: map[history.Kind]int{history.Add: 6, history.List: 2, history.Write: 2, history.Read: 2},
		},
		{
			Name: "storm", Line: "children crash by script, beyond their budgets; operators stop and start others",
			Checkers: []string{"intensity", "stopped"}, Clients: 5, Pace: 400 * time.Millisecond,
			Mix:   map[history.Kind]int{history.Write: 3, history.Read: 3, history.Stop: 2, history.Start: 3},
			Trees: []Tree{steady, storm(), {Name: "toggled", Policy: generous, Toggled: true, Children: members(2, witness.Script{})}},
		},
		{
			Name: "fenced", Line: "children count in registers that refuse old epochs; some are exclusive, some are not",
			Checkers: []string{"fence", "overlap"}, Mix: calm, Clients: 5, Pace: 400 * time.Millisecond,
			Trees: []Tree{counters("solo", true), counters("loose", false)},
		},
		{
			Name: "watch", Line: "subscribers follow the event stream from node to node",
			Checkers: []string{"watch"}, Mix: calm, Clients: 5, Pace: 400 * time.Millisecond, Subscribers: 5,
			Trees: []Tree{steady, {Name: "noise", Policy: generous, Children: members(4, witness.Script{Crash: 2 * time.Second})}},
		},
		{
			Name: "group", Line: "groups that stop in reverse and start in order, over many nodes",
			Checkers: []string{"order", "overlap"}, Mix: calm, Clients: 5, Pace: 400 * time.Millisecond,
			Trees: []Tree{steady, group("chain", "rest_for_one"), group("band", "one_for_all")},
		},
		{
			Name: "exclusive", Line: "children of which one life may run, whatever happens",
			Checkers: []string{"overlap"}, Mix: calm, Clients: 5, Pace: 400 * time.Millisecond,
			Trees: []Tree{solo, steady},
		},
		{
			Name: "churn", Line: "nodes join and leave between faults",
			Mix: calm, Clients: 5, Pace: 400 * time.Millisecond, Churn: true, Trees: []Tree{steady},
		},
		{
			Name: "overload", Line: "more requests at once than a node serves, and more trees than a cluster takes, in the middle of the run",
			Checkers: []string{"refusals"}, Mix: calm, Clients: 5, Pace: 400 * time.Millisecond, Crowd: 700, Trees: []Tree{steady},
		},
	}
}

func members(n int, s witness.Script) []Member {
	all := make([]Member, n)
	for i := range all {
		all[i] = Member{string(rune('a' + i)), s}
	}
	return all
}

func storm() Tree {
	return Tree{
		Name: "storm", Policy: "{max_restarts: 3, max_seconds: 4, backoff: {fixed: 100ms}}", Retry: 3 * time.Second,
		Children: members(5, witness.Script{Crash: 1500 * time.Millisecond, Exit: 7}), Restarts: 3, Period: 4 * time.Second,
	}
}

func counters(name string, exclusive bool) Tree {
	return Tree{Name: name, Policy: generous, Exclusive: exclusive, Children: members(3, witness.Script{Count: 50 * time.Millisecond})}
}

// group is of children that wait for each other. A program is at its first line,
// and a witness born, some time after the system has begun it: a child counts as
// up only when that is surely over, or two in order would seem to be out of it.
func group(name, strategy string) Tree {
	children := members(4, witness.Script{Linger: 40 * time.Millisecond})
	children[1].Script.Crash = 5 * time.Second
	return Tree{Name: name, Strategy: strategy, Policy: generous, Exclusive: true, MinUptime: 150 * time.Millisecond, Children: children}
}

// Find is a workload by its name.
func Find(name string) (Workload, bool) {
	all := Workloads()
	i := slices.IndexFunc(all, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return Workload{}, false
	}
	return all[i], true
}

// AllCheckers are the names of those that judge it.
func (w Workload) AllCheckers() []string { return slices.Concat(always, w.Checkers) }

// Expect is what checkers must know of its children.
func (w Workload) Expect() []history.Child {
	var all []history.Child
	for _, t := range w.Trees {
		for i, m := range t.Children {
			c := history.Child{
				Path: t.Name + "/" + m.ID, Exclusive: t.Exclusive, Permanent: !t.Toggled && m.Script.Crash == 0 && t.Strategy == "",
				Restarts: t.Restarts, Period: t.Period,
			}
			if t.Strategy != "" {
				c.Group, c.Place = t.Name, i
			}
			all = append(all, c)
		}
	}
	return all
}

// File is the tree file, with the witness and its socket as nodes name them.
func (t Tree) File(program, socket string) string {
	text := fmt.Sprintf("name: %s\nrestart_policy: %s\n", t.Name, t.Policy)
	if t.Strategy != "" {
		text += "strategy: " + t.Strategy + "\n"
	}
	if t.Exclusive {
		text += "exclusive: true\n"
	}
	if t.Retry > 0 {
		text += fmt.Sprintf("on_exhausted: {retry_after: %v}\n", t.Retry)
	}
	text += "children:\n"
	for _, m := range t.Children {
		m.Script.Socket = socket
		text += fmt.Sprintf("  - id: %s\n    run: [%q", m.ID, program)
		for _, a := range m.Script.Args() {
			text += fmt.Sprintf(", %q", a)
		}
		text += fmt.Sprintf("]\n    min_uptime: %v\n    grace: 2s\n    env: {GOMAXPROCS: \"1\", GOGC: \"400\"}\n", t.MinUptime)
	}
	return text
}
