package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// ofLeader is what the leader proposes, the faults that make it, and time.
var ofLeader = []deed{
	{"place", listPlace, doPlace, func(w *world, m move) string {
		return "place " + w.family()[m.who].path + " " + hostNames[m.host]
	}},
	{"time", listTime, doTime, func(w *world, _ move) string { return fmt.Sprintf("at %v", w.now+period) }},
	{"cut", listFault(up), doCut, func(_ *world, m move) string { return "# " + hostNames[m.host] + " is cut off" }},
	{"die", listFault(up, cut), doDie, func(_ *world, m move) string { return "# " + hostNames[m.host] + " dies" }},
	{"lose", listLose, doLose, lineLose},
	{"expire", listExpire, doExpire, silent},
	{"fence", listFence, doFence, lineFence},
	{"back", listBack, doBack, lineBack},
	{"reboot", listFault(up, cut), doReboot, lineReboot},
	{"returned", listReturned, doReturned, func(_ *world, m move) string { return "returned " + hostNames[m.host] }},
	{"advance", listAdvance, func(w *world, _ move) error { return w.step(supervisor.Advance{}) }, func(*world, move) string { return "advance" }},
	{"retry", listRetry, doRetry, func(*world, move) string { return "start by=" + supervisor.RetryBy }},
}

// eligible: placement may choose the node.
func (w *world) eligible(h int) bool {
	x := &w.hosts[h]
	return h < w.scope.hosts && !x.down && !x.draining && !x.fenced
}

// fits: a waiting life may go there. A node that an operator named is held to as long as
// it can be had, and nodes to be avoided are taken if there is no other.
func (w *world) fits(n *supervisor.NodeState, h int) bool {
	l := &n.Life
	if !w.eligible(h) {
		return false
	}
	if only := hostOf(l.Only); only >= 0 && w.eligible(only) {
		return only == h && !slices.Contains(l.Avoid, l.Only)
	}
	if !slices.Contains(l.Avoid, hostNames[h]) {
		return true
	}
	for other := range w.scope.hosts {
		if w.eligible(other) && !slices.Contains(l.Avoid, hostNames[other]) {
			return false
		}
	}
	return true
}

func listPlace(w *world, emit func(who, host, arg int)) {
	w.workers(func(k int, n *supervisor.NodeState) {
		if n.Life.Phase != supervisor.PhasePending {
			return
		}
		for h := range w.scope.hosts {
			if w.fits(n, h) {
				emit(k, h, 0)
			}
		}
	})
}

func doPlace(w *world, m move) error {
	n := w.node(m.who)
	return w.step(supervisor.Assign{Path: n.Path, Epoch: n.Life.Epoch, Node: hostNames[m.host]})
}

// listTime: time passes where that can change anything.
func listTime(w *world, emit func(who, host, arg int)) {
	if w.timely() {
		emit(0, 0, 0)
	}
}

func (w *world) timely() bool {
	for k := range w.family() {
		if len(w.recent(w.own[k])) > 0 || len(w.recent(w.shared[k])) > 0 {
			return true
		}
	}
	for i := range w.st.Nodes {
		n := &w.st.Nodes[i]
		if n.Life.NotBefore > w.now && !settled(n) || n.Asked >= w.now {
			return true
		}
		for _, l := range n.Loans {
			if l.Until >= w.now && l.Until != 0 {
				return true
			}
		}
	}
	if at, ok := w.tree.NextAt(); ok && at > w.now {
		return true
	}
	at, retries := w.tree.RetryAt()
	return retries && at > w.now
}

func doTime(w *world, _ move) error {
	w.now += period
	return nil
}

func listFault(from ...reach) func(w *world, emit func(who, host, arg int)) {
	return func(w *world, emit func(who, host, arg int)) {
		for h := range w.scope.hosts {
			if w.left.losses > 0 && slices.Contains(from, w.hosts[h].reach) {
				emit(0, h, 0)
			}
		}
	}
}

// doCut: what has been reported may still arrive, what the node is told later does not.
func doCut(w *world, m move) error {
	w.left.losses--
	x := &w.hosts[m.host]
	w.workers(func(k int, _ *supervisor.NodeState) {
		if o, ok := w.ordered(k, m.host); ok {
			x.orders = append(x.orders, o)
		}
	})
	x.reach = cut
	for i := range w.procs {
		if p := &w.procs[i]; p.host == m.host && p.end != running {
			p.sent = true
		}
	}
	return nil
}

func doDie(w *world, m move) error {
	w.left.losses--
	x := &w.hosts[m.host]
	for i := range w.procs {
		if p := &w.procs[i]; x.reach == up && p.host == m.host && p.end != running {
			p.sent = true
		}
	}
	w.drop(func(p *proc) bool { return p.host == m.host && !p.sent })
	x.reach, x.orders = dead, nil
	return nil
}

func listLose(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if x := &w.hosts[h]; x.reach != up && !x.down {
			emit(0, h, 0)
		}
	}
}

func (w *world) loss(h int) supervisor.NodeLost {
	return supervisor.NodeLost{
		Node: hostNames[h], Reason: "silent", Leased: !w.hosts[h].fenced && w.tree.Leased(hostNames[h]), Apart: w.hosts[h].reach == cut,
	}
}

// doLose: the leader condemns a node that nobody hears of.
func doLose(w *world, m move) error {
	err := w.step(w.loss(m.host))
	x := &w.hosts[m.host]
	x.down, x.fenced = true, x.fenced || !w.tree.Leased(hostNames[m.host])
	for i := range w.procs {
		if p := &w.procs[i]; p.host == m.host && !p.exclusive {
			p.adrift = true
		}
	}
	return err
}

