// Package simtest runs whole clusters in testing/synctest bubbles: real raft,
// real memberlist, the real leader, agents and core, on a simulated network,
// simulated disks and simulated processes. It holds tests only.
//
// # What it decides
//
// Whether the promises of the cluster hold under faults. Named scenarios show
// one fault each, with a time limit in simulated time. TestSim draws a Plan per
// seed (size, profile, trees, faults, requests of a user) and runs it in two
// phases: safety, while the faults last, and liveness, after all is healed.
//
// # What is checked
//
//   - Equal index, equal state hash, on all replicas, at every eighth index (P9).
//   - No epoch is begun twice (P1), and no node runs two lives of one child.
//   - No window is exceeded or forgotten; an escalation only over budget (P3, P10).
//   - What was acknowledged to the user is in the state (P2); what was stopped
//     stays stopped (P11).
//   - After the heal, within a minute: every permanent child of a tree that is
//     neither failed nor stopped runs, exactly once in the whole cluster, where
//     the state says; nothing runs that no order names (P5).
//   - With nothing but short pauses, losses and latency, no node is lost (P16).
//   - No goroutine is left: a bubble ends only when all of its own have.
//
// # Replay
//
// SELFWARE_SEEDS=N runs seeds 1 to N (200 by default, 20 with -short).
// SELFWARE_SEED=S runs one, prints its plan and its trace, and with -v the log of
// every node. SELFWARE_VERBOSE=1 does so for the scenarios. The plan is the same
// each time. What happens at the same instant is ordered anew in each run, so a
// failure may need several runs to show again.
//
// # What it cannot show
//
// Kernels, real disks and real processes: the end-to-end tests do. A paused
// machine goes on to compute here; only its network stands still.
package simtest
