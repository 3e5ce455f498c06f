#!/usr/bin/env bash
# Kills every worker that runs (or those in PATH...), one after another, and
# prints how long each took to run again. Exits with 1 if one was lost.
#
#   scripts/chaos-kill-child.sh [--dev DIR] [--bound SECONDS] [PATH...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/chaos.sh
. scripts/lib/chaos.sh

setup '[PATH...]' "$@"
if [ "${#args[@]}" = 0 ]; then
	mapfile -t args < <(query 'workers[] | select(.status == "running") | .path')
fi
for path in "${args[@]}"; do
	crash "$path"
done
report
