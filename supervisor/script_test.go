package supervisor

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestScripts runs the specification in testdata. A block is one directive or
// more; what the tree concluded stands below. -rewrite writes it anew.
//
// The facts:    place PATH NODE [why=()], up PATH, crash PATH [code= signal= reason= detail=() gone
// fatal says=VERDICT because=()], exit PATH [says= because=()], ask PATH [because=() gone] (to be moved),
// stopped PATH [gone], fenced PATH, lose NODE [leased fenced restarted apart keep=(PATH,..)],
// back NODE (it is not lost any more),
// alone PATH TIMES [ages=(..) late] (restarted by its node; of the life before),
// returned NODE [unreported], ended PATH TIMES (the end of the process after so many).
// The operator: start, stop, restart, move PATH [to=NODE], scale PATH N, edit, delete, drain NODE, pause, resume, revert (a rollout),
// reset PATH [why=()], rest PATH [why=()] (pause it), wake PATH [why=() draining=(NODE,..)] (resume it).
// The leader: advance (the time of a rollout's next step).
// The cluster:  nodes are=(n1,!n2) (n2 is not here).
// The rest:     tree, at TIME, settle nodes=(..), status, orders NODE [lent], why PATH,
// dependency PATH [begun=N alone=N failed up] (of another tree: how it is now; the others are as
// they were told), followed PATH.. [clear] (all that others come after), is PATH,
// gone, stale (the last input again), late PATH (a crash of the life before), restore.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := &script{}
			datadriven.RunTest(t, file, s.block)
		})
	}
}

type script struct {
	*rig
	nodes []string
}

func (s *script) block(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "tree":
		return s.newTree(t, d.Input)
	case "edit":
		s.failer = t
		spec, err := parseSpec(d.Input)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return s.input(Edit{Spec: spec, By: "ann", Members: s.members})
	}
	s.failer = t
	out := s.command(d, d.Cmd, d.CmdArgs)
	for line := range strings.Lines(d.Input) {
		cmd, args, err := datadriven.ParseLine(line)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		out += s.command(d, cmd, args)
	}
	return out
}

func (s *script) newTree(t *testing.T, text string) string {
	spec, err := parseSpec(text)
	if err != nil {
		return err.Error()
	}
	r, err := newRig(t, spec)
	if err != nil {
		return err.Error()
	}
	s.rig = r
	return ""
}

func (s *script) command(d *datadriven.TestData, cmd string, args []datadriven.CmdArg) string {
	a := arguments(args)
	switch cmd {
	case "at":
		at, err := time.ParseDuration(a.first())
		if err != nil || at < s.now {
			s.Fatalf("%s: cannot go to %s", d.Pos, a.first())
		}
		s.now = at
		return ""
	case "settle":
		if nodes := a.all("nodes"); nodes != nil {
			s.nodes = nodes
		}
		return s.settle()
	case "status":
		return s.status()
	case "orders":
		return s.orders(a.first(), a.has("lent"))
	case "gone":
		return fmt.Sprintf("%v\n", s.tree.Gone())
	case "why":
		return s.why(a.first())
	case "is":
		return fmt.Sprintf("%+v\n", s.tree.Dependency(a.first()))
	case "back":
		delete(s.lost, a.first())
		return ""
	case "stale":
		return s.input(s.last)
	case "restore":
		s.refresh()
		s.tree, s.twin = s.twin, nil
		return ""
	}
	return s.input(s.parse(d, cmd, a))
}

