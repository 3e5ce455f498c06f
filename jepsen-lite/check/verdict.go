package check

import "fmt"

// Verdict is what a checker found.
type Verdict struct {
	Checker  string   `json:"checker"`
	Promise  string   `json:"promise"`
	Valid    bool     `json:"valid"`
	Counts   []Count  `json:"counts"`
	Findings []string `json:"findings,omitempty"`
	// More findings were left out.
	More int `json:"more,omitempty"`
}

// Count is a figure that a verdict rests on, or that is worth knowing.
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// maxFindings of one verdict are told.
const maxFindings = 20

// count adds a figure.
func (v *Verdict) count(name string, n int) {
	v.Counts = append(v.Counts, Count{name, int64(n)})
}

// bad is something that must not be.
func (v *Verdict) bad(format string, args ...any) {
	if len(v.Findings) == maxFindings {
		v.More++
		return
	}
	v.Findings = append(v.Findings, fmt.Sprintf(format, args...))
}

// need is what a verdict cannot do without.
func (v *Verdict) need(is bool, format string, args ...any) {
	if !is {
		v.bad("vacuous: "+format, args...)
	}
}

// Get is a figure by its name; 0 if there is none.
func (v *Verdict) Get(name string) int64 {
	for _, c := range v.Counts {
		if c.Name == name {
			return c.N
		}
	}
	return 0
}

// Checker judges one promise.
type Checker struct {
	Name, Promise, Line string
	judge               func(*Input, *Verdict)
}

// Check judges.
func (c Checker) Check(in *Input) Verdict {
	v := Verdict{Checker: c.Name, Promise: c.Promise}
	c.judge(in, &v)
	v.Valid = len(v.Findings) == 0
	return v
}

// Checkers are all there are, in the order in which they are told.
func Checkers() []Checker {
	return []Checker{
		{"evidence", "", "every fault left a trace, every nemesis struck, operations succeeded", evidence},
		{"linearizable", "P6", "registers answer as one copy would (porcupine)", linearizable},
		{"durability", "P2", "what was acknowledged is in the log and in every later list", durability},
		{"overlap", "P13", "no two lives of an exclusive child at once", overlap},
		{"fence", "P13", "a register that checks epochs takes none that is older than one before", fence},
		{"intensity", "P3 P10", "no window holds more restarts than allowed, and each escalation was due", intensity},
		{"order", "P4", "groups stop in reverse and start in order", order},
		{"liveness", "P5", "what shall run does so again within the bound, after each fault and at the end", liveness},
		{"once", "P1 P7", "an end leads to one decision at most, and epochs only grow", once},
		{"equality", "P9", "equal logs, equal states, one leader a term", equality},
		{"watch", "X", "the event stream is ordered, without repeat, without gap", watch},
		{"stopped", "P11", "what an operator stopped does not start", stopped},
		{"minority", "P12", "a node that reaches no majority acknowledges nothing", minority},
		{"nofalsedeath", "P16", "faults that kill nothing move nothing", noFalseDeath},
		{"availability", "P15", "requests are answered again once all is well", availability},
		{"refusals", "P15", "beyond its limits the cluster refuses, clearly, and takes nothing of it", refusals},
		{"health", "", "what nodes say of their health is so: cut off they are not ready, left alone they are", ready},
		{"resources", "P15", "descriptors, threads and memory go back to what they were", resources},
		{"logs", "", "no node's log tells of a panic, a data race or diverging states", logs},
	}
}

// Find is a checker by its name.
func Find(name string) (Checker, bool) {
	for _, c := range Checkers() {
		if c.Name == name {
			return c, true
		}
	}
	return Checker{}, false
}

// All judges a run by its checkers.
func All(in *Input) ([]Verdict, error) {
	var all []Verdict
	for _, name := range in.Run.Checkers {
		c, ok := Find(name)
		if !ok {
			return nil, fmt.Errorf("cannot judge: no checker is called %q", name)
		}
		all = append(all, c.Check(in))
	}
	return all, nil
}
