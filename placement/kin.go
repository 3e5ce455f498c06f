package placement

import (
	"fmt"
	"strings"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// kinship knows on which nodes the instances of the children asked for are: by the
// path of the child, then by place of the node. It is built once per call.
type kinship map[string]map[int]int

func newKinship(reqs []supervisor.Request, in Input, index map[string]int) kinship {
	k := make(kinship)
	for _, req := range reqs {
		if req.Kin != "" && k[req.Kin] == nil {
			k[req.Kin] = make(map[int]int)
		}
	}
	if len(k) == 0 {
		return k
	}
	// order-free: a sum per child and node.
	for path, id := range in.Where {
		if node, ok := index[id]; ok {
			k.add(path, node)
		}
	}
	return k
}

// add takes note that a child is on a node.
func (k kinship) add(path string, node int) {
	if at := strings.LastIndexByte(path, '/'); at >= 0 && k[path[:at]] != nil {
		k[path[:at]][node]++
	}
}

// others counts the instances on each node but for the request itself, whose former
// life may be in Where.
func (p *planner) others(req supervisor.Request) func(node int) int {
	own := -1
	if i, ok := p.index[p.where[req.Path]]; ok {
		own = i
	}
	return func(node int) int {
		n := p.kin[req.Kin][node]
		if node == own {
			n--
		}
		return n
	}
}

// scatter leaves out the nodes that have more instances of the child than another that
// fits. An operator's Only goes before it.
func (p *planner) scatter(req supervisor.Request, fit []int) (left []int, refused []Refusal) {
	if req.Kin == "" || req.Only != "" || len(fit) < 2 || bug.On("instances-pile-up") {
		return fit, nil
	}
	here := p.others(req)
	least := here(fit[0])
	for _, i := range fit {
		least = min(least, here(i))
	}
	left = fit[:0]
	for _, i := range fit {
		if n := here(i); n > least {
			reason := fmt.Sprintf("has %s of %s, and another node that fits has fewer", count(n, "instance"), req.Kin)
			refused = append(refused, Refusal{Node: p.nodes[i].Name, Reason: reason})
		} else {
			left = append(left, i)
		}
	}
	return left, refused
}
