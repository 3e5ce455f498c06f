// Package raftstore keeps what raft must not forget: its log, its term, its
// vote and its snapshots. It decides when a disk can no longer be trusted, and
// then ends the process.
//
// On disk it is raft-boltdb's file, DIR/raft.db, and raft's file snapshots in
// DIR/snapshots, of which the last two are kept. In memory (Mem) it is the same
// Store on a map, for simulations.
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
//   - What is read is what was written, or the node does not run. Entries carry a
//     CRC-32C in their extensions, chained to the entry before; values carry one; a
//     mark behind the last entry, written in the same transaction, has the end of
//     the chain. Open reads the whole file by itself before bolt does (verify.go),
//     because bolt checksums only its meta pages, and goes back by one write if one of
//     those is damaged. Any flipped bit, and any cut, is refused or changes nothing
//     that is read.
//   - Snapshots end with a SHA-256 of their description and their data, checked
//     whenever one is opened. The newest is named in raft.db: if it is gone or
//     damaged, Open fails, where raft would take the older one, or none, and forget.
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
//   - A read fails, or gives other bytes than were written: Fatal.
//   - A damaged file, or one of an earlier format: Open fails and says that the
//     directory must be moved away. A meta page torn by a power cut would be refused
//     too; it lies within one sector, so that disks that write sectors whole cannot
//     tear it.
//   - Fatal returns (a test): every further write returns the same error.
//   - Another process has the directory open: Open fails within a second.
//   - A crash while a snapshot is written: Open removes the unfinished one.
//
// # Tests
//
// A bit flipped in every byte of the bolt file and of a snapshot, cuts at many
// offsets, random use against the verifier, strace for what is synced before it is
// acknowledged. Failing and hanging stores by way of Mem, crashes at every single
// write of an election, a full tmpfs, a second process, a real raft whose leader's
// disk hangs, and the same script of operations on both kinds of store.
package raftstore