// parse makes an input of a directive.
func (s *script) parse(d *datadriven.TestData, cmd string, a arguments) Input {
	path := a.first()
	if path == "" {
		path = s.tree.Name()
	}
	switch cmd {
	case "place":
		return Assign{Path: path, Epoch: s.epoch(path), Node: a[1].Key, Why: a.one("why")}
	case "up":
		return ChildEvent{Path: path, Epoch: s.epoch(path), Type: EventStarted, PID: 7, Restarts: s.alone(path)}
	case "spawned":
		return ChildEvent{Path: path, Epoch: s.epoch(path), Type: EventSpawned, PID: 7, Restarts: s.alone(path)}
	case "crash":
		return s.crash(path, a)
	case "ask":
		return lastWord(a, ChildEvent{
			Path: path, Epoch: s.epoch(path), Type: EventAsked, Word: Verdict(cmp.Or(a.one("says"), "move")), Because: a.one("because"), Restarts: s.alone(path),
		})
	case "late":
		lives := s.lives[path]
		return ChildEvent{Path: path, Epoch: lives[len(lives)-2], Type: EventExited, Reason: ExitError, Code: 1}
	case "exit", "stopped":
		return lastWord(a, ChildEvent{
			Path: path, Epoch: s.epoch(path), Type: EventExited, Reason: ExitNormal, Ordered: cmd == "stopped", Restarts: s.alone(path),
			Word: Verdict(a.one("says")), Because: a.one("because"),
		})
	case "fenced":
		return ChildEvent{Path: path, Epoch: s.epoch(path), Type: EventFenced}
	case "lose":
		return s.loss(path, a)
	case "ended":
		ev := s.crash(path, nil).(ChildEvent)
		ev.Restarts, _ = strconv.Atoi(a[1].Key)
		return ev
	case "alone":
		return s.restarted(path, a)
	case "returned":
		return Returned{Node: path, Unreported: a.has("unreported")}
	case "drain":
		return Drain{Node: path}
	case "start":
		return s.start(path, a)
	case "stop":
		return Stop{Path: path, By: "ann"}
	case "restart":
		return Restart{Path: path, By: "ann"}
	case "move":
		return Move{Path: path, To: a.one("to"), By: "ann"}
	case "nodes":
		return Nodes{Members: cluster(a.all("are")...)}
	case "scale":
		size, err := strconv.Atoi(a[1].Key)
		if err != nil {
			d.Fatalf(s.failer.(*testing.T), "%v", err)
		}
		return Scale{Path: path, Size: size, By: "ann"}
	case "delete":
		return Delete{By: "ann"}
	case "advance":
		return Advance{}
	case "pause", "resume", "revert":
		return Rollout{Path: path, Verb: RolloutVerb(cmd), By: "ann"}
	case "rest":
		return Pause{Path: path, By: "ann", Why: a.one("why")}
	case "wake":
		return Resume{Path: path, By: "ann", Why: a.one("why"), Draining: a.all("draining")}
	case "reset":
		return Reset{Path: path, By: "ann", Why: a.one("why")}
	case "dependency":
		return s.dependency(path, a)
	case "followed":
		return s.followed(a)
	}
	d.Fatalf(s.failer.(*testing.T), "unknown directive %q", cmd)
	return nil
}

// start is the tree's first one, or an operator's.
func (s *script) start(path string, a arguments) Input {
	in := Start{Path: path, By: a.one("by")}
	if in.By == "" && s.index > 0 {
		in.By = "ann"
	}
	return in
}

func (s *script) epoch(path string) Epoch {
	status, _ := s.tree.Child(path)
	return status.Epoch
}

func (s *script) crash(path string, a arguments) Input {
	ev := ChildEvent{Path: path, Epoch: s.epoch(path), Type: EventExited, Reason: ExitError, Code: 1, Restarts: s.alone(path)}
	switch {
	case a.one("detail") != "":
		ev.Type, ev.Reason, ev.Code, ev.Detail = EventCrashed, "", 0, a.one("detail")
	case a.one("signal") != "":
		ev.Reason, ev.Code, ev.Signal = ExitKilled, 0, a.one("signal")
	case a.one("reason") != "":
		ev.Reason, ev.Code = ExitReason(a.one("reason")), 0
	case a.one("code") != "":
		ev.Code, _ = strconv.Atoi(a.one("code"))
	}
	ev.Fatal, ev.Word, ev.Because = a.has("fatal"), Verdict(a.one("says")), a.one("because")
	return lastWord(a, ev)
}

// lastWord is an event of a node that is lost meanwhile, if the script says gone.
func lastWord(a arguments, ev ChildEvent) Input {
	if a.has("gone") {
		return LastWord(ev)
	}
	return ev
}

func (s *script) loss(node string, a arguments) Input {
	in := NodeLost{Node: node, Reason: "silent for 3s", Leased: a.has("leased"), Apart: a.has("apart")}
	if in.Fenced = a.has("fenced"); in.Fenced || s.lost[node] {
		in.Reason = "its lease has run out"
	}
	if a.has("restarted") {
		in.Restarted, in.Reason = true, "its agent restarted"
	}
	for _, path := range a.all("keep") {
		in.Keep = append(in.Keep, Ref{path, s.epoch(path)})
	}
	return in
}

func (s *script) restarted(path string, a arguments) Input {
	ev := ChildEvent{Path: path, Epoch: s.epoch(path), Type: EventRestarted, Detail: "exit code 1"}
	if a.has("late") {
		lives := s.rig.lives[path]
		ev.Epoch = lives[len(lives)-2]
	}
	if which := a.one("life"); which != "" { // counted from 1
		i, _ := strconv.Atoi(which)
		ev.Epoch = s.rig.lives[path][i-1]
	}
	ev.Restarts, _ = strconv.Atoi(a[1].Key)
	for _, text := range a.all("ages") {
		age, err := time.ParseDuration(text)
		if err != nil {
			s.Fatalf("%v", err)
		}
		ev.Ages = append(ev.Ages, age)
	}
	return ev
}

