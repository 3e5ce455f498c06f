package simulate

import (
	"fmt"

	"github.com/selfware/selfware/supervisor"
)

// meaning says what follows when a significant worker has ended by itself and for good;
// empty if it is not significant.
func meaning(spec *supervisor.Spec, m member) string {
	if !m.child.Significant {
		return ""
	}
	when := "when it ends as it should"
	if m.child.RestartType == supervisor.Temporary {
		when = "when it ends, for whatever reason"
	}
	if m.supervisor.AutoShutdown == supervisor.AutoAll {
		when += ", and no other significant child of " + m.parent + " runs"
	}
	if m.parent == spec.Name {
		return fmt.Sprintf("%s, the tree has finished and all of it stops (auto_shutdown: %s)", when, m.supervisor.AutoShutdown)
	}
	return fmt.Sprintf("%s, %s ends and all of it stops (auto_shutdown: %s)", when, m.parent, m.supervisor.AutoShutdown)
}

// along: the child restarts with others, and not for what it did.
func along(d supervisor.Decision) bool {
	switch d.Cause.Kind {
	case supervisor.CauseEscalation, supervisor.CauseGroup:
		return true
	case supervisor.CauseShutdown: // that of the supervisor above
		return d.Verdict == supervisor.VerdictRestart
	}
	return false
}
