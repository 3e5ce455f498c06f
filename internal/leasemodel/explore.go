package leasemodel

import (
	"slices"
	"time"
)

// Report is what an exploration found.
type Report struct {
	States, Steps int
	// Depth is the number of steps of the longest of all shortest ways.
	Depth int
	Took  time.Duration
	// Whole: nothing is left within the scope.
	Whole bool
	// Broken is the promise that the shortest story breaks.
	Broken Promise
	Story  []string
	// Seen counts the steps that were one of the situations.
	Seen [situations]int
}

// Explore visits every state that the scope allows, those with the shortest ways
// first, until a promise is broken. States are told apart by a hash of 64 bits:
// among ten million, two are taken for one with a chance of 3 in a million.
func (sc Scope) Explore() Report {
	began := time.Now()
	first := sc.start()
	var rep Report
	seen := newVisited()
	seen.add(first.key(), first.key())
	level := []state{first}
	rep.States = 1
	for len(level) > 0 {
		var further []state
		for i := range level {
			s := &level[i]
			from := s.key()
			found := false
			sc.next(s, func(a act, to state) {
				rep.Steps++
				sc.trim(&to)
				rep.witness(s, a, &to)
				key := to.key()
				if found || !seen.add(key, from) {
					return
				}
				rep.States++
				if p := sc.judge(&to); p != Kept {
					rep.Broken, found = p, true
					rep.Story = sc.tell(seen, first, key)
					return
				}
				further = append(further, to)
			})
			if found || sc.Limit > 0 && rep.States >= sc.Limit {
				rep.Took = time.Since(began)
				return rep
			}
		}
		level = further
		if len(level) > 0 {
			rep.Depth++
		}
	}
	rep.Whole, rep.Took = true, time.Since(began)
	return rep
}

// tell walks the shortest way to a state once more, and tells each step.
func (sc *Scope) tell(seen *visited, at state, goal uint64) []string {
	first := at.key()
	way := []uint64{goal}
	for k := goal; k != first; {
		k = seen.from(k)
		way = append(way, k)
	}
	slices.Reverse(way)
	var story []string
	for _, want := range way[1:] {
		var to state
		var did act
		done := false
		sc.next(&at, func(a act, s state) {
			sc.trim(&s)
			if !done && s.key() == want {
				to, did, done = s, a, true
			}
		})
		story = append(story, did.String(&at, &to))
		at = to
	}
	return story
}
