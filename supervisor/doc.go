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
// # Instances
//
// A child that stands for many (ChildSpec.Replicas, Pool) is a supervisor of its
// instances: Spec.Expand makes the plain tree that is supervised, everything else knows
// only that. A pool's number is the spec's, or what Scale said since (scale.go). With
// each_node they are those of the nodes that the tree was told of (nodes.go): each stays
// on its node, and waits for it without anybody waiting for it.
// So an instance is a child as any other, to events, operators and edits, and all of
// them are one child of the supervisor above (instances.go).
//
// # Significant children
//
// A supervisor may end when its work is done (ChildSpec.Significant, AutoShutdown): with a
// child that ended by itself and for good. For its own supervisor it then is a child that
// ended with reason shutdown, as one that gave up is: only a permanent one is restarted. A
// root that ends so leaves the tree finished, until a Start (significant.go).
//
// # Trees after trees
//
// A tree may come after paths of other trees (Spec.After), with rest_for_one's meaning. It
// is told how those are (Depend): while one is not up, nothing of it starts; when one has
// begun anew, or failed, it restarts as a supervisor does whose elder sibling restarted. And
// it is told who comes after its own paths (Follow): what begins anew there waits until
// those have ended. Both are levels, and neither says anything about other trees'
// insides (after.go).
//
// # Exclusive lives
//
// Of an exclusive child at most one life may run in the whole cluster, and a lost
// node may go on running one until its lease has run out. Such a node is lost in two
// steps. NodeLost with Leased moves every other life; an exclusive one that may have
// a process stays what it is, and what needs it gone waits for it as for any life
// that is stopping. NodeLost without Leased, or the agent's own word (EventExited,
// EventFenced), is its end; what follows is placed anew (LastWord). A node that
// comes back in between goes on with it.
//
// Exclusive is of the life, from its beginning. A life that began before its child
// became exclusive is bound by no lease: if its node is cut off before it has
// stopped, it may overlap with the first exclusive one.
//
// # Alone
//
// A node without a leader may restart a child on its own: one that is permanent or
// transient, not exclusive, below a one_for_one supervisor, and only while the same
// crash would not have moved it. It keeps the life, and with it the epoch. What it
// may do it was lent with the order (LocalBudget), what it did it tells on return
// (EventRestarted: the total for the life, and the ages of those in the window).
//
// Why no window is exceeded (P3). Let a child's budget be Max in a Period, and say
// that an end is answered when somebody restarts the child for it, the log or a node.
//
//  1. A node is lent Share, half of what is not held back already, and uses at most
//     Share in any Period. While charges from before it had this budget may still
//     count, for its first Period, it uses at most Left, so that those, what is held
//     back and Left make at most Max. Only events of the child's present life charge
//     its window, and they come from the node that holds it; so the log charges
//     nothing that the node does not know of while the life is the child's.
//  2. When the node is lost and its agent may go on (NodeLost with Apart), Share is
//     held back (Budget.Held): the log restarts the child elsewhere, and lends
//     another node, only from the rest. Whatever the lost node does, the sum stays
//     within Max. Node after node may be lost: each gets half of the rest.
//  3. What is held back is given free when the node has obeyed the orders of now and
//     has told all that it did (Returned): what it was lent is void, and its restarts
//     are charges. If its agent began anew, or it left for good, nothing can be told
//     any more; Share is then held back for one Period, after which no restart of
//     that time is in any window. The same holds for an agent that began anew on a
//     node that was not lost: NodeLost with Restarted and Apart, for lives that are
//     there, and Returned with Unreported, for those that had left it (4). And it
//     holds if the log has forgotten a life that the node may tell of, so that what it
//     tells is stale (loan.Forgotten). Of a child's former lives it remembers a few,
//     and first those of nodes that hold a loan: any other node restarts none of
//     them, but for the latest, and has told what it did.
//  4. The child may leave a node that is well, and that does not know of it: when the
//     log answers an end that the node told and thinks unanswered. Such an end a node
//     answers itself only if the log surely restarts the life where it is (Sure). If
//     the life was to stop and its node had not been told so yet (Ordered is not set),
//     Share is held back as for a lost node.
//  5. The node may answer an end that it had told the log of, not knowing that the
//     log had answered it. Ends of a life are numbered (tally), and each number is
//     charged once; so is a report that arrives again.
//
// All this counts by the node's own clock. Cluster time stands still without a
// leader and so runs late, never early: a charge leaves a window late by real time.
// The window of a child that merges more than Max keeps the newest Max: it is full
// all the same, and Used never says more than was allowed.
//
// A Reset empties windows, and begins them anew: no window is exceeded that begins at
// the last reset or after it. It leaves loans and tallies as they are. So what was lent
// stays held back, each node still uses at most its Share in any Period (Share depends
// on Max, Held and move_after, none of which a reset changes), and the log charges at
// most Max less Held: 1, 2 and 4 hold with an empty window as with any other. A node
// that is cut off hears of the reset late, and does less than it might. What it did alone
// before the reset and tells after it is charged all the same, since no clock says on
// which side of the reset it was; an end that the log had answered before is counted in
// a tally, and is not charged again (5).
//
// The price: while a lost node is neither back nor removed, a child that was there
// has what is left of its budget, 3 restarts of the default 5. That is meant. To
// charge what was lent at once would punish children for the loss of their node; to
// charge it only when the node is back would allow twice the budget meanwhile. A
// node whose agent is known to be gone holds nothing back. An Edit that lowers a
// budget reaches a node that is cut off when it is back.
//
// # Rolling updates
//
// An Edit renews every worker (instances of one child are workers) whose program, placement or exclusiveness it changes. Where
// a supervisor above has an UpdatePolicy (the nearest one governs) it does so a few at a
// time; all else that it changes acts at once.
//
//   - A changed worker keeps its former program, placement and exclusiveness until its
//     turn, whatever becomes of it meanwhile: a crash, a move or a lost node is followed by
//     a life of the former spec. So a new version runs nowhere but where it had its turn.
//   - Turns come in start order, Parallel at a time under one supervisor. In its turn a
//     worker is renewed alone, as by an Edit without a policy: under one_for_all and
//     rest_for_one, too, the gates hold and the siblings stay. What an operator stopped
//     needs no turn, it begins with the new spec; nor does what ends as it should.
//   - A turn is over when the worker has been confirmed running for MinReady of cluster
//     time without an end. Nothing ticks: NextAt names the time, the leader proposes
//     Advance, and one that comes early or twice is ErrStale.
//   - It has failed if its life ends, its start fails, or its node reports it not well
//     (all but a normal end of what is not permanent); if its node tells that it restarted
//     it alone; if it is not confirmed Deadline after the turn began. The loss of its node,
//     a lease that ran out, a drain, and an operator's restart or move are none: MinReady
//     and Deadline begin anew.
//   - AutoRevert: a failure is answered by the former spec, at once, uncharged, and without
//     the siblings, even if it was fatal. The whole tree gets back the spec that it had
//     before the first Edit that did not come to its end: what was added leaves, what was
//     removed is back, policies are as they were, and who runs the new spec goes back in
//     turns, by the policies of the new spec. There is no way back from the way back:
//     failures are then charged as ever, and the turn goes on until the worker stands.
//   - Without AutoRevert the rollout halts, and the failure is charged and answered as any
//     other. Who has a turn keeps it. An operator resumes, reverts, or applies a file.
//   - An Edit during a rollout replaces it. Who has its turn and is changed again begins
//     anew at once, so that no other is down beside it; who has the newest spec already is
//     not touched.
//   - Below a supervisor that does not run, a rollout stands still. The Edit of a tree that
//     has failed starts all of it with the new spec, as ever.
//
// At most Parallel workers under one supervisor are down for a rollout, unless an Edit
// lowers Parallel or moves workers under another policy while they have their turn: then
// no further one begins until they are done.
//
// # What a child says
//
// A child may know best what should follow from its end. It says so itself (Word of the
// event, for which package runner has X_SELFWARE=), or by the code or signal that it ends
// with (ExitRules). The first of these that says anything decides:
//
//  1. An end that was ordered has been ordered, whatever the child says.
//  2. An end that its node brought about (not up in time, not well, fenced) or found to be
//     fatal is not the child's: neither its word nor its code counts.
//  3. Its word.
//  4. Its exit rules.
//  5. Its restart type.
//
// finish: it is finished, as a transient child that ended normally; fail: it has failed, as
// a temporary child; both whatever the restart type, and uncharged. A finished child comes
// back with its group, a failed one does not; a supervisor that begins anew has both
// again; and so has an operator's Start, and an Edit that changes its program or its rules,
// or makes it permanent. move: a crash, charged, and the next life begins elsewhere, if there is one
// (there is none of a temporary child). escalate: as a fatal failure. A node that is alone
// answers none of these ends: they are told when there is a leader.
//
// A child that runs may ask to be moved (EventAsked). It did not fail, so it is not
// charged; it is moved alone, as by an operator. So that nobody goes round for ever, it is
// moved for the asking once in its supervisor's period, counted in cluster time; else it
// stays, and `why` says so. A life asks once: repeats are stale.
//
// An Edit of exit rules restarts nothing. It reaches a node that is cut off when it is back.
//
// # Pauses
//
// A Pause of a path (worker, supervisor or tree) lasts until its Resume. Meanwhile:
//
//   - What runs below it goes on. No life begins there, none moves, nothing is charged,
//     and nothing below it gives up. A life that ends, with its process, node or lease,
//     leaves its child paused: it waits. What is final stays so: a transient child that
//     ended as it should is finished, a temporary one that ended has failed, and a child's
//     word finish or fail counts; move counts on resume, escalate is a mere end. Who asks
//     to be moved stays.
//   - A start that was ordered and not confirmed goes on, since its node may have obeyed;
//     one that waits out its back-off or its turn, or for a node, is called back. Stops
//     under way go on, and what was to follow them waits.
//   - Group restarts from outside pass it by: its children neither stop nor start with
//     their siblings, and nobody waits for them. What would have come back with the group
//     (a finished transient child) is due on resume. A supervisor above that gives up, or
//     is stopped, ends it as all else; one above that is started anew makes its children due.
//   - Stop, Delete, Reset and another Pause inside are taken. Start, Restart and Move at or
//     below it are refused, since they begin lives; of a supervisor above they leave it out.
//     Drain leaves what runs there where it is.
//   - An Edit is taken. A child that it changes keeps its former spec as long as its life
//     lasts, at most until the resume; a new one is due on resume; one that it removes
//     stops and leaves. A rollout gives no turn to what is paused, and goes on then.
//   - A significant child that ends for good ends its supervisor neither then nor on resume
//     (auto_shutdown). A tree that is paused is not restarted with what it comes after, and
//     is not up for those that come after it while children of it wait.
//   - on_exhausted: a failed tree whose root is paused is not started again before the resume.
//   - Exclusive lives end and are fenced as ever; none follows before the resume (P13). A
//     lost node with a lease that may hold keeps its own, and what is back goes on with it.
//   - No node is lent anything (LocalBudget) below a pause. One that is cut off learns
//     late: until then it may restart lives by what it was lent, which is charged when it
//     tells, and held back if its child has left it meanwhile (3 and 4 above hold: the end
//     of a life below a pause is one that the log does not answer where it is).
//
// A Resume starts, uncharged and with a decision each, what is due: where it was, if that
// node is fit, in start order. A child whose life ended meanwhile takes along whom its
// supervisor's strategy names, once per supervisor, as after the loss of a node; what an
// Edit changed begins with its new spec, and what runs on a node that is being drained
// leaves it. Pauses inside go on.
//
// # In one process
//
// New, Builder, Supervisor and Handle supervise goroutines with the same Tree: what a
// component does becomes a ChildEvent, Step decides, and the orders say which goroutine
// begins or ends. They are in the files named local*.go, the only ones of this package
// that know goroutines, channels and clocks; the core does not know them, and lint
// holds it to that. One goroutine owns the tree, each life has one of its own. All
// children are on one node (LocalNode), the log index counts inputs, and cluster time
// is the time since Start.
//
//   - At most one goroutine per child runs its component, whatever happens: there is
//     no way to kill one, so a component that ignores its context for longer than its
//     grace is reported (EventStuck) and told to the tree as killed. Its siblings go
//     on; its own next life begins when it has returned, and not before.
//   - A panic, and a runtime.Goexit, are crashes of that child. The log has the stack.
//   - A child that is late with its heartbeat, or that somebody says has crashed or
//     exited (Handle.Send), is told to stop, and has ended for that reason once it has
//     returned.
//   - What the tree orders at once is carried out stops first, last child first, then
//     starts, first child first.
//   - Handle.Wait returns when every component has. Nothing outlives it.
//   - The log channel never holds the supervisor up; what is dropped is counted.
//
// # Guarantees
//
//   - One decision on what becomes of a child per stamp (the end of its old life
//     or its escalation may be told beside it); epochs only grow (P1).
//   - No window is exceeded: the charge that would do so escalates (P3, P10), what
//     nodes do alone included. Nothing else escalates, but a failure that its node
//     found to be fatal, which charges nothing.
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
//   - A node without a leader: see above. A report that never comes, because its agent
//     was killed meanwhile: the children's budgets are smaller for one period.
//   - A restarted agent (NodeLost with Restarted): its children begin anew on
//     the same node, uncharged.
//   - A lease that ran out (EventFenced): as a node loss of that child alone; the
//     same node will do, if it has a lease again. One that never began for want of a
//     lease is followed by another after a second, so that no log fills.
//   - A lost leader in the midst of a rollout: cluster time stands still, then the next
//     leader goes on. A child that fails in its turn on a node that is cut off is restarted
//     there alone, and fails the rollout when the node tells.
//   - Bad input: ErrUnknown, ErrStale, ErrRefused; the tree is unchanged.
//
// # Where OTP is followed, and where not
//
// Followed: sliding inclusive window; a group restart is charged once; a failed
// start is charged again; reverse stop order and start order; a finished
// transient comes back in a group restart, a temporary does not; significant
// children and auto_shutdown; a supervisor
// over budget ends with reason shutdown, so a transient one is not restarted; a
// restarted supervisor has empty windows. Not followed, on purpose: windows
// belong to the child and not to the supervisor (the seed's rule), unless the policy's
// scope is supervisor; back-off;
// milliseconds; operator stops outlive group restarts; one_for_one children do
// not wait for each other.
//
// # Tests
//
// testdata holds the specification as scripts. Properties run random trees and
// inputs against a naive reference and compare every restored copy. Package internal/otp
// compares with OTP's supervisor.erl itself; docs/otp.md lists where we differ. Package
// internal/explore visits every state of small trees and their nodes. Random
// trees of components with random manners run in bubbles of testing/synctest, beside a
// second tree that says what was ordered; docs/library.md compares with suture.
package supervisor
