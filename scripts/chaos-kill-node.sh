#!/usr/bin/env bash
# Kills a node that does not lead (or NODE), with all that it runs, waits until
# all of that runs elsewhere, and starts the node again. Exits with 1 if anything
# was lost.
#
#   scripts/chaos-kill-node.sh [--dev DIR] [--bound SECONDS] [NODE]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/chaos.sh
. scripts/lib/chaos.sh

setup '[NODE]' "$@"
[ "${#args[@]}" -le 1 ] || usage '[NODE]'
# The follower with the most to lose.
name=${args[0]-$(query '[.nodes[] | select(.status == "alive" and (.leader | not))] | max_by(.children).name // empty')}
[ -n "$name" ] || fail "there is no node but the leader"
[ -n "${cids[$name]-}" ] || fail "there is no node $name; there are: ${!cids[*]}"
lose "$name" node
report
