package main

import (
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// move is one deed that may be done: to which child, on which node, how.
type move struct {
	deed           int
	who, host, arg int
}

// deed is one thing that may happen. A new one is a row of deeds.
type deed struct {
	name string
	// list calls emit with each way in which it may be done now.
	list func(w *world, emit func(who, host, arg int))
	// do does it. An error says that nothing has happened.
	do func(w *world, m move) error
	// line is what a script says for it, before it is done; empty: the tree hears nothing.
	line func(w *world, m move) string
}

// deeds are all of them. Their order does not matter.
var deeds []deed

func init() {
	deeds = slices.Concat(ofNodes, ofLeader, ofOperator)
}

// moves calls emit with all that may happen now.
func (w *world) moves(emit func(m move)) {
	for d := range deeds {
		deeds[d].list(w, func(who, host, arg int) { emit(move{d, who, host, arg}) })
	}
}

// after is the world in which m was done; nil if it cannot be.
func (w *world) after(m move) *world {
	c := w.clone()
	if err := deeds[m.deed].do(c, m); err != nil {
		return nil
	}
	return c
}

// ofNodes is what nodes do, and what becomes of their processes.
var ofNodes = []deed{
	{"begin", listBegin, doBegin, silent},
	{"end", listEnd, doEnd, silent},
	{"halt", listHalt, doHalt, silent},
	{"disown", listDisown, doDisown, func(w *world, m move) string { return "stopped " + w.family()[m.who].path }},
	{"spawned", listSpawned, func(w *world, m move) error { return w.tell(m, supervisor.EventSpawned) },
		func(w *world, m move) string { return "spawned " + w.family()[m.who].path }},
	{"up", listUp, func(w *world, m move) error { return w.tell(m, supervisor.EventStarted) },
		func(w *world, m move) string { return "up " + w.family()[m.who].path }},
	{"report", listReport, doReport, lineReport},
	{"lapse", listLapse, doLapse, lineLapse},
	{"ask", listAsk, doAsk, func(w *world, m move) string { return "ask " + w.family()[m.who].path }},
}

func silent(*world, move) string { return "" }

// listBegin: a life begins once on a node, when the one before is gone there, and an
// exclusive one under the node's lease.
func listBegin(w *world, emit func(who, host, arg int)) {
	w.workers(func(k int, _ *supervisor.NodeState) {
		for h := range w.scope.hosts {
			x := &w.hosts[h]
			if x.reach == dead {
				continue
			}
			o, ok := w.ordered(k, h)
			if !ok || o.halt || o.notBefore > w.now || o.epoch <= w.past[k] || w.find(k, h, o.epoch) != nil || w.runs(k, h) != nil {
				continue
			}
			if o.exclusive && (x.fenced || x.expired) {
				continue
			}
			emit(k, h, 0)
		}
	})
}

func doBegin(w *world, m move) error {
	o, _ := w.ordered(m.who, m.host)
	p := proc{who: m.who, host: m.host, epoch: o.epoch, exclusive: o.exclusive, adrift: w.hosts[m.host].down && !o.exclusive}
	w.judgeBegin(&p)
	w.procs = append(w.procs, p)
	slices.SortFunc(w.procs, byPlace)
	return nil
}

func byPlace(a, b proc) int {
	if a.who != b.who {
		return a.who - b.who
	}
	if a.host != b.host {
		return a.host - b.host
	}
	return int(int64(a.epoch) - int64(b.epoch))
}

// listEnd: a process may end by itself at any time.
func listEnd(w *world, emit func(who, host, arg int)) {
	if w.left.ends == 0 {
		return
	}
	for i := range w.procs {
		p := &w.procs[i]
		if p.end != running {
			continue
		}
		emit(p.who, p.host, int(failed))
		if x := &w.family()[p.who]; !x.in || x.restart != supervisor.Permanent {
			emit(p.who, p.host, int(normal))
		}
		if w.left.fatals > 0 {
			emit(p.who, p.host, int(fatal))
		}
		if w.left.words > 0 {
			for says := saysFinish; says <= saysEscalate; says++ {
				emit(p.who, p.host, int(says))
			}
		}
	}
}

func doEnd(w *world, m move) error {
	w.left.ends--
	switch e := ending(m.arg); {
	case e == fatal:
		w.left.fatals--
	case e >= saysFinish:
		w.left.words--
	}
	w.runs(m.who, m.host).end = ending(m.arg)
	return nil
}

// listHalt: a process is stopped when its order says so, or, where all orders are known,
// none names it.
func listHalt(w *world, emit func(who, host, arg int)) {
	for i := range w.procs {
		p := &w.procs[i]
		if p.end != running || w.hosts[p.host].reach == dead {
			continue
		}
		o, ok := w.ordered(p.who, p.host)
		switch named := ok && o.epoch == p.epoch; {
		case named && o.halt:
			emit(p.who, p.host, 0)
		case !named && w.hosts[p.host].reach == up:
			emit(p.who, p.host, 1)
		}
	}
}

// doHalt stops a process. What no order names, nobody waits for: its report would be
// stale, and is left out.
func doHalt(w *world, m move) error {
	p := w.runs(m.who, m.host)
	if m.arg == 1 {
		gone := *p
		w.drop(func(q *proc) bool { return *q == gone })
		return nil
	}
	w.judgeHalt(p)
	p.end = halted
	return nil
}

// listDisown: a node is ordered to stop, or to begin again, what it does not have.
func listDisown(w *world, emit func(who, host, arg int)) {
	w.workers(func(k int, _ *supervisor.NodeState) {
		for h := range w.scope.hosts {
			if w.hosts[h].reach != up {
				continue
			}
			if o, ok := w.ordered(k, h); ok && (o.halt || o.epoch <= w.past[k]) && w.find(k, h, o.epoch) == nil {
				emit(k, h, 0)
			}
		}
	})
}

func doDisown(w *world, m move) error {
	o, _ := w.ordered(m.who, m.host)
	w.past[m.who] = max(w.past[m.who], o.epoch)
	return w.step(supervisor.ChildEvent{
		Path: w.family()[m.who].path, Epoch: o.epoch, Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Ordered: true,
	})
}

// listUp: that a process is up can be told from when it runs, and late.
func listUp(w *world, emit func(who, host, arg int)) { w.listTold(false, emit) }

func listSpawned(w *world, emit func(who, host, arg int)) {
	if w.spawned {
		w.listTold(true, emit)
	}
}

func (w *world) listTold(spawned bool, emit func(who, host, arg int)) {
	for i := range w.procs {
		p := &w.procs[i]
		n := w.node(p.who)
		if w.hosts[p.host].reach == up && n != nil && n.Life.Epoch == p.epoch && n.Life.Phase == supervisor.PhaseStarting &&
			!(spawned && n.Life.Spawned) && p.end != fenced {
			emit(p.who, p.host, 0)
		}
	}
}

func (w *world) tell(m move, what supervisor.EventType) error {
	return w.step(supervisor.ChildEvent{Path: w.family()[m.who].path, Epoch: w.node(m.who).Life.Epoch, Type: what, PID: 7})
}

// said are the words that may come with an end.
var said = map[ending]supervisor.Verdict{
	saysFinish: supervisor.VerdictFinish, saysFail: supervisor.VerdictFail,
	saysMove: supervisor.VerdictMove, saysEscalate: supervisor.VerdictEscalate,
}

// listAsk: a child that runs asks to be moved.
func listAsk(w *world, emit func(who, host, arg int)) {
	for i := range w.procs {
		p := &w.procs[i]
		n := w.node(p.who)
		if w.left.words > 0 && p.end == running && w.hosts[p.host].reach == up && n != nil && n.Life.Epoch == p.epoch && held(n) {
			emit(p.who, p.host, 0)
		}
	}
}

func doAsk(w *world, m move) error {
	w.left.words--
	return w.step(supervisor.ChildEvent{
		Path: w.family()[m.who].path, Epoch: w.runs(m.who, m.host).epoch, Type: supervisor.EventAsked, Word: supervisor.VerdictMove,
	})
}

// listReport: the report of an end arrives, if its node has a session or had one then.
func listReport(w *world, emit func(who, host, arg int)) {
	seen := -1
	for i := range w.procs {
		p := &w.procs[i]
		if p.end != running && (p.sent || w.hosts[p.host].reach == up) {
			if key := p.who*len(hostNames) + p.host; key != seen { // the oldest first
				seen = key
				emit(p.who, p.host, 0)
			}
		}
	}
}

// report gives the report that is due, and whether it comes from a node that is lost.
func (w *world) report(m move) (p *proc, in supervisor.Input, gone bool) {
	for i := range w.procs {
		if p = &w.procs[i]; p.who == m.who && p.host == m.host && p.end != running {
			break
		}
	}
	ev := supervisor.ChildEvent{Path: w.family()[p.who].path, Epoch: p.epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1}
	switch p.end {
	case normal:
		ev.Reason, ev.Code = supervisor.ExitNormal, 0
	case fatal:
		ev.Fatal = true
	case fenced:
		ev = supervisor.ChildEvent{Path: ev.Path, Epoch: ev.Epoch, Type: supervisor.EventFenced}
	case halted:
		ev.Reason, ev.Code, ev.Ordered = supervisor.ExitNormal, 0, true
	case saysFinish, saysFail, saysMove, saysEscalate:
		ev.Word = said[p.end]
	}
	if n := w.node(p.who); n != nil && n.Life.Node != "" && w.hosts[hostOf(n.Life.Node)].down {
		return p, supervisor.LastWord(ev), true
	}
	return p, ev, false
}

// doReport: a report that is stale was overtaken, by the loss of its node or by its
// agent's inventory.
func doReport(w *world, m move) error {
	p, in, _ := w.report(m)
	n := w.node(p.who)
	present := n != nil && n.Life.Epoch == p.epoch && held(n)
	err := w.step(in)
	if present != (err == nil) {
		w.violate("P7", "the report %+v is answered %v, and the life is present: %v", in, err, present)
	}
	done := *p
	w.drop(func(q *proc) bool { return *q == done })
	return nil
}

func lineReport(w *world, m move) string {
	p, _, gone := w.report(m)
	path, n := w.family()[p.who].path, w.node(p.who)
	if n == nil || n.Life.Epoch != p.epoch || !held(n) {
		return "# a report of a former life of " + path + " arrives, too late"
	}
	line := map[ending]string{
		normal: "exit " + path, failed: "crash " + path, fatal: "crash " + path + " fatal",
		fenced: "fenced " + path, halted: "stopped " + path,
	}[p.end]
	if word := said[p.end]; word != "" {
		line = "crash " + path + " says=" + string(word)
	}
	if gone && p.end != fenced {
		line += " gone"
	}
	return line
}

// listLapse: a node that has a session may still be granted nothing for a while, and then
// ends, or does not begin, what is exclusive.
func listLapse(w *world, emit func(who, host, arg int)) {
	if w.left.losses == 0 {
		return
	}
	w.workers(func(k int, _ *supervisor.NodeState) {
		for h := range w.scope.hosts {
			if w.hosts[h].reach != up {
				continue
			}
			o, ok := w.ordered(k, h)
			switch p := w.runs(k, h); {
			case p != nil && p.exclusive:
				emit(k, h, 0)
			case p == nil && ok && o.exclusive && !o.halt && o.epoch > w.past[k] && w.find(k, h, o.epoch) == nil:
				emit(k, h, 1)
			}
		}
	})
}

func doLapse(w *world, m move) error {
	w.left.losses--
	if m.arg == 0 {
		w.runs(m.who, m.host).end = fenced
		return nil
	}
	o, _ := w.ordered(m.who, m.host)
	w.past[m.who] = max(w.past[m.who], o.epoch)
	return w.step(supervisor.ChildEvent{Path: w.family()[m.who].path, Epoch: o.epoch, Type: supervisor.EventFenced})
}

func lineLapse(w *world, m move) string {
	if m.arg == 0 {
		return ""
	}
	return "fenced " + w.family()[m.who].path
}
