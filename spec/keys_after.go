package spec

import (
	"fmt"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// afterEntry says what a tree comes after.
func afterEntry() entry[treeDraft] {
	return bind(entry[treeDraft]{name: "after", field: "Spec.After", examples: []any{"shop", []any{"shop/db", "net"}},
		doc: "Other trees, or workers and supervisors of them, that this tree comes after, as a child in rest_for_one comes after its elder siblings: " +
			"it starts when all of them are up, and when one of them begins anew, or fails, all of this tree stops and starts again after it. " +
			"Who is not there yet is waited for."},
		listKind("a path of another tree or a list of them"), nil, func(t *treeDraft) *[]string { return &t.spec.After })
}

// after checks what a tree comes after. Whether it is there only the cluster knows.
func (c *checker) after(root *node, t *treeDraft) {
	at := root
	if p, ok := root.get("after"); ok {
		at = p.value
	}
	if len(t.spec.After) > supervisor.MaxAfter {
		c.fail(at, "", "a tree comes after at most %d paths", supervisor.MaxAfter)
		return
	}
	seen := make(map[string]bool)
	for i, path := range t.spec.After {
		n := at
		if at.is == listValue {
			n = at.items[i]
		}
		switch first, _, _ := strings.Cut(path, "/"); {
		case !validPath(path):
			c.fail(n, "such as shop or shop/db", "after: %q is not the path of a tree or a child", short(path))
		case first == c.tree:
			c.fail(n, fmt.Sprintf("children of one tree wait for each other with strategy: %s", supervisor.RestForOne),
				"after: %q is of this tree itself", short(path))
		case seen[path]:
			c.fail(n, "", "after: %q stands twice", short(path))
		}
		seen[path] = true
	}
}

func validPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !validID(part) {
			return false
		}
	}
	return true
}
