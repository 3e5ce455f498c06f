// Package dev runs a cluster of several nodes on one machine, each a process of
// its own on a loopback address of its own, to try selfware out: it applies a
// tree, prints what happens as it happens, and says what to kill next.
//
// # Guarantees
//
//   - Nothing stays behind: at the end nodes are asked to stop, killed if they
//     do not, and what they left is killed too; a data dir that dev made is
//     removed. If dev itself is killed, the kernel tells its nodes to stop. That
//     hangs on the thread that forked them, so one locked thread does.
//   - No event is printed twice or left out: all nodes are followed at once, by
//     the place of events in the log, so that the death of any node hides
//     nothing.
//
// # Faults
//
//   - Addresses are taken: the next free block is used (127.0.1.11 and so on),
//     unless the data dir has fixed them; then the error says who has them.
//   - A node does not start: the error has the end of its log, and all others
//     are stopped.
//   - A node ends later, since somebody tries what happens: it is started again
//     after a pause, or not, as asked.
//
// # Tests
//
// The choice of addresses and of what to kill are tested here; whole clusters
// in internal/e2e.
package dev
