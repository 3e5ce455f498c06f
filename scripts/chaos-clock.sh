#!/usr/bin/env bash
# Sets the clocks of the nodes of a docker-compose cluster wrong: the time of day by
# up to a day, to and fro ten times a second, and the rates of all clocks as far
# apart as leases allow for. The clock of this machine stays as it is: the nodes run
# a build of selfware-node whose clocks look into a page of memory (see
# jepsen-lite/clock). No window may be exceeded, nothing may move. Exits with 1 if
# anything is not as promised, with 2 if it could not be tested.
#
#   scripts/chaos-clock.sh [--seconds N] [--seed S]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/jepsen.sh
. scripts/lib/jepsen.sh

workload=storm
setup "$@"
judge clock-wall,clock-strobe,clock-drift "$seed" "$out"
