// Package raftstore keeps what raft must not forget: its log, its term, its
// vote and its snapshots. It decides when a disk can no longer be trusted, and
// then ends the process.
//
// On disk it is hashicorp/raft-boltdb on bbolt in DIR/raft.db, and raft's file
// snapshots in DIR/snapshots, of which the last two are kept. In memory (Mem)
// it is the same Store on a map, for simulations.
//
// # Guarantees
//
//   - What was acknowledged is on disk: every write is one bolt transaction
//     with its fsync.
//   - A vote is its term and its candidate or it is not there (raft#661).
//     raft stores the two in two calls. The term is held in memory and both are
//     written under one key, "selfware.LastVote", at the second call. Upstream,
//     a crash between the calls leaves the new term with the old candidate,
//     and that candidate then gets a second vote without any check of its log.
//     Upstream's two keys are read where ours is missing or older.
//   - After the first failed write nothing is written any more, and Fatal has
//     been called, once. A failed write is never acknowledged later.
//   - The cache of the last 512 entries holds only what is stored. It is
//     raft.LogCache, which in v1.8.0 fills only after a successful StoreLogs
//     (nats-streaming#1088 came from filling before) and is emptied before a
//     DeleteRange. A test holds it to that.
//
// # Faults and outcomes
//
//   - A write fails: Fatal (raft#614: a node that merely steps down is elected
//     again and again; raft#163: raft goes on with a wrong idea of its log).
//   - The disk is full: Fatal, with a message that says what to do.
//   - A write hangs for Deadline: Fatal (raft#503: a leader whose disk hangs
//     keeps sending heartbeats and leads for ever, without a single commit).
//     Only time in which this process ran counts: after a long pause of the
//     process a write has nearly all of Deadline left. Snapshots, which may be
//     large, have six times as long. The default Fatal exits even if the log
//     it writes to hangs as well.
//   - Fatal returns (a test): every further write returns the same error.
//   - Another process has the directory open: Open fails within a second.
//   - A crash while a snapshot is written: Open removes the unfinished one.
//   - The snapshot that the log continues from is missing or unreadable: Open
//     fails. Raft itself would start with an empty state.
//
// # Tests
//
// Failing and hanging stores by way of Mem, crashes at every single write of an
// election, a full tmpfs, a second process, a real raft whose leader's disk
// hangs, and the same script of operations on both kinds of store.
package raftstore
