package simulate

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/spec"
)

// world is a cluster on virtual time.
type world struct {
	cfg    Config
	times  cluster.Times
	delays cluster.Delays
	now    time.Duration
	agenda agenda
	seq    int

	machine *fsm.Machine
	index   uint64
	hosts   []*host
	voters  []*host
	cuts    []map[string]bool // partitions that hold now: the nodes on one side
	// severed is since when two nodes cannot reach each other.
	severed  map[[2]*host]time.Duration
	lead     *leadership // nil: nobody leads
	former   *host
	silent   time.Duration // when the former leader was last heard
	electing bool

	ledger *ledger
	report *Report
	told   place // of the last record that was reported
	// blame says which fault it goes back to that a node or a child is not as it was.
	blame map[string]int
	// crashes are what faults have yet in store for children, by path.
	crashes map[string]*crashes
}

// place is one in the stream of records.
type place struct {
	index uint64
	n     int
}

// Run plays a tree, and what goes wrong, on virtual time. The same Config gives the
// same Report.
func Run(cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	w := newWorld(cfg)
	if err := w.begin(); err != nil {
		return Report{}, err
	}
	for i, f := range cfg.Faults {
		w.at(f.At, func() { w.strike(i, f) })
	}
	for len(w.agenda) > 0 && w.agenda[0].at <= cfg.For {
		next := heap.Pop(&w.agenda).(entry)
		w.now = next.at
		next.do()
	}
	w.now = cfg.For
	return w.finish(), nil
}

func newWorld(cfg Config) *world {
	p, _ := gossip.ParseProfile(cfg.Profile) // Validate did
	w := &world{
		cfg: cfg, times: cluster.TimesOf(p), delays: cluster.DelaysOf(p, cfg.Typical),
		machine: fsm.New(), severed: make(map[[2]*host]time.Duration), ledger: newLedger(), blame: make(map[string]int), crashes: make(map[string]*crashes),
		report: &Report{Tree: cfg.Tree.Name, Nodes: cfg.Nodes, For: cfg.For, Assumed: cfg.assumed(), Faults: cfg.Faults},
	}
	for _, name := range NodeNames(cfg.Nodes) {
		w.hosts = append(w.hosts, newHost(w, name))
	}
	w.voters = w.hosts[:cluster.VotersOf(cfg.Nodes)]
	return w
}

// begin is a cluster whose nodes are all there, in which the tree was just applied.
func (w *world) begin() error {
	w.lead = newLeadership(w, w.hosts[0])
	cmds := []fsm.Command{{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "simulation"}}}
	for _, h := range w.hosts {
		cmds = append(cmds, fsm.Command{Type: fsm.TypeNodeUp, Up: h.hello()})
		w.lead.meet(h)
	}
	tree := w.cfg.Tree
	tree.After = nil // there is no other tree
	cmds = append(cmds, fsm.Command{Type: fsm.TypeApplyTree, Tree: &tree, By: "simulation"})
	results, err := w.apply(cmds)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Err != nil {
			return fmt.Errorf("cannot begin: %w", r.Err)
		}
	}
	for _, h := range w.hosts {
		w.lead.admit(h)
	}
	w.lead.tick()
	return nil
}

// apply puts an entry into the log: it is committed, and here it is all there is.
func (w *world) apply(cmds []fsm.Command) ([]fsm.Result, error) {
	data, err := fsm.Entry{Time: w.lead.clock(), Wall: int64(w.now / time.Millisecond), Commands: cmds}.Encode()
	if err != nil {
		return nil, err
	}
	w.index++
	results, err := w.machine.Apply(w.index, data)
	if err == nil {
		w.tell()
	}
	return results, err
}

// entry is something to do at a time.
type entry struct {
	at  time.Duration
	seq int
	do  func()
}

// agenda is a heap: the earliest first, and of one moment what was planned first.
type agenda []entry

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push is heap's.
func (a *agenda) Push(x any) { *a = append(*a, x.(entry)) }

// Pop is heap's.
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

