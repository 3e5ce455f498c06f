package supervisor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// This file draws random trees and random inputs.

var (
	strategies   = rapid.SampledFrom([]Strategy{OneForOne, OneForAll, RestForOne})
	restartTypes = rapid.SampledFrom([]RestartType{Permanent, Permanent, Transient, Temporary})
	anyNode      = rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"})
	pauses       = rapid.SampledFrom([]time.Duration{
		0, 0, time.Nanosecond, time.Second, 2 * time.Second, 10 * time.Second, time.Minute,
	})
)

func drawPolicy(rt *rapid.T) RestartPolicy {
	p := RestartPolicy{
		MaxRestarts: rapid.IntRange(0, 5).Draw(rt, "max"),
		MaxSeconds:  time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second,
	}
	switch rapid.IntRange(0, 3).Draw(rt, "backoff") {
	case 0:
		p.Backoff = Backoff{Kind: Fixed, Base: time.Second}
	case 1:
		p.Backoff = Backoff{Kind: Exponential, Base: time.Second, Max: 5 * time.Second}
	}
	if rapid.IntRange(0, 2).Draw(rt, "scope") == 0 {
		p.Scope = ScopeSupervisor
	}
	return p
}

// drawSpec draws a tree of at most 12 children, 4 levels deep. Ids come from a
// small set, so that two trees have children in common.
func drawSpec(rt *rapid.T) Spec {
	left := 12
	spec := Spec{
		Name: "t", Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt),
		Exclusive: rapid.IntRange(0, 7).Draw(rt, "exclusive") == 0,
	}
	spec.Update = drawUpdate(rt)
	spec.Children = drawChildren(rt, spec.RestartPolicy, 1, &left)
	spec.AutoShutdown = drawSignificance(rt, spec.Children)
	if rapid.IntRange(0, 2).Draw(rt, "after") == 0 {
		spec.After = rapid.SampledFrom([][]string{{"base"}, {"net/db", "base"}}).Draw(rt, "paths")
	}
	return spec
}

// drawUpdate draws a policy for rollouts, or none.
func drawUpdate(rt *rapid.T) *UpdatePolicy {
	if rapid.IntRange(0, 2).Draw(rt, "update") > 0 {
		return nil
	}
	return &UpdatePolicy{
		Parallel: rapid.IntRange(1, 3).Draw(rt, "parallel"),
		MinReady: rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second}).Draw(rt, "min_ready"),
		Deadline: time.Minute, AutoRevert: rapid.Bool().Draw(rt, "auto_revert"),
	}
}

func drawChildren(rt *rapid.T, p RestartPolicy, depth int, left *int) []ChildSpec {
	ids := rapid.Permutation([]string{"a", "b", "c", "d"}).Draw(rt, "ids")
	var children []ChildSpec
	for _, id := range ids[:rapid.IntRange(1, 4).Draw(rt, "children")] {
		if *left == 0 {
			break
		}
		*left--
		c := drawChild(rt, id, depth, left)
		if p.shared() {
			c.MaxRestarts = nil
		}
		children = append(children, c)
	}
	return children
}

func drawChild(rt *rapid.T, id string, depth int, left *int) ChildSpec {
	c := ChildSpec{ID: id, RestartType: restartTypes.Draw(rt, "type"), Exclusive: rapid.IntRange(0, 2).Draw(rt, "exclusive") == 0}
	if rapid.IntRange(0, 3).Draw(rt, "override") == 0 {
		n := rapid.IntRange(0, 5).Draw(rt, "max_restarts")
		c.MaxRestarts = &n
	}
	if depth < 4 && rapid.IntRange(0, 2).Draw(rt, "kind") == 0 {
		c.ID += "s" // an id of its own: a worker cannot turn into a supervisor
		c.Supervisor = &SupervisorSpec{Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt), Update: drawUpdate(rt)}
		c.Children = drawChildren(rt, c.Supervisor.RestartPolicy, depth+1, left)
		return c
	}
	if rapid.IntRange(0, 4).Draw(rt, "many") == 0 {
		c.ID += "m" // an id of its own: one worker cannot turn into many
		c.Update = drawUpdate(rt)
		if rapid.IntRange(0, 2).Draw(rt, "each") == 0 {
			c.EachNode = true
		} else if rapid.Bool().Draw(rt, "pool") {
			c.Pool = &Pool{Size: rapid.IntRange(0, 2).Draw(rt, "size"), Max: rapid.IntRange(2, 4).Draw(rt, "max"), RestartPolicy: drawPolicy(rt)}
		} else {
			c.Replicas = rapid.IntRange(1, 3).Draw(rt, "replicas")
		}
	}
	if c.Pool != nil && c.Pool.RestartPolicy.shared() {
		c.MaxRestarts = nil
	}
	c.MoveAfter, c.Exits = rapid.IntRange(0, 2).Draw(rt, "move_after"), drawExits(rt)
	if c.EachNode { // it never moves
		if c.MoveAfter = 0; c.Exits != nil {
			c.Exits.MoveOn = nil
		}
	}
	c.Program = &Program{Argv: []string{rapid.SampledFrom([]string{"v1", "v1", "v2"}).Draw(rt, "run")}}
	if rapid.IntRange(0, 4).Draw(rt, "func") == 0 {
		c.Program = &Program{Func: rapid.SampledFrom([]string{"f1", "f1", "f2"}).Draw(rt, "function")}
	}
	if rapid.IntRange(0, 4).Draw(rt, "places") == 0 {
		c.Placement.Nodes = []string{"n2"}
	}
	return c
}

