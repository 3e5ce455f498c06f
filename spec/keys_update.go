package spec

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

const updateDoc = "How a new file is carried out for the workers below, unless a supervisor nearer to them says otherwise: those whose program or placement " +
	"changes restart a few at a time, in start order, and not all at once. {} takes the defaults. What the new file adds, removes or says otherwise acts at once."

var updateTable = table[supervisor.UpdatePolicy]{name: "update", doc: updateDoc,
	entries: []entry[supervisor.UpdatePolicy]{
		bind(entry[supervisor.UpdatePolicy]{name: "parallel", field: "UpdatePolicy.Parallel", doc: "How many have their turn at a time.", examples: []any{2}},
			wholeKind(1, supervisor.MaxChildren), supervisor.DefaultParallel, func(p *supervisor.UpdatePolicy) *int { return &p.Parallel }),
		bind(entry[supervisor.UpdatePolicy]{name: "min_ready", field: "UpdatePolicy.MinReady", examples: []any{"30s"},
			doc: "How long one must run without an end, once it is up, before the next one's turn. 0s is content with being up."},
			durationKind(0, supervisor.MaxUpdateWait), supervisor.DefaultMinReady, func(p *supervisor.UpdatePolicy) *time.Duration { return &p.MinReady }),
		bind(entry[supervisor.UpdatePolicy]{name: "deadline", field: "UpdatePolicy.Deadline", examples: []any{"2m"},
			doc: "One that is not up so long after its turn began, for want of a node or for whatever reason, has failed. The time begins anew if its node is lost."},
			durationKind(time.Millisecond, supervisor.MaxUpdateWait), supervisor.DefaultUpdateTime, func(p *supervisor.UpdatePolicy) *time.Duration { return &p.Deadline }),
		bind(entry[supervisor.UpdatePolicy]{name: "auto_revert", field: "UpdatePolicy.AutoRevert", examples: []any{true},
			doc: "If one fails in its turn, the whole tree gets its former file back: those that have the new one already in turn, too. Otherwise the update halts, " +
				"until somebody applies a file or says rollout resume or rollout revert."},
			boolKind(), false, func(p *supervisor.UpdatePolicy) *bool { return &p.AutoRevert }),
	}}

func updateExamples() []any {
	return []any{map[string]any{"parallel": 2, "min_ready": "30s", "auto_revert": true}}
}

func updateKind() kind[*supervisor.UpdatePolicy] { return optional(updateTable.kind()) }
