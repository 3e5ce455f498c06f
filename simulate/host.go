package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// host is a node: its agent, and the processes there.
type host struct {
	w    *world
	id   string
	off  int // how many faults keep it without power
	boot int // number of its start
	// linked: it has a session with the leader of now. parted is when the last one
	// ended, asked when it last asked for its lease before that.
	linked        bool
	parted, asked time.Duration

	procs  map[string]*process
	orders map[string]supervisor.Order
	lent   map[string]time.Duration // since when it has the budget of an order
	// last is the highest epoch begun or answered for here, by path; lives those begun.
	last    map[string]supervisor.Epoch
	lives   map[string]*alone
	outbox  []supervisor.ChildEvent // not committed yet
	session int                     // number of the last one
}

// process is a life that runs.
type process struct {
	path      string
	epoch     supervisor.Epoch
	exclusive bool
}

func newHost(w *world, id string) *host {
	h := &host{w: w, id: id, boot: 1}
	h.forget()
	return h
}

// forget is what the loss of power does to what an agent knows.
func (h *host) forget() {
	h.procs, h.orders = make(map[string]*process), make(map[string]supervisor.Order)
	h.lent, h.lives = make(map[string]time.Duration), make(map[string]*alone)
	h.last, h.outbox = make(map[string]supervisor.Epoch), nil
}

func (h *host) on() bool { return h.off == 0 }

// hello is the node's word on itself and on what it holds.
func (h *host) hello() *fsm.NodeUp {
	up := &fsm.NodeUp{Node: h.linkNode()}
	for _, path := range slices.Sorted(maps.Keys(h.procs)) {
		up.Lives = append(up.Lives, supervisor.Ref{Path: path, Epoch: h.procs[path].epoch})
	}
	return up
}

// die is the loss of power.
func (h *host) die(fault int) {
	for _, path := range slices.Sorted(maps.Keys(h.procs)) {
		h.end(h.procs[path], fault)
	}
	h.forget()
}

// part ends the session. Without another one the lease runs out, and with it the
// exclusive children.
func (h *host) part(fault int) {
	h.linked, h.parted, h.asked = false, h.w.now, h.w.now-h.w.delays.Asked
	if h.on() {
		h.w.blame[h.id] = fault
	}
	parted := h.parted
	h.w.at(max(h.w.now, h.asked+h.w.times.Soft), func() {
		if !h.linked && h.parted == parted && h.on() {
			h.fence(fault)
		}
	})
	h.w.after(h.w.times.Alone, h.lookAlone)
}

// fence ends what may only run under a lease.
func (h *host) fence(fault int) {
	for _, path := range slices.Sorted(maps.Keys(h.procs)) {
		if p := h.procs[path]; p.exclusive {
			h.w.blame[path] = fault
			h.end(p, fault)
			h.w.say(Event{Kind: KindNode, Node: h.id, Path: path, Text: path + " ends on " + h.id + ": its lease runs out"})
			h.report(supervisor.ChildEvent{Path: path, Epoch: p.epoch, Type: supervisor.EventFenced})
		}
	}
}

// leased: exclusive children may begin.
func (h *host) leased() bool { return h.linked || h.w.now < h.asked+h.w.times.Soft }

// settle takes the whole of the orders: what they do not name must not run.
func (h *host) settle(orders []supervisor.Order) {
	named := make(map[string]bool)
	for _, o := range orders {
		named[o.Path] = true
	}
	maps.DeleteFunc(h.orders, func(path string, _ supervisor.Order) bool { return !named[path] })
	for _, path := range slices.Sorted(maps.Keys(h.procs)) {
		if !named[path] {
			h.end(h.procs[path], h.w.blamed(path))
		}
	}
	for _, o := range orders {
		h.obey(o)
	}
}

// drop takes an order back.
func (h *host) drop(ref supervisor.Ref) {
	if h.orders[ref.Path].Epoch == ref.Epoch {
		delete(h.orders, ref.Path)
	}
	if p := h.procs[ref.Path]; p != nil && p.epoch == ref.Epoch {
		h.end(p, h.w.blamed(ref.Path))
	}
}

