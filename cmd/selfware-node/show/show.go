package show

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/supervisor"
)

// Status prints the whole cluster: a line for itself, its nodes, its trees.
func Status(w io.Writer, st api.Status, s Style) {
	k := st.Cluster
	leader := cell{k.Leader, green}
	if k.Leader == "" {
		leader = cell{"none", red}
	}
	fmt.Fprintf(w, "%s %s  leader %s  term %d  index %d", s.paint(bold, "cluster"), Clean(k.ID),
		s.paint(leader.color, Clean(leader.text)), k.Term, k.Index)
	if k.Generation > 1 {
		fmt.Fprintf(w, "  generation %d", k.Generation)
	}
	if k.Paced != "" {
		fmt.Fprintf(w, "\n%s", s.paint(yellow, Clean(k.Paced)))
	}
	fmt.Fprint(w, "\n\n")
	Nodes(w, st.Nodes, s)
	if len(st.Trees) == 0 {
		fmt.Fprint(w, "\nno trees yet: `selfware-node apply TREE.yaml` adds one\n")
	}
	for _, t := range st.Trees {
		fmt.Fprintln(w)
		treeTable(w, t, s)
	}
}

// Nodes prints a table of nodes.
func Nodes(w io.Writer, nodes []api.NodeStatus, s Style) {
	t := table{style: s, head: []string{"NODE", "STATUS", "ROLE", "CHILDREN", "ADDRESS", "API", "LABELS", "NOTE"}}
	for _, n := range nodes {
		role := "-"
		switch {
		case n.Leader:
			role = "leader"
		case n.Voter:
			role = "voter"
		}
		t.add(c(n.Name), status(n.Status), c(role), num(n.Children), orDash(n.Address), orDash(n.API), c(labels(n.Labels)), c(n.Reason))
	}
	t.print(w, "")
}

func labels(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, ",")
}

// treeTable prints a tree with its workers, and why they do not run.
func treeTable(w io.Writer, tr api.TreeStatus, s Style) {
	running, workers := 0, 0
	for _, ch := range tr.Children {
		if !ch.Supervisor {
			workers++
			if ch.Status == "running" {
				running++
			}
		}
	}
	fmt.Fprintf(w, "%s %s  %s  %d of %s running\n", s.paint(bold, "tree"), Clean(tr.Name),
		s.paint(colorOf(tr.Status), tr.Status), running, plural(workers, "child", "children"))
	if tr.Rollout != nil {
		fmt.Fprintln(w, "  "+rolloutLine(tr.Rollout, s))
	}
	awaited(w, "  ", tr.WaitsFor)
	if tr.Paused != nil {
		fmt.Fprintln(w, "  "+s.paint(yellow, Clean(pausedLine(tr.Paused))))
	}
	t := table{style: s, head: []string{"CHILD", "STATUS", "NODE", "PID", "RESTARTS", "MOVES", "SINCE", "WHY"}}
	for _, ch := range tr.Children {
		if ch.Supervisor {
			continue
		}
		t.add(c(ch.Path), status(ch.Status), orDash(ch.Node), pid(ch.PID), num(ch.Restarts), num(ch.Moves), c(s.age(ch.Since)), c(note(ch)))
	}
	if len(t.rows) > 0 {
		t.print(w, "  ")
	}
}

// awaited prints what a tree, or a child of it, waits for in other trees.
func awaited(w io.Writer, indent string, all []api.Awaited) {
	for _, a := range all {
		fmt.Fprintf(w, "%swaits for %s: %s\n", indent, Clean(a.Path), Clean(a.Why))
	}
}

// note is the reason of a state that is not simply well.
func note(ch api.ChildStatus) string {
	switch {
	case ch.Paused != nil && ch.Status == "running" && ch.Turn == "waits":
		return joined(pausedLine(ch.Paused)+"; keeps its former spec until the resume", said(ch.Says))
	case ch.Paused != nil && ch.Status == "running":
		return joined(pausedLine(ch.Paused), said(ch.Says))
	case ch.Status == "running":
		return joined(turn(ch), said(ch.Says))
	}
	return joined(ch.Reason, said(ch.Says))
}

// said is what a child says of itself, and how it was found if it is not well.
func said(s *api.Says) string {
	if s == nil {
		return ""
	}
	text := ""
	if s.Health != "" && s.Health != "Healthy" {
		text = health(s)
	}
	if s.Status != "" {
		text = joined(text, "says: "+s.Status)
	}
	return text
}

