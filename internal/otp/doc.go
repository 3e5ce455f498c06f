// Command otp compares the supervision core with OTP's own supervisor.erl.
//
//	make otp TRACES=1000000 SEED=7
//
// A trace is a small random tree (nested supervisors, every strategy and restart type)
// and a list of ends of its workers: crashes, normal ends and shutdowns, at times at and
// beside the boundary of a window, some followed by starts that fail. OTP runs it with
// real processes below real supervisors, whose clock alone is replaced when they are
// compiled, from the source that is installed; nothing of OTP is in this repository. The
// core runs it through Step, with a node that obeys at once. All starts, failed starts and
// stops of every step must be the same, in the same order. What differs on purpose is
// listed in docs/otp.md and masked exactly.
//
// A difference is cut down to a smallest trace and printed with both stories and as a
// script for supervisor/testdata. The last line is "N traces, D differences"; the exit
// status is 0 if there are none, 1 if there are, 2 if it could not compare.
//
// # Faults
//
//   - No Erlang, or another supervisor than it knows: status 2, with what is missing.
//   - Erlang ends or answers nonsense: status 2.
package main
