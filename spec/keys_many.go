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
	if at := d.place("spread"); at != d.node && !d.many() {
		c.fail(at, "add replicas, or leave it out", "spread keeps the instances of one child apart, and this one has none")
	}
	if at := d.place("update"); at != d.node && !d.many() {
		c.fail(at, "add replicas, or give it to the tree or a supervisor above", "update is for the instances of one child, and this one has none")
	}
	before := c.total
	if c.total += 1 + d.most(); c.total > supervisor.MaxChildren && before <= supervisor.MaxChildren && d.many() {
		at := d.place("replicas")
		if d.pool != nil {
			at = d.place("pool")
		}
		c.fail(at, "", "a tree has at most %d children, instances counted", supervisor.MaxChildren)
	}
}

// manyEffect is what a change of the number of instances does.
func manyEffect(old, new *draft) string {
	switch {
	case new.count() > old.count():
		return Grows
	case new.count() < old.count():
		return Shrinks
	}
	return NoRestart
}
