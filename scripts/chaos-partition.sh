#!/usr/bin/env bash
# Cuts the network of a docker-compose cluster in one way after another: the leader
# alone, a node alone, a bridge, one way only, the gossip port only, the cluster
# port only, and to and fro. Checks meanwhile that no exclusive child runs twice,
# that the cut off answer nothing, and that nothing acknowledged is lost. Exits
# with 1 if anything is not as promised, with 2 if it could not be tested.
#
#   scripts/chaos-partition.sh [--seconds N] [--seed S]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/jepsen.sh
. scripts/lib/jepsen.sh

setup "$@"
judge partition-leader,partition-one,partition-bridge,partition-one-way,partition-gossip,partition-raft,partition-flapping "$seed" "$out"