func lineLose(w *world, m move) string {
	in := w.loss(m.host)
	line := "lose " + in.Node
	if in.Leased {
		line += " leased"
	}
	if in.Apart {
		line += " apart"
	}
	return line
}

// listExpire: a node that is cut off finds that its lease has run out.
func listExpire(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if x := &w.hosts[h]; x.reach == cut && !x.expired {
			emit(0, h, 0)
		}
	}
}

func doExpire(w *world, m move) error {
	w.hosts[m.host].expired = true
	for i := range w.procs {
		if p := &w.procs[i]; p.host == m.host && p.end == running && p.exclusive {
			p.end = fenced
		}
	}
	return nil
}

// listFence: the leader finds that a node's lease has run out. By then it has, so what
// is exclusive there is over: that is what leases are for.
func listFence(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if x := &w.hosts[h]; x.reach != up && !x.fenced && w.tree.Leased(hostNames[h]) {
			emit(0, h, 0)
		}
	}
}

func doFence(w *world, m move) error {
	_ = doExpire(w, m)
	x := &w.hosts[m.host]
	x.fenced = true
	return w.step(supervisor.NodeLost{Node: hostNames[m.host], Reason: "its lease has run out", Fenced: !x.down})
}

func lineFence(w *world, m move) string {
	if w.hosts[m.host].down {
		return "lose " + hostNames[m.host]
	}
	return "lose " + hostNames[m.host] + " fenced"
}

// listBack: a node is there again.
func listBack(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if w.hosts[h].reach != up {
			emit(0, h, 0)
		}
	}
}

// doBack: an agent that was cut off goes on with the orders of now; a node that was dead
// has a new one.
func doBack(w *world, m move) error {
	if w.hosts[m.host].reach == dead {
		return w.anew(m.host)
	}
	w.hosts[m.host] = host{draining: w.hosts[m.host].draining}
	return nil
}

func lineBack(w *world, m move) string {
	if w.hosts[m.host].reach == dead {
		return w.lineAnew(m.host)
	}
	return "back " + hostNames[m.host]
}

// doReboot: the agent begins anew. The processes go on; what it had not reported is lost.
func doReboot(w *world, m move) error {
	w.left.losses--
	return w.anew(m.host)
}

func lineReboot(w *world, m move) string { return w.lineAnew(m.host) }

// inventory is what a new agent has to say; nil if it was fenced meanwhile, so that
// nothing of it is anybody's any more.
func (w *world) inventory(h int) *supervisor.NodeLost {
	x := &w.hosts[h]
	if x.down && x.fenced {
		return nil
	}
	in := &supervisor.NodeLost{Node: hostNames[h], Reason: "its agent restarted", Restarted: true, Apart: x.reach == cut && !x.down}
	for i := range w.procs {
		if p := &w.procs[i]; p.host == h && p.end == running {
			in.Keep = append(in.Keep, supervisor.Ref{Path: w.family()[p.who].path, Epoch: p.epoch})
		}
	}
	return in
}

func (w *world) anew(h int) error {
	in := w.inventory(h)
	w.hosts[h] = host{draining: w.hosts[h].draining}
	w.drop(func(p *proc) bool { return p.host == h && p.end != running && !p.sent })
	if in != nil {
		if err := w.step(*in); err != nil {
			return err
		}
	}
	_ = w.step(supervisor.Returned{Node: hostNames[h], Unreported: true}) // stale if nothing was lent
	return nil
}

func (w *world) lineAnew(h int) string {
	name := hostNames[h]
	lent := ""
	if w.tree.Lent(name) {
		lent = "\nreturned " + name + " unreported"
	}
	in := w.inventory(h)
	if in == nil {
		return "back " + name + lent
	}
	line := "lose " + name + " restarted"
	if in.Apart {
		line += " apart"
	}
	var keep []string
	for _, ref := range in.Keep {
		if n := w.node(w.by[ref.Path]); n != nil && n.Life.Epoch == ref.Epoch {
			keep = append(keep, ref.Path)
		}
	}
	if len(keep) > 0 {
		line += " keep=(" + strings.Join(keep, ",") + ")"
	}
	return "back " + name + "\n" + line + lent
}

// listReturned: a node that is back has obeyed, and told all.
func listReturned(w *world, emit func(who, host, arg int)) {
	for h := range w.scope.hosts {
		if w.hosts[h].reach == up && w.tree.Lent(hostNames[h]) && w.obeyed(h) {
			emit(0, h, 0)
		}
	}
}

func (w *world) obeyed(h int) bool {
	for i := range w.procs {
		p := &w.procs[i]
		if p.host != h {
			continue
		}
		if o, ok := w.ordered(p.who, h); p.end != running || !ok || o.epoch != p.epoch || o.halt {
			return false
		}
	}
	return true
}

func doReturned(w *world, m move) error {
	return w.step(supervisor.Returned{Node: hostNames[m.host]})
}

// listAdvance: the next step of a rollout is due.
func listAdvance(w *world, emit func(who, host, arg int)) {
	if at, ok := w.tree.NextAt(); ok && at <= w.now {
		emit(0, 0, 0)
	}
}

// listRetry: on_exhausted: retry_after.
func listRetry(w *world, emit func(who, host, arg int)) {
	if at, ok := w.tree.RetryAt(); ok && at <= w.now {
		emit(0, 0, 0)
	}
}

func doRetry(w *world, _ move) error {
	return w.step(supervisor.Start{Path: w.family()[0].path, By: supervisor.RetryBy})
}
