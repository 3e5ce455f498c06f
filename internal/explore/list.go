package main

import (
	"slices"

	"github.com/selfware/selfware/supervisor"
)

// shallow are the scopes of "make test". All are closed.
func shallow() []*scope {
	flat2, flat3 := flats(2), flats(3)
	some := match(flat3, "PPP", "PTM")
	return slices.Concat(
		// Every strategy with every type of three children.
		happen(limits{ends: 2}, 1, flat3),
		happen(limits{ends: 1, verbs: 1}, 1, flat3),
		// Budgets, and what they are spent on.
		happen(limits{ends: 1, verbs: 1}, 1, budget(0, "", match(flat3, "PPP", "PTM"))),
		happen(limits{ends: 3}, 1, budget(2, "", some)),
		happen(limits{ends: 3}, 1, budget(1, supervisor.ScopeSupervisor, some)),
		happen(limits{ends: 1, fatals: 1, verbs: 1}, 1, some),
		happen(limits{ends: 2, verbs: 1}, 1, slower(match(flat2, "PP", "TM"))),
		// Every strategy in every strategy, with every type of the inner supervisor.
		happen(limits{ends: 2}, 1, nested(perm, perm, trans)),
		happen(limits{ends: 1, verbs: 1}, 1, nested(trans, temp, perm)),
		happen(limits{ends: 3}, 1, deepest()),
		// Two nodes.
		happen(limits{ends: 1, losses: 1}, 2, flat2),
		happen(limits{ends: 2}, 2, moving(flat2)),
		happen(limits{verbs: 1, losses: 1}, 2, match(flat2, "PT")),
		happen(limits{ends: 1, losses: 1}, 2, exclusive(match(flat2, "PP", "PT", "TM"))),
		happen(limits{ends: 1, losses: 2}, 2, exclusive(flats(1))),
		happen(limits{ends: 1, verbs: 1}, 2, match(flat2, "PP", "PM")),
		happen(limits{ends: 1, verbs: 2}, 1, edited(match(flat2, "PT", "TM"))),
		// Supervisors that end with their significant children.
		happen(limits{ends: 2, verbs: 1}, 1, significant(supervisor.AutoAny, match(flat2, "TM", "TT"))),
		happen(limits{ends: 2, verbs: 1}, 1, significant(supervisor.AutoAll, match(flat2, "TM", "TT"))),
		happen(limits{ends: 2}, 1, significant(supervisor.AutoAny, nested(perm, trans, temp))),
		happen(limits{ends: 3}, 1, significant(supervisor.AutoAll, nested(temp, trans, temp))),
		// What children say, and edits that are carried out child by child.
		happen(limits{ends: 2, words: 1}, 1, flat2),
		happen(limits{ends: 1, words: 1}, 2, flat2),
		happen(limits{ends: 1, verbs: 1}, 1, rolling(false, edited(flat2))),
		happen(limits{ends: 1, verbs: 1}, 1, rolling(true, edited(flat2))),
		happen(limits{ends: 2, verbs: 1}, 1, rolling(true, edited(match(flat2, "PT")))),
	)
}

// slower has back-off, and a tree that starts again after it has failed.
func slower(all []*scope) []*scope {
	return with("back-off, retry_after", all, func(_ *scope, s *supervisor.Spec) {
		s.RestartPolicy.Backoff, s.RetryAfter = supervisor.Backoff{Kind: supervisor.Fixed, Base: period}, period
	})
}

// moving has children that move after a crash.
func moving(all []*scope) []*scope {
	return with("move_after", all, func(_ *scope, s *supervisor.Spec) {
		for i := range s.Children {
			s.Children[i].MoveAfter = 1
		}
	})
}

// deep are those of "make soak".
func deep() []*scope {
	flat2, flat3 := flats(2), flats(3)
	return with("deep", slices.Concat(
		happen(limits{ends: 2, verbs: 1}, 1, flat3),
		happen(limits{ends: 1, losses: 1}, 2, flat3),
		happen(limits{ends: 1, losses: 1}, 2, exclusive(flat3)),
		happen(limits{ends: 2, verbs: 1}, 1, nested(perm, perm, trans)),
		happen(limits{ends: 1, losses: 1}, 2, nested(perm, perm, trans)),
		happen(limits{ends: 2, verbs: 1, losses: 1}, 2, flat2),
		happen(limits{ends: 1, verbs: 1, losses: 1}, 2, exclusive(flat2)),
		happen(limits{ends: 4, fatals: 1}, 1, budget(2, "", flat3)),
		happen(limits{ends: 4}, 1, budget(2, supervisor.ScopeSupervisor, flat3)),
		happen(limits{ends: 2, verbs: 2}, 1, edited(flat2)),
		happen(limits{ends: 2, verbs: 2}, 1, rolling(true, edited(flat2))),
		happen(limits{ends: 1, verbs: 1, losses: 1}, 2, rolling(true, edited(flat2))),
		happen(limits{ends: 2, words: 2, losses: 1}, 2, flat2),
	), func(sc *scope, _ *supervisor.Spec) { sc.limit = 1_000_000 })
}

// scopes are those to explore, by parts of their names if there are any.
func scopes(deeper bool, parts []string) []*scope {
	all := shallow()
	if deeper {
		all = append(all, deep()...)
	}
	if len(parts) > 0 {
		all = match(all, parts...)
	}
	return all
}
