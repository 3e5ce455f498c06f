// Package breaker is the seed's CircuitBreaker: it keeps callers away from what
// fails, and lets a few of them try whether it has recovered.
//
// # What it decides
//
// A Circuit is the pure state machine: Step takes an event and the time and gives
// the next Circuit. It has no clock, lock or chance, so replicated state may hold
// one (package fsm has one per node). A CircuitBreaker is a Circuit with a clock
// and a lock, for calls within one process.
//
//	Closed    every call may begin. FailureThreshold failures in a row open it.
//	Open      no call may begin, for ResetTimeout.
//	HalfOpen  HalfOpenMaxRequests calls may be in flight at once, as trials.
//	          SuccessThreshold good ones close it, a bad one opens it again.
//
// The defaults are the seed's: 5 failures, 3 successes, 30 s, 3 trials.
//
// # Guarantees
//
//   - A half-open circuit does not wedge. Each trial in flight is known, and gives
//     its place back when its call returns, panics, or calls runtime.Goexit, when its
//     context ends, or at the latest TrialTimeout after it began: then it counts as a
//     failure, whether its function ever returns or not.
//   - An outcome counts once, and only in the state in which its call began: what
//     began before the circuit opened says nothing about what is there now.
//   - What becomes of a circuit does not depend on how often it is looked at: a change
//     that time brings is dated to the moment at which it was due.
//   - A call that its own caller gave up is no failure (Abandoned).
//
// # Faults
//
//   - The function panics: counted as a failure, and the panic goes on.
//   - The function ignores its context: its place is freed all the same; its goroutine
//     is the caller's, and is as stuck as it would be without a breaker.
//   - Time stands still (cluster time without a leader): so does the circuit.
//   - Time goes back: nothing happens before it is again where it was.
//
// # Tests
//
// A property runs random events against a naive reference that keeps all of them
// and reckons from the beginning each time. Calls run in bubbles of testing/synctest,
// and many at once under the race detector.
package breaker