// drawPath draws a path of the tree, or now and then one it does not have.
func (r *rig) drawPath(rt *rapid.T) string {
	paths := append(slices.Sorted(maps.Keys(r.tree.byPath)), "t/nobody")
	return rapid.SampledFrom(paths).Draw(rt, "path")
}

// drawEpoch draws the child's epoch, or one before it, or one that never was.
func (r *rig) drawEpoch(rt *rapid.T, path string) Epoch {
	status, _ := r.tree.Child(path)
	switch rapid.IntRange(0, 7).Draw(rt, "epoch") {
	case 0:
		return rapid.SampledFrom(append(slices.Clone(r.lives[path]), 0)).Draw(rt, "old")
	case 1:
		return status.Epoch + 1
	}
	return status.Epoch
}

func (r *rig) drawEvent(rt *rapid.T) Input {
	ev := ChildEvent{Path: r.drawPath(rt)}
	ev.Epoch, ev.Restarts = r.drawEpoch(rt, ev.Path), r.alone(ev.Path)
	switch rapid.IntRange(0, 12).Draw(rt, "event") {
	case 12:
		ev.Type, ev.Word = EventAsked, words.Draw(rt, "asks")
	case 11:
		ev.Type, ev.Reason, ev.Code, ev.Word = EventExited, ExitError, rapid.IntRange(1, 5).Draw(rt, "code"), words.Draw(rt, "says")
	case 10:
		ev.Type = EventFenced
	case 0:
		ev.Type, ev.PID = EventSpawned, 5
	case 1, 2:
		ev.Type, ev.PID = EventStarted, 6
	case 3:
		ev.Type, ev.Reason = EventExited, ExitNormal
	case 4:
		ev.Type, ev.Detail = EventCrashed, "no such file"
		ev.Fatal = rapid.IntRange(0, 3).Draw(rt, "fatal") == 0
	case 5:
		ev.Type = "heartbeat"
	case 6, 7:
		ev.Type = EventRestarted
		ev.Restarts = rapid.IntRange(0, 6).Draw(rt, "restarts")
		for range rapid.IntRange(0, ev.Restarts).Draw(rt, "ages") {
			ev.Ages = append(ev.Ages, pauses.Draw(rt, "age"))
		}
		slices.SortFunc(ev.Ages, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	default:
		ev.Type, ev.Reason, ev.Signal = EventExited, ExitKilled, "SIGKILL"
	}
	if rapid.IntRange(0, 5).Draw(rt, "last word") == 0 {
		return LastWord(ev)
	}
	return ev
}

var (
	words = rapid.SampledFrom([]Verdict{"", "", VerdictMove, VerdictMove, VerdictFinish, VerdictFail, VerdictEscalate, VerdictUp, "sing"})
	exits = rapid.Permutation([]Exit{"0", "1", "2", "3", "4", "5", "SIGKILL", "SIGTERM"})
)

// drawExits draws exit rules, or mostly none.
func drawExits(rt *rapid.T) *ExitRules {
	if rapid.IntRange(0, 2).Draw(rt, "has exit rules") > 0 {
		return nil
	}
	all, ends := exits.Draw(rt, "exits"), [4]int{}
	for i := range ends {
		ends[i] = rapid.IntRange(0, 2).Draw(rt, "in a list")
		if i > 0 {
			ends[i] += ends[i-1]
		}
	}
	return &ExitRules{
		FinishOn: all[:ends[0]:ends[0]], NeverRestartOn: all[ends[0]:ends[1]:ends[1]],
		MoveOn: all[ends[1]:ends[2]:ends[2]], EscalateOn: all[ends[2]:ends[3]:ends[3]],
	}
}

func (r *rig) drawLoss(rt *rapid.T) Input {
	in := NodeLost{Node: anyNode.Draw(rt, "node"), Reason: "silent", Restarted: rapid.Bool().Draw(rt, "restarted")}
	in.Apart = rapid.Bool().Draw(rt, "apart")
	in.Leased = !in.Restarted && rapid.Bool().Draw(rt, "leased")
	if in.Fenced = !in.Restarted && !in.Leased && rapid.Bool().Draw(rt, "fenced"); in.Fenced {
		return in
	}
	for _, path := range r.tree.On(in.Node) {
		if rapid.IntRange(0, 2).Draw(rt, "keep") == 0 {
			in.Keep = append(in.Keep, Ref{path, r.drawEpoch(rt, path)})
		}
	}
	return in
}

// drawReturn lets a lost node come back before it is fenced: its agent goes on, or
// says what it still holds.
func (w *walk) drawReturn(rt *rapid.T) {
	for _, node := range slices.Sorted(maps.Keys(w.lost)) {
		if !w.lost[node] || rapid.Bool().Draw(rt, "stays away") {
			continue
		}
		w.lost[node] = false
		if rapid.Bool().Draw(rt, "restarted") {
			in := w.drawLoss(rt).(NodeLost)
			in.Node, in.Restarted, in.Leased, in.Fenced = node, true, false, false
			_ = w.try(in)
		}
	}
}

func (r *rig) drawVerb(rt *rapid.T) Input {
	path := r.drawPath(rt)
	switch rapid.IntRange(0, 11).Draw(rt, "verb") {
	case 9:
		return Pause{Path: path, By: "ann", Why: "the rack is being moved"}
	case 10, 11:
		return Resume{Path: r.drawPaused(rt, path), By: "ann", Draining: []string{anyNode.Draw(rt, "draining")}}
	case 6:
		return Advance{}
	case 7:
		return Rollout{
			Path: rapid.SampledFrom([]string{r.tree.Name(), path}).Draw(rt, "tree"), By: "ann",
			Verb: rapid.SampledFrom([]RolloutVerb{RolloutPause, RolloutResume, RolloutRevert}).Draw(rt, "word"),
		}
	case 0:
		return Stop{Path: path, By: "ann"}
	case 1:
		return Restart{Path: path, By: "ann"}
	case 2:
		return Move{Path: path, By: "ann"}
	case 3:
		return Move{Path: path, To: anyNode.Draw(rt, "to"), By: "ann"}
	case 4:
		return Start{Path: path, By: RetryBy}
	case 5:
		return Reset{Path: path, By: "ann", Why: "the disk is fixed"}
	}
	return Start{Path: path, By: "ann"}
}

// drawEdit changes a little of the present spec, or all of it.
func (r *rig) drawEdit(rt *rapid.T) Input {
	if rapid.Bool().Draw(rt, "new") {
		return Edit{Spec: drawSpec(rt), By: "ann", Members: r.members}
	}
	spec := r.tree.Spec()
	spec.Children = slices.Clone(spec.Children)
	if len(spec.Children) == 0 {
		return Edit{Spec: spec, By: "ann", Members: r.members}
	}
	i := rapid.IntRange(0, len(spec.Children)-1).Draw(rt, "child")
	switch c := &spec.Children[i]; {
	case rapid.Bool().Draw(rt, "remove"):
		spec.Children = slices.Delete(spec.Children, i, i+1)
	case c.Program != nil && rapid.Bool().Draw(rt, "rules"):
		c.Exits = drawExits(rt)
	case c.Program != nil:
		c.Program = &Program{Argv: []string{fmt.Sprint("v", r.index)}}
	default:
		c.Children = nil
	}
	return Edit{Spec: spec, By: "ann", Members: r.members}
}

// drawNodes draws a cluster of some of the nodes, here or not; now and then one has the
// name of another.
func (r *rig) drawNodes(rt *rapid.T) Input {
	members := cluster(allNodes...)
	for i := range members {
		members[i].Here = rapid.Bool().Draw(rt, "here")
	}
	if rapid.IntRange(0, 3).Draw(rt, "succeeds") == 0 {
		members[0].Name, members[1].Name = members[1].Name, members[0].Name
	}
	return Nodes{Members: members[rapid.IntRange(0, 2).Draw(rt, "gone"):]}
}

// drawScale draws a size for a pool, or now and then for what is none.
func (r *rig) drawScale(rt *rapid.T) Input {
	in := Scale{Path: r.drawPath(rt), Size: rapid.IntRange(-1, 5).Draw(rt, "size"), By: "ann"}
	spec := r.tree.Spec()
	if pools := slices.Sorted(maps.Keys(spec.pools())); len(pools) > 0 {
		in.Path = rapid.SampledFrom(append(pools, in.Path)).Draw(rt, "pool")
	}
	return in
}

// drawInput draws anything that may happen to a tree.
func (r *rig) drawInput(rt *rapid.T) Input {
	switch rapid.IntRange(0, 21).Draw(rt, "input") {
	case 20:
		return r.drawDepend(rt)
	case 21:
		return r.drawFollow(rt)
	case 0, 1:
		path := r.drawPath(rt)
		return Assign{Path: path, Epoch: r.drawEpoch(rt, path), Node: anyNode.Draw(rt, "node")}
	case 2, 3:
		return r.drawLoss(rt)
	case 4:
		if rapid.Bool().Draw(rt, "back") {
			return Returned{Node: anyNode.Draw(rt, "node"), Unreported: rapid.Bool().Draw(rt, "unreported")}
		}
		return Drain{Node: anyNode.Draw(rt, "node")}
	case 5, 6, 7:
		return r.drawVerb(rt)
	case 8, 9:
		return r.drawEdit(rt)
	case 10:
		if r.tree.FollowsNodes() && rapid.Bool().Draw(rt, "nodes") {
			return r.drawNodes(rt)
		}
		return r.drawScale(rt)
	}
	return r.drawEvent(rt)
}

// underPath tells whether path is at or below top.
func underPath(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }
