// Package bench measures a cluster of three real node processes on loopback
// addresses, and beside each figure a floor: what the same primitives (fork and
// exec, hashicorp/raft on bolt, memberlist) cost without our code, on the same
// machine, in the same run, taken in turns with ours. Absolute times of a shared
// machine say little; the ratio to the floor does.
//
// # What it starts
//
//   - ours: three processes `selfware-node run`, each with a data dir of its own
//     in a temporary folder, on 127.0.91.1 to .3 with the default ports (or the next free block).
//   - the bare cluster: three processes with nothing but raft and memberlist, at
//     the same times, on the block after that.
//   - the bare supervisor: a process that forks, waits with wait4(-1) and forks
//     again, with or without one durable write to the bare cluster before it.
//
// Ours and the bare supervisor run the same child: a program of some 350 bytes that
// reads CLOCK_MONOTONIC as its very first act and sends it to the benchmark as
// a datagram. So a figure covers supervision and exec, and no runtime's start.
//
// # Guarantees
//
// Every row ends within a bound of time, or with an error that says what did not
// happen. Whatever way Run ends, a signal included, every process that it
// started is dead and its temporary folder is gone. If the benchmark itself is
// killed with SIGKILL, its processes die with it (parent-death signal); only the
// temporary folder stays.
//
// # Statistics
//
// The median is the middle sample, p99 the smallest sample that 99 of 100 do not
// exceed: of less than 100 samples it is the largest. Goals on a ratio are
// judged by medians, goals on a time limit by the worst or p99, as each says.
//
// # Tests
//
// Statistics, goals, tables, choice of rows and the text around the table are
// tested as tables of cases; the child, the births and the bare supervisor with
// real processes; that nothing is left behind, by ending a run half-way. The
// rows themselves are their own test: they fail if a child does not come back.
package bench
