package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/selfware/selfware/simulate"
	"github.com/selfware/selfware/supervisor"
)

// Schedules prints what becomes of each child that crashes at once, each time it starts.
func Schedules(w io.Writer, all []simulate.Schedule, s Style) {
	fmt.Fprintln(w, "If a child crashes at once each time it starts, and nothing else happens:")
	for _, one := range all {
		fmt.Fprintln(w)
		schedule(w, one, s)
	}
	fmt.Fprintln(w, "\nIn a cluster each wait is up to a tenth shorter, so that children that crashed together do not come back together.")
}

func schedule(w io.Writer, one simulate.Schedule, s Style) {
	fmt.Fprintf(w, "%s: %s, %s of %s; %s\n", s.paint(bold, Clean(one.Path)), one.RestartType, one.Strategy, Clean(one.Supervisor), allowance(one))
	if one.Significant != "" {
		fmt.Fprintf(w, "  significant: %s\n", one.Significant)
	}
	t := table{style: s, head: []string{"AT", "CRASH", "VERDICT", "WHO", "WAIT", "WINDOW", "NODE", "THEN"}}
	rounds := roundsOf(one.Steps)
	for i, round := range rounds {
		if i > 0 && sameAsBefore(rounds[i-1], round) {
			t.add(c("…"), c(crashes(round)), c("as before"), c(""), c(""), c(""), c(""), c(""))
			round = round[own(round):]
		}
		for _, step := range round {
			t.add(stepCells(step)...)
		}
	}
	t.print(w, "  ")
	fmt.Fprintf(w, "  => %s\n", one.End)
	for _, l := range one.Exits.Lists() {
		if len(l.Exits) > 0 {
			fmt.Fprintf(w, "  %s %s\n", exits(l.Exits), outcomes[l.Verdict])
		}
	}
}

// outcomes are what exit rules say.
var outcomes = map[supervisor.Verdict]string{
	supervisor.VerdictFinish:   "is an end as it should be: the child is finished, uncharged (finish_on)",
	supervisor.VerdictFail:     "is for good: the child has failed and stays down, uncharged (never_restart_on)",
	supervisor.VerdictMove:     "is charged like a crash, and moves the child to another node at once (move_on)",
	supervisor.VerdictEscalate: "is fatal: its supervisor gives up at once (escalate_on)",
}

// exits lists codes and signals: "exit code 0, 3 or SIGTERM".
func exits(list []supervisor.Exit) string {
	var words []string
	for i, x := range list {
		word := string(x)
		if !strings.HasPrefix(word, "SIG") && (i == 0 || strings.HasPrefix(string(list[i-1]), "SIG")) {
			word = "exit code " + word
		}
		words = append(words, word)
	}
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// allowance is the policy of a child in words.
func allowance(one simulate.Schedule) string {
	whose := "of its own"
	if one.Shared {
		whose = "of all its siblings together"
	}
	b := one.Backoff
	wait := "no wait"
	switch {
	case b.Kind == supervisor.Exponential:
		wait = fmt.Sprintf("wait %v, doubled up to %v", b.Base, b.Max)
	case b.Base > 0:
		wait = fmt.Sprintf("wait %v", b.Base)
	}
	text := fmt.Sprintf("%d restarts in %s %s, %s", one.Budget.Max, span(one.Budget.Period), whose, wait)
	if one.MoveAfter > 0 {
		text += fmt.Sprintf(", move after %d crashes in a row", one.MoveAfter)
	}
	return text
}

func stepCells(step simulate.Step) []cell {
	wait, window := "-", "-"
	if step.Verdict == supervisor.VerdictRestart || step.Verdict == supervisor.VerdictMove {
		wait = step.Wait.String()
	}
	if step.Window.Max > 0 || step.Window.Period > 0 {
		window = budget(step.Window)
	}
	then := step.Then
	if n := len(step.With); n > 0 {
		with := fmt.Sprintf("with %s", strings.Join(step.With[:min(n, 3)], ", "))
		if n > 3 {
			with += fmt.Sprintf(" and %d more", n-3)
		}
		then = strings.TrimPrefix(then+"; "+with, "; ")
	}
	return []cell{
		c(moment(step.At)), num(step.Crash), status(string(step.Verdict)), c(step.Path), c(wait), c(window), orDash(step.Node), c(then),
	}
}

// moment is a time since the beginning, to the millisecond.
func moment(at time.Duration) string { return at.Round(time.Millisecond).String() }

// roundsOf parts the steps where somebody above the child was charged.
func roundsOf(steps []simulate.Step) (rounds [][]simulate.Step) {
	from := 0
	for i, step := range steps {
		if i+1 == len(steps) || steps[i+1].Crash != step.Crash && step.Path != steps[0].Path {
			rounds = append(rounds, steps[from:i+1])
			from = i + 1
		}
	}
	return rounds
}

// own counts the steps of a round that are about the child itself, and restart it.
func own(round []simulate.Step) (n int) {
	for n < len(round) && round[n].Path == round[0].Path && round[n].Verdict != supervisor.VerdictEscalate {
		n++
	}
	return n
}

// sameAsBefore: the child itself went through the same in both rounds.
func sameAsBefore(before, now []simulate.Step) bool {
	n := own(now)
	if n < 2 || n != own(before) || n == len(now) {
		return false
	}
	for i := range n {
		a, b := before[i], now[i]
		if a.Verdict != b.Verdict || a.Wait != b.Wait || a.Window != b.Window {
			return false
		}
	}
	return true
}

// crashes names those of a round that are not shown one by one.
func crashes(round []simulate.Step) string {
	return fmt.Sprintf("%d-%d", round[0].Crash, round[own(round)-1].Crash)
}
