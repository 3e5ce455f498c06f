#!/usr/bin/env bash
# Restarts every node in turn, as an upgrade does, and waits after each until it
# takes part again and all that it ran runs. Exits with 1 if anything was lost.
#
#   scripts/chaos-rolling.sh [--dev DIR] [--bound SECONDS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/chaos.sh
. scripts/lib/chaos.sh

setup '' "$@"
[ "${#args[@]}" = 0 ] || usage ''
mapfile -t names < <(printf '%s\n' "${!cids[@]}" | sort)
for name in "${names[@]}"; do
	roll "$name"
done
report
