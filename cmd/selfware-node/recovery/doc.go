// Package recovery is `selfware-node recover`: a cluster that has lost the
// majority of its voters for good goes on from what one of them has on disk.
//
// It reads data dirs of stopped nodes, says which reaches furthest and what
// would be lost, and, when told to, makes one node the only voter.
//
// # Guarantees
//
// Reading changes nothing. A node that runs is refused (its store is locked). A
// dir that another one of the given ones outdoes is refused unless forced, and
// so is a recovery where the given dirs hold a majority: those nodes can just be
// started, and nothing is lost.
//
// # Faults
//
// A dir that cannot be read is shown with its reason and not counted. Anything
// that fails while writing leaves a store that the next attempt recovers again.
//
// # Tests
//
// Stores written by real raft stores, in tables.
package recovery
