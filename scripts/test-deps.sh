#!/usr/bin/env bash
# Installs what the tests need on Debian, where it is missing, and sees to it
# that docker answers. Starts no other service: redis and nginx are only wanted
# as programs. Quick and silent where everything is there.
set -euo pipefail

# command:package
needed=(
	docker:docker.io docker-compose:docker-compose
	redis-server:redis-server nginx:nginx-light python3:python3
	erlc:erlang-base strace:strace curl:curl jq:jq iptables:iptables ip:iproute2 ps:procps
)
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'test-deps: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

missing() {
	local entry
	for entry in "${needed[@]}"; do
		command -v "${entry%%:*}" >/dev/null || printf '%s ' "${entry#*:}"
	done
	# The comparison with OTP compiles its source.
	compgen -G '/usr/lib/erlang/lib/stdlib-*/src/supervisor.erl' >/dev/null || printf 'erlang-src '
	# A docker client without its daemon is half of it.
	command -v dockerd >/dev/null || docker info >/dev/null 2>&1 || printf 'docker.io '
}

# install keeps Debian from starting what it installs: invoke-rc.d asks this file.
install() {
	local policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		# shellcheck disable=SC2064 # the path is known now
		trap "rm -f '$policy'" EXIT
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >&2 || say "apt-get update failed; trying with the lists there are"
	apt-get install -q -y --no-install-recommends "$@" >&2 || fail "cannot install $*: see above"
}

docker_answers() { timeout 10 docker info >/dev/null 2>&1; }

wait_for_docker() {
	local deadline=$((SECONDS + $1))
	until docker_answers; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.5
	done
}

start_docker() {
	say "docker does not answer; starting it"
	if [ -d /run/systemd/system ]; then
		systemctl start docker || true
	elif [ -x /etc/init.d/docker ]; then
		service docker start >&2 || true
	fi
	wait_for_docker 15 && return
	# A container without an init system, or a script that cannot set its limits.
	local log=/var/log/dockerd.log
	pgrep -x dockerd >/dev/null || setsid dockerd >>"$log" 2>&1 </dev/null &
	wait_for_docker 30 || fail "docker does not answer; its log: $log, or journalctl -u docker"
}

root() { [ "$(id -u)" = 0 ]; }

read -r -a packages <<<"$(missing)" || true
if [ "${#packages[@]}" -gt 0 ]; then
	root || fail "missing: ${packages[*]}. Run as root: apt-get install ${packages[*]}"
	command -v apt-get >/dev/null || fail "missing: ${packages[*]}. This is no Debian; install them by hand"
	say "installing ${packages[*]}"
	install "${packages[@]}"
fi
if ! docker_answers; then
	root || fail "docker does not answer. Start it as root (service docker start), and be in the group docker"
	start_docker
fi
