// Package simtest runs whole clusters in testing/synctest bubbles: real raft,
// real memberlist, the real leader, agents and core, on a simulated network,
// simulated disks, clocks and keepers. It holds tests only.
//
// # What it decides
//
// Whether the promises of the cluster hold under faults. Named scenarios show
// one fault each, with a time limit in simulated time. TestSim draws a Plan per
// seed (1 to 7 nodes, profile, trees with exclusive children, faults, requests of a
// user) and runs it in two phases: safety, while the faults last, and liveness, after
// all is healed. TestDays does so with quiet hours between the faults.
//
// # Faults
//
//   - Network (simnet): latency, loss, packets twice and late, session messages said
//     again at once or later; cuts of one link, one way, halves, majority, alone, ring,
//     bridge, flapping; cuts of raft, sessions or gossip only; resets, half-open streams.
//   - Disk (raftstore.Mem): writes that a crash interrupts are lost, or torn; it stalls,
//     fails, is full, slow, or wiped (the machine comes back as a new node); or an older
//     image of it is put back. A node that is refused for that gets an empty disk from an
//     operator who reads its log. Wiped and put back are disks of a minority: the cluster
//     is whole before, and a majority of the voters knows of what an image lacks.
//   - Clock: each machine's own, up to 5 % apart in rate, reset by a power cut.
//   - Processes (simproc): the agent alone dies or stands still, and its keeper and
//     children go on; the keeper dies, and all with it; the machine stops, loses its
//     power, or freezes as a whole; a node is paused between its election and its first
//     entry (raft#695).
//
// # What is checked
//
//   - Logs that have an entry of one index and term have the same there, on every
//     write; each replica's entries, and what they brought about, as each is applied;
//     the hash of the whole state at every eighth index, and at rest (P9).
//   - One node at most leads in a term. Epochs only grow, and none is begun twice (P1).
//     An acknowledged command is on the disks of a majority at that moment (P2, P12),
//     and in the state at the end.
//   - No window is exceeded or forgotten; an escalation only over budget (P3, P10).
//   - No child of a group begins before its elder sibling is up, nor before all that
//     were ended with it have ended; none is asked to stop before its younger siblings
//     have ended (P4).
//   - A verified read sees what was acknowledged, or read, before it (P6).
//   - No decision on the end of a life that runs, and one on each end (P7). An end that
//     the keeper kept while there was no agent is told by the next one: its life is
//     never taken for one that nobody knows of; in the end no keeper keeps any. What was
//     stopped stays so (P11). Below what is paused nothing begins, moves or gives up, and
//     after the resume all of it runs.
//   - No node is refused as older than it was whose disk never went back.
//   - Of an exclusive child one life runs at a time, anywhere; only after a freeze of a
//     whole machine two, for less than 100 ms (P13).
//   - After the heal, within a minute (wan: 150 s): every permanent child of a tree that
//     is neither failed nor stopped runs, exactly once in the whole cluster, where
//     the state says; nothing runs that no order names (P5).
//   - With nothing but short pauses, losses and latency, no node is lost (P16).
//   - No goroutine is left: a bubble ends only when all of its own have.
//   - Every kind of fault did something, in the dense plans and in those of days (an
//     entry is written on a bad disk, a cut holds a packet up, a request is done), and
//     every checker had something to check.
//
// # Replay
//
// SELFWARE_SEEDS=N runs seeds 1 to N, SELFWARE_SEED=S one, with its plan, its trace and,
// with -v, the log of every node. A plan that fails is made smaller in processes of its
// own, and printed as what SELFWARE_PLAN=FILE runs again; one worth keeping goes into
// corpus/, which is always run. SELFWARE_VERBOSE=1 shows the trace of scenarios.
// SELFWARE_HOURS=N draws fresh seeds for hours (make soak). The plan of a seed is the
// same each time; what happens at one instant is ordered anew in each run, unless
// Command overlay (make replay) runs it.
//
// # What it cannot show
//
// Kernels, real disks and real processes: jepsen-lite and the end-to-end tests do. A
// paused agent goes on to compute here; its network, sessions and calls to its keeper
// stand still (docs/simulation.md says why).
package simtest
