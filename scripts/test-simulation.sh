#!/bin/sh
# All of the simulation, and the figures of what it simulated; a few seeds twice, exactly;
# of a failure, everything.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${GO:-go}" test -count=1 -timeout 20m -v ./internal/simtest >"$log" 2>&1
code=$?
if [ "$code" -ne 0 ]; then
	grep -v -e '^ *=== ' -e '^ *--- PASS' -e '^ *--- SKIP' "$log"
fi
grep -e ' simulated ' -e '^ok' "$log"
if ! "${GO:-go}" run ./internal/simtest/overlay -seeds 4 >"$log" 2>&1; then
	code=1
	cat "$log"
else
	tail -n 1 "$log"
fi
exit "$code"
