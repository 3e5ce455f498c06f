package supervisor

import (
	"fmt"

	"github.com/selfware/selfware/internal/bug"
)

// This file is OTP's significant children and auto_shutdown: a supervisor whose work is
// done ends, and is for its own supervisor a child that has ended with reason shutdown.

// AutoShutdown says whether a supervisor ends with its significant children (OTP
// "auto_shutdown"). What counts is that such a child ends by itself and for good: the
// normal end of a transient one, any end of a temporary one. A supervisor that ends so,
// or that gives up and is not permanent, is a child that has ended by itself.
//
// Nothing else ends a supervisor: not an operator's stop, not the stop with a group, not
// the loss of a node, not an Edit.
type AutoShutdown string

const (
	// AutoNever is the default; empty means the same. No child may be significant.
	AutoNever AutoShutdown = "never"
	// AutoAny ends the supervisor when one significant child has ended (OTP
	// "any_significant").
	AutoAny AutoShutdown = "any"
	// AutoAll ends it when a significant child has ended and no other one runs or is
	// due (OTP "all_significant"). One that an operator stopped, or that was lost with
	// its node for good, is not waited for.
	AutoAll AutoShutdown = "all"
)

// Shuts tells whether significant children end the supervisor.
func (a AutoShutdown) Shuts() bool { return a == AutoAny || a == AutoAll }

// validSignificance checks who may be significant, as OTP does, at and below a
// supervisor.
func validSignificance(parent string, a AutoShutdown, children []ChildSpec) error {
	if a != "" && a != AutoNever && !a.Shuts() {
		return fmt.Errorf("cannot use %s: unknown auto_shutdown %q", parent, a)
	}
	for i := range children {
		c := &children[i]
		path := parent + "/" + c.ID
		switch {
		case !c.Significant:
		case !a.Shuts():
			return fmt.Errorf("cannot use %s: it is significant, but auto_shutdown of %s is never; say any or all there", path, parent)
		case c.RestartType == Permanent:
			return fmt.Errorf("cannot use %s: a permanent child is always restarted, so it cannot be significant; make it transient or temporary", path)
		case c.Many():
			return fmt.Errorf("cannot use %s: many run of it, so it cannot be significant", path)
		}
		if c.Supervisor == nil {
			continue
		}
		if err := validSignificance(path, c.Supervisor.AutoShutdown, c.Children); err != nil {
			return err
		}
	}
	return nil
}

// over records that n has ended by itself and for good, and ends its supervisor if that
// is what its end means.
func (t *Tree) over(n *node, v Verdict, cause Cause, sentence string) {
	if n.paused() != nil || !n.shutsParent() {
		t.decide(n, v, cause, sentence)
		return
	}
	s := n.parent
	why := "is significant"
	if s.auto == AutoAll {
		why = "was the last significant child"
	}
	t.decide(n, VerdictShutdown, cause, fmt.Sprintf("%s; it %s, so %s ends (auto_shutdown: %s)", sentence, why, s.path, s.auto))
	t.shutDown(s, Cause{Kind: CauseShutdown, Path: n.path, Detail: fmt.Sprintf("%s, which %s, has ended", n.path, why)})
}

// shutsParent tells whether n's end is that of its supervisor.
func (n *node) shutsParent() bool {
	s := n.parent
	if !n.spec.Significant || bug.On("significant-ignored") {
		return false
	}
	switch s.auto {
	case AutoAny:
		return true
	case AutoAll:
		for _, c := range s.children {
			if c != n && c.spec.Significant && c.goesOn() && !bug.On("auto-shutdown-first") {
				return false
			}
		}
		return true
	}
	return false
}

// goesOn: it runs, or a life of it is due. A supervisor does until it has ended, or was
// stopped, as a whole.
func (n *node) goesOn() bool {
	if n.worker() {
		return !n.life.atRest()
	}
	return n.down == ""
}

// shutDown ends s because of its significant children: to its own supervisor it is a
// child that has ended with reason shutdown, which only a permanent one comes back
// after.
func (t *Tree) shutDown(s *node, cause Cause) {
	switch {
	case s.parent == nil:
		t.endAll(s, PhaseFinished)
		t.decide(s, VerdictFinish, cause, fmt.Sprintf("%s has finished: %s; all its children stop", s.path, cause.Detail))
	case s.spec.RestartType == Permanent:
		t.fail(s, cause, false)
	default:
		t.endAll(s, PhaseFinished)
		t.over(s, VerdictFinish, cause, fmt.Sprintf("%s has finished: %s; all its children stop, and %s supervisors are not restarted",
			s.path, cause.Detail, s.spec.RestartType))
	}
}

// ended is what a child did that its supervisor restarts, or gives up because of.
func (c Cause) ended() string {
	if c.Kind == CauseShutdown {
		return "ended"
	}
	return "failed"
}
