package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// exitEntries are the exit rules of a worker: which ends say by themselves what follows.
func exitEntries() []entry[draft] {
	list := func(name, field, doc string, example []any, place func(*supervisor.ExitRules) *[]supervisor.Exit) entry[draft] {
		return bind(entry[draft]{name: name, worker: true, field: "ExitRules." + field, examples: []any{example, example[0]}, doc: doc + exitsDoc},
			exitsKind(), nil, func(d *draft) *[]supervisor.Exit { return place(&d.exits) })
	}
	return []entry[draft]{
		list("finish_on", "FinishOn", "Ends that are as they should be: the child is then finished, whatever its restart_type, and nothing is charged.",
			[]any{0, 3, "SIGTERM"}, func(r *supervisor.ExitRules) *[]supervisor.Exit { return &r.FinishOn }),
		list("never_restart_on", "NeverRestartOn", "Ends after which a restart would not help: the child has failed and stays down, nothing is charged, and its supervisor goes on.",
			[]any{2, "SIGABRT"}, func(r *supervisor.ExitRules) *[]supervisor.Exit { return &r.NeverRestartOn }),
		list("move_on", "MoveOn", "Ends that are the node's fault: charged like any crash, but the next life goes to another node at once, if there is one that fits.",
			[]any{75}, func(r *supervisor.ExitRules) *[]supervisor.Exit { return &r.MoveOn }),
		list("escalate_on", "EscalateOn", "Ends that are fatal: the supervisor of the child gives up at once, whatever the budget.",
			[]any{78, "SIGSEGV"}, func(r *supervisor.ExitRules) *[]supervisor.Exit { return &r.EscalateOn }),
	}
}

// exitsDoc is what all four have in common.
const exitsDoc = " One or a list of exit codes (0 to 255) and names of signals, with or without SIG. Ends that were ordered, " +
	"or brought about by a probe, a liveness check or a lease, are not concerned; what the child itself said (X_SELFWARE=) comes first."

// exitsKind is one exit or a list of them.
func exitsKind() kind[[]supervisor.Exit] {
	item := exitSchema()
	return kind[[]supervisor.Exit]{
		schema: map[string]any{"anyOf": []any{item, map[string]any{"type": "array", "items": item}}},
		read: func(r *reader, n *node) ([]supervisor.Exit, bool) {
			if n.is == listValue {
				return readList(r, n, "", readExit)
			}
			x, ok := readExit(r, n)
			return []supervisor.Exit{x}, ok
		},
		write: func(list []supervisor.Exit) string {
			if len(list) == 0 {
				return ""
			}
			var words []string
			for _, x := range list {
				words = append(words, string(x))
			}
			return "[" + strings.Join(words, ", ") + "]"
		},
	}
}

func exitSchema() map[string]any {
	var names []any
	for _, full := range supervisor.ExitSignals() {
		names = append(names, full, strings.TrimPrefix(full, "SIG"))
	}
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 0, "maximum": 255}, map[string]any{"enum": names},
	}}
}

// readExit reads a code, without quotes, or the name of a signal.
func readExit(r *reader, n *node) (supervisor.Exit, bool) {
	const what = "an exit code from 0 to 255 or the name of a signal that ends a program"
	x, err := supervisor.ParseExit(n.text)
	_, number := strconv.Atoi(n.text)
	switch {
	case n.is == textValue && number == nil:
		r.want(n, what, "leave out the quotes")
	case n.is != textValue && n.is != bareValue, err != nil, n.is == bareValue && string(x) != n.text:
		r.want(n, what, exitHint(n))
	default:
		return x, true
	}
	return "", false
}

// exitHint names the signal that was probably meant.
func exitHint(n *node) string {
	full := supervisor.ExitSignals()
	var names []string
	for _, name := range full {
		names = append(names, strings.TrimPrefix(name, "SIG"))
	}
	if strings.HasPrefix(strings.ToUpper(n.text), "SIG") {
		names = full
	}
	if hint := didYouMean(n.text, names); n.is == textValue && hint != "" {
		return hint
	}
	return "such as 3 or SIGTERM"
}

// exits finds what stands twice in the exit rules of a child.
func (c *checker) exits(d *draft) {
	type place struct {
		list string
		line int
	}
	seen := make(map[supervisor.Exit]place)
	for _, l := range d.exits.Lists() {
		at := d.place(l.Name)
		for i, x := range l.Exits {
			n := at
			if at.is == listValue {
				n = at.items[i]
			}
			first, twice := seen[x]
			switch {
			case !twice:
				seen[x] = place{l.Name, n.line}
			case first.list == l.Name && first.line == n.line:
				c.fail(n, "", "%s: %s stands twice", l.Name, x)
			case first.list == l.Name:
				c.fail(n, "", "%s: %s stands twice, on line %d too", l.Name, x, first.line)
			default:
				c.fail(n, "an end has one meaning: take it out of one of them", "%s: %s stands in %s too, on line %d", l.Name, x, first.list, first.line)
			}
		}
	}
}

// exitRules are the rules of a draft; nil if there are none.
func (d *draft) exitRules() *supervisor.ExitRules {
	if !slices.ContainsFunc(d.exits.Lists(), func(l supervisor.ExitList) bool { return len(l.Exits) > 0 }) {
		return nil
	}
	rules := d.exits
	return &rules
}
