// Package cluster is a node's part in the cluster: its replica of the state by
// raft, and, while it leads, the leader's work.
//
// The log is where every decision is made. The leader alone admits facts, stamps
// them with cluster time, condemns nodes and chooses nodes (next, assign); what
// follows for a child is computed while the entry is applied. Nodes get orders,
// levels and not edges, over one session each. So a crash, a lost message or a
// new leader changes only latency: everything is computed again from state.
//
// # The leader
//
// lead is the role: it begins behind a barrier, owns its goroutines, and waits
// for them. One loop owns all of a leader's state. What reaches it while an
// entry commits goes into the next entry: one commit of latency for a single
// crash, hundreds of events an entry in a storm.
//
// # How a node is lost
//
// judge decides on four signs. A refused connection, or a session that the other
// end closed and a knock that nobody answers, says that the agent process is
// gone: the node has a short grace to come back. Silence counts only if gossip
// holds the node for dead as well, and for at least Times.Silence, so that
// neither pauses of 2 s nor losses make a false death. A node without any session
// for Times.Unreachable can get no orders and is lost too. A living session
// outweighs gossip.
//
// # Guarantees
//
//   - A command acknowledged by Submit is applied on a majority's disks (P2).
//   - A read after Verify sees every command acknowledged before it (P6).
//   - A leader acts through the log only, and only in the term it has caught up
//     with; a minority acts on nothing (P12).
//   - A request id is carried out at most once, whatever was retried (P7).
//   - Replicas compare the hashes of their states every 2,048 entries, or a minute
//     after a change (P9). Only what a majority of all voters holds is held against
//     a replica, and the leader counts before it proposes: a replica that differs
//     halts alone, be it the leader's. Replicas of builds that encode the state
//     differently are not compared. If no hash has a majority, nobody halts, and the
//     leader's log says so at level error.
//
// # Faults
//
//   - Leader lost: its sessions end, nodes dial the next one, which gives each
//     all its orders anew. It counts the old leader's silence from when it was
//     last heard, and knocks at nodes it has no session with.
//   - Quorum lost: nothing is decided and nothing is stopped.
//   - Disk failing, full or hanging: package raftstore ends the process.
//   - An entry or snapshot this build cannot apply, a replica that differs from
//     the majority's: Config.Fatal.
//   - Leadership lost with an entry under way: ErrUncertain; ask again with the
//     same request id.
//   - Overload: ErrBusy beyond 4,096 waiting requests.
//
// # Raft
//
// Rules and their reasons are in raftnet (raft#695, #612), raftstore (#503, #614,
// #661, #163) and here: NotifyCh is buffered and always read (nomad#6977);
// nothing is served before the barrier (nomad#5906); leadership is transferred on
// the way out, or when an operator asks, and then a transfer that hangs ends the
// node (raft#696); snapshots are rare because the tail of the log is long
// (raft#697); voters are 1, 3 or 5, replaced before they are removed, but for
// those that can never come back, which go first (advise); addresses may change,
// ids may not.
package cluster
