// Package raftnet is raft's way over the network: a transport that avoids
// four faults of hashicorp/raft v1.8.0, a stream layer on any authenticated
// listener (cluster/mux), and a bridge from raft's logger to log/slog.
//
// # What the transport does differently
//
// Heartbeats go through raft's main loop (raft#695). Upstream handles them on
// the transport's goroutine, where they change the term and the state while
// the main loop runs. A leader that was paused can then write its own entry
// under the term of its successor, and two replicas commit different data at
// one index. Transport.SetHeartbeatHandler does nothing, so there is no second
// goroutine. The price: a follower's slow fsync delays its heartbeat answer;
// keep HeartbeatTimeout well above the slowest usual fsync.
//
// One request at a time and peer, no pipeline (raft#612): a follower whose
// disk stalled can otherwise stay cut off until the leader restarts.
//
// A request for node X is only ever answered by node X. Upstream dials an
// address and trusts what is there. Addresses move (containers, DHCP): the
// answer of one node could count as that of two, as an acknowledgement or as a
// vote, and a majority would be none. So the id travels with the address to
// Layer, whose Dial function must refuse another node (mux.Dialer.DialNode
// does). For the same reason a vote is remembered for "id@address" and not for
// the address alone, which is all that upstream writes down.
//
// The transport remembers when a request was sent that a server has answered
// (FollowedSince). raft's VerifyLeader is content with any answer that arrives
// after the call. A leader that was paused finds answers from before the pause in
// its socket buffers, and would confirm by them that it still leads, while others
// have long followed its successor. Our verification (cluster.Node.Verify, reads
// and leases rest on it) takes answers to requests sent after it began only.
//
// # Guarantees
//
//   - While raft's main loop is busy, no RPC changes raft's state.
//   - After Close every connection of the layer, either direction, is closed
//     and every goroutine of the transport ends.
//
// # Faults and outcomes
//
//   - No address known for a server: the one in raft's configuration is tried.
//   - Another node at the address: the dial fails, raft tries again later.
//   - Peer dead or silent: the RPC fails after Timeout.
//
// # Tests
//
// The cause of raft#695 and its end (two different entries with one index and
// one term) are shown deterministically in a bubble without the wrapper, and
// absent with it. A test of real processes pauses leaders with SIGSTOP.
package raftnet
