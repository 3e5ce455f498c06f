#!/usr/bin/env bash
# Stops processes of a docker-compose cluster for longer than a lease: agents, the
# leader's agent again and again, keepers, and whole containers. Checks meanwhile
# that no exclusive child runs twice; only after a whole container was frozen may
# two lives overlap, for less than 100 ms. Exits with 1 if anything is not as
# promised, with 2 if it could not be tested.
#
#   scripts/chaos-pause.sh [--seconds N] [--seed S]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/jepsen.sh
. scripts/lib/jepsen.sh

setup "$@"
judge pause-agent,pause-leader,pause-strobe,pause-keeper,freeze-node "$seed" "$out"
