package spec

import (
	"bytes"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// Format writes a tree as a canonical YAML file: keys in a fixed order, no
// defaults, one line for each key. For every s that Parse returned,
// Parse(Format(s)) is s again; what Parse would refuse is written all the same.
func Format(s supervisor.Spec) []byte {
	var b bytes.Buffer
	t := draftTree(s)
	writeKeys(&b, "", "", treeTable.entries, t)
	writeChildren(&b, "", t.children)
	return b.Bytes()
}

// writeKeys writes the keys that are not at their default; first goes before
// the first of them instead of the indent.
func writeKeys[T any](b *bytes.Buffer, first, indent string, entries []entry[T], from *T) {
	lead := first
	for _, e := range entries {
		if e.name == "children" || e.usual(from) {
			continue
		}
		b.WriteString(lead + e.name + ": " + e.write(from) + "\n")
		lead = indent
	}
}

func writeChildren(b *bytes.Buffer, indent string, children []*draft) {
	if len(children) == 0 {
		b.WriteString(indent + "children: []\n")
		return
	}
	b.WriteString(indent + "children:\n")
	for _, d := range children {
		inner := indent + strings.Repeat(" ", 4)
		writeKeys(b, indent+"  - ", inner, childTable.entries, d)
		if d.sup != nil {
			writeChildren(b, inner, d.children)
		}
	}
}
