package spec

import "github.com/selfware/selfware/supervisor"

const autoShutdownDoc = "Whether this supervisor ends when children that are significant have ended by themselves and for good: never, with any (the first of them), or " +
	"with all (the last of them). To its own supervisor it is then a child that has ended as it should; a tree has finished."

// autoKind is never, which is empty in a spec, as it was before there was another, any or
// all.
func autoKind() kind[supervisor.AutoShutdown] {
	k := enumKind(supervisor.AutoNever, supervisor.AutoAny, supervisor.AutoAll)
	read := k.read
	k.read = func(r *reader, n *node) (supervisor.AutoShutdown, bool) {
		a, ok := read(r, n)
		if a == supervisor.AutoNever {
			a = ""
		}
		return a, ok
	}
	k.write = func(a supervisor.AutoShutdown) string {
		if a == "" {
			a = supervisor.AutoNever
		}
		return string(a)
	}
	return k
}

// autoEntry is auto_shutdown, of the tree or of a supervisor in it.
func autoEntry[T any](field string, place func(*T) *supervisor.AutoShutdown) entry[T] {
	return bind(entry[T]{name: "auto_shutdown", field: field, doc: autoShutdownDoc, examples: []any{"any"}}, autoKind(), "", place)
}

func significantEntry() entry[draft] {
	return bind(entry[draft]{name: "significant", field: "ChildSpec.Significant", examples: []any{true},
		doc: "Its end may be that of its supervisor, as the auto_shutdown of that one says: the normal end of a transient child, any end of a temporary one. " +
			"A stop by an operator or with its group and the loss of a node are no such end."},
		boolKind(), false, func(d *draft) *bool { return &d.spec.Significant })
}

// significance checks who may be significant, at and below a supervisor.
func (c *checker) significance(parent string, a supervisor.AutoShutdown, children []*draft) {
	for _, d := range children {
		c.path = parent + "/" + d.spec.ID
		at := d.place("significant")
		switch {
		case !d.spec.Significant:
		case !a.Shuts():
			hint := "add auto_shutdown: any, or all, to the tree"
			if parent != c.tree {
				hint = "write supervisor: {auto_shutdown: any}, or all, at " + parent
			}
			c.fail(at, hint, "significant means nothing here: auto_shutdown of %s is never", parent)
		case d.spec.RestartType == supervisor.Permanent:
			c.fail(at, "add restart_type: transient, or temporary", "a permanent child cannot be significant: it is always restarted, so it never ends by itself")
		case d.spec.Many():
			c.fail(at, "make it one worker, or leave it out", "a child of which many run cannot be significant")
		}
		if d.sup != nil {
			c.significance(parent+"/"+d.spec.ID, d.sup.AutoShutdown, d.children)
		}
	}
}
