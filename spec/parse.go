package spec

import (
	"fmt"
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// Parse reads the file of a tree; name is how its errors call it. The error is
// of type [Errors] and holds all mistakes that were found, by position.
func Parse(name string, data []byte) (supervisor.Spec, error) {
	text, fault := clean(data)
	if fault == nil {
		var root *node
		if root, fault = readYAML(text); fault == nil {
			return parseTree(name, root)
		}
	}
	fault.File = name
	return supervisor.Spec{}, Errors{*fault}
}

func parseTree(name string, root *node) (supervisor.Spec, error) {
	r := &reader{in: "the tree", children: readChildren, unknownHint: unknownHint}
	if id, ok := root.get("name"); ok && id.value.text != "" {
		r.path = short(id.value.text)
	}
	var t treeDraft
	if root.is != mapValue {
		r.fail(root, "", "a tree is a map with name and children, not %s", root.describe())
	} else {
		treeTable.read(r, root, &t)
		checkTree(r, root, &t)
	}
	s := t.spec
	if len(r.errs) == 0 {
		s.Children = buildAll(t.children)
		if err := s.Validate(); err != nil { // the checks above leave nothing for it to find
			r.fail(root, "", "%v", err)
		}
	}
	if len(r.errs) > 0 {
		errs := inOrder(r.errs)
		for i := range errs {
			errs[i].File = name
		}
		return supervisor.Spec{}, errs
	}
	return s, nil
}

func childrenKind() kind[[]*draft] {
	return kind[[]*draft]{
		schema: map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/child"}, "maxItems": supervisor.MaxChildren},
		read: func(r *reader, n *node) ([]*draft, bool) {
			children := r.children(r, n)
			return children, true
		},
		write: func([]*draft) string { return "" },
	}
}

// readChildren reads a list of children, whatever is wrong with some of them.
func readChildren(r *reader, n *node) []*draft {
	if n.is != listValue {
		r.want(n, "a list of children", "begin each with a dash: - id: …")
		return nil
	}
	if r.depth++; r.depth > supervisor.MaxDepth && len(n.items) > 0 {
		r.fail(n, "", "supervisors are nested deeper than %d", supervisor.MaxDepth)
		r.depth--
		return nil
	}
	outer := *r
	var drafts []*draft
	for i, item := range n.items {
		if r.kids++; r.kids > supervisor.MaxChildren && !r.ended {
			r.fail(item, "", "a tree has at most %d children", supervisor.MaxChildren)
			r.ended = true
		}
		if !r.count(item) {
			break
		}
		r.key, r.in, r.path = "", fmt.Sprintf("child %d of %s", i+1, outer.path), outer.path
		if id, ok := item.get("id"); ok && id.value.text != "" {
			r.in = fmt.Sprintf("child %q", short(id.value.text))
			r.path += "/" + short(id.value.text)
		}
		drafts = append(drafts, readChild(r, item))
	}
	r.key, r.in, r.path, r.depth = outer.key, outer.in, outer.path, outer.depth-1
	return drafts
}

func readChild(r *reader, n *node) *draft {
	d := &draft{}
	if n.is != mapValue {
		r.fail(n, "write {id: api, run: ./api}", "%s must be a map with id and run or supervisor, not %s", r.in, n.describe())
		n = &node{is: mapValue, line: n.line, col: n.col}
		childTable.reset(d)
	} else {
		childTable.read(r, n, d)
		checkNature(r, n, d)
		d.adopt()
	}
	d.node = n
	return d
}

// checkNature checks that a child is either a worker or a supervisor.
func checkNature(r *reader, n *node, d *draft) {
	d.node = n
	run, isWorker := n.get("run")
	if !isWorker {
		run, isWorker = n.get("func")
	}
	_, isSupervisor := n.get("supervisor")
	children, hasChildren := n.get("children")
	if _, isPool := n.get("pool"); isPool {
		checkPool(r, n)
		return
	}
	switch {
	case isWorker && isSupervisor:
		r.fail(run.key, "a supervisor runs its children; make the program one of them", "%s has both %s and supervisor", r.in, run.key.text)
	case hasChildren && !isSupervisor:
		r.fail(children.key, "add supervisor: {strategy: one_for_one}", "%s has children but is no supervisor", r.in)
	case !isWorker && !isSupervisor:
		r.fail(n, "add run: … for a worker, or supervisor: {} and children", "%s has neither run nor supervisor", r.in)
	case isSupervisor:
		for _, p := range n.pairs {
			if e, ok := childTable.find(p.key.text); ok && e.worker {
				r.fail(p.key, "write it at the workers below", "%q is for workers, and %s is a supervisor", e.name, r.in)
			}
		}
	default:
		checkFunc(r, n, d)
	}
}

// checkPool refuses what stands beside the pool of a child: its template says it.
func checkPool(r *reader, n *node) {
	for _, p := range n.pairs {
		name := p.key.text
		switch _, known := childTable.find(name); {
		case !known || name == "id" || name == "pool":
		case name == "supervisor" || name == "children":
			r.fail(p.key, "leave it out, or make the pool one of its children", "%s has both pool and %s", r.in, name)
		case name == "update":
			r.fail(p.key, "write it in pool", "%q stands beside the pool of %s", name, r.in)
		case name == "replicas":
			r.fail(p.key, "write size in pool", "%s has both pool and replicas", r.in)
		case name == "each_node":
			r.fail(p.key, "leave one of them out", "%s has both pool and each_node", r.in)
		default:
			r.fail(p.key, "write it in pool.template", "%q stands beside the pool of %s", name, r.in)
		}
	}
}

// unknownHint says what was meant by a key that a map does not have.
func unknownHint(name string, valid []string) string {
	if hint := didYouMean(name, valid); hint != "" {
		return hint
	}
	for _, home := range homes() {
		if slices.Contains(home.keys, name) {
			return fmt.Sprintf("%q belongs in %s", name, home.name)
		}
	}
	return ""
}

type home struct {
	name string
	keys []string
}

// homes are the maps of the file and their keys.
func homes() []home {
	return []home{
		{"probe", probeTable.names()}, {"a child", childTable.names()}, {"restart_policy", policyTable.names()}, {"restart_policy.backoff", backoffTable.names()},
		{"liveness", livenessTable.names()}, {"supervisor", supervisorTable.names()}, {"pool", poolTable.names()}, {"on_exhausted", retryTable.names()},
		{"the tree", treeTable.names()},
	}
}
