// Package gossip knows which nodes are there. It wraps hashicorp/memberlist behind Members() and Changed().
//
// # What it decides
//
// For each node id: the boot that counts (the newest), where it can be reached, and whether it is alive, suspect,
// dead or has left. Nothing more: a dead member is a hint. Only the raft leader turns it into NodeLost.
//
// Suspect is not memberlist's inner suspicion (which it shows to nobody). A member is suspect from the moment that
// memberlist gives it up until Timings.Confirm has passed; only then is it dead. A node that merely stopped for two
// seconds is declared dead by memberlist now and then and refutes within three gossip rounds: with Confirm it is
// suspect for that moment and never dead.
//
// # Names
//
// Each process start gossips under its own name, NodeID.BootID. So a restart is always seen (the same name back
// within a second raises no event, although everything the process held is gone), a new address is taken at once
// (the same name at a new address waits until the old one is dead), and accusations against the old boot cannot hit
// the new one. memberlist's DeadNodeReclaimTime is therefore not needed. The newest boot is the one with the
// greatest BootSeq, which the caller persists and only ever raises.
//
// # Guarantees
//
//   - Every packet and stream is encrypted and authenticated with the mandatory key, and bound to the cluster id.
//   - A crashed node is dead in every live node's view within Timings.Detect (three nodes; see there).
//   - Views that a partition split are one again within two rejoin rounds (about 20 s) of the heal.
//   - Members is a copy; Changed is a level: "look again", never "what happened".
//   - Bounded: meta 512 bytes, 256 members that are not alive (the oldest forgotten first), 16 joins per round.
//
// # Faults and outcomes
//
//   - Process killed, machine gone: suspect, then dead. Restarted: alive as the new boot, the old boot forgotten.
//   - Process stopped for up to 2 s (profile lan): at most suspect.
//   - 10 % packet loss: nothing; probes fall back to other nodes and to TCP.
//   - Partition: each side sees the other dead. memberlist alone never heals one that lasted over 30 s; the rejoin
//     loop in Run contacts dead members and seeds every 10 s, seeds asked and resolved anew each time.
//   - All nodes restarted, with other addresses even: found again by the seeds' names.
//   - Wrong key, other cluster, incompatible version: the join fails with ErrWrongKey, ErrWrongCluster or
//     ErrIncompatible; nobody's view changes. Packets of such nodes are dropped and logged, the log is limited.
//   - Data dir copied, two processes with one node id: the newest boot counts, Member.Conflict is set and an error
//     logged once both have been alive for Timings.Conflict.
//   - Graceful Leave: left. The notice travels in the meta data because memberlist tells its delegates nothing of
//     the kind; whoever misses it sees the node dead, which is the safe mistake.
//   - Callbacks after Shutdown (memberlist does not wait for its goroutines): ignored.
//
// # Tests
//
// In testing/synctest bubbles over internal/simtest/simnet: convergence, detection bounds over seeds, partition,
// restarts, mass restart, pause, loss, refusals. Over real loopback sockets: taken ports, and the same refusals.
package gossip
