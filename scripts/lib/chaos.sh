# shellcheck shell=bash disable=SC2016 # $x in jq is jq's own
# What the chaos scripts share: finding the cluster, breaking it, waiting until
# it runs again, and the table at the end. To be sourced.
#
# The cluster is that of docker-compose.yml (COMPOSE_PROJECT_NAME says which), or
# with --dev DIR one of `selfware-node dev --data DIR`.

export LC_ALL=C # EPOCHREALTIME with a point

bound=60 # seconds in which everything must run again
dev_dir=
args=()         # what is left of the command line
compose=()      # the compose command
declare -A cids=() # container of each node
rows=()
failed=
status= # the last answer, one line of JSON
took=   # milliseconds that the last recovery took

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }

# setup reads the command line and looks at what there is. $1 says how the script
# is called.
setup() {
	local usage=$1
	shift
	while [ $# -gt 0 ]; do
		case "$1" in
		--dev) [ $# -ge 2 ] || usage "$usage"; dev_dir=$2; shift 2 ;;
		--bound) [[ ${2-} =~ ^[0-9]+$ ]] || usage "$usage"; bound=$2; shift 2 ;;
		-*) usage "$usage" ;;
		*) args+=("$1"); shift ;;
		esac
	done
	command -v jq >/dev/null || fail "jq is missing: apt-get install jq"
	if [ -n "$dev_dir" ]; then
		setup_dev
	else
		setup_compose
	fi
	watch_any
	[ "$(jq "$jq_lib workers | length" <<<"$status")" -gt 0 ] ||
		fail "nothing runs that could be lost. Apply a tree first, such as examples/compose.yaml"
	settle || fail "not everything runs as it should before anything is broken: $waiting"
}

usage() { say "usage: $(basename "$0") [--dev DIR] [--bound SECONDS] $1"; exit 2; }

setup_dev() {
	[ -d "$dev_dir/n1" ] || fail "$dev_dir holds no nodes: give the --data of selfware-node dev"
	dev_dir=$(realpath "$dev_dir")
	binary=${SELFWARE_NODE:-bin/selfware-node}
	command -v "$binary" >/dev/null || fail "$binary is missing: make build, or set SELFWARE_NODE"
	local dir
	for dir in "$dev_dir"/n*/; do cids[$(basename "$dir")]=none; done
}

setup_compose() {
	command -v docker >/dev/null || fail "docker is missing"
	if docker compose version >/dev/null 2>&1; then
		compose=(docker compose)
	elif command -v docker-compose >/dev/null; then
		compose=(docker-compose)
	else
		fail "docker-compose is missing"
	fi
	local service id
	for service in $("${compose[@]}" config --services); do
		id=$("${compose[@]}" ps -q "$service") || fail "docker-compose does not answer"
		[ -z "$id" ] || cids[$service]=$id
	done
	[ "${#cids[@]}" -gt 0 ] || fail "no node runs: docker-compose up --build -d"
}

# --- Looking at the cluster ---------------------------------------------------

# watch_loop prints the status, one line for each line read: starting a docker
# exec for every look would take longer than most recoveries.
watch_loop='while read -r _; do "$0" status --json 2>/dev/null | tr -d "\n"; echo; done'

watch() {
	unwatch
	watched=$1
	if [ -n "$dev_dir" ]; then
		coproc WATCH { SELFWARE_DATA=$dev_dir/$watched exec sh -c "$watch_loop" "$binary" 2>/dev/null; }
	else
		coproc WATCH { exec docker exec -i "${cids[$watched]}" sh -c "$watch_loop" selfware-node 2>/dev/null; }
	fi
	# Bash forgets both names when the coprocess ends.
	watch_in=${WATCH[1]} watch_out=${WATCH[0]} watcher=${WATCH_PID}
}

# unwatch ends the loop by closing its input.
unwatch() {
	[ -n "${watcher-}" ] || return 0
	{ exec {watch_in}>&- {watch_out}<&-; } 2>/dev/null || true
	wait "$watcher" 2>/dev/null || true
	watcher=
}

# look asks the watched node for the status, and again if it has gone.
look() {
	status=
	if ! { printf '\n' >&"$watch_in"; } 2>/dev/null || ! read -r -t 15 status <&"$watch_out" 2>/dev/null; then
		sleep 0.2
		watch "$watched"
		return 1
	fi
	[ -n "$status" ]
}

