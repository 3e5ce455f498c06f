package spec

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

const defaultSignal = "SIGTERM"

// The tables are the file format. Parse, Format, Diff and Schema follow them,
// so a key is added by adding an entry.

var treeTable = table[treeDraft]{name: "the tree", doc: "A supervision tree: the root supervisor, its name and its children.",
	entries: []entry[treeDraft]{
		bind(entry[treeDraft]{name: "name", required: true, field: "Spec.Name", examples: []any{"shop"},
			doc: "Name of the tree, unique in the cluster and first part of the path of every child. 1 to 64 letters, digits, '-', '_' and '.'."},
			idKind(), "", func(t *treeDraft) *string { return &t.spec.Name }),
		bind(entry[treeDraft]{name: "strategy", field: "Spec.Strategy", doc: strategyDoc, examples: []any{"rest_for_one"}},
			strategyKind(), supervisor.OneForOne, func(t *treeDraft) *supervisor.Strategy { return &t.spec.Strategy }),
		bind(entry[treeDraft]{name: "restart_policy", field: "Spec.RestartPolicy", doc: policyDoc, examples: policyExamples()},
			policyKind(), supervisor.DefaultRestartPolicy(), func(t *treeDraft) *supervisor.RestartPolicy { return &t.spec.RestartPolicy }),
		bind(entry[treeDraft]{name: "on_exhausted", field: "Spec.RetryAfter",
			doc:      "What happens after the root supervisor has spent its restarts and the tree has failed: it stays stopped, or it is started again after a while.",
			examples: []any{"stop", map[string]any{"retry_after": "5m"}}},
			exhaustedKind(), 0, func(t *treeDraft) *time.Duration { return &t.spec.RetryAfter }),
		autoEntry("Spec.AutoShutdown", func(t *treeDraft) *supervisor.AutoShutdown { return &t.spec.AutoShutdown }),
		bind(entry[treeDraft]{name: "update", field: "Spec.Update", doc: updateDoc, examples: updateExamples()},
			updateKind(), nil, func(t *treeDraft) **supervisor.UpdatePolicy { return &t.spec.Update }),
		bind(entry[treeDraft]{name: "exclusive", field: "Spec.Exclusive", examples: []any{true},
			doc: "Makes every child of the tree exclusive. " + exclusiveDoc},
			boolKind(), false, func(t *treeDraft) *bool { return &t.spec.Exclusive }),
		afterEntry(),
		bind(entry[treeDraft]{name: "children", required: true, field: "Spec.Children",
			doc:      "Children of the root supervisor, in start order. They stop in reverse order.",
			examples: []any{[]any{map[string]any{"id": "api", "run": "./api --port 8080"}}}},
			childrenKind(), nil, func(t *treeDraft) *[]*draft { return &t.children }),
	}}

const (
	strategyDoc = "Which siblings share the fate of a child that failed: one_for_one restarts it alone, one_for_all restarts all, " +
		"rest_for_one restarts it and those that stand after it. With the last two, a child waits until the one before it is up."
	policyDoc = "How many restarts are allowed in a sliding window of time, and how long to wait before each. The next failure is passed on to the parent supervisor."
)

// exclusiveDoc is what exclusive means, for the tree and for a child.
const exclusiveDoc = "Of an exclusive child at most one process runs at any time in the whole cluster: on a node that is cut off it is ended when the " +
	"node's lease runs out, and only then does it start elsewhere. It runs nowhere without a leader. Children that may overlap for a moment come back sooner without it."

func strategyKind() kind[supervisor.Strategy] {
	return enumKind(supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne)
}

func policyExamples() []any {
	return []any{map[string]any{"max_restarts": 5, "max_seconds": 60, "backoff": map[string]any{"exponential": map[string]any{"base": "1s", "max": "60s"}}}}
}

var policyTable = table[supervisor.RestartPolicy]{name: "restart_policy", doc: policyDoc,
	entries: []entry[supervisor.RestartPolicy]{
		bind(entry[supervisor.RestartPolicy]{name: "max_restarts", field: "RestartPolicy.MaxRestarts", examples: []any{3},
			doc: "Restarts allowed within max_seconds, per child or, with scope supervisor, of all children together. 0 passes the first failure on."},
			wholeKind(0, supervisor.MaxRestarts), supervisor.DefaultMaxRestarts, func(p *supervisor.RestartPolicy) *int { return &p.MaxRestarts }),
		bind(entry[supervisor.RestartPolicy]{name: "max_seconds", field: "RestartPolicy.MaxSeconds", examples: []any{60, "5m"},
			doc: "Length of the sliding window: a number of seconds or a duration. The waits before max_restarts restarts must fit in it."},
			secondsKind(), supervisor.DefaultMaxSeconds, func(p *supervisor.RestartPolicy) *time.Duration { return &p.MaxSeconds }),
		bind(entry[supervisor.RestartPolicy]{name: "scope", field: "RestartPolicy.Scope", examples: []any{"supervisor"},
			doc: "Whose restarts are counted together: child gives each child a budget of its own, supervisor gives all its children one, as in OTP."},
			enumKind(supervisor.ScopeChild, supervisor.ScopeSupervisor), supervisor.ScopeChild, func(p *supervisor.RestartPolicy) *supervisor.Scope { return &p.Scope }),
		bind(entry[supervisor.RestartPolicy]{name: "backoff", field: "RestartPolicy.Backoff",
			doc:      "The wait before a restart: exponential doubles it from base up to max, fixed is always the same.",
			examples: []any{map[string]any{"fixed": "0s"}, map[string]any{"exponential": map[string]any{"base": "100ms", "max": "10s"}}}},
			backoffKind(), supervisor.DefaultRestartPolicy().Backoff, func(p *supervisor.RestartPolicy) *supervisor.Backoff { return &p.Backoff }),
	}}

