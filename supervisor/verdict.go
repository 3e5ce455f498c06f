package supervisor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/selfware/selfware/internal/bug"
)

// This file is what a child itself says should follow from its end: by a word before it,
// or by the code or signal that it ends with. Package doc, "What a child says", has the
// rules.

// MaxBecause bounds the words that go with a child's own word, in bytes.
const MaxBecause = 256

// Exit is a way in which a process ends: an exit code in decimal, "0" to "255", or the
// full name of a signal, "SIGTERM".
type Exit string

// exitSignals are the signals that can end a process, without SIG.
var exitSignals = []string{"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
	"ALRM", "TERM", "STKFLT", "XCPU", "XFSZ", "VTALRM", "PROF", "IO", "PWR", "SYS"}

// ExitSignals lists the full names of the signals that an Exit may be.
func ExitSignals() []string {
	names := make([]string, len(exitSignals))
	for i, s := range exitSignals {
		names[i] = "SIG" + s
	}
	return names
}

// ParseExit reads an exit code from 0 to 255, or the name of a signal that can end a
// process, with or without SIG.
func ParseExit(text string) (Exit, error) {
	if name := strings.TrimPrefix(text, "SIG"); slices.Contains(exitSignals, name) {
		return Exit("SIG" + name), nil
	}
	if code, err := strconv.Atoi(text); err == nil && code >= 0 && code <= 255 {
		return Exit(strconv.Itoa(code)), nil
	}
	return "", fmt.Errorf("%q is no exit code from 0 to 255, and no signal that ends a process", text)
}

// ExitRules say what follows from an end by itself with certain codes and signals. Each
// Exit stands once, in one of the lists; nil has none.
type ExitRules struct {
	// FinishOn: it is finished, whatever its restart type; nothing is charged.
	FinishOn []Exit `json:"finish_on,omitempty"`
	// NeverRestartOn: it has failed and stays down, as a temporary child that failed;
	// nothing is charged.
	NeverRestartOn []Exit `json:"never_restart_on,omitempty"`
	// MoveOn: a crash, and the next life begins on another node.
	MoveOn []Exit `json:"move_on,omitempty"`
	// EscalateOn: its supervisor gives up at once.
	EscalateOn []Exit `json:"escalate_on,omitempty"`
}

// ExitList is one of the lists of ExitRules, by its name in a tree file.
type ExitList struct {
	Name    string
	Verdict Verdict
	Exits   []Exit
}

// Lists gives the four lists; of nil, empty ones.
func (r *ExitRules) Lists() []ExitList {
	if r == nil {
		r = &ExitRules{}
	}
	return []ExitList{
		{"finish_on", VerdictFinish, r.FinishOn}, {"never_restart_on", VerdictFail, r.NeverRestartOn},
		{"move_on", VerdictMove, r.MoveOn}, {"escalate_on", VerdictEscalate, r.EscalateOn},
	}
}

// valid reports what no rules may have.
func (r *ExitRules) valid() error {
	in := make(map[Exit]string)
	for _, l := range r.Lists() {
		for _, x := range l.Exits {
			if full, err := ParseExit(string(x)); err != nil || full != x {
				return fmt.Errorf("%s has %q, which is no exit code from 0 to 255 and no full name of a signal that ends a process", l.Name, x)
			}
			if first, twice := in[x]; twice {
				return fmt.Errorf("%s stands in %s and in %s", x, first, l.Name)
			}
			in[x] = l.Name
		}
	}
	return nil
}

// exit is how a process ended by itself; "" if it did not, or if nobody knows.
func (ev *ChildEvent) exit() Exit {
	switch {
	case ev.Type != EventExited:
	case ev.Reason == ExitNormal:
		return "0"
	case ev.Reason == ExitError:
		return Exit(strconv.Itoa(ev.Code))
	case ev.Reason == ExitKilled:
		return Exit(ev.Signal)
	}
	return ""
}

// Ruling is what a child itself, or its exit rules, say about its end, and which of them
// says so: "" if none does, and the restart type decides. An end that its node brought
// about, since the child was not well, not up in time or fenced, is not the child's own,
// and its word does not count.
func (r *ExitRules) Ruling(ev *ChildEvent) (v Verdict, why string) {
	if ev.Type != EventExited || ev.Reason == ExitTimeout || ev.Fatal || bug.On("word-unheard") {
		return "", ""
	}
	switch ev.Word {
	case VerdictFinish, VerdictFail, VerdictMove, VerdictEscalate:
		return ev.Word, "it says " + saying(ev)
	}
	if r == nil {
		return "", ""
	}
	exit := ev.exit()
	for _, l := range r.Lists() {
		if exit != "" && slices.Contains(l.Exits, exit) {
			return l.Verdict, string(exit) + " is in " + l.Name
		}
	}
	return "", ""
}

// saying is a child's word as a sentence has it.
func saying(ev *ChildEvent) string {
	if ev.Because == "" {
		return string(ev.Word)
	}
	return string(ev.Word) + ": " + clipped(ev.Because, MaxBecause)
}

// clipped bounds a text that comes from outside, in bytes, between two characters.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// onAsked: a child that runs asks to be moved. It did not fail, so nothing is charged; but
// it is moved for the asking once in a period of its supervisor's, and no life asks twice.
func (t *Tree) onAsked(n *node, ev ChildEvent, fit bool) error {
	l := n.life
	if l.Phase == PhaseStopping || l.Asked || !fit {
		return ErrStale
	}
	if ev.Word != VerdictMove {
		return fmt.Errorf("%w: %s asks for %q; a child that runs may ask for move alone", ErrRefused, n.path, ev.Word)
	}
	if n.home != "" {
		return fmt.Errorf("%w: %s asks to be moved, and is the instance of its node", ErrRefused, n.path)
	}
	l.Asked = true
	t.become(n, l)
	cause := Cause{Kind: CauseWord, Path: n.path, Detail: "it says " + saying(&ev)}
	if p := n.paused(); p != nil {
		t.decide(n, VerdictStay, cause, fmt.Sprintf("%s asks to be moved (%s) and stays on %s: %v", n.path, cause.Detail, l.Node, p))
		return nil
	}
	period := n.parent.policy.MaxSeconds
	if n.askedUntil > 0 && t.at.Time <= n.askedUntil && !bug.On("asks-without-end") {
		t.decide(n, VerdictStay, cause, fmt.Sprintf("%s asks to be moved (%s) and stays on %s: it was moved for the asking within the last %v",
			n.path, cause.Detail, l.Node, period))
		return nil
	}
	n.askedUntil = t.at.Time + period
	t.renew(n, renewal{avoid: []string{l.Node}, start: "move"})
	t.decideOn(n, l.Node, VerdictMove, cause, fmt.Sprintf("%s asks to be moved (%s): it leaves %s for another node, uncharged", n.path, cause.Detail, l.Node))
	return nil
}
