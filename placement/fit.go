package placement

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// filter splits the nodes into those that fit by the hard rules and refusals.
// The slice of fits is the planner's scratch, valid until the next call.
func (p *planner) filter(req supervisor.Request) ([]int, []Refusal) {
	q := query{
		Request: req,
		needs:   slices.Sorted(maps.Keys(req.Placement.Needs)),
		rules:   p.apart.rulesFor(req),
		only:    -1,
	}
	if req.Kin != "" && req.Placement.Instances == supervisor.ApartStrictly {
		q.kin = p.others(req)
	}
	if req.Only != "" {
		q.only = p.find(req.Only)
	}
	p.fit = p.fit[:0]
	var refusals []Refusal
	for i := range p.nodes {
		if reason := q.refuse(i, &p.nodes[i]); reason != "" {
			refusals = append(refusals, Refusal{Node: p.nodes[i].Name, Reason: reason})
		} else {
			p.fit = append(p.fit, i)
		}
	}
	return p.fit, refusals
}

// find is the place of the node with this id or else this name, -1 if none has.
func (p *planner) find(node string) int {
	if i, ok := p.index[node]; ok {
		return i
	}
	return slices.IndexFunc(p.nodes, func(n Node) bool { return n.Name == node })
}

// avoid leaves the avoided nodes out as long as another fits. It tells whether
// only avoided ones are left, and refuses those it left out.
func (p *planner) avoid(req supervisor.Request, fit []int) (left []int, avoided bool, refused []Refusal) {
	if len(req.Avoid) == 0 || req.Only != "" || len(fit) == 0 {
		return fit, false, nil
	}
	isAvoided := func(i int) bool { return slices.Contains(req.Avoid, p.nodes[i].ID) }
	others := 0
	for _, i := range fit {
		if !isAvoided(i) {
			others++
		}
	}
	if others == 0 {
		return fit, true, nil
	}
	left = fit[:0]
	for _, i := range fit {
		if isAvoided(i) {
			refused = append(refused, Refusal{Node: p.nodes[i].Name, Reason: "the child is to avoid it, and another node fits"})
		} else {
			left = append(left, i)
		}
	}
	return left, false, refused
}

// spare leaves out the nodes that are degraded, while another fits that is not. Who is
// asked for, prefers the node or was there before goes there all the same.
func (p *planner) spare(req supervisor.Request, fit []int) (left []int, refused []Refusal) {
	degraded := func(i int) bool { return p.nodes[i].Degraded != "" }
	if req.Only != "" || !slices.ContainsFunc(fit, degraded) || bug.On("degraded-node-not-spared") {
		return fit, nil
	}
	wanted := func(i int) bool {
		n := &p.nodes[i]
		return n.ID == req.Last || slices.Contains(req.Placement.Nodes, n.ID) || slices.Contains(req.Placement.Nodes, n.Name)
	}
	if !slices.ContainsFunc(fit, func(i int) bool { return !degraded(i) }) {
		return fit, nil
	}
	for _, i := range fit {
		if degraded(i) && !wanted(i) {
			refused = append(refused, Refusal{Node: p.nodes[i].Name, Reason: "is degraded (" + p.nodes[i].Degraded + "), and another node fits"})
		} else {
			left = append(left, i)
		}
	}
	return left, refused
}

// shun leaves out the nodes whose circuit refuses, as long as another fits, and
// refuses those it left out. If there is no other, the least bad ones are left, and
// it tells so.
func (p *planner) shun(req supervisor.Request, fit []int) (left []int, open bool, refused []Refusal) {
	if req.Only != "" || !slices.ContainsFunc(fit, func(i int) bool { return p.nodes[i].Circuit.refuses() }) {
		return fit, false, nil
	}
	if bug.On("open-node-gets-lives") {
		return fit, false, nil
	}
	keep := func(i int) bool { return !p.nodes[i].Circuit.refuses() }
	if open = !slices.ContainsFunc(fit, keep); open {
		least := p.nodes[slices.MinFunc(fit, func(a, b int) int {
			return cmp.Compare(p.nodes[a].Circuit.Since, p.nodes[b].Circuit.Since)
		})].Circuit.Since
		keep = func(i int) bool { return p.nodes[i].Circuit.Since == least }
	}
	left = fit[:0]
	for _, i := range fit {
		if keep(i) {
			left = append(left, i)
			continue
		}
		reason := p.nodes[i].Circuit.Why
		if open {
			reason += ", and another is less bad"
		}
		refused = append(refused, Refusal{Node: p.nodes[i].Name, Reason: reason})
	}
	return left, open, refused
}

// query is a request with what can be worked out once for all nodes.
type query struct {
	supervisor.Request
	needs []string // keys of Needs, sorted
	rules []apartRule
	only  int // place of the Only node; -1: not set, or no such node
	// kin counts the instances on a node that this one must not be with; nil if it may.
	kin func(node int) int
}

