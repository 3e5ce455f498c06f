package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// NodeState is what the log says of a node. Suspicion is not in the log.
type NodeState string

const (
	NodeAlive NodeState = "alive"
	NodeDown  NodeState = "lost"
	NodeGone  NodeState = "left"
)

// Node is a node's replicated record.
type Node struct {
	link.Node
	State    NodeState     `cbor:"state"`
	Draining bool          `cbor:"draining,omitempty"`
	Since    time.Duration `cbor:"since"` // cluster time of the last change of State
	Reason   string        `cbor:"reason,omitempty"`
	// Fenced: its lease has run out, and no exclusive life is left there. An alive
	// node that is fenced must say anew what it holds.
	Fenced bool `cbor:"fenced,omitempty"`
	// Succeeded: a node with a fresh data dir bears the name now. The record is
	// kept until the node is fenced.
	Succeeded bool `cbor:"succeeded,omitempty"`
	// Health is what it last said of itself, until it says something else.
	Health link.Health `cbor:"health,omitzero"`
}

// Eligible: children may be placed there.
func (n *Node) Eligible() bool { return n.State == NodeAlive && !n.Draining && !n.Fenced }

// Unfenced: the node is not in the cluster any more, and exclusive children may yet
// run there, until its lease has run out.
func (n *Node) Unfenced() bool { return n.State != NodeAlive && !n.Fenced }

// Used is what the children of a node take of it.
type Used struct {
	CPU, Memory int64
	Children    int
}

// place is where a path is, and what it takes there.
type place struct {
	node        string
	cpu, memory int64
}

// nodeUp enters a node, or brings it back; then it goes on with the lives that it
// was not fenced from yet. A new boot means that its agent began anew: lives it
// does not hold any more are over, uncharged.
func (s *state) nodeUp(in *NodeUp) Result {
	old := s.nodes[in.Node.ID]
	if err := s.admissible(old, in.Node); err != nil {
		return Result{Err: err}
	}
	n := &Node{Node: in.Node, State: NodeAlive, Since: s.clock}
	if old != nil {
		n.Draining, n.Health = old.Draining, old.Health
		if old.State == NodeAlive {
			n.Since = old.Since
		}
	}
	s.nodes[n.ID] = n
	s.nodesChanged = true
	switch {
	case old == nil:
		s.recordNode(n, "joined")
	case old.State != NodeAlive:
		s.recordNode(n, "is back")
	case old.Boot != n.Boot:
		s.recordNode(n, "has restarted")
	}
	res := Result{Decisions: s.tellNodes()}
	if old != nil && old.Boot != n.Boot && (old.State == NodeAlive || old.Unfenced()) && !bug.On("new-boot-keeps-lives") {
		res.Decisions = append(res.Decisions, s.eachTree(supervisor.NodeLost{
			Node: n.ID, Reason: "its agent restarted", Keep: in.Lives, Restarted: true,
			Apart: in.Apart && old.State == NodeAlive, // else it is known since it was lost
		})...)
	}
	if old != nil && old.Boot != n.Boot {
		s.void(n.ID, true)
	}
	return res
}

// admissible refuses a node that cannot be told from another, or from its own
// newer start.
func (s *state) admissible(old *Node, n link.Node) error {
	if old != nil && old.State == NodeGone {
		return fmt.Errorf("node %s %w: to come back, join with an empty data dir", n.Name, ErrLeft)
	}
	if old != nil && n.BootSeq < old.BootSeq {
		return fmt.Errorf("%w: node %s has a newer start than this one (%d after %d)", supervisor.ErrStale, n.Name, old.BootSeq, n.BootSeq)
	}
	if old != nil && n.BootSeq == old.BootSeq && n.Boot != old.Boot && old.Boot != "" && !bug.On("copied-data-dir-admitted") {
		return fmt.Errorf("%w: node id %s runs twice; was its data dir copied? Give the copy a fresh data dir", supervisor.ErrRefused, n.ID)
	}
	other := s.named(n.Name)
	if other != nil && other.ID == n.ID {
		other = nil
	}
	if other != nil && other.State == NodeAlive {
		return fmt.Errorf("%w: the name %s belongs to node %s, which is alive; choose another --name", supervisor.ErrRefused, n.Name, other.ID)
	}
	frees := other != nil && !other.Unfenced()
	if old == nil && !frees && len(s.nodes) >= MaxNodes && !s.forgetLeft() {
		return fmt.Errorf("%w: the cluster has %d nodes, the limit", supervisor.ErrRefused, MaxNodes)
	}
	if err := s.roomForNode(old); err != nil {
		return err
	}
	if other != nil {
		s.succeed(other)
	}
	return nil
}

// succeed lets a node on a fresh disk take the name of one that is not in the
// cluster any more. As long as that one may run exclusive children it is kept,
// under its id: its successor does not answer for it.
func (s *state) succeed(old *Node) {
	if !old.Unfenced() {
		s.void(old.ID, true)
		delete(s.nodes, old.ID)
		return
	}
	next := *old
	next.Succeeded = true
	s.nodes[old.ID] = &next
}

// forgetLeft makes room by dropping the node that left first, if any has and
// nothing can run there any more.
func (s *state) forgetLeft() bool {
	var first *Node
	for _, id := range s.nodeIDs() {
		if n := s.nodes[id]; n.State == NodeGone && n.Fenced && (first == nil || n.Since < first.Since) {
			first = n
		}
	}
	if first == nil {
		return false
	}
	delete(s.nodes, first.ID)
	return true
}

