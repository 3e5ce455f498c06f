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
// # Circuits of nodes
//
// A node on which everything fails (a full disk, a broken library) must not go on
// getting children, and a child that fails everywhere must not make all nodes look
// bad. The rule that tells them apart:
//
//  1. A failure is a crash, a signal, an exit code that is not 0, or a start that
//     failed: what is charged to a window as the child's own. What was ordered, or
//     came with a node, a lease or a sibling, is none. Nor are the crashes that a
//     node answered alone: they are told late.
//  2. A failure counts against its node for 60 s, once per child.
//  3. A child that fails on another node within 60 s of its last failure is to blame
//     itself: nothing of it counts against any node, until it has not failed for 60 s.
//  4. Five different children against one node open its circuit.
//  5. But at most half of the nodes that are alive: if more seem bad, it is what the
//     children share, and not the nodes. A node without another never opens.
//
// An open circuit lets no child be placed there for 30 s; then, half-open, at most three
// at once, as trials. A trial is good if its life is up 10 s after it was placed, bad if
// it fails before that; a life that is neither by then, or whose failure is the child's
// own by rule 3, gives its place back and says nothing. Three good trials close the
// circuit and clear the node's name, a bad one opens it again. No trial is in flight for
// longer than 10 s of cluster time, so a half-open circuit cannot wedge.
//
// It is placement that obeys (Placement's Circuit): where every node that fits is open,
// the least bad serves, for a child is better run on a bad node than not at all; and
// an operator's move --to goes anyway. Lives that are there stay, and restart in place
// by their own window: a circuit moves nobody. move_after takes them elsewhere.
//
// A node also says itself how it is (TypeNodeHealth; supervisor/health has the checks).
// While it is unhealthy its circuit is open, whatever time passes and however many other
// nodes are; once it is not, it closes as above, by trials after 30 s. What a node said
// counts until it says something else, over its restarts too.
//
// Time is cluster time, and a look at a circuit between entries sees what the next
// entry makes of it. Nothing is kept of a closed circuit, and of a failure nothing for
// longer than two minutes. Whoever has another reason to keep children off a node opens
// its circuit with trip. See circuits.go.
//
// # Trees after trees
//
// What an entry does to a tree that others come after (supervisor.Spec.After) reaches
// those before the entry is done: see after.go. What one entry carries happens at once:
// an order to start that it gives may rest on what was up when it began. An apply that
// would close a circle is refused, so the graph has none.
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
//   - Limits (nodes, trees, records, request ids, failures): a clear refusal, or the
//     oldest is forgotten, or the newest not held against anyone; see the constants.
//
// # Tests
//
// Properties replay random logs on twin machines, one of them restored from
// snapshots on the way, compare all bytes after every entry, and recount what is
// derived. Entries and snapshots are cut at every byte; two fuzz targets feed
// arbitrary ones.
package fsm