// backoffDraft has exactly one of its fields.
type backoffDraft struct {
	exponential *supervisor.Backoff
	fixed       *time.Duration
}

var backoffTable = table[backoffDraft]{name: "backoff", doc: "The wait before a restart; exactly one of the keys.",
	entries: []entry[backoffDraft]{
		bind(entry[backoffDraft]{name: "exponential", field: "Backoff.Kind", examples: []any{map[string]any{"base": "1s", "max": "60s"}},
			doc: "The wait is base before the first restart in the window and doubles with each, up to max."},
			optional(exponentialTable.kind()), nil, func(b *backoffDraft) **supervisor.Backoff { return &b.exponential }),
		bind(entry[backoffDraft]{name: "fixed", field: "Backoff.Kind", doc: "The wait before every restart. 0s restarts at once.", examples: []any{"0s", "2s"}},
			optional(durationKind(0, maxWait)), nil, func(b *backoffDraft) **time.Duration { return &b.fixed }),
	}}

var exponentialTable = table[supervisor.Backoff]{name: "exponential", doc: "A wait that doubles.",
	entries: []entry[supervisor.Backoff]{
		bind(entry[supervisor.Backoff]{name: "base", field: "Backoff.Base", doc: "The first wait.", examples: []any{"100ms"}},
			durationKind(time.Millisecond, maxWait), supervisor.DefaultBackoffBase, func(b *supervisor.Backoff) *time.Duration { return &b.Base }),
		bind(entry[supervisor.Backoff]{name: "max", field: "Backoff.Max", doc: "The longest wait.", examples: []any{"10s"}},
			durationKind(time.Millisecond, maxWait), supervisor.DefaultBackoffMax, func(b *supervisor.Backoff) *time.Duration { return &b.Max }),
	}}

// retryDraft is the map form of on_exhausted.
type retryDraft struct{ after time.Duration }

var retryTable = table[retryDraft]{name: "on_exhausted", doc: "Start a failed tree again.",
	entries: []entry[retryDraft]{
		bind(entry[retryDraft]{name: "retry_after", required: true, field: "Spec.RetryAfter", examples: []any{"5m"},
			doc: "The whole tree is started again this long after it failed, with fresh windows."},
			durationKind(time.Millisecond, maxDuration), 0, func(d *retryDraft) *time.Duration { return &d.after }),
	}}

var supervisorTable = table[supervisor.SupervisorSpec]{name: "supervisor", doc: "What makes a child a supervisor. {} takes the defaults.",
	entries: []entry[supervisor.SupervisorSpec]{
		bind(entry[supervisor.SupervisorSpec]{name: "strategy", field: "SupervisorSpec.Strategy", doc: strategyDoc, examples: []any{"one_for_all"}},
			strategyKind(), supervisor.OneForOne, func(s *supervisor.SupervisorSpec) *supervisor.Strategy { return &s.Strategy }),
		bind(entry[supervisor.SupervisorSpec]{name: "restart_policy", field: "SupervisorSpec.RestartPolicy", doc: policyDoc, examples: policyExamples()},
			policyKind(), supervisor.DefaultRestartPolicy(), func(s *supervisor.SupervisorSpec) *supervisor.RestartPolicy { return &s.RestartPolicy }),
		autoEntry("SupervisorSpec.AutoShutdown", func(s *supervisor.SupervisorSpec) *supervisor.AutoShutdown { return &s.AutoShutdown }),
		bind(entry[supervisor.SupervisorSpec]{name: "update", field: "SupervisorSpec.Update", doc: updateDoc, examples: updateExamples()},
			updateKind(), nil, func(s *supervisor.SupervisorSpec) **supervisor.UpdatePolicy { return &s.Update }),
	}}

var limitTable = table[supervisor.Limit]{name: "ulimits", doc: "Soft and hard limit.",
	entries: []entry[supervisor.Limit]{
		bind(entry[supervisor.Limit]{name: "soft", required: true, field: "Limit.Soft", doc: "The limit in force, which the program may raise up to hard.", examples: []any{1024}},
			boundKind(), 0, func(l *supervisor.Limit) *int64 { return &l.Soft }),
		bind(entry[supervisor.Limit]{name: "hard", required: true, field: "Limit.Hard", doc: "The most that the program may ask for.", examples: []any{4096, "unlimited"}},
			boundKind(), 0, func(l *supervisor.Limit) *int64 { return &l.Hard }),
	}}
