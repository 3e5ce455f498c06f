package placement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// choose picks among nodes that fit (at least one) by the order of preference
// in the package's doc, and says by which rule.
func (p *planner) choose(req supervisor.Request, fit []int) (best int, why string) {
	if req.Home != "" {
		return fit[0], "its own node"
	}
	if req.Only != "" {
		return fit[0], "the node that was asked for"
	}
	if i, rank := p.preferred(req.Placement.Nodes, fit); i >= 0 {
		return i, fmt.Sprintf("preferred node %d of %d", rank+1, len(req.Placement.Nodes))
	}
	if req.Last != "" && !slices.Contains(req.Avoid, req.Last) {
		for _, i := range fit {
			if p.nodes[i].ID == req.Last {
				return i, "it ran here before"
			}
		}
	}
	return p.byRoom(req, fit)
}

// preferred is the first of the wanted nodes (ids or names) that fits, and its
// rank among the wanted; -1 if none does.
func (p *planner) preferred(wanted []string, fit []int) (best, rank int) {
	for rank, w := range wanted {
		for _, i := range fit {
			if n := &p.nodes[i]; n.ID == w || n.Name == w {
				return i, rank
			}
		}
	}
	return -1, 0
}

// byRoom applies spread or pack, then room, then the hash.
func (p *planner) byRoom(req supervisor.Request, fit []int) (best int, why string) {
	best = fit[0]
	for _, i := range fit[1:] {
		a, b := &p.nodes[i], &p.nodes[best]
		if cmp.Or(compareRoom(req, a, b), compareTie(req.Path, a, b)) < 0 {
			best = i
		}
	}
	return best, p.explainRoom(req, fit, &p.nodes[best])
}

// explainRoom says how far byRoom had to go down its rules to find best.
func (p *planner) explainRoom(req supervisor.Request, fit []int, best *Node) string {
	if len(fit) == 1 {
		return "the only node that fits"
	}
	sameChildren, sameRoom := 0, 0
	for _, i := range fit {
		if n := &p.nodes[i]; n.Used.Children == best.Used.Children {
			sameChildren++
			if compareRoom(req, n, best) == 0 {
				sameRoom++
			}
		}
	}
	children, room := "fewest", "most"
	if req.Placement.Mode == supervisor.Pack {
		children, room = "most", "least"
	}
	why := fmt.Sprintf("%s children (%d)", children, best.Used.Children)
	if sameChildren > 1 {
		why += " and " + room + " room"
	}
	why += fmt.Sprintf(" of %d nodes that fit", len(fit))
	if sameRoom > 1 {
		why += fmt.Sprintf(", by hash among %d", sameRoom)
	}
	return why
}

// compareRoom is negative where spread or pack prefers a to b: fewest children,
// then most room, and for pack the reverse of both.
func compareRoom(req supervisor.Request, a, b *Node) int {
	order := cmp.Compare(a.Used.Children, b.Used.Children)
	if order == 0 {
		order = cmp.Compare(room(req, b), room(req, a))
	}
	if req.Placement.Mode == supervisor.Pack {
		return -order
	}
	return order
}

// room is the share that would stay free on a node, of cpu or of memory,
// whichever is smaller, in thousandths.
func room(req supervisor.Request, n *Node) int64 {
	return min(
		share(n.CPU, addSaturating(n.Used.CPU, asked(req.Placement.CPU))),
		share(n.Memory, addSaturating(n.Used.Memory, asked(req.Placement.Memory))))
}

func share(capacity, used int64) int64 {
	const whole = 1000
	left := free(capacity, used)
	switch {
	case capacity <= 0:
		return whole
	case capacity > 1<<50: // left*whole could overflow
		return left / (capacity / whole)
	}
	return left * whole / capacity
}

// compareTie orders nodes for one child by their hash, the greater first, then
// by id: two nodes are never equal.
func compareTie(path string, a, b *Node) int {
	return cmp.Or(cmp.Compare(tieHash(path, b.ID), tieHash(path, a.ID)), cmp.Compare(a.ID, b.ID))
}

// tieHash is FNV-1a of path, a zero byte and id, then mixed (the finalizer of
// MurmurHash3), since FNV alone leaves ids that differ in their last byte close
// to each other. It must not change: children would move for nothing.
func tieHash(path, id string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, s := range [...]string{path, "\x00", id} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
