package spec

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

// childTable is a child, in the order in which Format writes its keys. Entries
// that say worker are refused for supervisors; those that say restarts are part
// of supervisor.Program or supervisor.Placement.
var childTable = table[draft]{name: "child", doc: "A worker (run, or func), a supervisor (supervisor and children), or a pool.", entries: childEntries()}

func childEntries() []entry[draft] {
	var all []entry[draft]
	for _, group := range [][]entry[draft]{natureEntries(), {poolEntry()}, manyEntries(), lifeEntries(), exitEntries(), processEntries(), placementEntries()} {
		all = append(all, group...)
	}
	return append(all, bind(entry[draft]{name: "children", field: "ChildSpec.Children",
		doc:      "Children of this supervisor, in start order. They stop in reverse order.",
		examples: []any{[]any{map[string]any{"id": "api", "run": "./api"}}}},
		childrenKind(), nil, func(d *draft) *[]*draft { return &d.children }))
}

// natureEntries say what the child is.
func natureEntries() []entry[draft] {
	return []entry[draft]{
		bind(entry[draft]{name: "id", required: true, field: "ChildSpec.ID", examples: []any{"api"},
			doc: "Name of the child, unique among its siblings. 1 to 64 letters, digits, '-', '_' and '.'."},
			idKind(), "", func(d *draft) *string { return &d.spec.ID }),
		bind(entry[draft]{name: "run", worker: true, restarts: true, field: "Program.Argv", examples: []any{[]any{"redis-server", "--port", "6379"}, "./api --port 8080"},
			doc: "The program and its arguments, as a list or as one text that is split as a shell would (quotes and backslashes; nothing is expanded, no shell runs). " +
				"The program is looked up in the PATH of the node, or is a path; a relative path starts at dir."},
			runKind(), nil, func(d *draft) *[]string { return &d.program.Argv }),
		funcEntry(),
		bind(entry[draft]{name: "supervisor", field: "ChildSpec.Supervisor", examples: []any{map[string]any{"strategy": "one_for_one"}, map[string]any{}},
			doc: "Makes this child a supervisor of its own children, with its own strategy and restart policy. {} takes the defaults."},
			optional(supervisorTable.kind()), nil, func(d *draft) **supervisor.SupervisorSpec { return &d.sup }),
	}
}

// lifeEntries say what the supervisor does for it.
func lifeEntries() []entry[draft] {
	return []entry[draft]{
		bind(entry[draft]{name: "restart_type", field: "ChildSpec.RestartType", examples: []any{"transient"},
			doc: "When a child that ended is started again: permanent always, transient only after a failure, temporary never."},
			enumKind(supervisor.Permanent, supervisor.Transient, supervisor.Temporary), supervisor.Permanent,
			func(d *draft) *supervisor.RestartType { return &d.spec.RestartType }),
		significantEntry(),
		bind(entry[draft]{name: "max_restarts", field: "ChildSpec.MaxRestarts", examples: []any{10},
			doc: "Restarts allowed to this child within the max_seconds of its supervisor, instead of the supervisor's own max_restarts."},
			optional(wholeKind(0, supervisor.MaxRestarts)), nil, func(d *draft) **int { return &d.spec.MaxRestarts }),
		bind(entry[draft]{name: "move_after", worker: true, field: "ChildSpec.MoveAfter", examples: []any{3},
			doc: "Move the child to another node after so many crashes in a row on one node. 0 never moves it for crashes; it still moves when its node is lost."},
			wholeKind(0, supervisor.MaxRestarts), 0, func(d *draft) *int { return &d.spec.MoveAfter }),
		bind(entry[draft]{name: "exclusive", field: "ChildSpec.Exclusive", examples: []any{true},
			doc: exclusiveDoc + " On a supervisor it holds for everything below. Changing it restarts the children concerned."},
			boolKind(), false, func(d *draft) *bool { return &d.spec.Exclusive }),
	}
}

// processEntries say how the process runs.
func processEntries() []entry[draft] {
	return append([]entry[draft]{
		bind(entry[draft]{name: "probe", worker: true, restarts: true, field: "Program.Probe", examples: []any{map[string]any{"tcp": "127.0.0.1:6379"}},
			doc: "How to find out that the started program is up. Without a probe it is up after min_uptime."},
			probeKind(), nil, func(d *draft) **supervisor.Probe { return &d.program.Probe }),
		bind(entry[draft]{name: "liveness", worker: true, restarts: true, field: "Program.Liveness",
			examples: []any{map[string]any{"http": "http://127.0.0.1:8080/healthz", "interval": "5s", "failure_threshold": 2}},
			doc:      "How to find out that the program, once it is up, is not well any more. That is a crash, unless severity says otherwise."},
			livenessKind(), nil, func(d *draft) **supervisor.Liveness { return &d.program.Liveness }),
		bind(entry[draft]{name: "notify", worker: true, restarts: true, field: "Program.Notify", examples: []any{true},
			doc: "Give the program a socket in NOTIFY_SOCKET (sd_notify(3)), to which it may say STATUS= and what should follow from its end: " +
				"X_SELFWARE=finish, fail, move or escalate, with a reason after a colon. A probe of notify and a heartbeat give it one anyway."},
			boolKind(), false, func(d *draft) *bool { return &d.program.Notify }),
		bind(entry[draft]{name: "min_uptime", worker: true, restarts: true, field: "Program.MinUptime", examples: []any{"2s"},
			doc: "The program is up once it has lived this long. 0s: as soon as it executes."},
			durationKind(0, maxDuration), 0, func(d *draft) *time.Duration { return &d.program.MinUptime }),
		bind(entry[draft]{name: "stop_signal", worker: true, restarts: true, field: "Program.StopSignal", examples: []any{"SIGINT", "QUIT"},
			doc: "Signal that asks the program to end, with or without SIG."},
			signalKind(), defaultSignal, func(d *draft) *string { return &d.program.StopSignal }),
		bind(entry[draft]{name: "grace", worker: true, restarts: true, field: "Program.Grace", examples: []any{"30s"},
			doc: "Time between the stop signal and SIGKILL to the whole process group."},
			durationKind(time.Millisecond, maxDuration), supervisor.DefaultGrace, func(d *draft) *time.Duration { return &d.program.Grace }),
	}, environmentEntries()...)
}

