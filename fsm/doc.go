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
// # Nodes and their leases
//
// A node that is lost, or has left, may go on running exclusive children until its
// lease has run out; only the leader can tell when (package cluster). Until it says
// so with TypeNodeFenced, the node is unfenced: the exclusive lives that it may have
// are ordered there and nowhere else, and its record is kept, under its id, even if
// a node on a fresh disk has taken its name. A node that has none is fenced as it is
// lost. One that comes back before is asked what it still has, and goes on with it.
//
// # Generations
//
// A restore and a forced recovery discard a time in which lives may have begun, and
// after a recovery the indexes of that time are used again. Both begin a generation.
// A life carries the generation in which its order to start was given, so of two
// lives of a child the later one has the greater (generation, epoch), in whatever
// time it began. No node's boot is known in a new generation: each must say what it
// holds. Exclusive lives of the discarded time end for want of a lease, so a
// quarantine is set, before the end of which no lease may be granted.
//
// # Pace
//
// Restarts after crashes wait for their back-off, less up to a tenth of it, so that
// children that crashed together do not come back together; never longer, so that a
// budget that package spec found can be spent still can. In a storm (more than 1,000
// crashes at once, or 500 a second for long, over all trees) restarts get their time
// one after the other, at 500 a second of cluster time, and 60 s later at most. Both
// follow from the log alone. See storm.go.
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
