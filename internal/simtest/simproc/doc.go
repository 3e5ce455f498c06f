// Package simproc is a simulated process table for tests in synctest bubbles:
// what package runner is on a real machine, without a machine.
//
// A World knows every life of every node. Each node has a Table, which
// implements agent.Processes; scripts say by path how a child behaves. The
// World's log of lives is what a test's oracles judge by: it records what ran,
// whatever agents and leaders believe.
//
// A Table is the keeper: it survives the agent (Detach, Attach), kills exclusive lives
// at the deadline of Hold by the machine's own clock, however the agent is, and ends
// everything when it dies itself (KillAll). Freeze stops the whole machine. Doubles
// judges all lives of exclusive children (P13).
//
// Guarantees: the same as the runner's. Calls return at once, events of one
// life come in order, the last one is Exited or Failed, nothing is dropped
// while the node is up. KillAll is the death of the node: all lives end and
// none of it is told. All waiting is done by timers of package time, so a
// bubble's clock drives it; there are no goroutines of its own.
//
// Limits: a reader that leaves 65,536 events unread is a fault of the test's
// subject, and panics.
package simproc
