// Package table is the process table of a node that is embedded in a program: it runs
// functions of the program, each in a goroutine, where package runner has processes.
// Agent and cluster notice no difference.
//
// # Guarantees
//
//   - Of a child at most one call runs here: the next life waits for the return of the
//     one before. Nothing ends a goroutine from outside, so the end of a life is told
//     when its function has returned, and not before, however long that takes.
//   - Each accepted Start ends with exactly one Exited or Failed, in order after Spawned
//     and Up. A panic and runtime.Goexit are crashes (Failed); the node's log has the
//     stack, the event the place.
//   - An exclusive life has its context cancelled when the agent's lease is about to
//     end. If its function has not returned at the moment that Hold named last, Fatal is
//     called, which must end the process: nothing less ends the function. No exclusive life
//     begins before the first Hold or after that moment. This goes on after Run has ended.
//   - A life waits for its function to be registered, for 10 s: a program that comes
//     back may be given its children before it has registered everything.
//
// # Faults
//
//   - A function ignores its context beyond its grace: reported as stuck in the log,
//     every ten seconds; its child stays in stopping until it returns.
//   - The whole program stands still (a debugger, SIGSTOP, a frozen machine): its
//     functions do too. If it goes on after its lease has ended, Fatal comes as soon as
//     the Go runtime runs a timer; a function may do something before that. This is the
//     case of the frozen machine in package fence, and as with that one, only a resource
//     that compares tokens is safe from it.
//   - The program is killed, or ends by os.Exit: its functions are gone, as with a node
//     whose keeper was killed.
//   - A program that starves its own timers (GOMAXPROCS busy with code that cannot be
//     preempted, swapping) for longer than cluster.Times.Kill breaks what exclusive
//     promises: unlike a keeper, the watch lives in the same process.
package table
