package fsm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// This file draws random logs: what a leader may propose, and much that it
// should not. Draws look at the state so far, so that many hit.

var (
	nodeIDs   = []string{"n1", "n2", "n3", "n4"}
	treeNames = []string{"t", "u", "v"}
	anyID     = rapid.SampledFrom(nodeIDs)
	anyTree   = rapid.SampledFrom(append(slices.Clone(treeNames), "nobody"))
)

// logged is one entry of a random log.
type logged struct {
	index uint64
	data  []byte
}

// walk is a random log under way: m has applied all of it.
type walk struct {
	m     *Machine
	log   []logged
	index uint64
	clock time.Duration
	seqs  map[string]uint64
	sent  []supervisor.ChildEvent
	made  int // request ids
}

func newWalk() *walk { return &walk{m: New(), seqs: make(map[string]uint64)} }

// logs draws whole logs of about n entries.
func logs(n int) *rapid.Generator[[]logged] {
	return rapid.Custom(func(rt *rapid.T) []logged {
		w := newWalk()
		w.begin(rt)
		for range n {
			w.next(rt)
		}
		return w.log
	})
}

// begin makes a cluster of three nodes and a tree.
func (w *walk) begin(rt *rapid.T) {
	w.add(rt, initial("c", 1), w.up("n1", "n1"), w.up("n2", "n2"), w.up("n3", "n3"))
	w.add(rt, applyTree(drawTree(rt, "t")))
}

// next draws and applies one entry. Its time may lie before the last one's.
func (w *walk) next(rt *rapid.T) []Result {
	w.clock += rapid.SampledFrom([]time.Duration{
		-time.Minute, -1, 0, 0, 1, time.Second, 3 * time.Second, 20 * time.Second,
	}).Draw(rt, "pause")
	cmds := make([]Command, rapid.IntRange(0, 3).Draw(rt, "commands"))
	for i := range cmds {
		cmds[i] = w.command(rt)
		if rapid.IntRange(0, 5).Draw(rt, "request") == 0 {
			w.made += rapid.IntRange(0, 1).Draw(rt, "new")
			cmds[i].Request = fmt.Sprint("r", w.made)
		}
	}
	return w.add(rt, cmds...)
}

func (w *walk) add(f failer, cmds ...Command) []Result {
	f.Helper()
	w.index += 1 + w.index%3 // raft uses indexes of its own in between
	e := logged{w.index, encoded(f, Entry{Time: w.clock, Wall: int64(w.index), Commands: cmds})}
	w.log = append(w.log, e)
	res, err := w.m.Apply(e.index, e.data)
	if err != nil {
		f.Fatalf("index %d: %v", e.index, err)
	}
	return res
}

func (w *walk) command(rt *rapid.T) Command {
	switch rapid.IntRange(0, 19).Draw(rt, "command") {
	case 0:
		return initial(rapid.SampledFrom([]string{"c", "d"}).Draw(rt, "cluster"), 1)
	case 1, 2:
		return w.drawUp(rt)
	case 3, 4:
		id := anyID.Draw(rt, "node")
		c := lost(id, w.seqs[id]-uint64(rapid.IntRange(0, 1).Draw(rt, "old")))
		switch rapid.IntRange(0, 8).Draw(rt, "loss") {
		case 0: // rarely: it is for good
			c = left(id)
		case 1, 2:
			return fenced(id, w.seqs[id]-uint64(rapid.IntRange(0, 3).Draw(rt, "old")/3))
		}
		c.Node.Leased, c.Node.Apart = rapid.Bool().Draw(rt, "leased"), rapid.Bool().Draw(rt, "apart")
		if rapid.IntRange(0, 5).Draw(rt, "returned") == 0 {
			c.Type = TypeReturned
		}
		return c
	case 5:
		id := anyID.Draw(rt, "node")
		if rapid.Bool().Draw(rt, "health") {
			h := link.Health{Level: link.HealthLevel(rapid.IntRange(0, 2).Draw(rt, "level")), Reason: "disk"}
			return Command{Type: TypeNodeHealth, Node: &NodeRef{ID: id, Boot: boot(id, w.seqs[id])}, Health: &h}
		}
		return drain(id, rapid.Bool().Draw(rt, "on"))
	case 6, 7:
		return applyTree(drawTree(rt, rapid.SampledFrom(treeNames).Draw(rt, "tree")))
	case 8:
		return deleteTree(anyTree.Draw(rt, "tree"))
	case 9:
		return w.drawVerb(rt)
	case 10:
		if rapid.Bool().Draw(rt, "scale") {
			path := rapid.SampledFrom([]string{"t/p", "u/p", "t/a", "nobody/p"}).Draw(rt, "pool")
			return scale(path, rapid.IntRange(-1, 5).Draw(rt, "size"))
		}
		return w.drawVerb(rt)
	case 11, 12, 13, 14:
		return w.drawAssigns(rt)
	}
	return w.drawEvents(rt)
}

