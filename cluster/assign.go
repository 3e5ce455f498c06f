package cluster

import (
	"fmt"
	"math"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/placement"
	"github.com/selfware/selfware/supervisor"
	"github.com/selfware/selfware/supervisor/breaker"
)

// assign gives a node to each life that waits for one, as far as any fits and the
// pace allows; now is cluster time.
func assign(v fsm.View, p pace, now time.Duration, turn int) []supervisor.Assign {
	reqs := inTurn(p.hold(v.Pending(math.MaxInt)), turn)
	if len(reqs) == 0 {
		return nil
	}
	in := room(v, now)
	denied := make(map[string]string) // by path: why not the node that was asked for
	for i := range reqs {
		if why := relent(&reqs[i], in); why != "" {
			denied[reqs[i].Path] = why + "; instead: "
		}
		if p.on && p.lost[reqs[i].Last] {
			denied[reqs[i].Path] = p.String() + "; " + denied[reqs[i].Path]
		}
	}
	var assigns []supervisor.Assign
	for i, r := range placement.PlaceAll(reqs, in) {
		if r.Node != "" {
			assigns = append(assigns, supervisor.Assign{
				Path: reqs[i].Path, Epoch: reqs[i].Epoch, Node: r.Node, Why: denied[reqs[i].Path] + r.Why,
			})
		}
	}
	return assigns
}

// inTurn gives as many of those that wait as one entry takes: the oldest, or, if there
// are more, each in its turn. Lives that fit nowhere may be older than all others, and
// any number; nobody must wait behind them for ever.
func inTurn(reqs []supervisor.Request, turn int) []supervisor.Request {
	windows := max(1, (len(reqs)+maxAssigns-1)/maxAssigns)
	from := turn % windows * maxAssigns
	return reqs[from:min(len(reqs), from+maxAssigns)]
}

// relent lets a child go elsewhere if the node that an operator asked for cannot
// take it, and says why that cannot. The child was stopped to be moved: it must
// not stay down because its node filled up, or went, in between.
func relent(req *supervisor.Request, in placement.Input) (why string) {
	if req.Only == "" {
		return ""
	}
	r := placement.Place(*req, in)
	if r.Node != "" {
		return ""
	}
	req.Only = ""
	return r.Why
}

// room is the nodes as placement sees them at a cluster time.
func room(v fsm.View, now time.Duration) placement.Input {
	in := placement.Input{Where: v.Where(), ApartFrom: v.Apart()}
	for _, n := range v.Nodes() {
		used := v.Used(n.ID)
		p := placement.Node{
			ID: n.ID, Name: n.Name, Labels: n.Labels, CPU: n.CPU, Memory: n.Memory, Eligible: n.Eligible(),
			Used:    placement.Used{CPU: used.CPU, Memory: used.Memory, Children: used.Children},
			Circuit: circuit(v.Circuit(n.ID, now)),
		}
		if n.Health.Level != link.HealthWell {
			p.Degraded = n.Health.Reason
		}
		switch {
		case n.State != fsm.NodeAlive:
			p.Why = "is " + string(n.State)
		case n.Draining:
			p.Why = "is draining"
		case n.Fenced:
			p.Why = "is fenced, and has not yet said what it holds"
		}
		in.Nodes = append(in.Nodes, p)
	}
	return in
}

// circuit is a node's circuit as placement sees it.
func circuit(c fsm.Circuit) placement.Circuit {
	switch c.State {
	case breaker.Open:
		return placement.Circuit{Why: "its circuit is open: " + c.Why, Since: max(1, c.Since)}
	case breaker.HalfOpen:
		return placement.Circuit{Why: "its circuit is half-open: " + c.Why, Room: c.Room}
	}
	return placement.Circuit{}
}

// Explain says why a child that waits for a node has none: placement's sentence
// and each node's refusal. ok is false if it does not wait.
func Explain(v fsm.View, path string) (r placement.Result, ok bool) {
	t := v.Tree(supervisor.TreeName(path))
	if t == nil {
		return r, false
	}
	req, ok := t.Request(path)
	if !ok {
		return r, false
	}
	in := room(v, v.Clock())
	denied := relent(&req, in)
	r = placement.Place(req, in)
	if r.Node != "" {
		r.Why = fmt.Sprintf("will go to %s: %s", r.Node, r.Why)
	}
	if denied != "" {
		r.Why = denied + "; " + r.Why
	}
	if m := lostLately(v, v.Clock()); m.brakes() && m.lost[req.Last] {
		r.Why = m.String() + "; " + r.Why
	}
	return r, true
}
