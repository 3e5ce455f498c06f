package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// obey does the next thing that the tree asks for, as a leader and its agents
// would when nothing goes wrong, and says what it did: place the first life that
// waits for a node, else stop or start what a node is ordered to, in list order;
// when all else is done, wait until the next back-off is over. New places are on
// the given nodes; orders are obeyed on
// all that are not lost. False: there was nothing to do.
func (r *rig) obey(nodes []string) (bool, string) {
	r.Helper()
	for _, req := range r.tree.Unplaced() {
		if node := r.choose(req, nodes); node != "" {
			r.must(Assign{Path: req.Path, Epoch: req.Epoch, Node: node})
			return true, ""
		}
	}
	var wake time.Duration
	for _, node := range slices.Sorted(maps.Keys(r.tree.onNode)) {
		if r.lost[node] {
			continue
		}
		for _, o := range r.tree.Orders(node) {
			status, _ := r.tree.Child(o.Path)
			switch {
			case o.Action == Halt:
				r.must(ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: EventExited, Reason: ExitNormal, Ordered: true, Restarts: r.alone(o.Path)})
				return true, fmt.Sprintf("stop %s on %s", o.Path, node)
			case status.Phase == PhaseRunning || status.Phase == PhaseStopping:
			case o.NotBefore > r.now:
				if wake == 0 || o.NotBefore < wake {
					wake = o.NotBefore
				}
			default:
				r.must(ChildEvent{Path: o.Path, Epoch: o.Epoch, Type: EventStarted, PID: 7, Restarts: r.alone(o.Path)})
				return true, fmt.Sprintf("start %s on %s", o.Path, node)
			}
		}
	}
	if at, ok := r.tree.NextAt(); ok && at <= r.now {
		r.must(Advance{})
		return true, ""
	} else if ok && (wake == 0 || at < wake) {
		wake = at
	}
	if wake == 0 {
		return false, ""
	}
	r.now = wake
	return true, fmt.Sprintf("at %v", wake)
}

// alone is how often the child's node says it restarted the present life alone.
func (r *rig) alone(path string) int {
	if n := r.tree.byPath[path]; n != nil {
		return n.life.Alone
	}
	return 0
}

// choose gives the node that was named, else the one before, else the one with
// the fewest children; the first of equals. None, if all are to be avoided.
func (r *rig) choose(req Request, nodes []string) string {
	best := ""
	for _, node := range nodes {
		switch {
		case req.Home != "" && (req.Home != node || r.awayFrom(req)), req.Only != "" && req.Only != node, slices.Contains(req.Avoid, node), r.lost[node]:
		case node == req.Last || node == req.Only || node == req.Home:
			return node
		case best == "" || len(r.tree.On(node)) < len(r.tree.On(best)):
			best = node
		}
	}
	return best
}

// awayFrom: the node that the request belongs to is not here.
func (r *rig) awayFrom(req Request) bool {
	return !slices.ContainsFunc(r.members, func(m Member) bool { return m.ID == req.Home && m.Here })
}

// must gives an input that the tree cannot refuse.
func (r *rig) must(in Input) {
	r.Helper()
	if _, err := r.step(in); err != nil {
		r.Fatalf("%+v: %v", in, err)
	}
}
