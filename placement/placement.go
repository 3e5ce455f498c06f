package placement

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// MaxChildren is how many children a node takes: what it must be told at once, when
// its session begins, and what it says that it holds, have limits too.
const MaxChildren = 20_000

// Node is one node as the leader sees it. IDs are unique.
type Node struct {
	ID     string
	Name   string // what people call it; the ID where empty
	Labels map[string]string
	// CPU in thousandths of a core and Memory in bytes are its capacity;
	// 0 is unknown, and then there is no limit.
	CPU    int64
	Memory int64
	Used   Used
	// Eligible is false for a node that takes no children at all; Why then says
	// so in a word or two: "draining", "lost".
	Eligible bool
	Why      string
	Circuit  Circuit
	// Degraded, if set, is what the node itself has to complain of.
	Degraded string
}

// Circuit keeps children off a node while another fits. The zero value is closed.
type Circuit struct {
	// Why, if set, is why the circuit is not closed.
	Why string
	// Room is how many children the node may be given all the same, as trials.
	Room int
	// Since is when it opened, as long as it is open; 0 if it is half-open. If no
	// node fits but such ones, that of the least Since is the least bad.
	Since time.Duration
}

// refuses: a child only goes there if no other node fits.
func (c Circuit) refuses() bool { return c.Why != "" && c.Room <= 0 }

// Used is what the children placed on a node ask for, and their number.
type Used struct {
	CPU      int64
	Memory   int64
	Children int
}

// Input is the cluster at one moment. It is only read.
type Input struct {
	Nodes []Node
	// Where is the node id of every placed child, by path. Only apart_from and the
	// instances of one child read it; Node.Used is what counts for room.
	Where map[string]string
	// ApartFrom is the apart_from of placed children, by path, since being
	// apart is mutual: who runs already keeps its distance from who comes.
	ApartFrom map[string][]string
}

// Refusal says why a node was not fit. Node is its name.
type Refusal struct {
	Node   string
	Reason string
}

// Result is the node for one request. Node is its id, empty when none fits;
// Why is one sentence; Refusals name each node that was not fit, by name.
type Result struct {
	Node     string
	Why      string
	Refusals []Refusal
}

// Place chooses the node for one request.
func Place(req supervisor.Request, in Input) Result {
	return newPlanner([]supervisor.Request{req}, in).place(req)
}

// PlaceAll places requests in the order given; each sees the effect of those
// before it. Result i belongs to request i.
func PlaceAll(reqs []supervisor.Request, in Input) []Result {
	p := newPlanner(reqs, in)
	results := make([]Result, len(reqs))
	for i, req := range reqs {
		results[i] = p.place(req)
		p.record(req, results[i].Node)
	}
	return results
}

// planner is an Input made quick to ask, and what was placed since.
type planner struct {
	nodes []Node         // a copy, by name, then id
	index map[string]int // node id -> place in nodes
	apart apartness
	kin   kinship
	where map[string]string // Input.Where
	fit   []int             // scratch: places of the nodes that fit a request
}

func newPlanner(reqs []supervisor.Request, in Input) *planner {
	p := &planner{nodes: slices.Clone(in.Nodes), index: make(map[string]int, len(in.Nodes)), where: in.Where}
	for i := range p.nodes {
		p.nodes[i].Name = cmp.Or(p.nodes[i].Name, p.nodes[i].ID)
	}
	slices.SortFunc(p.nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	for i, n := range p.nodes {
		p.index[n.ID] = i
	}
	p.apart, p.kin = newApartness(reqs, in, p.index), newKinship(reqs, in, p.index)
	return p
}

// place answers one request against the present state.
func (p *planner) place(req supervisor.Request) Result {
	if len(p.nodes) == 0 {
		return Result{Why: "there is no node"}
	}
	if bug.On("each-node-roams") {
		req.Home = ""
	}
	if req.Home != "" {
		req.Only = req.Home
	}
	fit, refusals := p.filter(req)
	fit, open, kept := p.shun(req, fit)
	fit, avoided, more := p.avoid(req, fit)
	fit, crowded := p.scatter(req, fit)
	fit, spared := p.spare(req, fit)
	if more = slices.Concat(kept, more, crowded, spared); len(more) > 0 {
		refusals = append(refusals, more...)
		slices.SortStableFunc(refusals, func(a, b Refusal) int { return cmp.Compare(a.Node, b.Node) })
	}
	if len(fit) == 0 {
		return Result{Why: p.noneFits(req, refusals), Refusals: refusals}
	}
	best, why := p.choose(req, fit)
	switch {
	case avoided && len(fit) == 1:
		why = "to be avoided, but no other node fits"
	case avoided:
		why = "to be avoided, but no other node fits: " + why
	}
	switch c := p.nodes[best].Circuit; {
	case open:
		why = "the least bad, for no node fits whose circuit is closed (" + c.Why + "): " + why
	case c.Why != "" && req.Only == "":
		why = "as a trial (" + c.Why + "): " + why
	case len(kept) > 0:
		why += ", without " + namesOf(kept) + " (" + kept[0].Reason + ")"
	}
	return Result{Node: p.nodes[best].ID, Why: why, Refusals: refusals}
}

// namesOf names the node of the first refusal and counts the others.
func namesOf(refused []Refusal) string {
	if more := len(refused) - 1; more > 0 {
		return refused[0].Node + " and " + strconv.Itoa(more) + " more"
	}
	return refused[0].Node
}

// record counts a placement, for the requests that follow.
func (p *planner) record(req supervisor.Request, node string) {
	if node == "" {
		return
	}
	i := p.index[node]
	u := &p.nodes[i].Used
	u.CPU = addSaturating(u.CPU, asked(req.Placement.CPU))
	u.Memory = addSaturating(u.Memory, asked(req.Placement.Memory))
	u.Children++
	if c := &p.nodes[i].Circuit; c.Room > 0 {
		c.Room--
	}
	p.apart.add(req.Path, i, req.Placement.ApartFrom)
	p.kin.add(req.Path, i)
}

// asked reads a negative demand as none.
func asked(v int64) int64 { return max(v, 0) }

// addSaturating adds what is not negative, and stays at the largest value.
func addSaturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
