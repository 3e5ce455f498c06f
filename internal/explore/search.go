package main

import (
	"fmt"
	"slices"
	"time"
)

// report is what the exploration of a scope found.
type report struct {
	name          string
	states, steps int
	depth         int // of the longest of all shortest ways
	closed        bool
	took          time.Duration
	broken        *violation
	story         []string // the shortest way to it
}

func (r *report) String() string {
	how := "closed"
	if !r.closed {
		how = "bounded"
	}
	if r.broken != nil {
		how = "VIOLATION"
	}
	return fmt.Sprintf("%-58s %9d states %10d transitions, depth %3d, %-7s %6.1f s", r.name, r.states, r.steps, r.depth, how, r.took.Seconds())
}

// search visits every world that the scope allows, nearest first, until a promise is
// found broken or limit worlds were visited (0: all).
func (sc *scope) search(limit int) (r report) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	r.name = sc.name
	first := sc.begin()
	root := first.key(true)
	from := map[uint64]uint64{root: root}
	live := make(map[uint64]bool)
	level := []*world{first}
	r.states = 1
	for len(level) > 0 {
		var next []*world
		for i, w := range level {
			level[i] = nil
			at := w.key(true)
			if w.examine(live); w.broken != nil {
				r.broken, r.story = w.broken, sc.tell(from, root, at, nil)
				return r
			}
			w.moves(func(m move) {
				if r.broken != nil {
					return
				}
				to := w.after(m)
				if to == nil {
					return
				}
				r.steps++
				if to.broken != nil {
					r.broken, r.story = to.broken, sc.tell(from, root, at, &m)
					return
				}
				key := to.key(true)
				if _, seen := from[key]; seen {
					return
				}
				from[key] = at
				r.states++
				to.tree = nil // it is made anew from its state
				next = append(next, to)
			})
			if r.broken != nil || limit > 0 && r.states >= limit {
				return r
			}
		}
		if level = next; len(level) > 0 {
			r.depth++
		}
	}
	r.closed = true
	return r
}

// examine wakes a world and tries in it what is not explored.
func (w *world) examine(live map[uint64]bool) {
	w.wake()
	w.repeats()
	if w.broken == nil {
		w.heals(live)
	}
}

// tell walks the shortest way to a world once more, and writes it down as a script; last
// is one move more.
func (sc *scope) tell(from map[uint64]uint64, root, goal uint64, last *move) []string {
	way := []uint64{goal}
	for k := goal; k != root; {
		k = from[k]
		way = append(way, k)
	}
	slices.Reverse(way)
	w := sc.begin()
	story := []string{"tree", render(&sc.specs[0]) + "----", "", "start"}
	for _, want := range way[1:] {
		var to *world
		w.moves(func(m move) {
			if to != nil {
				return
			}
			if t := w.after(m); t != nil && t.key(true) == want {
				story = append(story, w.lineOf(m)...)
				to = t
			}
		})
		if w = to; w == nil {
			return append(story, "# and the way is lost: two worlds with the same key differ")
		}
	}
	if last != nil {
		story = append(story, w.lineOf(*last)...)
	}
	return append(story, "----")
}

// lineOf is a move as a script has it, with what only the world knows as a comment.
func (w *world) lineOf(m move) []string {
	d := &deeds[m.deed]
	if line := d.line(w, m); line != "" {
		return []string{line}
	}
	return []string{fmt.Sprintf("# %s %s on %s", d.name, w.family()[m.who].path, hostNames[m.host])}
}
