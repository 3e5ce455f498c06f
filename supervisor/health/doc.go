// Package health says how a part of a system is: HealthStatus, the checks that find it
// out, and HealthMonitor, which asks a check again and again and tells what has changed.
// The names and the JSON are those of the Rust supervisor that selfware grew from. It
// imports the standard library alone, so that any Go program can use it.
//
// # What it decides
//
// One answer of a check is an opinion; a verdict needs as many of them in a row as the
// thresholds say: FailureThreshold to be Unhealthy, SuccessThreshold to be well again.
// Degraded is no failure, and is told at once. What follows from a verdict is the
// caller's affair; the words are meant so:
//
//   - Degraded: it works, less well. Nothing is done.
//   - Unhealthy, Warning: it is recorded.
//   - Unhealthy, Critical: it counts as a crash, and is restarted as the policy says.
//   - Unhealthy, Fatal: a restart would not help, so it is escalated at once.
//
// # Checks
//
// HTTP, TCP, GRPC (grpc.health.v1) and Exec ask something outside; Heartbeat is told;
// Memory, Disk and Clock look at the machine. Func makes a check of a function, and any type
// with the two methods of HealthCheck is one.
//
// # Guarantees
//
//   - Of one monitor at most one attempt is under way. Monitors that share Slots have
//     together at most as many as there are, and waiting for a slot is not counted against
//     the check: an overloaded watcher finds nobody ill.
//   - No goroutine outlives Run, and none runs between two attempts but Run's own.
//   - The first attempt begins one Interval after Run. A failure is known at the latest
//     (Interval + Timeout) × FailureThreshold after it began, and a wait for slots.
//
// # Faults and their outcome
//
//   - A check that does not answer within Timeout has failed, also one that ignores its
//     context. While it goes on it is not asked a second time, fails at each Interval,
//     and keeps Run from returning.
//   - A check that panics has failed, with the panic's words.
//   - A reply that never ends: HTTP reads no body, GRPC reads 4 KiB, Exec keeps 256 bytes.
//
// # How it is tested
//
// Monitor, thresholds and heartbeats run in testing/synctest bubbles, so no test sleeps.
// TCP, HTTP and GRPC ask real servers on the loopback, Exec runs real programs.
package health
