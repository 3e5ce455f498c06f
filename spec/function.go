package spec

// processKeys mean something to a process only, and nothing to a function.
var processKeys = []string{"stop_signal", "env_file", "dir", "user", "group", "umask", "ulimits"}

// funcEntry is the key of a function that is run instead of a process.
func funcEntry() entry[draft] {
	return bind(entry[draft]{name: "func", worker: true, restarts: true, field: "Program.Func", examples: []any{"mailer"},
		doc: "Instead of run: the name of a function that Go programs with a node of their own in them have registered (docs/library.md). " +
			"It runs on nodes of such programs only. 1 to 64 letters, digits, '-', '_' and '.'."},
		idKind(), "", func(d *draft) *string { return &d.program.Func })
}

// checkFunc refuses what a function cannot have.
func checkFunc(r *reader, n *node, d *draft) {
	f, is := n.get("func")
	if !is {
		return
	}
	if run, both := n.get("run"); both {
		r.fail(run.key, "leave one of them out", "%s has both run and func", r.in)
		return
	}
	for _, key := range processKeys {
		if p, given := n.get(key); given {
			r.fail(p.key, "leave it out, or write run: instead of func:", "%q is for processes, and %s is the function %s", key, r.in, short(f.value.text))
		}
	}
	probe, live := d.program.Probe, d.program.Liveness
	if p, given := n.get("probe"); given && probe != nil && !probe.Notify {
		r.fail(p.key, "write probe: {notify: true}, and call life.Ready()", "a function says itself that it is up")
	}
	if p, given := n.get("liveness"); given && live != nil && live.Heartbeat == 0 {
		r.fail(p.key, "write liveness: {heartbeat: 10s}, and call life.Heartbeat()", "a function says itself that it is well")
	}
}

// natures are the schemas of a process, a function, a supervisor and a pool.
func natures() []any {
	return append(workerNatures(),
		map[string]any{"required": []any{"supervisor"}, "not": map[string]any{"anyOf": append(workerKeys(), need("pool")...)}},
		map[string]any{"required": []any{"pool"}, "not": map[string]any{"anyOf": keysBesidePool()}},
	)
}

func need(keys ...string) (all []any) {
	for _, key := range keys {
		all = append(all, map[string]any{"required": []any{key}})
	}
	return all
}

// workerNatures are those of a process and a function.
func workerNatures() []any {
	return []any{
		map[string]any{"required": []any{"run"}, "not": map[string]any{"anyOf": need("func", "supervisor", "children", "pool")}},
		map[string]any{"required": []any{"func"}, "not": map[string]any{"anyOf": need(append([]string{"run", "supervisor", "children", "pool"}, processKeys...)...)}},
	}
}