// obey makes one order true, now or when its back-off is over.
func (h *host) obey(o supervisor.Order) {
	h.lend(o)
	h.orders[o.Path] = o
	p := h.procs[o.Path]
	if p != nil && (p.epoch != o.Epoch || o.Action == supervisor.Halt) {
		h.end(p, h.w.blamed(o.Path))
		h.stopped(p.path, p.epoch)
		p = nil
	} else if o.Action == supervisor.Halt && h.last[o.Path] < o.Epoch {
		h.stopped(o.Path, o.Epoch) // it never began here
	}
	if o.Action == supervisor.Halt || p != nil {
		return
	}
	wait := time.Duration(0)
	if h.w.lead != nil {
		wait = max(0, o.NotBefore-h.w.lead.clock())
	}
	h.w.after(wait, func() { h.start(o) })
}

func (h *host) stopped(path string, epoch supervisor.Epoch) {
	h.last[path] = max(h.last[path], epoch)
	h.report(supervisor.ChildEvent{
		Path: path, Epoch: epoch, Type: supervisor.EventExited, Reason: supervisor.ExitKilled, Signal: "SIGTERM", Ordered: true,
	})
}

// start begins the life of an order, if that still stands.
func (h *host) start(o supervisor.Order) {
	now, ok := h.orders[o.Path]
	if !ok || !h.on() || now.Epoch != o.Epoch || now.Action != supervisor.Run || h.last[o.Path] >= o.Epoch {
		return
	}
	h.last[o.Path] = o.Epoch
	if o.Exclusive && !h.leased() {
		h.report(supervisor.ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventFenced})
		return
	}
	h.lives[o.Path] = &alone{epoch: o.Epoch}
	h.run(o)
}

// run begins a process.
func (h *host) run(o supervisor.Order) {
	p := &process{path: o.Path, epoch: o.Epoch, exclusive: o.Exclusive}
	h.procs[o.Path] = p
	h.w.ledger.begin(h.w.now, h, p)
	h.report(supervisor.ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: supervisor.EventSpawned})
	h.w.after(o.Program.MinUptime, func() {
		if h.procs[p.path] == p {
			h.report(supervisor.ChildEvent{Path: p.path, Epoch: p.epoch, Type: supervisor.EventStarted})
			h.w.crashAgain(h, p)
		}
	})
}

// end is the end of a process, for a fault.
func (h *host) end(p *process, fault int) {
	delete(h.procs, p.path)
	h.w.ledger.end(h.w.now, p, fault)
}

// report tells the leader, now or when there is one.
func (h *host) report(ev supervisor.ChildEvent) {
	if l := h.lives[ev.Path]; l != nil && l.epoch == ev.Epoch {
		ev.Restarts = l.count
	}
	h.outbox = append(h.outbox, ev)
	if lead := h.w.lead; lead != nil && lead.near(h) {
		h.w.after(0, lead.propel) // with all else that happens at this moment
	}
}

// acknowledge forgets what is committed of what the node reported in a session, if that
// goes on.
func (h *host) acknowledge(n, session int) {
	if h.linked && h.session == session {
		h.outbox = h.outbox[n:]
	}
}

// strike crashes the children here that a fault means, and says how many.
func (h *host) strike(i int, f spec.Fault) (hit int) {
	for _, path := range slices.Sorted(maps.Keys(h.procs)) {
		if f.Hits(path) {
			h.w.crashes[path] = &crashes{fault: i, left: f.Times, every: f.Every}
			h.crash(h.procs[path])
			hit++
		}
	}
	return hit
}

// crashes are what a fault has yet in store for a child.
type crashes struct {
	fault, left int
	every       time.Duration
}

// crash ends a process as a failure does.
func (h *host) crash(p *process) {
	c := h.w.crashes[p.path]
	if c.left--; c.left == 0 {
		delete(h.w.crashes, p.path)
	}
	h.w.blame[p.path] = c.fault
	h.end(p, c.fault)
	h.lives[p.path].ended, h.lives[p.path].told = h.w.now, false
	h.report(supervisor.ChildEvent{Path: p.path, Epoch: p.epoch, Type: supervisor.EventExited, Reason: supervisor.ExitError, Code: 1})
	h.lookAlone()
}

// crashAgain crashes a child that is up once more, if its fault is not over.
func (w *world) crashAgain(h *host, p *process) {
	c := w.crashes[p.path]
	if c == nil {
		return
	}
	w.after(c.every, func() {
		if h.procs[p.path] == p && w.crashes[p.path] == c {
			h.crash(p)
		}
	})
}

// blamed is the fault that a child's state goes back to, -1 if none.
func (w *world) blamed(path string) int {
	if i, ok := w.blame[path]; ok {
		return i
	}
	return -1
}
