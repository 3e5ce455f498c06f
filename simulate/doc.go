// Package simulate says what a tree would do, before it runs anywhere: by running
// the real core on virtual time, with no raft, no network and no processes.
//
// # What it answers
//
//   - [Explain]: what becomes of a child that crashes at once, each time it starts: when
//     it restarts, when it moves, who gives up and what follows, up to the root.
//   - [Run]: who restarts when, who moves where and who gives up while a plan of faults
//     is carried out on so many nodes, and for how long each child did not run. [Draw]
//     draws such a plan.
//
// # What is real
//
// supervisor.Tree.Step decides, and for Run the whole replicated state: fsm.Machine
// applies encoded entries, one after the other, and what the leader proposes of its own
// accord (who is lost, who is fenced, where lives go, at what pace) is the word of
// cluster.Decider, as in a cluster. What a node without a leader may restart
// alone says supervisor.LocalBudget. The package plays the world around them: power,
// connections, sessions, elections, leases and processes. How long those take comes
// from cluster.TimesOf and cluster.DelaysOf: the worst that the profile is meant for,
// or what is typical of a quiet network.
//
// # What is not played
//
//   - A program needs no time to stop, and to start as much as its min_uptime; a probe
//     passes at once. What a program needs comes on top of every gap.
//   - The voters stay who they are: the first 1, 3 or 5 nodes. In a cluster a voter that
//     is lost is replaced.
//   - What the tree comes after (after) is taken to be up all the time.
//   - Of processors and memory every node has enough.
//   - [Explain] takes back-offs as the policy has them; Run shortens each by up to a
//     tenth, as a cluster does.
//   - An entry under way when its leader ends is lost; in a cluster it may be kept.
//
// # Guarantees
//
// The same Config gives the same Report, byte for byte. A child's gaps add up to the
// time, after its first start, in which no process of it ran.
//
// # Faults and their outcome
//
// A path that the tree does not have, more children than a schedule each makes sense
// for, a plan that goes on after the end: an error that says what to give instead. A
// child that never gives up: told as such, once the windows of it and of all above it
// repeat themselves.
//
// # Tests
//
// Golden files of what is printed (package show). Properties of random trees and plans:
// every schedule spends exactly the budgets that the file gives, and ends; gaps and
// lives fill a child's time; no exclusive child runs twice; a plan that was written and
// read gives the same report. With the worst delays each gap is held against the bound
// that cluster.GapsOf proves.
package simulate
