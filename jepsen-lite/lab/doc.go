// Package lab is the laboratory that jepsen-lite works in: a cluster of real
// processes of the release binary, and every fault that can be done to it. It
// knows nothing of workloads and judges nothing.
//
// A back-end is one way to have such a cluster: network namespaces joined by a
// switch of ours (netns), plain processes on loopback addresses (loopback), and
// the project's docker-compose file (compose). They differ in what they can do,
// which [Lab.Can] says; a nemesis that needs more is not run there.
//
// # Guarantees
//
//   - What reaches a node's API through [Node.HTTP] passes no network fault: the
//     tester enters the node's own network and asks it at home. An answer that
//     does not come is the node's doing.
//   - The folder of [Lab.Witness] is on the tester's file system and on every
//     node's. A unix socket in it is touched by no network fault.
//   - Processes are found in /proc by parentage, from the process that the lab
//     itself started; a pid is never trusted without its start time.
//   - Close ends all that the lab started and removes all that it made, whatever
//     faults are still in force. It may be called at any time, and twice.
//   - A fault that could not be done is an error, never a shrug.
package lab
