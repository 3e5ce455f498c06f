// Command explore visits every state that a small tree and its nodes can come to, and
// holds each against the promises of the supervision core.
//
//	go run ./internal/explore            the scopes of "make test", about a minute
//	go run ./internal/explore -deep      larger ones: more of everything that may happen
//	go run ./internal/explore -list      the scopes
//	go run ./internal/explore NAME       those whose name contains NAME
//
// The last line is "N states, T transitions, D violations". It exits 0 if there is
// none, 1 if there is one, 2 if it could not explore.
//
// # The world
//
// A world is a tree and what it speaks to: one node or two, with processes on them. Nodes
// obey their orders as agents do: they begin a life once, wait for the one before to be
// gone, stop what an order halts or no order names, and report. A process may end at any
// time, for any reason. Every step of a node, of the leader (placing, condemning, fencing)
// and of an operator is a deed (deeds*.go), and nothing else moves the world, so what is
// judged is what runs and not only what the tree says of it.
//
// A report waits at its node until it is delivered, in any order; the node may be cut off,
// die, or begin its agent anew meanwhile, and then it is lost, and the agent's inventory
// speaks (NodeLost with Restarted and Keep). That every report and placement is stale when
// it comes twice, or late, is tried in each state rather than explored: it must change
// nothing (repeats).
//
// # A scope
//
// A scope is a tree, one that it may be edited to, and how many ends of processes, losses
// of nodes and verbs of an operator there may be in all. Everything else may happen
// without limit, in any order. States are told apart by a hash of all that can matter
// later (key.go): epochs by their order, times by their distance to now, the two nodes
// up to exchanging them. So each scope has finitely many, and is closed when all of them
// have been visited; a limit on their number leaves it bounded, which the figures say.
// The search is breadth-first: the story of a violation is as short as can be, and is
// printed as a script for supervisor/testdata.
//
// # What is judged
//
// After each step (judge*.go): epochs grow, one decision on a child per stamp (P1);
// windows hold what a naive list of all charges holds, and no charge is beyond the
// budget (P3), a failure escalates exactly when its budget is spent (P10), a group is
// what its strategy says, and its stops and starts have their order, by the tree and by
// the processes (P4); repeats and late reports change nothing (P7); what was stopped
// stays (P11); no exclusive child has two processes (P13). And from each state, once
// nothing more goes wrong, all children come to run (heal.go).
//
// # A new input of the core
//
// Add a deed: when it may be done, what it does to the world, and its line in a script.
// A new field of the tree's state needs nothing: key.go takes what it does not know for
// part of the state. A new rule belongs into expect.go (what follows from a failure) or
// judge.go.
package main
