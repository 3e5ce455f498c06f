package check

import (
	"slices"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// effects are those of a kind of all faults, in the order in which they were
// written down. What is excused rests on them, not on what a nemesis is called.
func (in *Input) effects(kind history.EffectKind) (all []history.Effect) {
	for _, f := range in.Faults {
		for _, e := range f.Effects {
			if e.Kind == kind {
				all = append(all, e)
			}
		}
	}
	return all
}

// frozenAs tells whether a life stood still with its whole node, at a time for
// which holds says yes.
func (in *Input) frozenAs(l *life, holds func(history.Effect) bool) bool {
	return slices.ContainsFunc(in.effects(history.Frozen), func(e history.Effect) bool {
		return slices.Contains(e.Nodes, l.Node) && l.Time < e.From && e.From <= l.last && holds(e)
	})
}
