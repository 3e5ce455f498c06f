# shellcheck shell=bash
# What the chaos scripts share that are judged by jepsen-lite: reading the command
# line, building what is run, and the run. To be sourced.
#
# Unlike the scripts that use lib/chaos.sh, these make a cluster of their own from
# docker-compose.yml, with small disks and a folder for the witnesses, and take it
# down at the end: what you run is not touched. They need root, docker,
# docker-compose, iptables, strace, and Go to build the tester.

seconds= # of faults; as many as they need, if empty
seed=
workload=exclusive
build=1
out=
work= # temporary folder with the tester

say() { printf '%s\n' "$*" >&2; }
# Exit code 1 is for what was lost; 2 for what could not be tested.
fail() { say "$(basename "$0"): $*"; exit 2; }

# usage prints the comment at the head of the script.
usage() {
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
	cat <<-'END'

		Options:
		  --seconds N      how long faults come (19 for each kind, the least there is)
		  --seed S         of faults and requests (from the time)
		  --workload W     what the cluster has to do (exclusive); jepsen-lite list has all
		  --no-build       take the image selfware-node (or $SELFWARE_IMAGE) as it is
		  --dir DIR        where to put the report (a new folder in /tmp)
	END
	exit "${1-2}"
}

number() { [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail "$1 wants a number, not '${2-}'"; }

# setup reads the options; those in $extra are left to the function `option`.
setup() {
	while [ $# -gt 0 ]; do
		case "$1" in
		--help | -h) usage 0 ;;
		--seconds) number "$@"; seconds=$2; shift 2 ;;
		--seed) number "$@"; seed=$2; shift 2 ;;
		--workload) [ $# -ge 2 ] || usage; workload=$2; shift 2 ;;
		--dir) [ $# -ge 2 ] || usage; out=$2; shift 2 ;;
		--no-build) build=; shift ;;
		*) if declare -F option >/dev/null && option "$@"; then shift 2; else usage; fi ;;
		esac
	done
	[ "$(id -u)" = 0 ] || fail "faults in the network of containers need root: sudo $0"
	local tool
	for tool in docker iptables nsenter strace; do
		command -v "$tool" >/dev/null || fail "$tool is missing: scripts/test-deps.sh installs it"
	done
	command -v go >/dev/null || fail "Go is missing: the tester is built from source, see https://go.dev/dl"
	docker info >/dev/null 2>&1 || fail "docker does not answer"
	seed=${seed:-$(date +%s)}
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	out=${out:-$(mktemp -d -t selfware-chaos-XXXXXX)}
	[ -z "$build" ] || build_image
	CGO_ENABLED=0 go build -o "$work/jepsen-lite" ./jepsen-lite || fail "cannot build the tester"
}

build_image() {
	local compose=(docker-compose)
	if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi
	command -v "${compose[0]}" >/dev/null || fail "docker-compose is missing: scripts/test-deps.sh installs it"
	say "building the image"
	"${compose[@]}" build node1 >"$work/build.log" 2>&1 || {
		tail -20 "$work/build.log" >&2
		fail "cannot build the image; scripts/build-base-images.sh makes its base where no registry can be reached"
	}
}

# In profile lan a fault lasts up to 12 seconds, and the cluster has up to 7 after
# it.
each=19

# judge does one run and prints its verdicts: $1 the faults, $2 the seed, $3 the
# folder. The tester is bounded in all that it does; the limit here is for a
# tester that hangs.
judge() {
	local kinds=${1//[^,]/}
	local least=$(((${#kinds} + 1) * each))
	local length=${seconds:-$least}
	[ "$length" -ge "$least" ] || fail "$length s are too short for these faults: $least s are the least"
	timeout --kill-after=60 $((length + 600)) "$work/jepsen-lite" run --backend compose --workload "$workload" \
		--nemesis "$1" --time "${length}s" --seed "$2" --dir "$3"
}
