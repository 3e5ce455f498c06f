// Package offline reads what stopped nodes have on disk: the raft logs entry by
// entry, the decisions that follow from them, and the hash of the state that each
// disk leads to (stream L). It works on copies: a store that is opened is
// changed.
//
// # Guarantees
//
//   - The decisions are computed anew from the log by the state machine of this
//     build; what nodes said while they ran plays no part.
//   - Commands, decisions and hashes are of the entries that a majority of disks
//     reaches: those are committed. The entries themselves are told to each disk's
//     end.
//   - A disk that cannot be read is told as such, with the reason; the others
//     are read.
package offline
