package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/selfware/selfware/simulate"
	"github.com/selfware/selfware/supervisor"
)

// Simulation prints what came of a simulation: the plan, what happened, and for how
// long children did not run.
func Simulation(w io.Writer, r simulate.Report, s Style) {
	assumed(w, r)
	fmt.Fprintf(w, "\n%s\n", s.paint(bold, "faults"))
	for i, f := range r.Faults {
		fmt.Fprintf(w, "  %3d  %s\n", i+1, Clean(f.String()))
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(w, "  none")
	}
	fmt.Fprintf(w, "\n%s\n", s.paint(bold, "what happens"))
	timeline(w, r, s)
	fmt.Fprintf(w, "\n%s\n", s.paint(bold, "gaps of each child: times in which no process of it ran"))
	childGaps(w, r, s)
	if len(r.Faults) > 0 {
		fmt.Fprintf(w, "\n%s\n", s.paint(bold, "gaps because of each fault"))
		faultGaps(w, r, s)
	}
}

func assumed(w io.Writer, r simulate.Report) {
	a := r.Assumed
	fmt.Fprintf(w, "tree %s on %s for %s, on virtual time\n", Clean(r.Tree), plural(r.Nodes, "node", "nodes"), span(r.For))
	fmt.Fprintf(w, "profile %s, %s delays: a log entry takes %v, an election %v; a silent node is lost after %v, once gossip\n",
		a.Profile, a.Delays, a.Entry, a.Election, a.Silence)
	fmt.Fprintf(w, "is sure of it (%v after its end); exclusive children end %v after its last renewal and begin elsewhere %v after it\n",
		a.Detect, a.Soft, a.Lease)
}

// quiet are verdicts that the timeline leaves out: they follow from those that it has.
var quiet = map[supervisor.Verdict]bool{
	supervisor.VerdictUp: true, supervisor.VerdictStopped: true, supervisor.VerdictStart: true, supervisor.VerdictStop: true,
}

func timeline(w io.Writer, r simulate.Report, s Style) {
	t := table{style: s, head: []string{"AT", "WHAT", "WHO", "NODE", "WHY"}}
	for _, e := range r.Events {
		if quiet[e.Verdict] {
			continue
		}
		what, who := string(e.Kind), e.Path
		if e.Verdict != "" {
			what = string(e.Verdict)
		}
		if e.Fault > 0 {
			who = fmt.Sprintf("fault %d", e.Fault)
		}
		t.add(c(moment(e.At)), cell{what, colorOf(what)}, orDash(who), orDash(e.Node), c(e.Text))
	}
	t.print(w, "  ")
	if r.Untold > 0 {
		fmt.Fprintf(w, "  … and %d more\n", r.Untold)
	}
}

func childGaps(w io.Writer, r simulate.Report, s Style) {
	t := table{style: s, head: []string{"CHILD", "GAPS", "TOTAL", "MEDIAN", "P90", "MAX", "RESTARTS", "MOVES", "AT THE END", "NOTE"}}
	for _, one := range r.Children {
		end := string(one.Phase)
		if one.Node != "" {
			end += " on " + one.Node
		}
		t.add(append(append([]cell{c(one.Path)}, gapCells(one)...),
			num(one.Restarts), num(one.Moves), cell{end, colorOf(string(one.Phase))}, c(asides(one)))...)
	}
	t.print(w, "  ")
}

func asides(one simulate.Summary) string {
	var notes []string
	if one.Open > 0 {
		notes = append(notes, "did not run at the end")
	}
	if one.Twice > 0 {
		notes = append(notes, fmt.Sprintf("two at once for %s", moment(one.Twice)))
	}
	if one.Why != "" {
		notes = append(notes, one.Why)
	}
	return strings.Join(notes, "; ")
}

func faultGaps(w io.Writer, r simulate.Report, s Style) {
	t := table{style: s, head: []string{"FAULT", "GAPS", "TOTAL", "MEDIAN", "P90", "MAX", "CHILDREN", "PLAN"}}
	for _, one := range r.ByFault {
		number, plan := "-", "no fault"
		if one.Fault > 0 {
			number, plan = fmt.Sprint(one.Fault), r.Faults[one.Fault-1].String()
		}
		t.add(append(append([]cell{c(number)}, gapCells(one)...), num(one.Children), c(plan))...)
	}
	t.print(w, "  ")
}

func gapCells(one simulate.Summary) []cell {
	cells := []cell{num(one.Count)}
	for _, d := range []time.Duration{one.Total, one.Median, one.P90, one.Max} {
		if one.Count == 0 {
			cells = append(cells, c("-"))
		} else {
			cells = append(cells, c(moment(d)))
		}
	}
	return cells
}