// input steps and prints what was concluded.
func (s *script) input(in Input) string {
	s.refresh()
	ds, err := s.step(in)
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for _, d := range ds {
		fmt.Fprintf(&out, "%s: %s\n", d.Verdict, d.Sentence)
	}
	if len(ds) == 0 {
		return "nothing decided\n"
	}
	return out.String()
}

// settle does all that the tree orders, one thing at a time, and prints it.
func (s *script) settle() string {
	var out strings.Builder
	for range 1000 {
		s.refresh()
		did, deed := s.obey(s.nodes)
		if !did {
			return out.String()
		}
		if deed != "" {
			out.WriteString(deed + "\n")
		}
	}
	s.Fatalf("the tree does not settle")
	return ""
}

func (s *script) status() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", s.tree.Name(), s.tree.Status())
	if paths := s.tree.WaitsFor(); len(paths) > 0 {
		fmt.Fprintf(&out, "  waits for %s\n", strings.Join(paths, ", "))
	}
	if at, ok := s.tree.RetryAt(); ok {
		fmt.Fprintf(&out, "  starts again at %v\n", at)
	}
	if r, ok := s.tree.Rollout(); ok {
		fmt.Fprintf(&out, "  %s, %d of %d done", r.Phase, r.Done, r.Total)
		if r.Next > 0 {
			fmt.Fprintf(&out, ", looks again at %v", r.Next)
		}
		if r.Why != "" {
			fmt.Fprintf(&out, ": %s", r.Why)
		}
		out.WriteString("\n")
	}
	for _, c := range s.tree.Children() {
		depth := strings.Count(c.Path, "/")
		id := c.Path[strings.LastIndex(c.Path, "/")+1:]
		fmt.Fprintf(&out, "%s%s %s", strings.Repeat("  ", depth), id, c.Phase)
		if c.Node != "" {
			fmt.Fprintf(&out, " on %s", c.Node)
		}
		if c.Paused != nil && c.Paused.Path == c.Path {
			out.WriteString(", paused")
		}
		if c.Exclusive {
			out.WriteString(", exclusive")
		}
		if c.Turn != "" {
			fmt.Fprintf(&out, ", %s", c.Turn)
		}
		if c.Restarts+c.Moves > 0 {
			fmt.Fprintf(&out, ", restarts %d, moves %d", c.Restarts, c.Moves)
		}
		if c.Budget.Used+c.Budget.Held > 0 {
			fmt.Fprintf(&out, ", budget %v", c.Budget)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func (s *script) orders(node string, lent bool) string {
	var out strings.Builder
	for _, o := range s.tree.Orders(node) {
		fmt.Fprintf(&out, "%s %s", o.Action, o.Path)
		if o.Action == Run {
			fmt.Fprintf(&out, " (%s, attempt %d)", o.StartReason, o.Attempt)
		}
		if o.Exclusive {
			out.WriteString(" exclusive")
		}
		if o.Instance != "" {
			out.WriteString(" instance " + o.Instance)
		}
		if l := o.Local; lent && l != nil {
			fmt.Fprintf(&out, ", alone %d, later %d in %v", l.Left, l.Share, l.Period)
		}
		if o.NotBefore > 0 {
			fmt.Fprintf(&out, " not before %v", o.NotBefore)
		}
		out.WriteString("\n")
	}
	for _, req := range s.tree.Unplaced() {
		fmt.Fprintf(&out, "unplaced %s (last on %q, avoid %v, only %q)", req.Path, req.Last, req.Avoid, req.Only)
		if req.Kin != "" {
			out.WriteString(", one of " + req.Kin)
		}
		if req.Home != "" {
			out.WriteString(", of node " + req.Home)
		}
		out.WriteString("\n")
	}
	if out.Len() == 0 {
		return "none\n"
	}
	return out.String()
}

func (s *script) why(path string) string {
	var out strings.Builder
	for _, d := range s.tree.History(path) {
		fmt.Fprintf(&out, "%d at %v, %s: %s\n", d.Index, d.Time, d.Verdict, d.Sentence)
	}
	return out.String()
}

// arguments are those of a directive.
type arguments []datadriven.CmdArg

func (a arguments) first() string {
	if len(a) == 0 || a[0].Vals != nil {
		return ""
	}
	return a[0].Key
}

func (a arguments) all(key string) []string {
	i := slices.IndexFunc(a, func(x datadriven.CmdArg) bool { return x.Key == key })
	if i < 0 {
		return nil
	}
	return a[i].Vals
}

func (a arguments) has(key string) bool {
	return slices.ContainsFunc(a, func(x datadriven.CmdArg) bool { return x.Key == key })
}

func (a arguments) one(key string) string {
	if vals := a.all(key); len(vals) > 0 {
		return strings.Join(vals, ", ")
	}
	return ""
}
