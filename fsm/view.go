package fsm

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// View reads the state during one View call; nothing of it may be kept after.
type View struct{ s *state }

// View gives a consistent look at the state. Apply waits: be short.
func (m *Machine) View(look func(View)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	look(View{&m.s})
}

// Index is the index of the last entry applied.
func (v View) Index() uint64 { return v.s.index }

// Clock is cluster time as of the last entry.
func (v View) Clock() time.Duration { return v.s.clock }

// Wall is the leader's wall clock in Unix milliseconds at the last entry, for
// display only.
func (v View) Wall() int64 { return v.s.wall }

// ClusterID is empty until the cluster is initialised.
func (v View) ClusterID() string { return v.s.clusterID }

// Generation begins with 1; a restore adds one, a forced recovery goes to the next
// thousand (see Recovered).
func (v View) Generation() uint64 { return v.s.generation }

// Quarantine is the cluster time before which no lease may be granted: until then
// an exclusive life of a time that was discarded, by a restore or a forced recovery,
// may still run, and no node of the present knows of it.
func (v View) Quarantine() time.Duration { return v.s.quarantine }

// Leased tells whether exclusive lives may run on a node, for all that the state
// knows.
func (v View) Leased(id string) bool { return v.s.leased(id) }

// Unfenced lists the nodes, by id, that are lost or have left and may run exclusive
// children until their lease has run out.
func (v View) Unfenced() []*Node {
	var nodes []*Node
	for _, id := range v.s.nodeIDs() {
		if n := v.s.nodes[id]; n.Unfenced() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Lent tells whether budgets hold back what the node was lent, until it is back.
func (v View) Lent(id string) bool {
	for _, t := range v.s.trees { // order-free: any of them
		if t.Lent(id) {
			return true
		}
	}
	return false
}

// Nodes lists all nodes by name. The records are immutable.
func (v View) Nodes() []*Node {
	nodes := make([]*Node, 0, len(v.s.nodes))
	for _, id := range v.s.nodeIDs() {
		nodes = append(nodes, v.s.nodes[id])
	}
	slices.SortFunc(nodes, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nodes
}

// Node looks a node up by id or name; ErrUnknownNode if there is none.
func (v View) Node(key string) (*Node, error) { return v.s.findNode(key) }

// Used is what the children on a node take of it.
func (v View) Used(id string) Used { return v.s.used[id] }

// Where maps every placed path to its node, Apart every such path to what it is
// apart from. Read only, during the View.
func (v View) Where() map[string]string { return v.s.where }

// Apart belongs to Where.
func (v View) Apart() map[string][]string { return v.s.apart }

// TreeNames lists the trees, sorted.
func (v View) TreeNames() []string { return slices.Sorted(maps.Keys(v.s.trees)) }

// Tree gives a tree to read during the View; nil if there is none.
func (v View) Tree(name string) *supervisor.Tree { return v.s.trees[name] }

// Pending lists at most limit lives that need a node, oldest decision first.
func (v View) Pending(limit int) []supervisor.Request {
	var reqs []supervisor.Request
	for _, path := range slices.Sorted(maps.Keys(v.s.pending)) {
		if t := v.s.trees[supervisor.TreeName(path)]; t != nil {
			if r, ok := t.Request(path); ok {
				reqs = append(reqs, r)
			}
		}
	}
	slices.SortStableFunc(reqs, func(a, b supervisor.Request) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return reqs[:min(limit, len(reqs))]
}

// Orders is the whole of what a node must make true, over all trees.
func (v View) Orders(node string) []supervisor.Order {
	var orders []supervisor.Order
	for _, name := range v.TreeNames() {
		orders = append(orders, v.s.trees[name].Orders(node)...)
	}
	return orders
}

// Order is the order for one path, and the node it is for.
func (v View) Order(path string) (string, supervisor.Order, bool) {
	if t := v.s.trees[supervisor.TreeName(path)]; t != nil {
		return t.Order(path)
	}
	return "", supervisor.Order{}, false
}

// Records gives at most limit records after the given index and position, and
// whether the stream still reaches back that far without a gap.
func (v View) Records(index uint64, n, limit int) (records []Record, complete bool) {
	all, after, gone := v.s.kept(), mark{index, n}, v.s.forgotten()
	i := sort.Search(len(all), func(i int) bool { return after.before(all[i].mark()) })
	return slices.Clone(all[i:min(len(all), i+limit)]), gone == mark{} || !after.before(gone)
}

// TakeChanged lists and forgets the paths whose order, request or status may
// have changed since the last call, and tells whether a node's record has. It
// has one caller, the leader.
func (m *Machine) TakeChanged() (paths []string, nodes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	paths, nodes = slices.Sorted(maps.Keys(m.s.changed)), m.s.nodesChanged
	clear(m.s.changed)
	m.s.nodesChanged = false
	return paths, nodes
}
