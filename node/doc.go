// Package node is one node put together: the data dir, gossip, the cluster, the
// processes, the agent and the API, in the order in which they depend on each
// other. It decides nothing itself. It is what the process called agent runs, whose
// keeper (package keeper) forks for it and starts it again.
//
// Start is such a node within another program, which gives it functions as children. It
// has no keeper, and so no processes: whatever is said of these is said of functions by
// package function/table.
//
// # The data dir
//
//	node.json   settings: id, name, addresses, labels; written once
//	token       cluster id and key, mode 0600
//	boot        how often the node has started, and where it was last
//	raft/       log, vote, snapshots, and the id of the node they belong to
//	logs/       of the children (package runner)
//	run/        of the keeper: its lock, its record of lives, keeper.pid, agent.pid
//	keeper.sock where the keeper takes requests to upgrade
//	api.sock    the API on a unix socket
//	poison      if it is there: the state differed from the majority's (P9)
//
// Init and Join prepare it and are idempotent: a prepared dir is taken as it is,
// conflicting settings are refused. A dir of another version, of another node,
// or with its raft log missing is refused: a wiped disk is a new node. So is a
// poisoned one: its machine joins again with an empty dir.
//
// # How it is
//
// The node asks checks of itself (package supervisor/health: memory, the disk of the data dir,
// the clock) every 5 s, and tells the leader the worst answer once it has been given twice.
// What follows is the leader's affair (package placement; package fsm, "Circuits of nodes").
//
// # Faults
//
//   - A port is taken, the disk is full, the dir is in use: Open fails and says
//     which and what to do; nothing was started.
//   - Any part fails while running: Run ends all others and returns why. The children
//     stay, and the keeper starts another agent.
//   - The process is killed: the same. Whoever knocks at the cluster port meanwhile is
//     answered late, by the next agent, since the keeper holds the listener too.
//   - The keeper is killed: all of the node dies at once; the next start finds
//     leftovers and kills them.
//
// # Tests
//
// The parts in internal/e2e, with real processes: bad_test.go has the table of bad data
// dirs. The node's look at itself in a testing/synctest bubble.
// Embedded nodes are tested
// here, three in one process: a test knows exactly which functions run.
package node
