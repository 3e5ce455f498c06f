#!/usr/bin/env bash
# Fills the disks of a docker-compose cluster to the last block, one at a time, and
# has writes fail as on a full disk. Each container's disk is a small one of its
# own. A node whose disk is full must stop rather than limp, nothing acknowledged
# may be lost, and it must come back when there is space again. Exits with 1 if
# anything is not as promised, with 2 if it could not be tested.
#
#   scripts/chaos-disk-full.sh [--seconds N] [--seed S]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/jepsen.sh
. scripts/lib/jepsen.sh

workload="set"
setup "$@"
judge disk-full,disk-no-space "$seed" "$out"