// up is the next start of a node.
func (w *walk) up(id, name string, lives ...supervisor.Ref) Command {
	w.seqs[id]++
	return nodeAs(id, name, w.seqs[id], lives...)
}

// drawUp draws a reconnect, a new start with some of the lives, an older start, a
// copied data dir, or a node that takes a name.
func (w *walk) drawUp(rt *rapid.T) Command {
	id := anyID.Draw(rt, "node")
	var lives []supervisor.Ref
	w.m.View(func(v View) {
		for _, o := range v.Orders(id) {
			if rapid.Bool().Draw(rt, "keep") {
				lives = append(lives, o.Ref)
			}
		}
	})
	switch rapid.IntRange(0, 5).Draw(rt, "start") {
	case 0:
		return nodeUp(id, w.seqs[id], lives...)
	case 1:
		return nodeUp(id, w.seqs[id]-1, lives...)
	case 2:
		n := link.Node{ID: id, Name: id, Boot: "a copy", BootSeq: w.seqs[id]}
		return Command{Type: TypeNodeUp, Up: &NodeUp{Node: n, Lives: lives}}
	case 3:
		return w.up(id, anyID.Draw(rt, "name"), lives...)
	}
	return w.up(id, id, lives...)
}

// drawRef draws the life of a child of any tree, or now and then one that it had
// before, or one that never was.
func (w *walk) drawRef(rt *rapid.T) supervisor.Ref {
	refs := []supervisor.Ref{{Path: "t/nobody", Epoch: 7}, {Path: "nobody/a"}}
	w.m.View(func(v View) {
		for _, name := range v.TreeNames() {
			for _, s := range v.Tree(name).Children() {
				refs = append(refs, supervisor.Ref{Path: s.Path, Epoch: s.Epoch})
			}
		}
	})
	ref := rapid.SampledFrom(refs).Draw(rt, "life")
	if rapid.IntRange(0, 5).Draw(rt, "stale") == 0 {
		ref.Epoch = max(ref.Epoch, 1<<16) - 1<<16
	}
	return ref
}

func (w *walk) drawAssigns(rt *rapid.T) Command {
	var reqs []supervisor.Request
	w.m.View(func(v View) { reqs = v.Pending(rapid.IntRange(0, 4).Draw(rt, "limit")) })
	c := Command{Type: TypeAssign}
	for _, r := range reqs {
		node := anyID.Draw(rt, "node")
		c.Assign = append(c.Assign, supervisor.Assign{Path: r.Path, Epoch: r.Epoch, Node: node, Why: "room"})
	}
	if len(reqs) == 0 {
		ref := w.drawRef(rt)
		c.Assign = append(c.Assign, supervisor.Assign{Path: ref.Path, Epoch: ref.Epoch, Node: "n9"})
	}
	return c
}

