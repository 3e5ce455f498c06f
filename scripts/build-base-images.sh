#!/usr/bin/env bash
# Sees to it that the base images of the Dockerfile exist: golang:1.26-bookworm
# and debian:bookworm-slim. What is there stays; what a registry has is pulled;
# otherwise both are made from Debian packages, and the Go of this machine. Takes
# about a minute the first time, then nothing. --make asks no registry.
#
#   scripts/build-base-images.sh [--make]
#
# SELFWARE_MIRROR   Debian mirror          (http://deb.debian.org/debian)
# SELFWARE_CACHE    where packages are kept (~/.cache/selfware)
set -euo pipefail

suite=bookworm
run_image=debian:$suite-slim
go_image=golang:1.26-$suite
mirror=${SELFWARE_MIRROR:-http://deb.debian.org/debian}
cache=${SELFWARE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/selfware}
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf 'build-base-images: %s\n' "$*" >&2; }
fail() { say "cannot $*"; exit 1; }

pull=1
case "${1-}" in
'') ;;
--make) pull= ;;
*) say "usage: scripts/build-base-images.sh [--make]"; exit 2 ;;
esac

exists() { docker image inspect "$1" >/dev/null 2>&1; }

# have says whether an image is there, or can be had without making it.
have() {
	exists "$1" && return
	[ -n "$pull" ] || return 1
	say "pulling $1"
	timeout 300 docker pull -q "$1" >&2
}

# debian makes a root file system in $1: minbase and certificates.
debian() {
	[ "$(id -u)" = 0 ] || fail "make images: debootstrap needs root"
	if ! command -v debootstrap >/dev/null; then
		say "installing debootstrap"
		apt-get install -q -y --no-install-recommends debootstrap >&2 ||
			{ apt-get update -q >&2 && apt-get install -q -y --no-install-recommends debootstrap >&2; } ||
			fail "make images without debootstrap: apt-get install debootstrap"
	fi
	mkdir -p "$cache/packages"
	debootstrap --variant=minbase --include=ca-certificates --cache-dir="$cache/packages" \
		"$suite" "$1" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
		fail "make $run_image: see $cache/debootstrap.log"
	rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale}/*
	# A network that is looked into has certificates of its own; what this machine
	# trusts, its images trust.
	if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
		cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
	fi
}

# go_root is the Go of this machine, if it will do.
go_root() {
	local root
	root=$(go env GOROOT 2>/dev/null) || fail "make $go_image: there is no Go on this machine"
	case $("$root/bin/go" env GOVERSION) in
	go1.26 | go1.26.* | go1.26rc*) printf '%s\n' "$root" ;;
	*) fail "make $go_image: $root has $("$root/bin/go" env GOVERSION); go 1.26 is needed" ;;
	esac
}

make_run_image() {
	say "making $run_image from $mirror"
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	debian "$work/root"
	tar -C "$work/root" --one-file-system -c . |
		docker import -c 'CMD ["bash"]' -m "made by selfware/scripts/build-base-images.sh" - "$run_image" >/dev/null
}

# make_go_image lays Go over the run image. It has no C compiler, as we use no cgo.
make_go_image() {
	local root container
	root=$(go_root)
	say "making $go_image from $root"
	container=$(docker create "$run_image")
	tar -C "$root" --exclude=./test --exclude=./doc --exclude=./api --transform 's,^\.,go,' -c . |
		docker cp - "$container:/usr/local" >/dev/null
	docker commit -m "made by selfware/scripts/build-base-images.sh" \
		-c 'ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		-c 'WORKDIR /go' "$container" "$go_image" >/dev/null
	docker rm "$container" >/dev/null
}

command -v docker >/dev/null || fail "make images: there is no docker"
docker info >/dev/null 2>&1 || fail "make images: docker does not answer"
have "$run_image" || make_run_image
have "$go_image" || make_go_image
