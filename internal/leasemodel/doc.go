// Package leasemodel explores every behaviour of the lease and epoch protocol
// within small bounds: what the design says, as a machine with two nodes and two
// terms, without sockets, clocks or threads. It is the second layer of the proof
// that of an exclusive child at most one life runs; the first is the argument in
// package cluster, the third are the simulation and jepsen-lite.
//
// # What is modelled
//
// One exclusive child. Two nodes, each with an agent, its keeper and the child's
// process. Two leaders: the second may be elected at any moment, and the first
// believes to lead for as long as it likes. The log: a command is proposed, then
// committed; a leader that is replaced meanwhile has its last command committed
// before its successor's barrier, or lost.
//
//   - An agent opens sessions with whoever believes to lead, and says what it
//     holds. It renews once it knows the session's orders, and only for an
//     exclusive life; begins what is ordered under the lease only; reports ends.
//   - A leader grants a renewal after a verification that began when it had
//     arrived, unless the node has not entered or is being condemned. It fences a
//     node W after the newest renewal it granted, and W after its own barrier.
//   - A keeper kills at the deadline it was last told, whatever the agent does, and
//     outlives it. A new deadline does not revive what was due to die.
//
// Renewals, grants, hellos, orders and reports are under way for any time, are lost,
// arrive again (not hellos: a session is a stream) and overtake each other. An agent
// is killed and begun anew, or stopped and goes on; a node loses power, or freezes
// whole. A resource outside remembers the latest epoch that wrote to it.
//
// Time is in ticks, and only what the protocol can tell apart: ages of renewals.
// A node's clock may be slow by [drift] and a leader's fast by as much, over the
// time of a lease; W accounts for both. Everything else may take any time, with one
// exception, which is the assumption that the promise rests on: a keeper that is not
// frozen has killed at the deadline, and what it killed is dead, before a further
// tick passes. A process may also end at any time by itself, so that killing early
// needs no step of its own.
//
// # What is shown
//
// Within each scope of the tests nothing breaks P1, P7, P12 or P13, but for the
// known limit: a node frozen for longer than its lease, keeper and all, wakes up
// with its life beside its successor. It lasts for less than the keeper needs to
// notice, and a resource that checks epochs refuses the older one. Where the
// machine's own clock stood still with it (a hypervisor that tells its guest
// nothing), it lasts until that clock reaches the deadline; the resource still
// refuses.
//
// Each [Rule] of the protocol is left out once, and each time the promise it serves
// breaks, with the shortest story that breaks it. "go test -v" prints them.
//
// # What is not modelled
//
// More than two nodes, two terms and three lives; membership, snapshots and restore
// (quarantine); raft itself, which is taken at its word; goodbyes and upgrades, after
// which nothing exclusive is left; groups, back-off and budgets. Loss of a node that
// holds no life of the child is left out: it changes only where lives may go. Ages
// beyond which a message can have no effect count as one, and a report of a life that
// is over is not delivered.
//
// States are told apart by 64 bits of a hash, and the mirror image of a state (the
// nodes exchanged) counts as the same.
package leasemodel
