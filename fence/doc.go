// Package fence lets a resource refuse the writes of a life that has been followed
// by a newer one. It is for programs that selfware runs as exclusive children, and
// for the resources they write to. Standard library only: copy it if you like.
//
// # What a token is
//
// Each life of a child gets one in SELFWARE_FENCE, as "gggggggg-eeeeeeeeeeeeeeee": the
// cluster's generation and the life's epoch in lower-case hexadecimal of fixed width
// (SELFWARE_GENERATION and SELFWARE_EPOCH have them as decimal numbers). Of two lives
// of a child the later one has the greater token, restores and forced recoveries of
// the cluster included. Compared as text, two tokens are in the same order: any
// database can do it. Tokens of different children say nothing about each other.
//
// # What only a token can do
//
// A lease keeps a second life from beginning before the first has surely ended:
// without a word from the leader, the first one is killed by its keeper. That rests
// on the keeper being run by its machine in time. A whole machine that is frozen (a
// paused VM, a laptop's lid) for longer than its lease runs no keeper; it thaws with
// the old life in it, and for less than 100 ms that one may go on. No cluster can
// prevent this from outside. The resource can, if it remembers the greatest token
// that it has seen and refuses a smaller one.
//
// That is true only where the comparison and the write are one step. A writer that
// is told "go ahead" and then freezes writes after its successor. So:
//
//   - In a database, compare within the transaction that writes:
//     UPDATE … SET …, fence = $t WHERE id = $id AND fence <= $t, and look at the
//     number of rows. In Redis, within one script: examples/fenced/fenced.lua.
//   - For files of one machine, [File.Do] compares and acts under one lock. A writer
//     that freezes in the middle holds the lock; its successor waits for it.
//   - A server checks each request that bears a token with [Guard.Check], under the
//     lock with which it carries the request out.
//
// A resource that compares nothing, such as a mail that is sent, is protected by the
// lease alone.
//
// # Faults
//
//   - A program that selfware did not start: [FromEnv] returns an error; never write
//     without a token then.
//   - A store that fails: Check and Do return its error and nothing was done. A crash
//     between the comparison and the write leaves the token raised and the write
//     undone: the same life may try again.
//   - A token lost by the resource (its disk was wiped or rolled back): an older life
//     may be accepted once more. Keep the token with the data that it protects.
package fence
