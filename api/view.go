package api

import (
	"cmp"
	"fmt"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fence"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

// maxExplained bounds the children of one answer whose wait for a node is
// explained: each is placed for show, which costs time under the state's lock.
const maxExplained = 100

// facts are what an answer says besides the replicated state.
type facts struct {
	leader   string
	term     uint64
	peers    map[string]RaftServer
	suspects map[string]string
	checksum Checksum
}

// gather takes the facts. It asks others, who may look at the state: never call
// it within a View.
func (s *Server) gather() facts {
	f := facts{term: s.cfg.Cluster.Term(), peers: make(map[string]RaftServer)}
	f.leader, _ = s.cfg.Cluster.Leader()
	for _, p := range s.cfg.Peers() {
		f.peers[p.ID] = p
	}
	if s.cfg.Suspects != nil {
		f.suspects = s.cfg.Suspects()
	}
	m := s.cfg.Cluster.Machine()
	sum, _ := m.Sum()
	f.checksum = Checksum{Index: sum.Index, Agreed: m.Agreed(), Verdict: "none"}
	if f.checksum.Agreed > 0 {
		f.checksum.Verdict = "equal"
	}
	return f
}

// picture turns the state into what users see.
type picture struct {
	facts
	v         fsm.View
	names     names
	explained int
}

// picture looks at the state with the facts of now, and gives the index it saw.
func (s *Server) picture(look func(*picture)) (index uint64) {
	f := s.gather()
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		index = v.Index()
		look(&picture{facts: f, v: v, names: namesOf(v)})
	})
	return index
}

// index is how far this node's replica is.
func (s *Server) index() (index uint64) {
	s.cfg.Cluster.Machine().View(func(v fsm.View) { index = v.Index() })
	return index
}

func (p *picture) status() Status {
	return Status{
		Cluster: ClusterStatus{
			ID: p.v.ClusterID(), Leader: p.names.of(p.leader), Term: p.term, Index: p.v.Index(), Generation: p.v.Generation(),
			Checksum: p.checksum, Paced: cluster.Paced(p.v),
		},
		Nodes: p.nodes(), Trees: p.trees(),
	}
}

func (p *picture) nodes() []NodeStatus {
	nodes := []NodeStatus{}
	for _, n := range p.v.Nodes() {
		nodes = append(nodes, p.node(n))
	}
	return nodes
}

func (p *picture) node(n *fsm.Node) NodeStatus {
	st := NodeStatus{
		ID: n.ID, Name: n.Name, Address: n.Address, Status: string(n.State), Voter: p.peers[n.ID].Voter,
		Leader: n.ID == p.leader, Children: p.v.Used(n.ID).Children, Labels: n.Labels, Reason: n.Reason,
		Version: n.Version, API: n.API,
	}
	if n.Unfenced() {
		st.Reason += "; exclusive children may run there until its lease has run out"
	}
	if n.State != fsm.NodeAlive {
		return st
	}
	if n.Draining {
		st.Status = "draining"
	}
	if st.Health = n.Health.Level.String(); n.Health.Level == link.HealthDegraded {
		st.Reason = joined(st.Reason, "degraded: "+n.Health.Reason)
	}
	p.circuit(n, &st)
	// A leader that answers is no suspect, whatever gossip believes.
	if word := p.suspects[n.ID]; word != "" && !st.Leader {
		word := "gossip calls it " + word
		if n.Draining {
			word += "; it is draining"
		}
		st.Status, st.Reason = "suspect", joined(word, st.Reason)
	}
	return st
}

// circuit adds what keeps children off a node.
func (p *picture) circuit(n *fsm.Node, st *NodeStatus) {
	c := p.v.Circuit(n.ID, p.v.Clock())
	st.Circuit = c.State.String()
	switch c.State {
	case breaker.Open:
		st.Reason = joined(st.Reason, "circuit open, no child is placed there: "+p.names.text(c.Why))
	case breaker.HalfOpen:
		st.Reason = joined(st.Reason, fmt.Sprintf("circuit half-open, %d more children may try it: %s", c.Room, p.names.text(c.Why)))
	}
}

// joined puts two notes after each other, if there are two.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func (p *picture) trees() []TreeStatus {
	trees := []TreeStatus{}
	for _, name := range p.v.TreeNames() {
		trees = append(trees, p.tree(p.v.Tree(name), false))
	}
	return trees
}

// tree is one tree; with its supervisors too if all is asked for.
func (p *picture) tree(t *supervisor.Tree, all bool) TreeStatus {
	st := TreeStatus{Name: t.Name(), Status: string(t.Status()), Children: []ChildStatus{}, Rollout: p.rollout(t), After: t.Spec().After, WaitsFor: p.awaits(t.Name())}
	if root, ok := t.Child(t.Name()); ok {
		st.Paused = p.paused(root.Paused)
	}
	strategies := map[string]string{}
	if all {
		spec := t.Shape()
		strategiesOf(spec.Name, spec.Children, strategies)
	}
	for _, c := range t.Children() {
		if c.Supervisor && !all {
			continue
		}
		child := p.child(c)
		child.Strategy = strategies[c.Path]
		st.Children = append(st.Children, child)
	}
	return st
}

