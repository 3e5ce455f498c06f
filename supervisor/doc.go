// Package supervisor is the supervision core: what OTP says should happen when
// a child of a tree starts, ends, or loses its node. It is pure. A Tree is a
// thread-unsafe value, Step is its only mutation, and time enters only as the
// Stamp of an input, so every replica that applies the same log holds the same
// tree.
//
// # The ladder of a failure
//
// An event whose epoch is not the child's is stale and changes nothing. A death
// that was ordered is no failure. The restart type may say that the child is
// finished. Otherwise the child's window is charged: within its budget it
// restarts in place (or, after move_after crashes in a row on one node, moves),
// together with the siblings its supervisor's strategy names; beyond it the
// supervisor stops all its children and fails as a child of its own parent. A
// root that gives up leaves the tree failed, everything stopped.
//
// # Groups without a coordinator
//
// Children decided on together share an epoch. In one_for_all and rest_for_one
// supervisors a child starts only when no life of its batch below a sibling has
// yet to end and every sibling before it is settled, and stops only when no
// sibling after it has yet to end. Two predicates over the state (mayStart,
// mayStop) give OTP's order across machines, and survive the leader's death
// half-way. Children of a one_for_one supervisor are independent: they neither
// wait to start nor to stop, but when the supervisor itself begins anew all of it
// ends before any of it starts.
//
// # Exclusive lives
//
// Of an exclusive child at most one life may run in the whole cluster, and a lost
// node may go on running one until its lease has run out. Such a node is lost in two
// steps. NodeLost with Leased moves every other life; an exclusive one that may have
// a process stays what it is, and what needs it gone waits for it as for any life
// that is stopping. NodeLost without Leased, or the agent's own word (EventExited,
// EventFenced), is its end. A node that comes back in between goes on with it.
//
// Exclusive is of the life, from its beginning. A life that began before its child
// became exclusive is bound by no lease: if its node is cut off before it has
// stopped, it may overlap with the first exclusive one.
//
// # Guarantees
//
//   - One decision on what becomes of a child per stamp (the end of its old life
//     or its escalation may be told beside it); epochs only grow (P1).
//   - No window is exceeded: the charge that would do so escalates (P3, P10).
//   - One event leads to at most one decision (P7): repeats are ErrStale.
//   - What an operator stopped stays stopped (P11), group restarts included.
//   - No exclusive life is followed by another before it is known to be over (P13).
//   - State and FromState lose nothing: a restored tree answers every input as
//     the original would (P8).
//   - An input costs what it touches, times the depth of the tree; only in
//     supervisors that order their children does a change look at all siblings.
//
// # Faults
//
//   - A lost report: the life stays in its phase until the node's inventory or
//     its loss says otherwise; nothing is decided twice.
//   - A lost node (NodeLost): uncharged; the strategy acts once per supervisor;
//     lives that were ending there have ended.
//   - A restarted agent (NodeLost with Restarted): its children begin anew on
//     the same node, uncharged.
//   - A lease that ran out (EventFenced): as a node loss of that child alone; the
//     same node will do, if it has a lease again. One that never began for want of a
//     lease is followed by another after a second, so that no log fills.
//   - Bad input: ErrUnknown, ErrStale, ErrRefused; the tree is unchanged.
//
// # Where OTP is followed, and where not
//
// Followed: sliding inclusive window; a group restart is charged once; a failed
// start is charged again; reverse stop order and start order; a finished
// transient comes back in a group restart, a temporary does not; a supervisor
// over budget ends with reason shutdown, so a transient one is not restarted; a
// restarted supervisor has empty windows. Not followed, on purpose: windows
// belong to the child and not to the supervisor (the seed's rule); back-off;
// milliseconds; operator stops outlive group restarts; one_for_one children do
// not wait for each other.
//
// # Tests
//
// testdata holds the specification as scripts. Properties run random trees and
// inputs against a naive reference and compare every restored copy.
package supervisor
