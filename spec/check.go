package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// checker checks what concerns more than one value.
type checker struct {
	*reader
	tree  string
	paths map[string]*draft // by path, of all children
	total int               // children so far, instances counted
}

// checkTree checks the children and resolves apart_from.
func checkTree(r *reader, root *node, t *treeDraft) {
	if p, given := root.get("children"); given && p.value.is == listValue && len(p.value.items) == 0 {
		r.fail(p.value, "add {id: api, run: ./api}", "a tree needs at least one child")
	}
	c := checker{reader: r, tree: t.spec.Name, paths: make(map[string]*draft)}
	if c.tree == "" {
		return
	}
	c.after(root, t)
	c.register(c.tree, t.children)
	c.siblings(c.tree, t.spec.RestartPolicy, t.children)
	c.significance(c.tree, t.spec.AutoShutdown, t.children)
	if t.spec.Exclusive {
		c.allExclusive(c.tree, c.tree, t.children)
	} else {
		c.exclusive(c.tree, t.children)
	}
}

// exclusive looks for exclusive supervisors.
func (c *checker) exclusive(parent string, children []*draft) {
	for _, d := range children {
		path := parent + "/" + d.spec.ID
		if d.spec.Exclusive {
			c.allExclusive(path, path, d.children)
		} else {
			c.exclusive(path, d.children)
		}
	}
}

// allExclusive finds those below an exclusive supervisor that say they are not.
func (c *checker) allExclusive(above, parent string, children []*draft) {
	for _, d := range children {
		c.path = parent + "/" + d.spec.ID
		if at := d.place("exclusive"); at != d.node && !d.spec.Exclusive && at.text == "false" {
			c.fail(at, "write exclusive: true at the children that need it instead",
				"exclusive: false has no effect: all below %s is exclusive", above)
		}
		c.allExclusive(above, parent+"/"+d.spec.ID, d.children)
	}
}

// register notes all paths and finds ids that stand twice.
func (c *checker) register(parent string, children []*draft) {
	for _, d := range children {
		if d.spec.ID == "" {
			continue
		}
		path := parent + "/" + d.spec.ID
		if first := c.paths[path]; first != nil {
			c.path = path
			c.fail(d.place("id"), "ids are unique among siblings", "duplicate id %q in %s: it stands on line %d too",
				d.spec.ID, parent, first.place("id").line)
			continue
		}
		c.paths[path] = d
		c.register(path, d.children)
	}
}

func (c *checker) siblings(parent string, policy supervisor.RestartPolicy, children []*draft) {
	for _, d := range children {
		c.path = parent + "/" + d.spec.ID
		budget, whose := policy, parent
		if d.pool != nil {
			budget, whose = d.pool.policy, c.path
		}
		switch {
		case d.spec.MaxRestarts == nil:
		case budget.Scope == supervisor.ScopeSupervisor:
			c.fail(d.place("max_restarts"), "leave it out, or set scope: child in the restart_policy of "+whose,
				"max_restarts of one child means nothing: all children of %s share one budget (scope: supervisor)", whose)
		default:
			c.checkWindow(d.place("max_restarts"), budget, *d.spec.MaxRestarts)
		}
		c.many(d)
		c.exits(d)
		c.apart(parent, d, children)
		if d.sup != nil {
			c.siblings(parent+"/"+d.spec.ID, d.sup.RestartPolicy, d.children)
		}
	}
}

// apart makes the paths of apart_from absolute.
func (c *checker) apart(parent string, d *draft, siblings []*draft) {
	at := d.place("apart_from")
	var paths []string
	for i, name := range d.spec.Placement.ApartFrom {
		n := at
		if at.is == listValue {
			n = at.items[i]
		}
		path, fault := c.resolve(parent, name)
		switch {
		case fault != "":
			c.fail(n, apartHint(d, siblings, name), "apart_from: %s", fault)
		case c.paths[path] == d:
			hint := "leave it out: there is one of it at a time"
			if d.many() {
				hint = "write spread: strict"
			}
			c.fail(n, hint, "apart_from: %q is this child itself", short(name))
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	d.spec.Placement.ApartFrom = paths
}

// resolve finds what a name in apart_from means. What begins with the name of
// the tree and exists is absolute, so that absolute paths never change their
// meaning; then come siblings and what is below them, then paths from the root.
func (c *checker) resolve(parent, name string) (path, fault string) {
	for _, path := range []string{name, parent + "/" + name, c.tree + "/" + name} {
		if path == c.tree || c.paths[path] != nil {
			return path, ""
		}
	}
	first, rest, more := strings.Cut(name, "/")
	for _, part := range strings.Split(name, "/") {
		if !validID(part) {
			return "", fmt.Sprintf("%q is not the path of a child", short(name))
		}
	}
	switch {
	case !more:
		return "", fmt.Sprintf("there is no child %q in %s", short(name), parent)
	case first == c.tree:
		return "", fmt.Sprintf("there is no child %q in tree %s", short(rest), first)
	case c.paths[parent+"/"+first] != nil || c.paths[c.tree+"/"+first] != nil:
		return "", fmt.Sprintf("there is no child %q below %q", short(rest), first)
	}
	return name, "" // of another tree, which may come later
}

// apartHint names the sibling that was probably meant.
func apartHint(d *draft, siblings []*draft, name string) string {
	var near []string
	for _, other := range siblings {
		if other != d {
			near = append(near, other.spec.ID)
		}
	}
	return didYouMean(name, near)
}
