package main

import (
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// kindly are the deeds of a world in which nothing goes wrong any more, in the order in
// which they are done.
var kindly = []string{"back", "undrain", "fence", "report", "halt", "disown", "place", "begin", "up", "returned", "advance", "retry"}

// patience is how many deeds may be needed until all children run.
const patience = 200

// heals: once nothing more goes wrong, and an operator starts what was stopped or has
// failed, all children run; of a tree that is deleted nothing is left. live are the
// worlds of which that is known.
func (w *world) heals(live map[uint64]bool) {
	c := w.clone()
	var way []uint64
	for range patience {
		key := c.key(false)
		if c.broken != nil || live[key] || c.whole() {
			if w.broken = c.broken; w.broken == nil {
				for _, k := range append(way, key) {
					live[k] = true
				}
			}
			return
		}
		way = append(way, key)
		if !c.kindness() {
			break
		}
	}
	w.violate("P5", "not all children come to run, though nothing goes wrong any more: %s", c.summary())
}

// kindness does the next thing; false: there is nothing.
func (w *world) kindness() bool {
	for _, name := range kindly {
		d := slices.IndexFunc(deeds, func(d deed) bool { return d.name == name })
		var first *move
		deeds[d].list(w, func(who, host, arg int) {
			if first == nil {
				first = &move{d, who, host, arg}
			}
		})
		if first != nil {
			return deeds[d].do(w, *first) == nil || name == "report"
		}
	}
	if w.waits() {
		_ = doTime(w, move{})
		return true
	}
	return w.startNext()
}

// waits: a life is due later.
func (w *world) waits() (later bool) {
	w.workers(func(_ int, n *supervisor.NodeState) {
		later = later || n.Life.Phase == supervisor.PhaseStarting && n.Life.NotBefore > w.now
	})
	if at, ok := w.tree.NextAt(); ok && at > w.now {
		return true
	}
	at, retries := w.tree.RetryAt()
	return later || retries && at > w.now
}

// startNext is the operator, who starts what does not run, from the root down.
func (w *world) startNext() bool {
	for k := range w.family() {
		x := &w.family()[k]
		n := w.node(k)
		switch {
		case !x.in:
			continue
		case k == 0 && w.st.Down == "" && !w.st.Failed, k > 0 && !x.worker && n.Down == "", x.worker && n.Life.Phase == supervisor.PhaseRunning:
			continue
		}
		return w.step(supervisor.Start{Path: x.path, By: "ann"}) == nil
	}
	return false
}

// whole: all children run, each as one process where the tree says, and nothing else does.
func (w *world) whole() bool {
	if w.st.Deleting {
		return w.tree.Gone() && len(w.procs) == 0
	}
	if r := w.st.Rollout; r != nil && (r.Phase == supervisor.RolloutUpdating || r.Phase == supervisor.RolloutReverting) {
		return false
	}
	count := 0
	for k := range w.family() {
		if x := &w.family()[k]; !x.in || !x.worker {
			continue
		}
		n := w.node(k)
		if n.Life.Phase != supervisor.PhaseRunning {
			return false
		}
		if p := w.find(k, hostOf(n.Life.Node), n.Life.Epoch); p == nil || p.end != running {
			return false
		}
		count++
	}
	return count == len(w.procs) && len(w.st.Leaving) == 0 && w.tree.Status() == supervisor.TreeRunning
}

// summary says where each child is.
func (w *world) summary() string {
	s := ""
	for _, c := range w.tree.Children() {
		s += " " + c.Path + " " + string(c.Phase)
		if c.Node != "" {
			s += " on " + c.Node
		}
	}
	return s
}
