#!/usr/bin/env bash
# Kills the node that leads, with all that it runs: another must be elected, and
# run what is gone, with the restarts before the election still counted. Then
# starts the node again. Exits with 1 if anything was lost.
#
#   scripts/chaos-kill-leader.sh [--dev DIR] [--bound SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/chaos.sh
. scripts/lib/chaos.sh

setup '' "$@"
[ "${#args[@]}" = 0 ] || usage ''
name=$(leader)
[ -n "${cids[$name]-}" ] || fail "the cluster has no leader, or none of this machine: '$name'"
lose "$name" leader ".cluster.leader != \"$name\""
report
