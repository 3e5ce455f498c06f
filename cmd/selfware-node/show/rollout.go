package show

import (
	"fmt"
	"strings"

	"github.com/selfware/selfware/api"
)

// rolling: the rollout goes on by itself.
func rolling(r *api.Rollout) bool {
	return r != nil && (r.Status == "updating" || r.Status == "reverting")
}

// stuck: the rollout waits for an operator.
func stuck(r *api.Rollout) bool { return r != nil && r.Status == "halted" }

// turn says where a child that runs is in a rollout.
func turn(ch api.ChildStatus) string {
	switch ch.Turn {
	case "waits":
		return "waits for its turn in the update"
	case "tries":
		return "has its turn in the update"
	}
	return ""
}

// rolloutLine is a rollout in a line.
func rolloutLine(r *api.Rollout, s Style) string {
	line := s.paint(colorOf(r.Status), r.Status)
	switch {
	case r.Status == "reverted":
		line += ", the former file is in force again"
	case r.Total > 0:
		line += fmt.Sprintf(" %d of %d", r.Done, r.Total)
	}
	if !rolling(r) {
		line += ": " + Clean(r.Why)
		if r.Status == "halted" {
			line += " (apply a file, or rollout resume or revert)"
		}
		return line
	}
	switch n := len(r.Trying); {
	case n == 0:
		line += ", waits for a supervisor that does not run, or is paused"
	case n > 3:
		line += fmt.Sprintf(", waits for %s and %d more", Clean(strings.Join(r.Trying[:3], ", ")), n-3)
	default:
		line += ", waits for " + Clean(strings.Join(r.Trying, ", "))
	}
	if r.Until != nil {
		line += ", looks again at " + r.Until.Local().Format("15:04:05")
	}
	if r.Why != "" {
		line += ": " + Clean(r.Why)
	}
	return line
}
