// Package witness gives the ground truth of a run. A witness is a child of the
// cluster under test: the tester's own program, run again as `jepsen-lite
// witness`. It tells the tester over a unix socket, which no network fault can
// touch, that it was born, every 20 ms that it is here, and that it was asked to
// stop or is about to end. The [Collector] is the other end of the socket.
//
// # What a life is
//
// One process: from born to the last moment at which it said that it ran. Both
// are stamped by the child itself with the machine's monotonic clock, so a busy
// tester bends nothing. The kernel closes the socket when the process ends,
// however it ends; that is gone, stamped by the tester.
//
// # Limits
//
// A life is up to 20 ms longer at its end than the last beat tells, and begins
// some milliseconds before born, when the program was not at its first line yet.
// Overlaps shorter than that are not seen.
//
// # Scripts
//
// A witness crashes by itself at times drawn from its epoch, ignores SIGTERM,
// takes its time to stop, or counts in a register that the collector holds and
// that refuses epochs older than it has seen: the resource that P13 promises
// protection to.
package witness
