package main

import (
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// ofOperator is what an operator may ask for.
var ofOperator = []deed{
	{"start", listVerb, doVerb(func(path string, _ int) supervisor.Input { return supervisor.Start{Path: path, By: "ann"} }), lineVerb("start")},
	{"stop", listVerb, doVerb(func(path string, _ int) supervisor.Input { return supervisor.Stop{Path: path, By: "ann"} }), lineVerb("stop")},
	{"restart", listVerb, doVerb(func(path string, _ int) supervisor.Input { return supervisor.Restart{Path: path, By: "ann"} }), lineVerb("restart")},
	{"reset", listVerb, doVerb(func(path string, _ int) supervisor.Input { return supervisor.Reset{Path: path, By: "ann"} }), lineVerb("reset")},
	{"rollout", listRollout, doVerb(func(path string, arg int) supervisor.Input {
		return supervisor.Rollout{Path: path, Verb: rolloutVerbs[arg], By: "ann"}
	}), func(_ *world, m move) string { return string(rolloutVerbs[m.arg]) }},
	{"move", listMove, doVerb(func(path string, arg int) supervisor.Input {
		return supervisor.Move{Path: path, To: target(arg), By: "ann"}
	}), lineMove},
	{"drain", listDrain, doDrain, func(_ *world, m move) string { return "drain " + hostNames[m.host] }},
	{"undrain", listUndrain, doUndrain, func(_ *world, m move) string { return "# " + hostNames[m.host] + " takes children again" }},
	{"edit", listEdit, doEdit, lineEdit},
	{"delete", listDelete, doVerb(func(string, int) supervisor.Input { return supervisor.Delete{By: "ann"} }),
		func(*world, move) string { return "delete" }},
}

// listVerb: of each child, the root included.
func listVerb(w *world, emit func(who, host, arg int)) {
	if w.left.verbs == 0 {
		return
	}
	for k := range w.family() {
		if w.family()[k].in {
			emit(k, 0, 0)
		}
	}
}

// doVerb asks the tree; what it refuses has not happened.
func doVerb(input func(path string, arg int) supervisor.Input) func(w *world, m move) error {
	return func(w *world, m move) error {
		w.left.verbs--
		return w.step(input(w.family()[m.who].path, m.arg))
	}
}

func lineVerb(verb string) func(w *world, m move) string {
	return func(w *world, m move) string { return verb + " " + w.family()[m.who].path + byAnn(verb) }
}

// byAnn makes a script's first start an operator's.
func byAnn(verb string) string {
	if verb == "start" {
		return " by=ann"
	}
	return ""
}

var rolloutVerbs = []supervisor.RolloutVerb{supervisor.RolloutPause, supervisor.RolloutResume, supervisor.RolloutRevert}

// listRollout: a word about the rollout under way.
func listRollout(w *world, emit func(who, host, arg int)) {
	if w.left.verbs > 0 && w.st.Rollout != nil {
		for arg := range rolloutVerbs {
			emit(0, 0, arg)
		}
	}
}

// target is the node that a move names: none, or one by number from 1.
func target(arg int) string {
	if arg == 0 {
		return ""
	}
	return hostNames[arg-1]
}

func listMove(w *world, emit func(who, host, arg int)) {
	if w.left.verbs == 0 || w.scope.hosts == 1 {
		return
	}
	for k := range w.family() {
		if x := &w.family()[k]; x.in && x.worker {
			for arg := range w.scope.hosts + 1 {
				emit(k, 0, arg)
			}
		}
	}
}

func lineMove(w *world, m move) string {
	line := "move " + w.family()[m.who].path
	if m.arg > 0 {
		line += " to=" + target(m.arg)
	}
	return line
}

func listDrain(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if w.left.verbs > 0 && w.scope.hosts > 1 && !w.hosts[h].draining {
			emit(0, h, 0)
		}
	}
}

func doDrain(w *world, m move) error {
	w.left.verbs--
	w.hosts[m.host].draining = true
	return w.step(supervisor.Drain{Node: hostNames[m.host]})
}

func listUndrain(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if w.hosts[h].draining {
			emit(0, h, 0)
		}
	}
}

func doUndrain(w *world, m move) error {
	w.hosts[m.host].draining = false
	return nil
}

// listEdit: to another of the scope's specs.
func listEdit(w *world, emit func(who, host, arg int)) {
	for v := range w.specs {
		if w.left.verbs > 0 && v != w.variant {
			emit(0, 0, v)
		}
	}
}

func doEdit(w *world, m move) error {
	w.left.verbs--
	return w.step(supervisor.Edit{Spec: w.specs[m.arg], By: "ann"})
}

func lineEdit(w *world, m move) string {
	return "\nedit\n" + strings.TrimRight(render(&w.specs[m.arg]), "\n") + "\n----\n"
}

func listDelete(w *world, emit func(who, host, arg int)) {
	if w.left.verbs > 0 && !w.st.Deleting {
		emit(0, 0, 0)
	}
}
