package spec

import (
	"fmt"
	"slices"
	"strings"
)

// foreign are words of other tools for ours.
var foreign = map[string]string{
	"command": "run", "cmd": "run", "exec": "run", "start": "run", "program": "run",
	"environment": "env", "cwd": "dir", "workdir": "dir", "working_dir": "dir", "working_directory": "dir", "directory": "dir",
	"restart": "restart_type", "intensity": "max_restarts", "period": "max_seconds", "window": "max_seconds",
	"SuccessExitStatus": "finish_on", "exitcodes": "finish_on", "RestartPreventExitStatus": "never_restart_on",
	"labels": "needs", "constraints": "needs", "signal": "stop_signal", "stop_timeout": "grace", "stop_grace_period": "grace",
	"healthcheck": "liveness", "health": "liveness", "livenessProbe": "liveness", "liveness_probe": "liveness", "check_restart": "liveness",
	"readiness": "probe", "readinessProbe": "probe", "readiness_probe": "probe", "startupProbe": "probe", "startup_probe": "probe",
	"retries": "failure_threshold", "httpGet": "http", "tcpSocket": "tcp", "periodSeconds": "interval", "timeoutSeconds": "timeout", "mem": "memory", "cpus": "cpu", "limits": "ulimits", "workers": "children", "services": "children",
	"always": "permanent", "on-failure": "transient", "on_failure": "transient", "never": "temporary",
}

// nearest is the candidate closest to word, or "" if none is near: more than a
// third of the letters would have to change.
func nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	if len(word) < 3 || len(word) > 40 {
		return ""
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// didYouMean is a hint, empty if nothing is near.
func didYouMean(word string, candidates []string) string {
	n := nearest(word, candidates)
	if meant := foreign[word]; slices.Contains(candidates, meant) {
		n = meant
	}
	if n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return ""
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	before, above := []int(nil), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
