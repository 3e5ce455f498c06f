#!/usr/bin/env bash
# Does all kinds of faults to docker-compose clusters, drawn from a seed, for so
# many minutes: kills, pauses, cuts, bad disks, restarts, and several at once. Each
# round is a fresh cluster with another workload, is judged, and prints its
# verdicts; a table of all rounds ends it. Exits with 1 if anything is not as
# promised, with 2 if a round could not be tested.
#
#   scripts/chaos-random.sh [--minutes N] [--seed S]
#
#   --minutes N      how long, about: rounds last 2 minutes each (10)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/jepsen.sh
. scripts/lib/jepsen.sh

minutes=10
option() {
	[ "$1" = --minutes ] || return 1
	number "$@"
	minutes=$2
}

faults=kill-agent,kill-node,kill-leader,kill-keeper,pause-agent,pause-leader,freeze-node,partition-leader,partition-one
faults+=,partition-one-way,partition-flapping,disk-full,disk-slow,disk-error-fsync,restart-rolling,mixed
workloads=(exclusive register fenced set group)

seconds=90 # and about 30 to begin, to settle and to judge
setup "$@"
rows=()
worst=0
end=$((SECONDS + minutes * 60))
for ((round = 0; round == 0 || SECONDS < end; round++)); do
	workload=${workloads[$(((seed + round) % ${#workloads[@]}))]}
	code=0
	judge "$faults" $((seed + round)) "$out/round$((round + 1))" || code=$?
	case $code in
	0) verdict=valid ;;
	1) verdict='NOT VALID' ;;
	*) verdict='not tested' ;;
	esac
	[ "$code" -le "$worst" ] || [ "$worst" = 1 ] || worst=$code
	[ "$code" != 1 ] || worst=1
	rows+=("$(printf '%-6s  %-12s  %-12s  %-10s  %s' $((round + 1)) "$workload" $((seed + round)) "$verdict" "$out/round$((round + 1))")")
done
printf '\n%-6s  %-12s  %-12s  %-10s  %s\n' ROUND WORKLOAD SEED VERDICT REPORT
printf '%s\n' "${rows[@]}"
[ "$worst" = 0 ] || { printf '\nnot everything is as promised\n'; exit "$((worst > 2 ? 2 : worst))"; }
printf '\nnothing was lost\n'