func (w *world) at(t time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, entry{t, w.seq, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// reach tells whether two nodes can speak to each other.
func (w *world) reach(a, b *host) bool {
	if !a.on() || !b.on() {
		return false
	}
	for _, side := range w.cuts {
		if side[a.id] != side[b.id] {
			return false
		}
	}
	return true
}

// pair names two nodes, whichever comes first.
func pair(a, b *host) [2]*host {
	if a.id > b.id {
		a, b = b, a
	}
	return [2]*host{a, b}
}

// mayLead: a majority of the voters can be reached from the node.
func (w *world) mayLead(h *host) bool {
	near := 0
	for _, v := range w.voters {
		if w.reach(h, v) {
			near++
		}
	}
	return 2*near > len(w.voters)
}

// strike is fault number i.
func (w *world) strike(i int, f spec.Fault) {
	w.say(Event{Kind: KindFault, Fault: i + 1, Text: f.String()})
	switch {
	case f.Node != "":
		w.power(i, w.host(f.Node), f.Down)
	case f.Leader != "":
		if w.lead == nil {
			w.say(Event{Kind: KindFault, Fault: i + 1, Text: "nobody leads: nothing happens"})
			return
		}
		w.power(i, w.lead.host, f.For)
	case f.Drain != "":
		w.drain(i, f.Drain, f.For)
	case f.Partition != nil:
		w.cut(i, f)
	default:
		hit := 0
		for _, h := range w.hosts {
			hit += h.strike(i, f)
		}
		if hit == 0 {
			w.say(Event{Kind: KindFault, Fault: i + 1, Text: "no such child runs: nothing happens"})
		}
	}
}

func (w *world) host(name string) *host {
	for _, h := range w.hosts {
		if h.id == name {
			return h
		}
	}
	panic("simulate: unknown node " + name) // ParseFaults and Draw name no other
}

// power takes a node's power, for a while or for ever.
func (w *world) power(i int, h *host, down time.Duration) {
	h.off++
	w.blame[h.id] = i
	if h.off == 1 {
		h.die(i)
		w.rewire(i)
	}
	if down == 0 {
		return
	}
	w.after(down, func() {
		if h.off--; h.off == 0 {
			h.boot++
			w.say(Event{Kind: KindFault, Fault: i + 1, Node: h.id, Text: h.id + " has its power back"})
			w.rewire(i)
		}
	})
}

func (w *world) cut(i int, f spec.Fault) {
	side := make(map[string]bool)
	for _, name := range f.Partition {
		side[name] = true
	}
	w.cuts = append(w.cuts, side)
	w.rewire(i)
	if f.For == 0 {
		return
	}
	w.after(f.For, func() {
		for k := range w.cuts {
			if sameSide(w.cuts[k], side) {
				w.cuts = append(w.cuts[:k:k], w.cuts[k+1:]...)
				break
			}
		}
		w.say(Event{Kind: KindFault, Fault: i + 1, Text: "the partition has healed"})
		w.rewire(i)
	})
}

func sameSide(a, b map[string]bool) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a { // order-free: all must be there
		if !b[name] {
			return false
		}
	}
	return true
}

// drain asks the leader, as an operator would; without one there is nobody to ask.
func (w *world) drain(i int, node string, long time.Duration) {
	ask := func(on bool) {
		if w.lead == nil {
			w.say(Event{Kind: KindFault, Fault: i + 1, Text: "nobody leads: nothing is drained"})
			return
		}
		w.lead.propose(fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: node, On: on}, By: "the plan"}, nil)
	}
	w.blame[node] = i
	ask(true)
	if long > 0 {
		w.after(long, func() { ask(false) })
	}
}

// rewire follows a change, because of fault i, of who can reach whom.
func (w *world) rewire(i int) {
	for k, a := range w.hosts {
		for _, b := range w.hosts[k+1:] {
			p := pair(a, b)
			if _, cut := w.severed[p]; w.reach(a, b) {
				delete(w.severed, p)
			} else if !cut {
				w.severed[p] = w.now
			}
		}
	}
	if w.lead != nil && !w.mayLead(w.lead.host) {
		w.depose(i)
	}
	if w.lead == nil {
		w.elect()
		return
	}
	for _, h := range w.hosts {
		near := w.reach(w.lead.host, h)
		switch {
		case h.linked && !near:
			w.lead.miss(h)
			h.part(i)
		case !h.linked && near:
			w.dial(h, w.delays.Trip)
		}
	}
}

// depose ends a term: what was under way is lost, and each node has to find the next
// leader.
func (w *world) depose(i int) {
	w.say(Event{Kind: KindLeader, Node: w.lead.host.id, Text: w.lead.host.id + " leads no more"})
	w.former, w.silent = w.lead.host, w.now
	w.lead = nil
	for _, h := range w.hosts {
		if h.linked {
			h.part(i)
		}
	}
}

// elect looks for the next leader, once any voter can be it.
func (w *world) elect() {
	if w.electing || w.candidate() == nil {
		return
	}
	w.electing = true
	w.after(w.delays.Election, func() {
		w.electing = false
		if h := w.candidate(); h != nil && w.lead == nil {
			w.takeOver(h)
		}
	})
}

func (w *world) candidate() *host {
	for _, v := range w.voters {
		if v.on() && w.mayLead(v) {
			return v
		}
	}
	return nil
}

// takeOver begins a term.
func (w *world) takeOver(h *host) {
	w.lead = newLeadership(w, h)
	w.say(Event{Kind: KindLeader, Node: h.id, Text: h.id + " leads"})
	w.lead.inherit()
	w.dial(h, 0)
	for _, other := range w.hosts {
		if other != h && w.reach(h, other) {
			w.dial(other, w.delays.Dial)
		}
	}
	w.lead.tick()
}

// dial opens a node's session with the leader of now, if nothing comes between.
func (w *world) dial(h *host, d time.Duration) {
	lead := w.lead
	w.after(d, func() {
		if w.lead == lead && !h.linked && w.reach(lead.host, h) {
			lead.join(h)
		}
	})
}

// linkNode is the node as it says it is.
func (h *host) linkNode() link.Node {
	return link.Node{
		ID: h.id, Name: h.id, Boot: fmt.Sprintf("%s.%d", h.id, h.boot), BootSeq: uint64(h.boot), Profile: h.w.cfg.Profile,
		Labels: h.w.cfg.Labels[h.id],
	}
}
