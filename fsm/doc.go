// Package fsm is the replicated state: the nodes, the trees, and the stream of
// what was decided. Every replica that applies the same entries holds the same
// state, byte for byte (P8, P9): there is no clock, no chance and no I/O here,
// and nothing depends on the order of a map.
//
// An Entry carries the leader's cluster time and a batch of commands. Cluster
// time is clamped so that it never goes back, whatever a leader stamps. Each
// command answers with a Result; a command that cannot be done is a Result with
// an error and no change, never a panic. Commands are compare-and-set on the
// epoch or the boot they were made for, and those of users carry a request id,
// so that a repeat after an ambiguous error changes nothing (P7).
//
// # Faults
//
//   - An entry of an unknown schema, command type or field: Apply returns an error
//     and the node must stop. Skipping it would let replicas differ. Encode refuses
//     what Apply would, so that no leader commits such an entry by mistake.
//   - A snapshot that does not decode: Restore returns an error and the state is
//     as before.
//   - A checksum entry whose hash is not the one that this replica remembers: Apply
//     returns Diverged and the node must stop. What is remembered is not replicated.
//   - A duplicate or late command: ErrStale in its Result.
//   - Limits (nodes, trees, records, request ids): a clear refusal, or the oldest
//     is forgotten; see the constants.
//
// # Tests
//
// Properties replay random logs on twin machines, one of them restored from
// snapshots on the way, compare all bytes after every entry, and recount what is
// derived. Entries and snapshots are cut at every byte; two fuzz targets feed
// arbitrary ones.
package fsm
