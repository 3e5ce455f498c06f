#!/usr/bin/env bash
# Does all kinds of faults to docker-compose clusters, drawn from a seed, for so
# many minutes: kills, pauses, cuts, bad disks, restarts, and several at once. Each
# round is a fresh cluster with another workload, is judged, and prints its
# verdicts; a table of all rounds ends it. Exits with 1 if anything is not as
# promised, with 2 if a round could not be tested.
#
#   scripts/chaos-random.sh [--minutes N] [--seed S]
#
#   --minutes N      how long, about: a round of four faults lasts 2 minutes (10)
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

faults=(
	kill-agent kill-node kill-leader kill-keeper kill-rolling pause-agent pause-leader pause-strobe freeze-node
	partition-leader partition-one partition-one-way partition-gossip partition-raft partition-flapping
	disk-full disk-slow disk-stall disk-error-fsync disk-error-write restart-leader restart-rolling mixed
)
workloads=(exclusive register fenced set group)

# draw prints four faults, the same ones for the same number.
draw() {
	RANDOM=$1
	local -a left=("${faults[@]}") drawn=()
	local i
	while [ "${#drawn[@]}" -lt 4 ]; do
		i=$((RANDOM % ${#left[@]}))
		drawn+=("${left[i]}")
		left=("${left[@]:0:i}" "${left[@]:i+1}")
	done
	(IFS=,; printf '%s\n' "${drawn[*]}")
}

setup "$@"
row() { printf '%-6s  %-12s  %-12s  %-10s  %s' "$@"; }
rows=()
wrong='' untested=''
end=$((SECONDS + minutes * 60))
for ((round = 0; round == 0 || SECONDS < end; round++)); do
	workload=${workloads[$(((seed + round) % ${#workloads[@]}))]}
	code=0
	judge "$(draw $((seed + round)))" $((seed + round)) "$out/round$((round + 1))" || code=$?
	case $code in
	0) verdict=valid ;;
	1) verdict='NOT VALID' wrong=1 ;;
	*) verdict='not tested' untested=1 ;;
	esac
	rows+=("$(row $((round + 1)) "$workload" $((seed + round)) "$verdict" "$out/round$((round + 1))")")
done
printf '\n%s\n' "$(row ROUND WORKLOAD SEED VERDICT REPORT)"
printf '%s\n' "${rows[@]}"
[ -z "$wrong" ] || { printf '\nnot everything is as promised\n'; exit 1; }
[ -z "$untested" ] || { printf '\nnot everything was tested\n'; exit 2; }
printf '\nnothing was lost\n'