func strategiesOf(parent string, children []supervisor.ChildSpec, into map[string]string) {
	for _, c := range children {
		if c.Supervisor != nil {
			into[parent+"/"+c.ID] = string(c.Supervisor.Strategy)
			strategiesOf(parent+"/"+c.ID, c.Children, into)
		}
	}
}

func (p *picture) child(c supervisor.Status) ChildStatus {
	st := ChildStatus{
		Path: c.Path, Supervisor: c.Supervisor, Exclusive: c.Exclusive, Status: string(c.Phase), Node: p.names.of(c.Node), Epoch: uint64(c.Epoch),
		PID: c.PID, Restarts: c.Restarts, Moves: c.Moves, Since: p.wall(c.Since), Reason: p.names.text(c.Reason),
		Turn: string(c.Turn), Paused: p.paused(c.Paused),
	}
	if held := p.held(c); held != "" {
		st.Reason = joined(st.Reason, held)
	}
	if c.Phase != supervisor.PhasePending || p.explained >= maxExplained {
		return st
	}
	p.explained++
	if r, waits := cluster.Explain(p.v, c.Path); waits && r.Node == "" {
		if st.Reason != "" {
			st.Reason += "; "
		}
		st.Reason += "waits for a node: " + p.names.text(r.Why)
	}
	return st
}

func (p *picture) paused(by *supervisor.PauseStatus) *Paused {
	if by == nil {
		return nil
	}
	return &Paused{Path: by.Path, By: by.By, Why: by.Why, Since: p.wall(by.Since)}
}

// wall is about what the leader's clock said at a cluster time. Clusters have
// no wall clock, so it is reckoned back from the last entry.
func (p *picture) wall(at time.Duration) time.Time {
	return time.UnixMilli(p.v.Wall()).Add(at - p.v.Clock()).UTC().Round(time.Millisecond)
}

// find gives the status of a worker, a supervisor or a tree.
func (p *picture) find(path string) (*supervisor.Tree, supervisor.Status, error) {
	name := supervisor.TreeName(path)
	t := p.v.Tree(name)
	if t == nil {
		return nil, supervisor.Status{}, notFound("there is no tree %q", name)
	}
	st, ok := t.Child(path)
	if !ok {
		return nil, supervisor.Status{}, notFound("tree %s has no %q; see what it has: selfware-node tree %s", name, path, name)
	}
	return t, st, nil
}

func (p *picture) why(path string) (Why, error) {
	t, st, err := p.find(path)
	if err != nil {
		return Why{}, err
	}
	w := Why{Child: p.child(st), Budget: st.Budget, Decisions: p.names.decisions(t.History(path))}
	if st.Supervisor {
		w.Child.Strategy = p.strategy(t, path)
	}
	if p.held(st) != "" || st.Supervisor && path == t.Name() {
		w.WaitsFor = p.awaits(t.Name())
	}
	if r, waits := cluster.Explain(p.v, path); waits {
		w.Waiting = &Waiting{Why: p.names.text(r.Why), Refusals: []Refusal{}}
		for _, no := range r.Refusals {
			w.Waiting.Refusals = append(w.Waiting.Refusals, Refusal{Node: p.names.of(no.Node), Reason: p.names.text(no.Reason)})
		}
	}
	return w, nil
}

// epoch is the present life of a worker. One that was not ordered to start yet will
// be in the present generation.
func (p *picture) epoch(path string) (Epoch, error) {
	_, st, err := p.find(path)
	if err != nil {
		return Epoch{}, err
	}
	if st.Supervisor {
		return Epoch{}, badRequest("%s is a supervisor and has no life of its own; ask for one of its children", path)
	}
	e := Epoch{
		Path: st.Path, Epoch: uint64(st.Epoch), Generation: cmp.Or(st.Generation, p.v.Generation()),
		Node: p.names.of(st.Node), Status: string(st.Phase), Exclusive: st.Exclusive,
	}
	e.Fence = fence.Token{Generation: e.Generation, Epoch: e.Epoch}.String()
	return e, nil
}

func (p *picture) strategy(t *supervisor.Tree, path string) string {
	spec := t.Shape()
	if path == spec.Name {
		return string(spec.Strategy)
	}
	found := map[string]string{}
	strategiesOf(spec.Name, spec.Children, found)
	return found[path]
}

func (p *picture) event(r fsm.Record) Event {
	ev := Event{
		Index: r.Index, N: r.N, At: time.UnixMilli(r.Wall).UTC(), Kind: string(r.Kind), Node: p.names.of(r.Node),
		Sentence: p.names.text(r.Sentence),
	}
	if r.Decision != nil {
		d := p.names.decision(*r.Decision)
		ev.Decision, ev.Path, ev.Verdict, ev.Node = &d, d.Path, string(d.Verdict), d.Node
	}
	return ev
}