// drawEvents draws facts about lives, or sends again what was sent before, in
// another order.
func (w *walk) drawEvents(rt *rapid.T) Command {
	c := Command{Type: TypeEvents}
	if len(w.sent) > 0 && rapid.IntRange(0, 4).Draw(rt, "again") == 0 {
		c.Events = slices.Clone(w.sent[rapid.IntRange(0, len(w.sent)-1).Draw(rt, "from"):])
		slices.Reverse(c.Events)
		return c
	}
	for range rapid.IntRange(1, 3).Draw(rt, "events") {
		ref := w.drawRef(rt)
		ev := supervisor.ChildEvent{Path: ref.Path, Epoch: ref.Epoch}
		switch rapid.IntRange(0, 12).Draw(rt, "event") {
		case 12:
			ev.Type, ev.Word, ev.Because = supervisor.EventAsked, supervisor.VerdictMove, "too hot"
		case 11:
			ev.Type, ev.Reason, ev.Code = supervisor.EventExited, supervisor.ExitError, rapid.IntRange(1, 7).Draw(rt, "code")
			ev.Word = rapid.SampledFrom([]supervisor.Verdict{
				"", "", supervisor.VerdictFinish, supervisor.VerdictFail, supervisor.VerdictMove, supervisor.VerdictEscalate,
			}).Draw(rt, "word")
		case 9, 10:
			ev.Type, ev.Restarts = supervisor.EventRestarted, rapid.IntRange(1, 4).Draw(rt, "restarts")
			ev.Ages = []time.Duration{10 * time.Second, time.Second}
		case 8:
			ev.Type = supervisor.EventFenced
		case 0:
			ev.Type, ev.PID = supervisor.EventSpawned, 5
		case 1, 2, 3:
			ev.Type, ev.PID = supervisor.EventStarted, 6
		case 4:
			ev.Type, ev.Reason = supervisor.EventExited, supervisor.ExitNormal
		case 5:
			ev.Type, ev.Detail = supervisor.EventCrashed, "no such file"
		case 6:
			ev.Type = "heartbeat"
		default:
			ev.Type, ev.Reason, ev.Signal = supervisor.EventExited, supervisor.ExitKilled, "SIGKILL"
		}
		c.Events = append(c.Events, ev)
	}
	w.sent = append(w.sent, c.Events...)
	return c
}

func (w *walk) drawVerb(rt *rapid.T) Command {
	path := w.drawRef(rt).Path
	if rapid.IntRange(0, 3).Draw(rt, "root") == 0 {
		path = anyTree.Draw(rt, "tree")
	}
	word := rapid.SampledFrom([]string{
		"start", "stop", "restart", "move", "move", "reset", "pause", "pause", "resume", "resume", "sing", VerbAdvance, VerbAdvance, "rollout-pause", "rollout-resume", "rollout-revert", "rollout-sing",
	}).Draw(rt, "verb")
	c := verb(word, path, "")
	if word == "move" {
		c.Verb.To = rapid.SampledFrom(append(slices.Clone(nodeIDs), "", "n9")).Draw(rt, "to")
	}
	if word == "reset" || word == "pause" || word == "resume" {
		c.Verb.Why = rapid.SampledFrom([]string{"", "a new disk", strings.Repeat("long ", 200)}).Draw(rt, "why")
	}
	if word == "start" && rapid.Bool().Draw(rt, "retry") {
		c.By = supervisor.RetryBy
	}
	return c
}

var (
	strategies   = rapid.SampledFrom([]supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne})
	restartTypes = rapid.SampledFrom([]supervisor.RestartType{
		supervisor.Permanent, supervisor.Permanent, supervisor.Transient, supervisor.Temporary,
	})
)

