package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// Kinds of a Change.
const (
	Add     = "add"
	Remove  = "remove"
	Changed = "change"
	Reorder = "reorder"
)

// Effects of a Change on processes.
const (
	Starts   = "starts"
	Stops    = "stops"
	Restarts = "restarts"
	// InTurn: as Restarts, but a few at a time (key update).
	InTurn    = "restarts in turn"
	NoRestart = "no restart"
	// Grows and Shrinks: there are more instances, or fewer; the others run on.
	Grows   = "starts instances"
	Shrinks = "stops instances"
	// Reshapes: the instances are others, with other names.
	Reshapes = "stops and starts instances"
	// Refused: a worker cannot become a supervisor, or the other way round,
	// or into instances of it, under one id; the whole apply is refused.
	Refused = "refused"
)

// Change is one difference between two trees.
type Change struct {
	// Path of the child, or of the tree.
	Path string `json:"path"`
	// Kind is add, remove, change or reorder.
	Kind string `json:"kind"`
	// Effect on the process of the child; of a supervisor, "starts" and "stops"
	// are said of its workers too, each with a Change of its own.
	Effect string `json:"effect"`
	// Fields that differ, in the order of the file; of a reorder, the children.
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one key with its values as YAML; "" is none.
type FieldChange struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// String prints name: old -> new.
func (f FieldChange) String() string {
	show := func(s string) string {
		switch s {
		case "":
			return "(none)"
		case "{}":
			return "(defaults)"
		}
		return s
	}
	return fmt.Sprintf("%s: %s -> %s", f.Name, show(f.Old), show(f.New))
}

// String prints a line for the change and one, indented, for each field.
func (c Change) String() string {
	sign := map[string]string{Add: "+", Remove: "-", Changed: "~", Reorder: "~"}[c.Kind]
	var b strings.Builder
	effect := c.Effect
	if c.Kind == Reorder { // no process is touched; the order is that of the next group restart
		effect = "children reordered, " + effect
	}
	fmt.Fprintf(&b, "%s %s (%s)", sign, c.Path, effect)
	for _, f := range c.Fields {
		b.WriteString("\n    " + f.String())
	}
	return b.String()
}

// Diff lists what turns the old tree into the new one: the tree's own keys,
// then its children in the order of the new tree, those removed before the rest
// of their siblings. A nil tree is none: all is added or removed. Trees of
// different names are two trees. No difference yields nil.
func Diff(old, new *supervisor.Spec) []Change {
	var d differ
	switch {
	case old == nil && new == nil:
	case old == nil:
		d.tree(draftTree(*new), Add, Starts)
	case new == nil:
		d.tree(draftTree(*old), Remove, Stops)
	case old.Name != new.Name:
		d.tree(draftTree(*old), Remove, Stops)
		d.tree(draftTree(*new), Add, Starts)
	default:
		a, b := draftTree(*old), draftTree(*new)
		if fields, _ := changed(treeTable.entries, a, b); len(fields) > 0 {
			d.add(new.Name, Changed, NoRestart, fields)
		}
		d.siblings(new.Name, a.children, b.children, above{a.spec.Exclusive, b.spec.Exclusive, b.spec.Update != nil})
	}
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) add(path, kind, effect string, fields []FieldChange) {
	d.changes = append(d.changes, Change{Path: path, Kind: kind, Effect: effect, Fields: fields})
}

func (d *differ) tree(t *treeDraft, kind, effect string) {
	d.add(t.spec.Name, kind, effect, nil)
	for _, c := range t.children {
		d.whole(t.spec.Name, c, kind, effect)
	}
}

// whole adds or removes a child and all below it.
func (d *differ) whole(parent string, c *draft, kind, effect string) {
	path := parent + "/" + c.spec.ID
	d.add(path, kind, effect, nil)
	for _, child := range c.children {
		d.whole(path, child, kind, effect)
	}
}

// above tells whether a supervisor above was exclusive, and whether one is; and whether
// one has children restart in turn.
type above struct{ was, is, rolls bool }

func (d *differ) siblings(parent string, old, new []*draft, by above) {
	before, after := byID(old), byID(new)
	for _, c := range old {
		if after[c.spec.ID] == nil {
			d.whole(parent, c, Remove, Stops)
		}
	}
	if was, is := common(old, after), common(new, before); !slices.Equal(was, is) {
		d.add(parent, Reorder, NoRestart, []FieldChange{{Name: "children", Old: writeList(was), New: writeList(is)}})
	}
	for _, c := range new {
		if was := before[c.spec.ID]; was == nil {
			d.whole(parent, c, Add, Starts)
		} else {
			d.child(parent+"/"+c.spec.ID, was, c, by)
		}
	}
}

func (d *differ) child(path string, old, new *draft, by above) {
	fields, restarts := changed(childTable.entries, old, new)
	if old.many() && new.many() {
		fields, restarts = changedMany(old, new)
	}
	by = above{by.was || old.worker().spec.Exclusive, by.is || new.worker().spec.Exclusive, by.rolls || new.rolls()}
	if by.was != by.is && new.sup == nil {
		restarts = true // its lives begin under a lease now, or no longer
		if old.worker().spec.Exclusive == new.worker().spec.Exclusive {
			fields = append(fields, FieldChange{Name: "exclusive (by a supervisor above)", Old: fmt.Sprint(by.was), New: fmt.Sprint(by.is)})
		}
	}
	switch {
	case (old.sup == nil) != (new.sup == nil), old.many() != new.many():
		d.add(path, Changed, Refused, fields)
		return
	case len(fields) > 0 && restarts && by.rolls:
		d.add(path, Changed, InTurn, fields)
	case len(fields) > 0 && restarts:
		d.add(path, Changed, Restarts, fields)
	case len(fields) > 0:
		d.add(path, Changed, manyEffect(old, new), fields)
	}
	d.siblings(path, old.children, new.children, by)
}

// rolls: what is at or below d restarts in turn.
func (d *draft) rolls() bool {
	return d.spec.Update != nil || d.sup != nil && d.sup.Update != nil || d.pool != nil && d.pool.update != nil
}

// changed compares all keys, and tells whether one of them restarts a worker.
func changed[T any](entries []entry[T], old, new *T) (fields []FieldChange, restarts bool) {
	for _, e := range entries {
		if was, is := e.write(old), e.write(new); was != is {
			fields = append(fields, FieldChange{Name: e.name, Old: was, New: is})
			restarts = restarts || e.restarts
		}
	}
	return fields, restarts
}

func byID(children []*draft) map[string]*draft {
	m := make(map[string]*draft, len(children))
	for _, c := range children {
		m[c.spec.ID] = c
	}
	return m
}

// common are the ids of children that the other tree has too, in order.
func common(children []*draft, other map[string]*draft) []string {
	var ids []string
	for _, c := range children {
		if other[c.spec.ID] != nil {
			ids = append(ids, c.spec.ID)
		}
	}
	return ids
}
