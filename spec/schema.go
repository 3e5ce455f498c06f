package spec

import (
	"encoding/json"
)

// Schema is the JSON Schema 2020-12 of a tree file, for editors. It follows the
// tables that Parse follows; what needs more than one value (ids that stand
// twice, apart_from, windows) only Parse can check.
func Schema() []byte {
	root := treeTable.schema()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "selfware tree"
	child := childTable.schema()
	child["oneOf"] = natures()
	root["$defs"] = map[string]any{"child": child}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of plain values always marshal
	}
	return append(out, '\n')
}

// workerKeys are the keys that no supervisor has.
func workerKeys() []any {
	var keys []any
	for _, e := range childTable.entries {
		if e.worker {
			keys = append(keys, map[string]any{"required": []any{e.name}})
		}
	}
	return keys
}

// keysBesidePool are those that stand in its template, if anywhere.
func keysBesidePool() []any {
	var keys []any
	for _, e := range childTable.entries {
		if e.name != "id" && e.name != "pool" {
			keys = append(keys, map[string]any{"required": []any{e.name}})
		}
	}
	return keys
}

// schema describes the map; a key that is not in it is refused.
func (t *table[T]) schema() map[string]any {
	properties := make(map[string]any, len(t.entries))
	var required []any
	for _, e := range t.entries {
		properties[e.name] = e.schema
		if e.required {
			required = append(required, e.name)
		}
	}
	s := map[string]any{"type": "object", "description": t.doc, "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s
}

// defaultOf turns a default as written into a JSON value; nil if there is none.
func defaultOf(written string) any {
	n, fault := readYAML(written)
	if fault != nil || n.is == textValue && n.text == "" {
		return nil
	}
	return n.json()
}

// json is the value as encoding/json would decode it.
func (n *node) json() any {
	switch n.is {
	case textValue:
		return n.text
	case bareValue:
		var v any
		if json.Unmarshal([]byte(n.text), &v) != nil {
			return n.text
		}
		return v
	case listValue:
		list := []any{}
		for _, item := range n.items {
			list = append(list, item.json())
		}
		return list
	case mapValue:
		m := make(map[string]any)
		for _, p := range n.pairs {
			m[p.key.text] = p.value.json()
		}
		return m
	}
	return nil
}
