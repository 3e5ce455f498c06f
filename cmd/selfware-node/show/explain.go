package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
)

// Explanation prints how long each fault may keep each child from running, and below
// the arithmetic, once for exclusive children and once for the others.
func Explanation(w io.Writer, e api.Explanation, s Style) {
	if len(e.Children) == 0 {
		fmt.Fprintln(w, "there are no children to explain")
		return
	}
	fmt.Fprintf(w, "profile %s: how long each fault may keep a child from running, while most voters are well\n\n", Clean(e.Profile))
	t := table{style: s, head: []string{"CHILD", "EXCLUSIVE"}}
	for _, g := range e.Children[0].Gaps {
		t.head = append(t.head, strings.ToUpper(g.Fault))
	}
	t.head = append(t.head, "NOTE")
	for _, ch := range e.Children {
		row := []cell{c(ch.Path), c(exclusive(ch))}
		for _, g := range ch.Gaps {
			row = append(row, c(rounded(g.Longest)))
		}
		t.add(append(row, c(ch.Note))...)
	}
	t.print(w, "")
	for _, kind := range []struct {
		exclusive bool
		head      string
	}{{true, "an exclusive child: at most one process in the whole cluster"}, {false, "another child: it may run twice for a while"}} {
		for _, ch := range e.Children {
			if ch.Exclusive == kind.exclusive {
				fmt.Fprintf(w, "\n%s\n", s.paint(bold, kind.head))
				arithmetic(w, ch.Gaps, s)
				break
			}
		}
	}
	fmt.Fprintln(w, "\nThe time that the program itself takes to start comes on top.")
}

func exclusive(ch api.Explained) string {
	switch {
	case !ch.Exclusive:
		return "no"
	case ch.By != "" && ch.By != ch.Path:
		return "by " + ch.By
	}
	return "yes"
}

// arithmetic prints the sums.
func arithmetic(w io.Writer, gaps []api.Gap, s Style) {
	for _, g := range gaps {
		fmt.Fprintf(w, "  %s: %s", Clean(g.Fault), s.paint(bold, g.Longest.String()))
		if g.Note != "" {
			fmt.Fprintf(w, " (%s)", Clean(g.Note))
		}
		fmt.Fprintln(w)
		for i, t := range g.Terms {
			sign := "+"
			switch {
			case t.Time < 0:
				sign = "-"
			case i == 0:
				sign = " "
			}
			fmt.Fprintf(w, "    %s %8s %s\n", sign, t.Time.Abs(), Clean(t.What))
		}
	}
}

// rounded is a duration in tenths of a second, rounded up: it is a bound.
func rounded(d time.Duration) string {
	const tenth = 100 * time.Millisecond
	return ((d + tenth - 1) / tenth * tenth).String()
}
