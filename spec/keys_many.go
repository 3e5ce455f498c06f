package spec

import (
	"github.com/selfware/selfware/supervisor"
)

// manyEntries say how many run of a worker, and how far apart.
func manyEntries() []entry[draft] {
	return []entry[draft]{
		bind(entry[draft]{name: "replicas", worker: true, field: "ChildSpec.Replicas", examples: []any{3},
			doc: "How many instances of this worker run side by side: children 1, 2 and so on below it, which are restarted and moved one by one. " +
				"To its supervisor they are one child. The program is told which it is in SELFWARE_INSTANCE."},
			unset(wholeKind(1, supervisor.MaxChildren)), 0, func(d *draft) *int { return &d.spec.Replicas }),
		bind(entry[draft]{name: "spread", worker: true, restarts: true, field: "Placement.Instances", examples: []any{"strict"},
			doc: "How far apart the instances of this worker are kept: node puts them on different nodes while enough of them fit, " +
				"with strict an instance waits where every node that fits has one already."},
			apartnessKind(), "", func(d *draft) *supervisor.Apartness { return &d.spec.Placement.Instances }),
		bind(entry[draft]{name: "each_node", worker: true, field: "ChildSpec.EachNode", examples: []any{true},
			doc: "Runs an instance of this worker on each node that has the labels of needs and, if nodes names any, is among them. It is named after " +
				"its node, waits for it when it is lost or drained, and leaves with it; a node that joins gets one."},
			boolKind(), false, func(d *draft) *bool { return &d.spec.EachNode }),
		bind(entry[draft]{name: "update", worker: true, field: "ChildSpec.Update", doc: updateDoc, examples: updateExamples()},
			updateKind(), nil, func(d *draft) **supervisor.UpdatePolicy { return &d.spec.Update }),
	}
}

// apartnessKind is node, which is empty in a spec, as it was before there were
// instances, or strict.
func apartnessKind() kind[supervisor.Apartness] {
	k := enumKind(supervisor.ApartSoftly, supervisor.ApartStrictly)
	read := k.read
	k.read = func(r *reader, n *node) (supervisor.Apartness, bool) {
		a, ok := read(r, n)
		if a == supervisor.ApartSoftly {
			a = ""
		}
		return a, ok
	}
	k.write = func(a supervisor.Apartness) string {
		if a == "" {
			a = supervisor.ApartSoftly
		}
		return string(a)
	}
	return k
}

// many checks what a child says of its instances, and counts them.
func (c *checker) many(d *draft) {
	if at := d.place("spread"); at != d.node && !d.many() && !d.spec.EachNode {
		c.fail(at, "add replicas, or leave it out", "spread keeps the instances of one child apart, and this one has none")
	}
	if at := d.place("update"); at != d.node && !d.many() {
		c.fail(at, "add replicas, or give it to the tree or a supervisor above", "update is for the instances of one child, and this one has none")
	}
	c.eachNode(d)
	before := c.total
	if c.total += 1 + d.most(); c.total > supervisor.MaxChildren && before <= supervisor.MaxChildren && d.many() {
		at := d.place("replicas")
		if d.pool != nil {
			at = d.place("pool")
		}
		c.fail(at, "", "a tree has at most %d children, instances counted", supervisor.MaxChildren)
	}
}

// eachNode refuses what means nothing for instances that each node has one of.
func (c *checker) eachNode(d *draft) {
	if !d.spec.EachNode {
		return
	}
	for _, key := range []string{"replicas", "spread", "move_after", "move_on", "placement"} {
		if at := d.place(key); at != d.node {
			c.fail(at, "leave it out", "%s means nothing with each_node: each node that fits has one instance, which never leaves it", key)
		}
	}
}

// manyEffect is what a change of the number of instances does.
func manyEffect(old, new *draft) string {
	switch {
	case old.spec.EachNode != new.spec.EachNode:
		return Reshapes
	case new.count() > old.count():
		return Grows
	case new.count() < old.count():
		return Shrinks
	}
	return NoRestart
}
