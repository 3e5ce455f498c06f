// Package check judges runs. A checker is a pure function of what a run left
// behind (package history): one verdict for one promise, with the counts that it
// rests on.
//
// # Guarantees
//
//   - A checker that had nothing to look at says so and fails: a run without a
//     fault that left a trace, without an operation that succeeded, or without a
//     life, proves nothing (vacuity).
//   - Verdicts depend on the files of the run alone, so an old run can be judged
//     again, by a better checker too.
//   - A finding names the operation, life, fault or log entry that it is about.
//
// # Limits
//
// Lives are seen to 20 ms (package witness). An operation without a clear outcome
// is taken to have happened at any time after it was asked, or, where the whole
// log is at hand, not at all if it is not in it. Whether the log itself is right
// is for equality and linearizable to say: the one compares all disks, the other
// trusts none.
//
// # Tests
//
// Each checker has histories made by hand, good ones and bad ones.
package check