// drawTree draws a tree of at most two levels. Ids come from a small set, so that
// an edit leaves some children as they were.
func drawTree(rt *rapid.T, name string) supervisor.Spec {
	s := tree(name)
	s.Strategy, s.RestartPolicy = strategies.Draw(rt, "strategy"), drawPolicy(rt)
	if rapid.Bool().Draw(rt, "update") {
		s.Update = &supervisor.UpdatePolicy{
			Parallel: rapid.IntRange(1, 2).Draw(rt, "parallel"), MinReady: 2 * time.Second, Deadline: 30 * time.Second,
			AutoRevert: rapid.Bool().Draw(rt, "auto_revert"),
		}
	}
	s.RetryAfter = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(rt, "retry")
	for _, id := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 3).Draw(rt, "has") > 0 {
			s.Children = append(s.Children, drawWorker(rt, name, id))
		}
	}
	if rapid.IntRange(0, 2).Draw(rt, "each") == 0 {
		e := drawWorker(rt, name, "e")
		e.EachNode, e.MoveAfter, e.Exits = true, 0, nil
		s.Children = append(s.Children, e)
	}
	if rapid.Bool().Draw(rt, "pool") {
		p := drawWorker(rt, name, "p")
		p.Pool = &supervisor.Pool{Size: rapid.IntRange(0, 2).Draw(rt, "size"), Max: 4, RestartPolicy: drawPolicy(rt)}
		s.Children = append(s.Children, p)
	}
	if rapid.IntRange(0, 2).Draw(rt, "after") > 0 {
		for _, path := range []string{"t", "u/a", "u/s", "v", "v/b", "nobody"} {
			if supervisor.TreeName(path) != name && rapid.IntRange(0, 3).Draw(rt, "path") == 0 {
				s.After = append(s.After, path)
			}
		}
	}
	if rapid.Bool().Draw(rt, "nested") {
		s.Children = append(s.Children, supervisor.ChildSpec{
			ID: "s", RestartType: restartTypes.Draw(rt, "type"),
			Supervisor: &supervisor.SupervisorSpec{Strategy: strategies.Draw(rt, "strategy"), RestartPolicy: drawPolicy(rt)},
			Children:   []supervisor.ChildSpec{drawWorker(rt, name, "x"), drawWorker(rt, name, "y")},
		})
	}
	s.AutoShutdown = drawSignificance(rt, s.Children)
	return s
}

// drawSignificance makes children of some supervisors significant.
func drawSignificance(rt *rapid.T, children []supervisor.ChildSpec) supervisor.AutoShutdown {
	auto := rapid.SampledFrom([]supervisor.AutoShutdown{"", supervisor.AutoAny, supervisor.AutoAll}).Draw(rt, "auto_shutdown")
	for i := range children {
		c := &children[i]
		c.Significant = auto.Shuts() && c.RestartType != supervisor.Permanent && !c.Many() && rapid.Bool().Draw(rt, "significant")
		if c.Supervisor != nil {
			c.Supervisor.AutoShutdown = drawSignificance(rt, c.Children)
		}
	}
	return auto
}

func drawPolicy(rt *rapid.T) supervisor.RestartPolicy {
	p := supervisor.RestartPolicy{MaxRestarts: rapid.IntRange(0, 3).Draw(rt, "max"), MaxSeconds: 10 * time.Second}
	if rapid.Bool().Draw(rt, "backoff") {
		p.Backoff = supervisor.Backoff{Kind: supervisor.Exponential, Base: time.Second, Max: 5 * time.Second}
	}
	return p
}

func drawWorker(rt *rapid.T, name, id string) supervisor.ChildSpec {
	c := worker(id)
	c.RestartType = restartTypes.Draw(rt, "type")
	c.MoveAfter = rapid.IntRange(0, 2).Draw(rt, "move_after")
	if rapid.IntRange(0, 2).Draw(rt, "exit rules") == 0 {
		c.Exits = &supervisor.ExitRules{
			FinishOn: []supervisor.Exit{"3"}, NeverRestartOn: []supervisor.Exit{"4", "SIGKILL"},
			MoveOn: []supervisor.Exit{"5"}, EscalateOn: []supervisor.Exit{"6"},
		}
	}
	c.Exclusive = rapid.IntRange(0, 2).Draw(rt, "exclusive") == 0
	c.Placement.CPU = int64(rapid.IntRange(0, 2).Draw(rt, "cpu"))
	c.Placement.Memory = c.Placement.CPU << 20
	if rapid.IntRange(0, 4).Draw(rt, "apart") == 0 {
		c.Placement.ApartFrom = []string{name + "/a"}
	}
	return c
}
