package show

import (
	"fmt"
	"io"
	"time"

	"github.com/selfware/selfware/cmd/selfware-node/replay"
)

// Replay prints what a log led to, and what it would have with other policies.
func Replay(w io.Writer, r replay.Report, s Style) {
	from := "from its beginning"
	if r.Snapshot > 0 {
		from = fmt.Sprintf("after its snapshot of index %d", r.Snapshot)
	}
	fmt.Fprintf(w, "the log %s, up to index %d: %s\n", from, r.Last, plural(r.Entries, "entry", "entries"))
	if r.Tree != "" {
		fmt.Fprintf(w, "%s decided, %s would be decided with the other policies of tree %s, %s not compared any more\n",
			s.paint(red, "-"), s.paint(green, "+"), Clean(r.Tree), s.paint(dim, "?"))
	}
	fmt.Fprintln(w)
	t := table{style: s, head: []string{"", "INDEX", "AT", "WHAT", "WHO", "NODE", "WHY"}}
	if r.Tree == "" {
		t.head = t.head[1:]
	}
	for _, l := range r.Lines {
		row := replayCells(l)
		if r.Tree == "" {
			row = row[1:]
		}
		t.add(row...)
	}
	if len(r.Lines) == 0 {
		fmt.Fprintln(w, "nothing was decided there")
	} else {
		t.print(w, "")
	}
	if r.Tree != "" {
		departures(w, r)
	}
}

func replayCells(l replay.Line) []cell {
	what := string(l.Verdict)
	if what == "" {
		what = "record"
	}
	mark := cell{string(l.Mark), map[replay.Mark]string{replay.Was: red, replay.Would: green, replay.Beyond: dim}[l.Mark]}
	return []cell{
		mark, num(l.Index), c(l.Time.Round(time.Millisecond).String()), cell{what, colorOf(what)}, orDash(l.Path), orDash(l.Node), c(l.Sentence),
	}
}

// departures says up to where the comparison is fair.
func departures(w io.Writer, r replay.Report) {
	if len(r.Departures) == 0 {
		fmt.Fprintf(w, "\nwith the other policies every decision on tree %s would have been the same\n", Clean(r.Tree))
		return
	}
	fmt.Fprintln(w)
	for _, d := range r.Departures {
		fmt.Fprintf(w, "%s would have fared otherwise from index %d on\n", Clean(d.Path), d.Index)
	}
	fmt.Fprintln(w, "Up to there the comparison is fair. What happened to these children later (?) answers orders that they would")
	fmt.Fprintln(w, "not have been given, or not at that time, so nobody can tell what it would have led to: simulate can.")
}