// refuse says why node i does not fit, or nothing if it does.
func (q *query) refuse(i int, n *Node) string {
	switch {
	case q.Home != "" && i != q.only:
		return "is of another node"
	case q.Only != "" && i != q.only:
		return "not the node that was asked for (" + q.Only + ")"
	case !n.Eligible && n.Why == "":
		return "not eligible"
	case !n.Eligible:
		return n.Why
	}
	if reason := q.refuseLabels(n); reason != "" {
		return reason
	}
	if reason := q.refuseFunc(n); reason != "" {
		return reason
	}
	if n.Used.Children >= MaxChildren {
		return fmt.Sprintf("has %d children, the limit of a node", n.Used.Children)
	}
	if ask := asked(q.Placement.CPU); !fits(ask, n.CPU, n.Used.CPU) {
		return "asks " + cores(ask) + ", " +
			thousandths(free(n.CPU, n.Used.CPU)) + " of " + thousandths(n.CPU) + " are free"
	}
	if ask := asked(q.Placement.Memory); !fits(ask, n.Memory, n.Used.Memory) {
		return "asks " + bytesUp(ask) + " memory, " +
			bytesDown(free(n.Memory, n.Used.Memory)) + " of " + bytesDown(n.Memory) + " are free"
	}
	for _, r := range q.rules {
		if reason := r.refuse(i, q.Path); reason != "" {
			return reason
		}
	}
	if q.kin != nil && q.kin(i) > 0 {
		return "has an instance of " + q.Kin + ", and each must be on a node of its own"
	}
	return ""
}

func (q *query) refuseLabels(n *Node) string {
	for _, key := range q.needs {
		want := q.Placement.Needs[key]
		have, ok := n.Labels[key]
		switch {
		case !ok:
			return "needs " + key + "=" + want + ", the node has no label " + key
		case have != want:
			return "needs " + key + "=" + want + ", the node has " + key + "=" + have
		}
	}
	return ""
}

// refuseFunc keeps functions where they are registered, and processes off the nodes
// that have no keeper for them.
func (q *query) refuseFunc(n *Node) string {
	switch {
	case q.Func != "" && n.Labels[supervisor.FuncLabel(q.Func)] == "":
		return "has not registered " + q.Func
	case q.Func == "" && n.Labels[supervisor.EmbeddedLabel] != "":
		return "is embedded in a program, and runs functions only"
	}
	return ""
}

// unregistered: it is a function that no node has.
func (p *planner) unregistered(req supervisor.Request) bool {
	return req.Func != "" && !slices.ContainsFunc(p.nodes, func(n Node) bool {
		return n.Labels[supervisor.FuncLabel(req.Func)] != ""
	})
}

// fits tells whether a demand finds room. A capacity of 0 is no limit.
func fits(ask, capacity, used int64) bool {
	return ask == 0 || capacity <= 0 || ask <= free(capacity, used)
}

// free is what is left of a capacity, never negative.
func free(capacity, used int64) int64 { return max(capacity-max(used, 0), 0) }

// shownRefusals is how many refusals a sentence repeats.
const shownRefusals = 3

// noneFits is the sentence for a child that stays without a node.
func (p *planner) noneFits(req supervisor.Request, refusals []Refusal) string {
	if req.Home != "" {
		i := p.find(req.Home)
		if i < 0 {
			return "its node " + req.Home + " is not there"
		}
		return "it waits for its node " + p.nodes[i].Name + ": " + refusals[i].Reason
	}
	if req.Only != "" {
		i := p.find(req.Only)
		if i < 0 {
			return "there is no node " + req.Only + ", which was asked for"
		}
		// All nodes were refused, so refusals and nodes run in step.
		return "node " + p.nodes[i].Name + ", which was asked for, does not fit: " + refusals[i].Reason
	}
	if p.unregistered(req) {
		return "no node has registered " + req.Func
	}
	var parts []string
	for _, r := range refusals[:min(len(refusals), shownRefusals)] {
		parts = append(parts, r.Node+": "+r.Reason)
	}
	if more := len(refusals) - shownRefusals; more > 0 {
		parts = append(parts, strconv.Itoa(more)+" more")
	}
	return fmt.Sprintf("none of %s fits (%s)", count(len(p.nodes), "node"), strings.Join(parts, "; "))
}

// cores writes thousandths of a core: "2 cores", "1 core", "0.25 cores".
func cores(milli int64) string {
	if milli == 1000 {
		return "1 core"
	}
	return thousandths(milli) + " cores"
}

// thousandths writes a number of thousandths without needless zeros: 500 is "0.5".
func thousandths(v int64) string {
	s := strconv.FormatInt(v/1000, 10)
	if v%1000 == 0 {
		return s
	}
	return s + strings.TrimRight(fmt.Sprintf(".%03d", v%1000), "0")
}

// bytesUp and bytesDown write a size in the largest unit that it fills, to three
// places: "512 MiB", "1.5 GiB". What is asked is rounded up and what there is
// down, so that a refusal never shows two equal sizes.
func bytesUp(v int64) string   { return bytes(v, true) }
func bytesDown(v int64) string { return bytes(v, false) }

func bytes(v int64, up bool) string {
	for k, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		size := int64(1) << (10 * (4 - k))
		if v < size {
			continue
		}
		rest := v % size * 1000
		milli := v/size*1000 + rest/size
		if up && rest%size > 0 {
			milli++
		}
		return thousandths(milli) + " " + unit
	}
	return strconv.FormatInt(v, 10) + " B"
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
