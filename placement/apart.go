package placement

import (
	"iter"

	"github.com/selfware/selfware/supervisor"
)

// apartness answers, for a request and a node, whether someone there must be
// apart from it. It is built once per call: a look at every placed child for
// every request would be quadratic.
type apartness struct {
	// inside: a path that some apart_from names -> the placed children at or
	// under it. A path that none names has no entry, whoever runs there.
	inside map[string]residents
	// wary: a path that apart_from of placed children names -> those children.
	wary map[string]residents
}

// residents are children by place of their node. Of each node the two smallest
// paths are kept: enough to name one that is not the request itself.
type residents map[int][2]string

func (r residents) add(node int, path string) {
	two, ok := r[node]
	switch {
	case !ok:
		two[0] = path
	case path == two[0] || path == two[1]:
	case path < two[0]:
		two = [2]string{path, two[0]}
	case two[1] == "" || path < two[1]:
		two[1] = path
	}
	r[node] = two
}

// other is a resident of the node that is not path, "" if there is none.
func (r residents) other(node int, path string) string {
	two := r[node]
	if two[0] == path {
		return two[1]
	}
	return two[0]
}

func newApartness(reqs []supervisor.Request, in Input, index map[string]int) apartness {
	a := apartness{inside: make(map[string]residents), wary: make(map[string]residents)}
	for _, req := range reqs {
		for _, target := range req.Placement.ApartFrom {
			if a.inside[target] == nil {
				a.inside[target] = make(residents)
			}
		}
	}
	if len(a.inside) == 0 && len(in.ApartFrom) == 0 {
		return a
	}
	// order-free: residents keep the smallest paths, whoever comes first.
	for path, id := range in.Where {
		if node, ok := index[id]; ok {
			a.add(path, node, in.ApartFrom[path])
		}
	}
	return a
}

// add takes note of a child on a node and of whom it keeps apart from.
func (a *apartness) add(path string, node int, apartFrom []string) {
	if len(a.inside) > 0 {
		for prefix := range prefixes(path) {
			if r, ok := a.inside[prefix]; ok {
				r.add(node, path)
			}
		}
	}
	for _, target := range apartFrom {
		if a.wary[target] == nil {
			a.wary[target] = make(residents)
		}
		a.wary[target].add(node, path)
	}
}

// apartRule is one path that a request must be apart from, or that is apart
// from the request (mutual), and who is concerned by node.
type apartRule struct {
	target string
	mutual bool
	who    residents
}

// rulesFor are the rules that concern a request, in a fixed order.
func (a *apartness) rulesFor(req supervisor.Request) []apartRule {
	var rules []apartRule
	for _, target := range req.Placement.ApartFrom {
		rules = append(rules, apartRule{target: target, who: a.inside[target]})
	}
	if len(a.wary) == 0 {
		return rules
	}
	for prefix := range prefixes(req.Path) {
		if who, ok := a.wary[prefix]; ok {
			rules = append(rules, apartRule{target: prefix, mutual: true, who: who})
		}
	}
	return rules
}

// refuse says why the rule keeps a child off a node, or nothing.
func (r apartRule) refuse(node int, path string) string {
	other := r.who.other(node, path)
	switch {
	case other == "":
		return ""
	case r.mutual:
		return other + " is here and must be apart from " + r.target
	case other == r.target:
		return "must be apart from " + r.target + ", which is here"
	}
	return "must be apart from " + r.target + ", and " + other + " is here"
}

// prefixes are the paths of a child's ancestors, the tree first, and its own.
func prefixes(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(path) {
			if path[i] == '/' && !yield(path[:i]) {
				return
			}
		}
		yield(path)
	}
}
