package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxValues bounds what is read, each use of an alias counted. The largest tree
// with 10 keys for each child stays below.
const maxValues = 1_000_000

// reader reads nodes into values and gathers the errors.
type reader struct {
	errs   []Error
	values int  // read so far
	kids   int  // children read so far
	depth  int  // of the list of children being read; the root's is 1
	ended  bool // nothing more is read
	// key, in and path say where we are: "probe.interval", `child "api"`, "shop/web/api".
	key, in, path string
	// children is readChildren; through a field, since the tables that it
	// reads by refer to it.
	children func(r *reader, n *node) []*draft
	// unknownHint, through a field for the same reason.
	unknownHint func(name string, valid []string) string
}

// fail notes an error at n.
func (r *reader) fail(n *node, hint, format string, args ...any) {
	if len(r.errs) >= manyErrors {
		r.ended = true
		return
	}
	e := Error{Line: n.line, Column: n.col, Path: r.path, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if n.is == textValue || n.is == bareValue {
		e.Text = short(n.text)
	}
	r.errs = append(r.errs, e)
}

// want notes that the value of the current key is not what it must be.
func (r *reader) want(n *node, what, hint string) {
	r.fail(n, hint, "%s must be %s, not %s", r.key, what, n.describe())
}

// count charges a value and tells whether reading may go on.
func (r *reader) count(n *node) bool {
	if r.values++; r.values > maxValues && !r.ended {
		r.ended = true
		r.fail(n, "", "the file has more than %d values, with those behind aliases", maxValues)
	}
	return !r.ended
}

// kind is a type of value in the file: how it is read, written and documented.
type kind[V any] struct {
	schema map[string]any
	// read returns false after it noted an error.
	read func(*reader, *node) (V, bool)
	// write is the value as YAML on one line; "" if there is none.
	write func(V) string
}

// entry is one key of a map in the file, where T holds what is read.
type entry[T any] struct {
	name     string
	doc      string
	examples []any
	required bool
	worker   bool   // of a child: not for supervisors
	restarts bool   // of a child: a change restarts the process
	field    string // the field of package supervisor that it sets; a test compares

	schema map[string]any
	read   func(*reader, *node, *T)
	write  func(*T) string // whatever it is
	usual  func(*T) bool   // it is the default
	reset  func(*T)        // makes it the default
}

// bind makes an entry of a kind, a default and a place in T.
func bind[T, V any](e entry[T], k kind[V], def V, place func(*T) *V) entry[T] {
	e.schema = maps.Clone(k.schema)
	e.schema["description"] = e.doc
	if v := defaultOf(k.write(def)); v != nil {
		e.schema["default"] = v
	}
	if len(e.examples) > 0 {
		e.schema["examples"] = e.examples
	}
	e.read = func(r *reader, n *node, t *T) {
		if v, ok := k.read(r, n); ok {
			*place(t) = v
		}
	}
	e.write = func(t *T) string { return k.write(*place(t)) }
	e.usual = func(t *T) bool { return e.write(t) == k.write(def) }
	e.reset = func(t *T) { *place(t) = def }
	return e
}

// table is a map in the file: its entries in canonical order.
type table[T any] struct {
	name    string // in messages
	doc     string
	entries []entry[T]
}

func (t *table[T]) names() []string {
	names := make([]string, len(t.entries))
	for i, e := range t.entries {
		names[i] = e.name
	}
	return names
}

func (t *table[T]) find(name string) (entry[T], bool) {
	i := slices.IndexFunc(t.entries, func(e entry[T]) bool { return e.name == name })
	if i < 0 {
		return entry[T]{}, false
	}
	return t.entries[i], true
}

// reset fills in all defaults.
func (t *table[T]) reset(into *T) {
	for _, e := range t.entries {
		e.reset(into)
	}
}

// read reads a map into T, which it resets first. It returns false if n is no
// map or something in it is wrong.
func (t *table[T]) read(r *reader, n *node, into *T) bool {
	t.reset(into)
	if n.is != mapValue {
		r.want(n, "a map with "+some(t.names()), "")
		return false
	}
	before := len(r.errs)
	seen := make(map[string]*node, len(n.pairs))
	for _, p := range n.pairs {
		if !r.count(p.key) {
			return false
		}
		t.readPair(r, p, seen, into)
	}
	for _, e := range t.entries {
		if e.required && seen[e.name] == nil {
			r.fail(n, "", "%s has no %s", r.in, e.name)
		}
	}
	return len(r.errs) == before
}

func (t *table[T]) readPair(r *reader, p pair, seen map[string]*node, into *T) {
	name := p.key.text
	e, known := t.find(name)
	first := seen[name]
	seen[name] = p.key
	switch {
	case !known:
		r.fail(p.key, r.unknownHint(name, t.names()), "unknown key %q in %s", short(name), r.in)
	case first != nil:
		r.fail(p.key, "", "duplicate key %q in %s: it stands on line %d too", name, r.in, first.line)
	case p.value.is == nullValue:
		r.fail(p.key, "", "%s in %s has no value", name, r.in)
	default:
		outer := r.key
		if r.key != "" {
			name = r.key + "." + name
		}
		r.key = name
		e.read(r, p.value, into)
		r.key = outer
	}
}

// write is the map on one line, without defaults.
func (t *table[T]) write(from *T) string {
	var parts []string
	for _, e := range t.entries {
		if !e.usual(from) {
			parts = append(parts, e.name+": "+e.write(from))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// kind makes a kind of a table.
func (t *table[T]) kind() kind[T] {
	return kind[T]{
		schema: t.schema(),
		read: func(r *reader, n *node) (v T, ok bool) {
			outer := r.in
			r.in = t.name + " of " + r.in
			ok = t.read(r, n, &v)
			r.in = outer
			return v, ok
		},
		write: func(v T) string { return t.write(&v) },
	}
}

// some lists a few names.
func some(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
