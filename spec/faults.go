package spec

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// MaxFaults is how many faults a plan may have.
const MaxFaults = 10_000

// Fault is one fault of a plan, at a time since the plan's beginning. Exactly one of
// Node, Crash, Partition, Leader and Drain is set.
type Fault struct {
	At time.Duration `json:"at"`
	// Node loses its power, and has it back after Down; 0 is never.
	Node string        `json:"node,omitempty"`
	Down time.Duration `json:"down,omitempty"`
	// Crash is a pattern of paths: * stands for a part of a name, a last /** for all
	// below. Each such child crashes as many Times as said: now, and then whenever it
	// has run again for Every.
	Crash string        `json:"crash,omitempty"`
	Times int           `json:"times,omitempty"`
	Every time.Duration `json:"every,omitempty"`
	// Partition cuts the named nodes off from the others, For so long.
	Partition []string `json:"partition,omitempty"`
	// Leader is "down": the node that leads loses its power, For so long.
	Leader string `json:"leader,omitempty"`
	// Drain moves all off a node, which takes children again after For.
	Drain string `json:"drain,omitempty"`
	// For is how long; 0 is for ever.
	For time.Duration `json:"for,omitempty"`
}

// LeaderDown is the only word that Fault.Leader takes.
const LeaderDown = "down"

// String is the fault as a plan has it, on one line.
func (f Fault) String() string {
	f.Times = max(1, f.Times)
	return faultTable.write(&f)
}

// Hits tells whether Crash means a child.
func (f Fault) Hits(child string) bool {
	if above, all := strings.CutSuffix(f.Crash, "/**"); all {
		for at := path.Dir(child); at != "."; at = path.Dir(at) {
			if ok, _ := path.Match(above, at); ok {
				return true
			}
		}
		return false
	}
	ok, _ := path.Match(f.Crash, child)
	return ok
}

// kinds gives the keys that say what the fault is.
func (f Fault) kinds() (given []string) {
	for _, k := range []struct {
		key string
		has bool
	}{
		{"node", f.Node != ""}, {"crash", f.Crash != ""}, {"partition", f.Partition != nil}, {"leader", f.Leader != ""}, {"drain", f.Drain != ""},
	} {
		if k.has {
			given = append(given, k.key)
		}
	}
	return given
}

// belongs says with which kinds of fault a key makes sense.
var belongs = map[string][]string{
	"down": {"node"}, "times": {"crash"}, "every": {"crash"}, "for": {"partition", "leader", "drain"},
}

var faultTable = table[Fault]{name: "a fault", doc: "What goes wrong, and when.",
	entries: []entry[Fault]{
		bind(entry[Fault]{name: "at", required: true, doc: "When it happens, counted from the beginning."},
			durationKind(0, maxDuration), -1, func(f *Fault) *time.Duration { return &f.At }),
		bind(entry[Fault]{name: "node", doc: "The node that loses its power."},
			idKind(), "", func(f *Fault) *string { return &f.Node }),
		bind(entry[Fault]{name: "down", doc: "How long the node has none; for ever if it is left out."},
			durationKind(time.Millisecond, maxDuration), 0, func(f *Fault) *time.Duration { return &f.Down }),
		bind(entry[Fault]{name: "crash", doc: "The children that crash: a path, in which * stands for a part of a name, and a last /** for all below."},
			textKind(), "", func(f *Fault) *string { return &f.Crash }),
		bind(entry[Fault]{name: "times", doc: "How often each of them crashes."},
			wholeKind(1, 10_000), 1, func(f *Fault) *int { return &f.Times }),
		bind(entry[Fault]{name: "every", doc: "How long each of them has run again when it crashes the next time."},
			durationKind(0, maxDuration), 0, func(f *Fault) *time.Duration { return &f.Every }),
		bind(entry[Fault]{name: "partition", doc: "The nodes that are cut off from all others."},
			listKind("a node or a list of nodes"), nil, func(f *Fault) *[]string { return &f.Partition }),
		bind(entry[Fault]{name: "leader", doc: "The node that leads loses its power."},
			enumKind[string](LeaderDown), "", func(f *Fault) *string { return &f.Leader }),
		bind(entry[Fault]{name: "drain", doc: "The node that is drained."},
			idKind(), "", func(f *Fault) *string { return &f.Drain }),
		bind(entry[Fault]{name: "for", doc: "How long it lasts; for ever if it is left out."},
			durationKind(time.Millisecond, maxDuration), 0, func(f *Fault) *time.Duration { return &f.For }),
	}}

