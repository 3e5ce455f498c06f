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
// gone: the node has a short grace to come back, and is lost only if a knock after
// that finds it gone still. Silence counts only if gossip holds the node for dead
// as well, and for at least Times.Silence, so that neither pauses of 2 s nor losses
// make a false death. A node without any session for Times.Unreachable can get no
// orders and is lost too. A living session outweighs gossip.
//
// # Leases: why an exclusive child has one life at a time (P13)
//
// Times F (Fence), K (Kill), W are those of the profile; rho is drift. An agent
// sends a renewal at t0, by its own clock. The leader receives it at r, then
// verifies that it leads, then echoes t0. The agent names t0+F to its process
// table, which kills the node's exclusive lives at that moment of its own clock,
// whether the agent lives or not.
//
// Assumed: (A1) the clocks of two machines differ in rate by at most rho, in any
// window of W; (A2) the process table gets to run, and its kill takes effect, within
// K of the deadline it was told; (A3) a majority of the voters keeps what it has
// voted on disk; (A4) a data dir is in use on one machine at a time. Nothing is assumed of delays, losses, repetitions and the order of
// messages, of the agents' scheduling, or of what gossip believes.
//
// Claim: while a process of life e of an exclusive child runs, no life after e of
// that child begins. A life begins by an order only, and the order exists only after
// the log has said that e is over. The log says so for one of four reasons:
//
//  1. Its agent reported its end. The process table had reaped it and its group.
//  2. Its agent, in a new start, said what it holds (NodeUp), and e was not among
//     it. A new agent gets that list from the process table that holds the
//     children; a new process table first kills what the one before left.
//  3. Its agent said goodbye, and that it holds nothing.
//  4. NodeFenced: the leader found the lease over.
//
// Only 4 rests on time. Let the leader L of term T propose it at time p, and let t0
// be the moment of the newest renewal of the node that anybody ever answered.
//
// If L answered it, L received it at r >= t0 and proposed no earlier than r+W. From
// the proposal until the log has decided, L answers nobody of that node (condemn),
// and afterwards only its next session, whose orders do not name e.
//
// If another leader answered it, in term T' < T: it had verified after its r' >= t0
// that a majority of its voters answered, in T', requests sent after r' (confirm).
// One of them voted for L, or for a leader between them whose entries L has, and it
// did so after that answer, since a voter in term T answers no request of T'. So
// t0 <= r' < the barrier of L, and L waited W from its barrier. (Two configurations
// in succession share a voter of any two majorities, since raft changes one server
// at a time.) A leader of a term above T cannot have answered before L lost its own,
// and then the entry of L, if it is in the log at all, was proposed before.
//
// In either case p >= t0 + W - as time goes for L - with W = (F+K)(1+rho)+Slack. By
// the node's clock at least F+K have passed since t0 (A1), so its process table has
// killed e at t0+F, and e was dead by t0+F+K (A2). What follows e begins after p.
//
// A restored snapshot or a forced recovery takes decisions back, so the lives of
// the discarded time cannot be told by the log. Both set a quarantine: for W no node
// is granted anything, and all exclusive lives end.
//
// Beyond the assumptions: a whole machine that is frozen (agent, process table and
// child together) for longer than its lease breaks A2. Until the table's timer
// fires on thaw, at once in practice, the old life may run beside the new one. So it
// may, for as long as that lasts, if agent and table are stopped and the child is
// not. No supervisor can prevent either; a resource that checks epochs can (package
// fence). A2 is of what the process table can reach: a helper that left its child's
// process group escapes where there is no cgroup v2 tree to be written to, and one
// that outlives a process table which was itself killed has nobody to watch its
// deadline until the next one begins (package keeper). Package internal/leasemodel
// explores the protocol exhaustively in a small scope, internal/simtest under random
// faults, jepsen-lite on real processes.
//
// # When many are lost at once
//
// More than a third of the nodes, and at least two, lost within 60 s: moves of their
// children are paced (brake), 50 at once and 50 a second, twice as many every 10 s:
// 550 children have a node after 10 s, 3,550 after 30 s, 31,550 after 60 s, which is
// also when the brake lets go, counted from the last loss. New trees and children of
// other nodes do not wait. Status, why and every decision say that moves are paced.
// The leader counts in memory; a new one begins anew, with 50 at once.
//
// A node without a leader restarts children alone (Times.Alone; supervisor's package
// doc). NodeLost says with Apart that the node's agent may run on: always, but when it
// said goodbye or its port refuses, which is the kernel's word that no process is
// left. When a node that was lost says Obeyed, TypeReturned ends what budgets hold
// back for it.
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
//   - Quorum lost: nothing is decided, and nothing is stopped but exclusive
//     children, whose leases run out.
//   - Node cut off by its session alone: its exclusive children end there and
//     begin elsewhere once its lease is over; its others stay until it is lost.
//   - Disk failing, full or hanging: package raftstore ends the process.
//   - An entry or snapshot this build cannot apply, a replica that differs from
//     the majority's: Config.Fatal.
//   - Leadership lost with an entry under way: ErrUncertain; ask again with the
//     same request id.
//   - Overload: ErrBusy beyond 4,096 waiting requests.
//
// # Who a node is
//
// A node is its data dir: a random id, made and synced before its first use, beside
// the log that belongs to it. A wiped disk is a new node. A disk that went back in
// time (a restored backup, a machine's snapshot, a copy) is worse: it has forgotten
// votes and entries that others count on. Every handshake of the cluster port names
// the number of the process's start on its data dir, raft's term and the end of its
// log; each node remembers the highest it has seen of every other, and what it hears
// as leader of how far they are (starts), and lets nothing of raft's pass from or to
// one that knows less. The replicated state keeps the numbers of the starts for good.
//
// The limits. A disk put back behind a start is found by every node whose state names
// that start - one that restarts itself names it once it has applied the log again, and
// what it has accepted by then stays -
// until it has been started so often that its number is beyond the last one. One put
// back within its last start is found by those that have seen more of its log or term
// in this life of theirs: by the leader it last had a session with, up to its last
// word, and by others up to its last handshake with them. It is not found if all who
// know have restarted since, nor if the machine is put back as a whole, memory and
// all, and goes on in the same start.
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