func environmentEntries() []entry[draft] {
	text := func(name, field, doc, example string, place func(*draft) *string) entry[draft] {
		return bind(entry[draft]{name: name, worker: true, restarts: true, field: field, doc: doc, examples: []any{example}}, textKind(), "", place)
	}
	return []entry[draft]{
		bind(entry[draft]{name: "env", worker: true, restarts: true, field: "Program.Env", examples: []any{map[string]any{"PORT": "8080"}},
			doc: "Environment variables, over those of the node and of env_file. Numbers and booleans are passed as written."},
			envKind(), nil, func(d *draft) *map[string]string { return &d.program.Env }),
		text("env_file", "Program.EnvFile", "File with a line NAME=value for each variable, read on the node at each start. A relative path starts at dir.", "api.env",
			func(d *draft) *string { return &d.program.EnvFile }),
		text("dir", "Program.Dir", "Working directory. A relative path starts at the working directory of the node process that starts the program, "+
			"which is also what a program without dir gets; use an absolute path where nodes run from different folders.", "/srv/api",
			func(d *draft) *string { return &d.program.Dir }),
		text("user", "Program.User", "User to run as, by name or number. Needs a node that runs as root.", "www-data",
			func(d *draft) *string { return &d.program.User }),
		text("group", "Program.Group", "Group to run as, by name or number. Without it, the user's own.", "www-data",
			func(d *draft) *string { return &d.program.Group }),
		bind(entry[draft]{name: "umask", worker: true, restarts: true, field: "Program.Umask", examples: []any{"022"},
			doc: "Permission bits that new files do not get: octal digits, quoted or not. Without it, the node's own."},
			optional(umaskKind()), nil, func(d *draft) **int { return &d.program.Umask }),
		bind(entry[draft]{name: "ulimits", worker: true, restarts: true, field: "Program.Limits",
			doc:      "Resource limits by name, as in ulimit(1): one number for both, unlimited, or soft and hard. In the units of setrlimit(2).",
			examples: []any{map[string]any{"nofile": 1024, "core": "unlimited"}, map[string]any{"nofile": map[string]any{"soft": 1024, "hard": 4096}}}},
			limitsKind(), nil, func(d *draft) *map[string]supervisor.Limit { return &d.program.Limits }),
	}
}

// placementEntries say where it runs.
func placementEntries() []entry[draft] {
	return []entry[draft]{
		bind(entry[draft]{name: "needs", worker: true, restarts: true, field: "Placement.Needs", examples: []any{map[string]any{"disk": "ssd"}},
			doc: "Labels that the node must have, with exactly these values."},
			needsKind(), nil, func(d *draft) *map[string]string { return &d.spec.Placement.Needs }),
		bind(entry[draft]{name: "cpu", worker: true, restarts: true, field: "Placement.CPU", examples: []any{0.5, "500m", 2},
			doc: "Cores to reserve on the node: a number, or thousandths with m. Asked of placement only; nothing is enforced."},
			cpuKind(), 0, func(d *draft) *int64 { return &d.spec.Placement.CPU }),
		bind(entry[draft]{name: "memory", worker: true, restarts: true, field: "Placement.Memory", examples: []any{"64MiB", "1GiB", "512MB", 1048576},
			doc: "Memory to reserve on the node: bytes, or KiB, MiB, GiB, TiB (1024) and kB, MB, GB, TB (1000). Asked of placement only; nothing is enforced."},
			memoryKind(), 0, func(d *draft) *int64 { return &d.spec.Placement.Memory }),
		bind(entry[draft]{name: "apart_from", worker: true, restarts: true, field: "Placement.ApartFrom", examples: []any{"store", []any{"shop/web/api", "worker"}},
			doc: "Children that must run on other nodes, one or a list: the id of a sibling, a path from a sibling or from the root, or an absolute path " +
				"beginning with the name of a tree. A supervisor stands for all that is below it."},
			apartKind(), nil, func(d *draft) *[]string { return &d.spec.Placement.ApartFrom }),
		bind(entry[draft]{name: "nodes", worker: true, restarts: true, field: "Placement.Nodes", examples: []any{[]any{"node1", "node2"}},
			doc: "Names of preferred nodes, best first. Others serve if none of them fits."},
			listKind("a list of names of nodes"), nil, func(d *draft) *[]string { return &d.spec.Placement.Nodes }),
		bind(entry[draft]{name: "placement", worker: true, restarts: true, field: "Placement.Mode", examples: []any{"pack"},
			doc: "Which of the nodes that fit is chosen: spread takes the one with the fewest children, pack the fullest."},
			enumKind(supervisor.SpreadOut, supervisor.Pack), supervisor.SpreadOut, func(d *draft) *supervisor.Spread { return &d.spec.Placement.Mode }),
	}
}