// ParseFaults reads a plan of faults: a list of maps. nodes and paths are those that
// there are; a fault that means none of them is a mistake. name is how errors call the
// file; the error is of type [Errors]. The faults come in the order of their times.
func ParseFaults(name string, data []byte, nodes, paths []string) ([]Fault, error) {
	text, fault := clean(data)
	var root *node
	if fault == nil {
		root, fault = readYAML(text)
	}
	if fault != nil {
		if fault.Msg == "the file is empty" {
			fault.Hint = "a plan is a list of faults, such as - {at: 10s, node: n2, down: 30s}"
		}
		fault.File = name
		return nil, Errors{*fault}
	}
	r := &reader{unknownHint: didYouMean}
	faults := readFaults(r, root, names{nodes, paths})
	if len(r.errs) > 0 {
		errs := inOrder(r.errs)
		for i := range errs {
			errs[i].File = name
		}
		return nil, errs
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return faults, nil
}

// FormatFaults writes a plan that ParseFaults reads as the same.
func FormatFaults(faults []Fault) []byte {
	var b strings.Builder
	for _, f := range faults {
		fmt.Fprintf(&b, "- %s\n", f)
	}
	return []byte(b.String())
}

// names are what a plan may mean.
type names struct{ nodes, paths []string }

func readFaults(r *reader, root *node, known names) (faults []Fault) {
	if root.is != listValue {
		r.fail(root, "begin each with a dash: - {at: 10s, node: n2, down: 30s}", "a plan is a list of faults, not %s", root.describe())
		return nil
	}
	for i, item := range root.items {
		if i == MaxFaults {
			r.fail(item, "", "a plan has at most %d faults", MaxFaults)
			return nil
		}
		if !r.count(item) {
			return nil
		}
		var f Fault
		r.key, r.in = "", fmt.Sprintf("fault %d", i+1)
		if item.is != mapValue {
			r.fail(item, "write {at: 10s, node: n2, down: 30s}", "%s must be a map, not %s", r.in, item.describe())
		} else if faultTable.read(r, item, &f) {
			known.check(r, item, f)
		}
		if f.Crash == "" {
			f.Times = 0
		}
		faults = append(faults, f)
	}
	return faults
}

// check looks at what keys say together, and at whom they mean.
func (known names) check(r *reader, n *node, f Fault) {
	given := f.kinds()
	if len(given) != 1 {
		has := "none"
		if len(given) > 0 {
			has = strings.Join(given, " and ")
		}
		r.fail(n, "write each fault as an item of its own", "%s needs exactly one of node, crash, partition, leader and drain; it has %s", r.in, has)
		return
	}
	for _, p := range n.pairs {
		if homes := belongs[p.key.text]; homes != nil && !slices.Contains(homes, given[0]) {
			r.fail(p.key, "", "%q in %s belongs to %s, not to %s", p.key.text, r.in, strings.Join(homes, ", "), given[0])
		}
	}
	at, _ := n.get(given[0])
	switch {
	case f.Crash != "":
		known.checkPattern(r, at.value, f)
	case len(f.Partition) > 0:
		for i, name := range f.Partition {
			known.checkNode(r, at.value, name)
			if slices.Contains(f.Partition[:i], name) {
				r.fail(at.value, "", "partition names %s twice", name)
			}
		}
		if len(f.Partition) >= len(known.nodes) {
			r.fail(at.value, "leave out those of one side", "partition names every node, so that none is cut off from another")
		}
	case f.Leader == "":
		known.checkNode(r, at.value, f.Node+f.Drain)
	}
}

func (known names) checkNode(r *reader, n *node, name string) {
	if slices.Contains(known.nodes, name) {
		return
	}
	hint := didYouMean(name, known.nodes)
	if hint == "" {
		hint = "there are " + few(known.nodes)
	}
	r.fail(n, hint, "%s means the node %q, which there is not", r.in, short(name))
}

func (known names) checkPattern(r *reader, n *node, f Fault) {
	if _, err := path.Match(f.Crash, ""); err != nil {
		r.fail(n, "write a path such as shop/web/api, or shop/web/*", "%s: %q is no pattern of paths", r.in, short(f.Crash))
		return
	}
	if slices.ContainsFunc(known.paths, f.Hits) {
		return
	}
	hint := didYouMean(f.Crash, known.paths)
	if hint == "" {
		hint = "there are " + few(known.paths)
	}
	r.fail(n, hint, "%s: no worker of the tree is meant by %q", r.in, short(f.Crash))
}

// few names the first of many.
func few(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