// named gives the node of that name, or nil: names are unique, but for nodes that
// were succeeded.
func (s *state) named(name string) *Node {
	for _, n := range s.nodes { // order-free: names are unique
		if n.Name == name && !n.Succeeded {
			return n
		}
	}
	return nil
}

func (s *state) nodeLost(in *NodeRef) Result {
	n := s.nodes[in.ID]
	if n == nil || n.Boot != in.Boot || n.State != NodeAlive {
		return Result{Err: supervisor.ErrStale}
	}
	return s.leave(n, NodeDown, in)
}

func (s *state) nodeLeft(in *NodeRef) Result {
	n := s.nodes[in.ID]
	if n == nil {
		return Result{Err: fmt.Errorf("%w: %s", ErrUnknownNode, in.ID)}
	}
	if n.State == NodeGone {
		return Result{Err: supervisor.ErrStale}
	}
	return s.leave(n, NodeGone, in)
}

// leave takes a node out of the cluster, for now or for good. While its lease may
// hold, the exclusive lives that it may have stay there; a node that has none is
// fenced as it is.
func (s *state) leave(n *Node, to NodeState, in *NodeRef) Result {
	next := *n
	next.State, next.Since, next.Reason = to, s.clock, in.Reason
	s.nodes[n.ID] = &next
	s.nodesChanged = true
	s.recordNode(&next, fmt.Sprintf("is %s (%s)", to, in.Reason))
	res := Result{Decisions: s.tellNodes()}
	if n.State == NodeAlive || n.Unfenced() && !in.Leased {
		// One that is fenced was granted nothing since: it runs nothing exclusive.
		res.Decisions = append(res.Decisions, s.eachTree(supervisor.NodeLost{
			Node: n.ID, Reason: in.Reason, Leased: in.Leased && !n.Fenced, Apart: in.Apart,
		})...)
	}
	if to == NodeGone {
		s.void(n.ID, true)
	}
	next.Fenced = n.Fenced || !s.leased(n.ID)
	s.drop(&next)
	return res
}

// leased: exclusive lives may run on the node.
func (s *state) leased(id string) bool {
	for _, t := range s.trees { // order-free: any of them
		if t.Leased(id) {
			return true
		}
	}
	return false
}

// drop forgets a node once nothing of it is left and another bears its name.
func (s *state) drop(n *Node) {
	if n.Succeeded && !n.Unfenced() {
		s.void(n.ID, true)
		delete(s.nodes, n.ID)
	}
}

// returned: a node that was lost has obeyed what is ordered now.
func (s *state) returned(in *NodeRef) Result {
	n := s.nodes[in.ID]
	if n == nil || n.Boot != in.Boot || n.State != NodeAlive || !s.void(n.ID, false) {
		return Result{Err: supervisor.ErrStale}
	}
	return Result{}
}

// void ends what budgets hold back for a node (supervisor.Returned). It makes
// neither decisions nor epochs, so it needs no stamp of its own.
func (s *state) void(id string, unreported bool) (found bool) {
	for _, name := range slices.Sorted(maps.Keys(s.trees)) {
		_, err := s.stepHere(s.trees[name], supervisor.Returned{Node: id, Unreported: unreported})
		found = found || err == nil
	}
	return found
}

// nodeFenced ends the exclusive lives of a node: its lease has surely run out. The
// node may be alive otherwise.
func (s *state) nodeFenced(in *NodeRef) Result {
	n := s.nodes[in.ID]
	if n == nil || n.Boot != in.Boot || n.Fenced {
		return Result{Err: supervisor.ErrStale}
	}
	next := *n
	next.Fenced = true
	s.nodes[n.ID] = &next
	s.nodesChanged = true
	reason := cmp.Or(in.Reason, "its lease has run out")
	s.recordNode(&next, "is fenced: no exclusive child runs there any more ("+reason+")")
	// Of a node that is not alive everything is over: an exclusive life that ended
	// there meanwhile may have been followed by one that is not.
	res := Result{Decisions: s.tellNodes()}
	res.Decisions = append(res.Decisions, s.eachTree(supervisor.NodeLost{Node: n.ID, Reason: reason, Fenced: n.State == NodeAlive})...)
	s.drop(&next)
	return res
}

func (s *state) drain(in *NodeRef, by string) Result {
	n, err := s.findNode(in.ID)
	if err != nil {
		return Result{Err: err}
	}
	if n.Draining == in.On {
		return Result{}
	}
	next := *n
	next.Draining = in.On
	s.nodes[n.ID] = &next
	s.nodesChanged = true
	if !in.On {
		s.recordNode(&next, "takes children again (asked by "+by+")")
		return Result{Decisions: s.tellNodes()}
	}
	s.recordNode(&next, "is draining (asked by "+by+")")
	ds := s.tellNodes()
	return Result{Decisions: append(ds, s.eachTree(supervisor.Drain{Node: n.ID})...)}
}

// findNode looks a node up by id, or by name.
func (s *state) findNode(key string) (*Node, error) {
	if n := s.nodes[key]; n != nil {
		return n, nil
	}
	if n := s.named(key); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownNode, key)
}

// nodeIDs lists the node ids, sorted.
func (s *state) nodeIDs() []string {
	ids := make([]string, 0, len(s.nodes))
	for id := range s.nodes { // order-free: sorted below
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
