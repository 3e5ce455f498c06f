// Package replay is `selfware-node replay`: the log of a stopped node goes through the
// real state machine once more, to see what was decided, or what would have been with
// other restart policies.
//
// # Guarantees
//
// The data dir is not changed: its store is copied, under a lock that keeps its node
// from starting meanwhile. The store of a running node is refused. Decisions are
// computed, not remembered; checksum entries of the log are compared on the way, so a
// state that is not the cluster's is an error and not a wrong answer.
//
// # Another policy
//
// A second machine gets the same entries, with the policies of the other file put into
// the tree: strategies, restart policies, restart types, max_restarts, move_after and
// on_exhausted. Its decisions are compared child by child. Where one differs, the child
// (and, where a supervisor gives up, all below it) is compared no more: what happened to
// it later answers orders that it would not have been given, or not then.
//
// # Faults
//
// No data dir, a node that keeps no log, a log without the snapshot that it follows, a
// tree that is not in the log: an error that says what is missing.
//
// # Tests
//
// A store written by the real one, replayed; golden files; the folder is the same, byte
// for byte, afterwards.
package replay