# watch_any watches a node that answers, but none of those in $@.
watch_any() {
	local name deadline=$((SECONDS + 30))
	while [ "$SECONDS" -lt "$deadline" ]; do
		for name in "${!cids[@]}"; do
			[[ " $* " != *" $name "* ]] || continue
			watch "$name"
			if look; then return; fi
		done
		sleep 0.2
	done
	fail "no node answers"
}

now_ms() { local t=${EPOCHREALTIME/./}; printf '%s\n' "${t%???}"; }

# Workers are what the cluster has to keep running: all that ran before. They are
# compared by epoch, which is another for every life.
jq_lib='
def workers: [.trees[].children[] | select(.supervisor | not)];
def of($path): first(workers[] | select(.path == $path));
def unwell($before; $fresh):
	. as $after | $before | workers[] | select(.status == "running") | . as $b
	| ([$after | of($b.path)][0] // {status: "missing"})
	| if .status != "running" then "\($b.path) is \(.status)\(if .reason then " (\(.reason))" else "" end)"
	elif .restarts < $b.restarts or .moves < $b.moves then "\($b.path) has lost its history"
	elif (($fresh | index($b.path)) and .epoch <= $b.epoch) then "\($b.path) has not been started again"
	else empty end;
def changes($before):
	. as $after | [$before | workers[] | . as $b | $after | of($b.path) | select(.epoch > $b.epoch)
		| {path, to: .node, from: $b.node}]
	| [(map(select(.to != .from) | "\(.path) \(.from)->\(.to)") | select(length > 0) | "moved " + join(", ")),
		(map(select(.to == .from) | .path) | select(length > 0) | "restarted " + join(", "))]
	| join("; ") | if . == "" then "-" else . end;
'

# query runs jq on the last status.
query() { jq -r "$jq_lib $1" "${@:2}" <<<"$status"; }

leader() { query '.cluster.leader'; }

# on lists the workers on a node as a JSON array.
on() { query '[workers[] | select(.node == $n and .status == "running") | .path]' -c --arg n "$1"; }

# recover waits until all workers that ran in $1 (a status) run again, those in $2
# (a JSON array) in new lives, and nothing is forgotten; $3 is when it began, $4
# a further condition in jq. It sets took and waiting.
recover() {
	local before=$1 fresh=$2 began=$3 more=${4:-true} now
	waiting='nothing answered'
	while :; do
		if look; then
			now=$(now_ms)
			waiting=$(query '[unwell($before; $fresh)] + (if '"$more"' then [] else ["the cluster is not whole"] end) | join("; ")' \
				--argjson before "$before" --argjson fresh "$fresh") || waiting='the status cannot be read'
			if [ -z "$waiting" ]; then
				took=$((now - began))
				return 0
			fi
		fi
		if [ $(($(now_ms) - began)) -gt $((bound * 1000)) ]; then
			took=
			return 1
		fi
		sleep 0.02
	done
}

# settle waits until every worker runs, so that what is broken next is seen alone.
settle() {
	local began
	began=$(now_ms)
	while :; do
		if look; then
			waiting=$(query '[workers[] | select(.status | IN("running", "finished", "stopped") | not) | "\(.path) is \(.status)"] | join("; ")') ||
				waiting='the status cannot be read'
			[ -n "$waiting" ] || return 0
		fi
		[ $(($(now_ms) - began)) -le $((bound * 1000)) ] || return 1
		sleep 0.05
	done
}

# --- Breaking it --------------------------------------------------------------

# kill_child kills a process as its node numbers it, and prints when.
kill_child() {
	if [ -n "$dev_dir" ]; then
		now_ms
		kill -9 "$2"
	else
		docker exec "${cids[$1]}" sh -c "date +%s%3N; kill -9 $2"
	fi
}

# node_pid finds the process of a node of dev by its command line.
node_pid() {
	local file words
	for file in /proc/[0-9]*/cmdline; do
		{ mapfile -d '' -t words <"$file"; } 2>/dev/null || continue
		if [[ ${words[1]-} == run && " ${words[*]} " == *" --data $dev_dir/$1 "* ]]; then
			file=${file#/proc/}
			printf '%s\n' "${file%/cmdline}"
			return
		fi
	done
	fail "cannot find the process of node $1: is selfware-node dev --data $dev_dir running?"
}

kill_node() {
	if [ -n "$dev_dir" ]; then
		kill -9 "$(node_pid "$1")"
	else
		docker kill "${cids[$1]}" >/dev/null
	fi
}

# return_node starts a node again that was killed. Dev does so by itself.
return_node() { [ -n "$dev_dir" ] || docker start "${cids[$1]}" >/dev/null; }

# restart_node ends when the node has stopped; dev starts it again some time later.
restart_node() {
	if [ -n "$dev_dir" ]; then
		local pid
		pid=$(node_pid "$1")
		kill -TERM "$pid"
		while [ -e "/proc/$pid" ]; do sleep 0.02; done
	else
		"${compose[@]}" restart "$1" >/dev/null 2>&1
	fi
}

# --- What the scripts do ------------------------------------------------------

# row adds a line to the table: what, how, and whether it came back.
row() {
	local result=LOST changed=$waiting
	if [ -n "$took" ]; then
		result="$took ms"
		changed=$(query 'changes($before)' --argjson before "$3")
	else
		failed=1
	fi
	rows+=("$(printf '%-20s  %-30s  %11s  %s' "$1" "$2" "$result" "$changed")")
	say "  $([ -n "$took" ] && printf "back after %s ms" "$took" || printf "NOT back in %s s" "$bound"): $changed"
}

# report prints the table and ends the script.
report() {
	unwatch
	printf '\n%-20s  %-30s  %11s  %s\n' WHAT INJECTED RECOVERED 'MOVED OR RESTARTED'
	printf '%s\n' "${rows[@]}"
	if [ -n "$failed" ]; then
		printf '\nsomething was lost: see the lines with LOST\n'
		exit 1
	fi
	printf '\nnothing was lost\n'
	exit 0
}

# crash kills one worker and waits for it.
crash() {
	local path=$1 before node pid restarts began
	settle || failed=1
	before=$status
	read -r node pid restarts <<<"$(query 'of($p) | "\(.node) \(.pid) \(.restarts)"' --arg p "$path")"
	[[ $pid =~ ^[1-9][0-9]*$ ]] || fail "no worker $path runs"
	say "killing $path (pid $pid on $node)"
	began=$(kill_child "$node" "$pid") || fail "cannot kill pid $pid on $node"
	recover "$before" "[\"$path\"]" "$began" "any(workers[]; .path == \"$path\" and .restarts > $restarts)" || true
	row "$path" "kill -9, pid $pid on $node" "$before"
}

# lose kills a node, waits until all it ran runs elsewhere, brings it back, and
# waits until the cluster is whole. One worker crashes before, so that there is a
# restart to remember.
lose() {
	local name=$1 role=$2 before fresh began
	watch_any "$name"
	crash "$(query '[workers[] | select(.status == "running")] | (map(select(.node == $n))[0] // .[0]).path' --arg n "$name")"
	settle || failed=1
	before=$status fresh=$(on "$name")
	say "killing $role $name, which runs $(jq -r 'if length > 0 then join(", ") else "nothing" end' <<<"$fresh")"
	began=$(now_ms)
	kill_node "$name"
	recover "$before" "$fresh" "$began" "${3:-true}" || true
	row "$role $name" 'kill -9 of the node' "$before"
	say "starting $name again"
	began=$(now_ms)
	return_node "$name"
	returned "$name" "$before" "$began"
}

# roll restarts a node, and waits for its workers and then for itself.
roll() {
	local name=$1 before fresh began restart
	watch_any "$name"
	settle || failed=1
	before=$status fresh=$(on "$name")
	say "restarting node $name, which runs $(jq -r 'if length > 0 then join(", ") else "nothing" end' <<<"$fresh")"
	began=$(now_ms)
	restart_node "$name" &
	restart=$!
	recover "$before" "$fresh" "$began" || true
	[ "$fresh" = '[]' ] || row "workers of $name" 'restart of the node' "$before"
	wait "$restart" || fail "cannot restart node $name"
	returned "$name" "$before" "$began"
}

# returned waits until a node takes part again, by its own answer, and all is well.
returned() {
	local name=$1 before=$2 began=$3 since=$status
	watch "$name"
	recover "$before" '[]' "$began" "any(.nodes[]; .name == \"$name\" and .status == \"alive\")" || true
	row "node $name" 'takes part again' "${since:-$before}"
}
