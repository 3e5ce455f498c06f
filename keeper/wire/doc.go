// Package wire is what a keeper and its agent say to each other: messages with
// file descriptors over a socket pair.
//
// # Guarantees
//
//   - Send never waits for the peer: what the socket does not take at once is
//     queued, and sent in order. At most MaxQueue bytes wait; beyond that the
//     connection is given up.
//   - A message arrives whole, with its descriptors, or not at all. Nothing in it
//     is larger than its limit below; a peer that sends more is cut off.
//   - Bytes are bytes: arguments and environments need not be text.
//
// Both ends are always the same binary (a keeper starts agents from its own
// image), so there is one version of this protocol. What outlives a binary, the
// state of a keeper during an upgrade, is not said here.
//
// # Faults
//
//   - The peer dies: Recv returns an error, Send drops what it is given.
//   - The peer stands still: Send queues.
//   - Out of descriptors: a message arrives with fewer than it was sent with, and
//     Short says so.
//
// # Tests
//
// Round trips of every field, with descriptors, in any sizes of reads; a peer
// that stands still; broken and oversized frames.
package wire
