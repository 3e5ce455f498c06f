package supervisor

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/selfware/selfware/internal/bug"
)

// MaxWhy bounds the reason that an operator gives, in bytes.
const MaxWhy = 512

// Reset forgets the restarts that were charged at and below a path, as if none had been:
// the windows that a restart there is charged to, and the crashes in a row that count
// towards move_after. Of children that share a budget it is the shared one. What is held
// back for nodes stays held, and nothing starts: what has failed stays failed.
type Reset struct {
	Path string `json:"path"`
	By   string `json:"by,omitempty"`
	Why  string `json:"why,omitempty"`
}

func (Reset) input() {}

// onReset empties windows. Loans and tallies stay as they are: package doc, "Alone".
func (t *Tree) onReset(in Reset) error {
	n, err := t.member(in.Path)
	if err != nil {
		return err
	}
	if err := t.changeable(in.Why); err != nil {
		return err
	}
	cause := Cause{Kind: CauseOperator, Path: in.Path, Detail: asked(in.By, in.Why)}
	spent := make(map[*node]Budget) // of those that have charges, before any is forgotten
	n.walk(func(x *node) {
		if x.parent == nil {
			return
		}
		if b := t.budgetNow(x); b.Used > 0 || x.life.Crashes > 0 {
			spent[x] = b
		}
	})
	n.walk(t.unspend)
	if _, told := spent[n]; !told {
		spent[n] = t.budgetNow(n)
	}
	for _, x := range slices.SortedFunc(maps.Keys(spent), byOrd) {
		t.record(x, Decision{
			Stamp: t.at, Path: x.path, Verdict: VerdictReset, Epoch: x.life.Epoch, Node: x.life.Node,
			Cause: cause, Before: spent[x], After: x.budget(), Sentence: t.resetSentence(x, x == n, spent[x], cause),
		})
	}
	return nil
}

// budgetNow is x's budget without the charges that have left its window.
func (t *Tree) budgetNow(x *node) Budget {
	b := x.budget()
	if x.parent == nil {
		return b
	}
	for _, at := range *x.charges() {
		if at < t.at.Time-b.Period {
			b.Used--
		}
	}
	return b
}

// unspend empties the window that x is charged to, and its count of crashes in a row.
func (t *Tree) unspend(x *node) {
	t.touch(x)
	if x.parent == nil {
		return
	}
	*x.charges() = nil
	if bug.On("reset-frees-loans") {
		t.setLoans(x, nil)
	}
	if l := x.life; l.Crashes > 0 {
		l.Crashes = 0
		t.become(x, l)
	}
}

// changeable refuses an operator's change of a tree that is being deleted, and a reason
// that is too long.
func (t *Tree) changeable(why string) error {
	switch {
	case t.deleting:
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	case len(why) > MaxWhy:
		return fmt.Errorf("%w: the reason has %d bytes, the limit is %d", ErrRefused, len(why), MaxWhy)
	}
	return nil
}

// asked is who asked, and why.
func asked(by, why string) string {
	if why == "" {
		return by
	}
	return cmp.Or(by, "somebody") + ": " + why
}

// resetSentence words the reset of x; top is what was named.
func (t *Tree) resetSentence(x *node, top bool, before Budget, cause Cause) string {
	what := fmt.Sprintf("the restarts charged to %s are forgotten (%s)", x.path, because(cause))
	switch {
	case x.parent == nil:
		what = fmt.Sprintf("the restarts charged in %s are forgotten (%s)", x.path, because(cause))
	case x.parent.policy.shared():
		what += fmt.Sprintf(", with those of its siblings, since all of %s share a budget", x.parent.path)
	}
	if x.parent != nil {
		what += fmt.Sprintf("; %v were used", before)
		if x.budget().Held > 0 {
			what += "; what is held back stays so"
		}
	}
	if phase, at := t.overAt(x); top && phase != "" {
		what += fmt.Sprintf("; a reset starts nothing, %s is %s: selfware-node start %s", at, phase, at)
	}
	return what
}

// overAt says that x does not run, and will not without an operator: failed or stopped,
// by itself or with a supervisor above, and then what is to be started.
func (t *Tree) overAt(x *node) (phase Phase, path string) {
	p := x.life.Phase
	if p == PhaseStopping { // or is about to be
		p = x.life.Then
	}
	if x.worker() && (p == PhaseFailed || p == PhaseStopped) {
		phase, path = p, x.path
	}
	for s := x; s != nil; s = s.parent {
		if s.down != "" {
			phase, path = s.down, s.path
		}
	}
	return phase, path
}
