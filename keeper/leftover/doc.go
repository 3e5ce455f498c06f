// Package leftover knows the processes that a keeper has started, beyond that
// keeper's end: a record in the data dir, and how to find and kill what an
// earlier keeper left behind.
//
// # Guarantees
//
//   - One keeper at a time has a data dir: Open takes a lock, which lasts as long
//     as the process, over an exec too.
//   - A process is never told by its pid alone. Ours is: a recorded leader of this
//     boot with its start time; a member of its group, in the keeper's session, as
//     long as that number was not given to another process; whatever carries the
//     keeper's random marker in its environment; and all of the keeper's cgroup.
//   - Nothing is killed before Sweep, so that whoever finds a port taken can leave
//     the children of the original of a copied data dir alone.
//
// # Faults
//
//   - The record cannot be written: a warning; marker and cgroup still tell.
//   - The record is cut off or of another boot: what it does not say is told by
//     nothing, or by nothing that matters.
//   - Leftovers do not die of SIGKILL: Sweep gives up on them after five seconds,
//     and says so.
//   - Helpers that left the group, lost the marker and outlived their leader, where
//     there is no cgroup: not found.
//
// # Tests
//
// With real processes, and with records that name somebody else's.
package leftover
