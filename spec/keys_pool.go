package spec

import (
	"maps"

	"github.com/selfware/selfware/supervisor"
)

// poolDraft is a pool as the file says it: its template is a worker without a name.
type poolDraft struct {
	template  *draft
	size, max int
	policy    supervisor.RestartPolicy
	update    *supervisor.UpdatePolicy
}

var templateTable = table[draft]{name: "template", doc: "The worker that each instance of a pool is: a child without id.", entries: templateEntries()}

// templateEntries are what a worker may say of itself, but for how many there are.
func templateEntries() []entry[draft] {
	var all []entry[draft]
	for _, group := range [][]entry[draft]{natureEntries(), manyEntries(), lifeEntries(), exitEntries(), processEntries(), placementEntries()} {
		for _, e := range group {
			switch e.name {
			case "id", "supervisor", "replicas", "each_node", "update":
				continue
			}
			all = append(all, e)
		}
	}
	return all
}

var poolTable = table[poolDraft]{name: "pool", doc: "A supervisor of instances of one worker, whose number is changed while they run.",
	entries: []entry[poolDraft]{
		bind(entry[poolDraft]{name: "template", required: true, field: "Pool.Template", examples: []any{map[string]any{"run": "./job"}},
			doc: "The worker that each instance is, with the keys of a child but id."},
			templateKind(), nil, func(p *poolDraft) **draft { return &p.template }),
		bind(entry[poolDraft]{name: "size", field: "Pool.Size", examples: []any{2},
			doc: "How many instances there are, until `selfware-node scale` says otherwise. That holds until this number changes in the file."},
			wholeKind(0, supervisor.MaxChildren), 1, func(p *poolDraft) *int { return &p.size }),
		bind(entry[poolDraft]{name: "max", field: "Pool.Max", examples: []any{10}, doc: "How many instances there may be at most."},
			wholeKind(1, supervisor.MaxChildren), supervisor.DefaultPoolMax, func(p *poolDraft) *int { return &p.max }),
		bind(entry[poolDraft]{name: "restart_policy", field: "Pool.RestartPolicy", doc: policyDoc, examples: policyExamples()},
			policyKind(), supervisor.DefaultRestartPolicy(), func(p *poolDraft) *supervisor.RestartPolicy { return &p.policy }),
		bind(entry[poolDraft]{name: "update", field: "ChildSpec.Update", doc: updateDoc, examples: updateExamples()},
			updateKind(), nil, func(p *poolDraft) **supervisor.UpdatePolicy { return &p.update }),
	}}

func poolEntry() entry[draft] {
	return bind(entry[draft]{name: "pool", field: "ChildSpec.Pool",
		examples: []any{map[string]any{"template": map[string]any{"run": "./job"}, "size": 2, "max": 10}},
		doc: "Makes this child a supervisor (one_for_one) of instances of one worker, children 1, 2 and so on below it, whose number " +
			"`selfware-node scale` changes while they run."},
		poolKind(), nil, func(d *draft) **poolDraft { return &d.pool })
}

func poolKind() kind[*poolDraft] {
	k := optional(poolTable.kind())
	read := k.read
	k.read = func(r *reader, n *node) (*poolDraft, bool) {
		p, ok := read(r, n)
		if size, given := n.get("size"); ok && p.size > p.max {
			at := n
			if given {
				at = size.value
			}
			r.fail(at, "raise max, or lower size", "%s: size %d is more than max %d", r.key, p.size, p.max)
			return p, false
		}
		return p, ok
	}
	return k
}

// templateKind keeps the node of the template, to point at.
func templateKind() kind[*draft] {
	k := optional(templateTable.kind())
	k.schema = maps.Clone(k.schema)
	k.schema["oneOf"] = workerNatures()
	read := k.read
	k.read = func(r *reader, n *node) (*draft, bool) {
		d, ok := read(r, n)
		d.node = n
		_, run := n.get("run")
		if _, is := n.get("func"); n.is == mapValue && !run && !is {
			r.fail(n, "", "template of %s has no run", r.in)
			return d, false
		}
		before := len(r.errs)
		checkFunc(r, n, d)
		return d, ok && len(r.errs) == before
	}
	return k
}

// adopt makes the child what its template says.
func (d *draft) adopt() {
	if d.pool == nil || d.pool.template == nil {
		d.pool = nil // it was not understood, which has been said
		return
	}
	id := d.spec.ID
	d.program, d.exits, d.spec = d.pool.template.program, d.pool.template.exits, d.pool.template.spec
	d.spec.ID, d.spec.Update = id, d.pool.update
}

// worker is what each instance of a child is, or the child itself.
func (d *draft) worker() *draft {
	if d.pool != nil {
		return d.pool.template
	}
	return d
}

// many tells whether the child stands for instances.
func (d *draft) many() bool { return d.spec.Replicas > 0 || d.pool != nil || d.spec.EachNode }

// count is how many instances the child has.
func (d *draft) count() int {
	if d.pool != nil {
		return d.pool.size
	}
	return d.spec.Replicas
}

// most is how many it may have.
func (d *draft) most() int {
	if d.pool != nil {
		return d.pool.max
	}
	return d.spec.Replicas
}

// changedMany compares two children that stand for many. What restarts one of them
// restarts all.
func changedMany(old, new *draft) (fields []FieldChange, restarts bool) {
	template, restarts := changed(templateTable.entries, old.worker(), new.worker())
	if old.pool == nil || new.pool == nil {
		fields, _ = changed(childTable.entries, old, new)
		return fields, restarts
	}
	for _, f := range template {
		f.Name = "pool.template." + f.Name
		fields = append(fields, f)
	}
	numbers, _ := changed(poolTable.entries[1:], old.pool, new.pool) // all but the template
	for _, f := range numbers {
		f.Name = "pool." + f.Name
		fields = append(fields, f)
	}
	return fields, restarts
}
