package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// textKind is any scalar, as written, but not empty.
func textKind() kind[string] {
	return kind[string]{
		schema: map[string]any{"type": []any{"string", "number", "boolean"}},
		read:   readText,
		write:  quote,
	}
}

func readText(r *reader, n *node) (string, bool) {
	switch {
	case n.is != textValue && n.is != bareValue:
		r.want(n, "a text", "")
	case n.text == "":
		r.fail(n, "", "%s is empty", r.key)
	case strings.ContainsRune(n.text, 0):
		r.fail(n, "", "%s holds a NUL character, which no program can be given", r.key)
	default:
		return n.text, true
	}
	return "", false
}

// idKind is a name that is safe in a path, a folder name and a URL.
func idKind() kind[string] {
	const allowed = "1 to 64 letters, digits, '-', '_' and '.'"
	return kind[string]{
		schema: map[string]any{"type": []any{"string", "number"}, "minLength": 1, "maxLength": 64,
			"pattern": `^[A-Za-z0-9._-]+$`, "not": map[string]any{"enum": []any{".", ".."}}},
		read: func(r *reader, n *node) (string, bool) {
			s, ok := readText(r, n)
			if ok && !validID(s) {
				r.want(n, allowed, "")
				return "", false
			}
			return s, ok
		},
		write: quote,
	}
}

// validID follows supervisor.Spec.Validate.
func validID(id string) bool {
	bad := strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.'
	})
	return id != "" && len(id) <= 64 && id != "." && id != ".." && !bad
}

// enumKind is one of some words.
func enumKind[E ~string](words ...E) kind[E] {
	var names []string
	var values []any
	for _, w := range words {
		names, values = append(names, string(w)), append(values, string(w))
	}
	return kind[E]{
		schema: map[string]any{"enum": values},
		read: func(r *reader, n *node) (E, bool) {
			if n.is == textValue && slices.Contains(names, n.text) {
				return E(n.text), true
			}
			r.want(n, "one of "+strings.Join(names, ", "), didYouMean(n.text, names))
			return "", false
		},
		write: func(e E) string { return string(e) },
	}
}

// wholeKind is a whole number of a range.
func wholeKind(least, most int) kind[int] {
	return kind[int]{
		schema: map[string]any{"type": "integer", "minimum": least, "maximum": most},
		read: func(r *reader, n *node) (int, bool) {
			v, err := strconv.Atoi(n.text)
			hint := ""
			if n.is == textValue && err == nil {
				hint = "leave out the quotes"
			}
			if n.is != bareValue || err != nil || v < least || v > most {
				r.want(n, fmt.Sprintf("a whole number from %d to %d", least, most), hint)
				return 0, false
			}
			return v, true
		},
		write: strconv.Itoa,
	}
}

// boolKind is true or false.
func boolKind() kind[bool] {
	return kind[bool]{
		schema: map[string]any{"type": "boolean"},
		read: func(r *reader, n *node) (bool, bool) {
			if n.is == bareValue && (n.text == "true" || n.text == "false") {
				return n.text == "true", true
			}
			hint := ""
			switch word := strings.ToLower(n.text); {
			case n.is == textValue && (n.text == "true" || n.text == "false"):
				hint = "leave out the quotes"
			case slices.Contains([]string{"yes", "on", "y", "1"}, word):
				hint = "write true"
			case slices.Contains([]string{"no", "off", "n", "0"}, word):
				hint = "write false"
			default:
				hint = didYouMean(word, []string{"true", "false"})
			}
			r.want(n, "true or false", hint)
			return false, false
		},
		write: strconv.FormatBool,
	}
}

// optional is a kind of value that may be absent.
func optional[V any](k kind[V]) kind[*V] {
	return kind[*V]{
		schema: k.schema,
		read: func(r *reader, n *node) (*V, bool) {
			v, ok := k.read(r, n)
			return &v, ok
		},
		write: func(v *V) string {
			if v == nil {
				return ""
			}
			return k.write(*v)
		},
	}
}

// listKind is a list of texts, or one text for a list of one.
func listKind(what string) kind[[]string] {
	item := textKind()
	return kind[[]string]{
		schema: map[string]any{"anyOf": []any{item.schema, map[string]any{"type": "array", "items": item.schema}}},
		read: func(r *reader, n *node) ([]string, bool) {
			if n.is == textValue || n.is == bareValue {
				s, ok := readText(r, n)
				return []string{s}, ok
			}
			return readList(r, n, what, readText)
		},
		write: writeList,
	}
}

// readList reads the items of a list; nil if it is empty.
func readList[V any](r *reader, n *node, what string, read func(*reader, *node) (V, bool)) (list []V, ok bool) {
	if n.is != listValue {
		r.want(n, what, "")
		return nil, false
	}
	ok = true
	for _, item := range n.items {
		if !r.count(item) {
			return nil, false
		}
		v, good := read(r, item)
		list, ok = append(list, v), ok && good
	}
	return list, ok
}

func writeList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// dictKind is a map of values by name.
func dictKind[V any](what string, each kind[V], checkName func(string) string) kind[map[string]V] {
	return kind[map[string]V]{
		schema: map[string]any{"type": "object", "additionalProperties": each.schema},
		read: func(r *reader, n *node) (map[string]V, bool) {
			if n.is != mapValue {
				r.want(n, what, "")
				return nil, false
			}
			return readDict(r, n, each, checkName)
		},
		write: func(m map[string]V) string {
			if len(m) == 0 {
				return ""
			}
			var parts []string
			for _, name := range slices.Sorted(maps.Keys(m)) {
				parts = append(parts, quote(name)+": "+each.write(m[name]))
			}
			return "{" + strings.Join(parts, ", ") + "}"
		},
	}
}

func readDict[V any](r *reader, n *node, each kind[V], checkName func(string) string) (map[string]V, bool) {
	values, places, before := make(map[string]V), make(map[string]*node), len(r.errs)
	for _, p := range n.pairs {
		if !r.count(p.key) {
			return nil, false
		}
		name := p.key.text
		if fault := checkName(name); fault != "" {
			r.fail(p.key, "", "%s: %s", r.key, fault)
		} else if first := places[name]; first != nil {
			r.fail(p.key, "", "duplicate key %q in %s: it stands on line %d too", short(name), r.key, first.line)
		} else {
			outer := r.key
			r.key += "." + short(name)
			if v, ok := each.read(r, p.value); ok {
				values[name] = v
			}
			r.key = outer
		}
		places[name] = p.key
	}
	if len(values) == 0 {
		return nil, len(r.errs) == before
	}
	return values, len(r.errs) == before
}

// scalarKind is a text that may be empty: the value of a variable or label.
func scalarKind() kind[string] {
	k := textKind()
	k.read = func(r *reader, n *node) (string, bool) {
		if n.is == textValue && n.text == "" {
			return "", true
		}
		if n.is == nullValue {
			r.fail(n, `write "" for an empty text`, "%s has no value", r.key)
			return "", false
		}
		return readText(r, n)
	}
	return k
}