// health is how a child was found by its liveness check.
func health(s *api.Says) string {
	text := s.Health
	if s.Severity != "" {
		text += " (" + s.Severity + ")"
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

// joined puts two notes after each other, if there are two.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// pausedLine is a pause in a line.
func pausedLine(p *api.Paused) string {
	line := p.Path + " is paused"
	if p.By != "" {
		line += " by " + p.By
	}
	if p.Why != "" {
		line += ": " + p.Why
	}
	return line
}

// remark is what a tree says of a child besides: that it is exclusive, and its note.
func remark(ch api.ChildStatus) string {
	switch text := note(ch); {
	case !ch.Exclusive:
		return text
	case text != "":
		return "exclusive; " + text
	}
	return "exclusive"
}

// Trees prints supervision trees, indented, with strategies and statuses.
func Trees(w io.Writer, trees []api.TreeStatus, s Style) {
	if len(trees) == 0 {
		fmt.Fprintln(w, "no trees yet: `selfware-node apply TREE.yaml` adds one")
	}
	for i, tr := range trees {
		if i > 0 {
			fmt.Fprintln(w)
		}
		Tree(w, tr, s)
	}
}

// Tree prints one supervision tree. Children come after their parents, in start
// order.
func Tree(w io.Writer, tr api.TreeStatus, s Style) {
	t := table{style: s, head: []string{"", "", "", "", ""}}
	root := []cell{{Clean(tr.Name), bold}, status(tr.Status), c(""), c(""), c("")}
	children := tr.Children
	if len(children) > 0 && children[0].Path == tr.Name {
		root[2] = c(children[0].Strategy)
		children = children[1:]
	}
	t.rows = append(t.rows, root)
	for i, ch := range children {
		name := ch.Path[strings.LastIndex(ch.Path, "/")+1:]
		what := c(ch.Strategy)
		if !ch.Supervisor {
			what = c(strings.TrimSpace(where(ch)))
		}
		t.rows = append(t.rows, []cell{c(branch(children, i) + name), status(ch.Status), what, c(counts(ch)), c(remark(ch))})
	}
	widths := make([]int, 5)
	for _, row := range t.rows {
		for i := range row {
			row[i].text = Clean(row[i].text)
			widths[i] = max(widths[i], len([]rune(row[i].text)))
		}
	}
	for _, row := range t.rows {
		t.row(w, "", row, widths)
	}
	if tr.Rollout != nil {
		fmt.Fprintln(w, rolloutLine(tr.Rollout, s))
	}
	if len(tr.After) > 0 {
		fmt.Fprintln(w, "comes after "+Clean(strings.Join(tr.After, ", ")))
	}
	awaited(w, "", tr.WaitsFor)
}

func where(ch api.ChildStatus) string {
	switch {
	case ch.Node == "":
		return ""
	case ch.PID == 0:
		return "on " + ch.Node
	}
	return fmt.Sprintf("on %s pid %d", ch.Node, ch.PID)
}

func counts(ch api.ChildStatus) string {
	var parts []string
	if ch.Restarts > 0 {
		parts = append(parts, plural(ch.Restarts, "restart", "restarts"))
	}
	if ch.Moves > 0 {
		parts = append(parts, plural(ch.Moves, "move", "moves"))
	}
	return strings.Join(parts, ", ")
}

// branch draws the lines before the child at i: one level per part of its path.
func branch(children []api.ChildStatus, i int) string {
	parts := strings.Split(children[i].Path, "/")
	var b strings.Builder
	for depth := 2; depth <= len(parts); depth++ {
		last := !goesOn(children[i+1:], strings.Join(parts[:depth-1], "/"), strings.Join(parts[:depth], "/"))
		switch own := depth == len(parts); {
		case own && last:
			b.WriteString("└─ ")
		case own:
			b.WriteString("├─ ")
		case last:
			b.WriteString("   ")
		default:
			b.WriteString("│  ")
		}
	}
	return b.String()
}

// goesOn: the parent has another child after the one at path.
func goesOn(rest []api.ChildStatus, parent, path string) bool {
	for _, ch := range rest {
		if !strings.HasPrefix(ch.Path, parent+"/") {
			return false
		}
		if ch.Path != path && !strings.HasPrefix(ch.Path, path+"/") {
			return true
		}
	}
	return false
}

// Event prints one event on one line: time, verdict, path, node, sentence.
func Event(w io.Writer, e api.Event, s Style) {
	verdict := cmp.Or(e.Verdict, e.Kind)
	fmt.Fprintf(w, "%s  %s  %s  %s  %s\n", s.paint(dim, e.At.Local().Format("15:04:05.000")),
		s.paint(colorOf(verdict), fmt.Sprintf("%-8s", verdict)), fmt.Sprintf("%-20s", Clean(cmp.Or(e.Path, "-"))),
		fmt.Sprintf("%-8s", Clean(cmp.Or(e.Node, "-"))), Clean(e.Sentence))
}

// Why prints the chain of decisions behind a child's state, oldest first.
func Why(w io.Writer, y api.Why, s Style) {
	ch := y.Child
	fmt.Fprintf(w, "%s: %s", s.paint(bold, Clean(ch.Path)), s.paint(colorOf(ch.Status), ch.Status))
	if at := where(ch); at != "" {
		fmt.Fprintf(w, " %s", Clean(at))
	}
	if ch.Epoch > 0 {
		fmt.Fprintf(w, ", epoch %d", ch.Epoch)
	}
	if a := s.age(ch.Since); a != "-" {
		fmt.Fprintf(w, ", for %s", a)
	}
	fmt.Fprintln(w)
	if says := ch.Says; says != nil {
		if says.Status != "" {
			fmt.Fprintf(w, "it says: %s\n", Clean(says.Status))
		}
		if says.Health != "" {
			fmt.Fprintf(w, "its liveness check: %s\n", Clean(health(says)))
		}
	}
	if y.Budget.Max > 0 || y.Budget.Period > 0 {
		fmt.Fprintf(w, "budget: %d of %d restarts used in %s\n", y.Budget.Used, y.Budget.Max, span(y.Budget.Period))
		if y.Budget.Held > 0 {
			fmt.Fprintf(w, "held back: %d, for nodes that were cut off and may have restarted it alone\n", y.Budget.Held)
		}
	}
	for i, d := range y.Decisions {
		fmt.Fprintln(w)
		decision(w, i+1, d, s)
	}
	if len(y.WaitsFor) > 0 {
		fmt.Fprintln(w, "\nits tree comes after others, and nothing of it starts before they are up:")
		awaited(w, "  ", y.WaitsFor)
	}
	if y.Waiting != nil {
		fmt.Fprintf(w, "\nit waits for a node: %s\n", Clean(y.Waiting.Why))
		t := table{style: s, head: []string{"NODE", "REFUSES IT BECAUSE"}}
		for _, r := range y.Waiting.Refusals {
			t.add(c(r.Node), c(r.Reason))
		}
		if len(t.rows) > 0 {
			t.print(w, "  ")
		}
	}
}

func decision(w io.Writer, n int, d supervisor.Decision, s Style) {
	fmt.Fprintf(w, "%3d. index %d  %s", n, d.Index, s.paint(colorOf(string(d.Verdict)), string(d.Verdict)))
	if d.Node != "" {
		fmt.Fprintf(w, "  on %s", Clean(d.Node))
	}
	fmt.Fprintf(w, "  cause %s", d.Cause.Kind)
	if d.Cause.Path != "" && d.Cause.Path != d.Path {
		fmt.Fprintf(w, " of %s", Clean(d.Cause.Path))
	}
	if d.Cause.Detail != "" {
		fmt.Fprintf(w, " (%s)", Clean(d.Cause.Detail))
	}
	fmt.Fprintln(w)
	if d.Before != d.After {
		fmt.Fprintf(w, "     budget %s → %s", budget(d.Before), budget(d.After))
		if d.Delay > 0 {
			fmt.Fprintf(w, ", after a back-off of %s", span(d.Delay))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "     %s\n", Clean(d.Sentence))
}

// Plan prints what an apply would change.
func Plan(w io.Writer, p api.Plan, s Style) {
	switch {
	case len(p.Changes) == 0:
		fmt.Fprintf(w, "tree %s: no changes\n", Clean(p.Tree))
		notes(w, p)
		return
	case p.New:
		fmt.Fprintf(w, "tree %s is new\n", Clean(p.Tree))
	default:
		fmt.Fprintf(w, "tree %s: %s\n", Clean(p.Tree), plural(len(p.Changes), "change", "changes"))
	}
	for _, ch := range p.Changes {
		color := map[string]string{"add": green, "remove": red, "change": yellow, "reorder": yellow}[ch.Kind]
		for i, line := range strings.Split(strings.TrimRight(ch.String(), "\n"), "\n") {
			if i > 0 {
				color = plain
			}
			fmt.Fprintf(w, "  %s\n", s.paint(color, Clean(line)))
		}
	}
	notes(w, p)
	fmt.Fprintf(w, "to apply just this: apply --if-match %s\n", Clean(p.Tag))
}

// notes prints what a plan says besides its changes.
func notes(w io.Writer, p api.Plan) {
	for _, n := range p.Notes {
		fmt.Fprintf(w, "  %s\n", Clean(n))
	}
}

// Peers prints the servers of raft's configuration.
func Peers(w io.Writer, peers []api.Peer, s Style) {
	t := table{style: s, head: []string{"NODE", "ID", "ADDRESS", "ROLE"}}
	for _, p := range peers {
		role := c("observer")
		switch {
		case p.Leader:
			role = cell{"leader", green}
		case p.Voter:
			role = c("voter")
		}
		t.add(orDash(p.Name), c(p.ID), c(p.Address), role)
	}
	t.print(w, "")
}
