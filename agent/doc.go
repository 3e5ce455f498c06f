// Package agent is one node's duty: it makes the orders of the leader true
// through a table of processes, and reports what happened through a session.
//
// What it decides is one pure function, plan: given the orders and the lives of
// one path it says which lives to start and to stop, and which exits to report
// again. Paths do not depend on each other. It is level-triggered: it looks at
// what is ordered and what is, never at which message came last, so a repeated,
// late or lost message changes only latency.
//
// Guarantees:
//   - Of one path at most one life runs on this node. A newer life starts when
//     the older one is gone.
//   - An epoch is started at most once by one agent process, but for restarts alone
//     (below), one after another. The epochs of
//     paths that have neither orders nor lives are remembered for the last
//     16,384 of these paths.
//   - A life that no order names is stopped, but only after a leader has said
//     in this session all that it orders (a Full Down).
//   - Each event is sent, in order and numbered, until the leader acknowledges
//     it as committed. The end of a life is reported even if the agent ends before
//     that: the process table tells it to the next one.
//   - An order for a life that has ended here, or that a stop names though it
//     never ran here, is answered with an exit, so the leader never waits for
//     an event that will not come.
//   - The back-off of an order runs from its first arrival; repeats do not
//     restart it, and it goes on while there is no session.
//
// Alone. After Config.Alone without a settled session, the end of a life that is not
// acknowledged is answered by planAlone, within the budget that its order brought:
// after the back-off, another process of the same life (SELFWARE_START_REASON
// autonomy, SELFWARE_ATTEMPT counts on). The report of it takes the place of all
// that was not acknowledged of that life. Events are sent in a settled session only:
// so an end that the leader is told of as its own to answer was told while the orders
// were known, and what was done alone is told before anything that follows. With
// Obeyed the agent says that there is nothing more of it.
//
// The leader may have answered an end that was told and not acknowledged. Such an end
// is answered here only if the leader's answer can but be a restart here too. Its
// orders name a later life, or none, and the one that was restarted alone is stopped
// before anything else begins, as any life that is replaced; supervisor charges the
// restart once. An end that was acknowledged is never answered here.
//
// One goroutine, Run's, owns all state. A session has two more, a reader and a
// writer. The writer exists so that a peer that does not read cannot stop the
// node from seeing its children: Send blocks the writer alone. It holds one
// message; what happens meanwhile is gathered and goes into the next one, so
// the queue is the list of unacknowledged events, which is kept anyway. An idle
// writer gets an event at once.
//
// Faults and their outcome:
//   - Session lost, leader lost: nothing that runs is touched, orders hold, the
//     agent dials again (pause Redial, doubled up to 250 ms, with jitter)
//     and sends its inventory and all unacknowledged events.
//   - A peer that does not read for SendTimeout, or that says nothing for
//     Silence, or a dial that takes longer than DialTimeout: session lost.
//   - A deposed leader: a Down older than the (term, index) seen is ignored; a
//     session that begins with a lower term than seen is closed.
//   - Redirected: dialled again at once, but not twice within Redial. Refused:
//     logged as an error, tried again every five seconds.
//   - A leader that acknowledges nothing: at 65,536 unacknowledged events the
//     agent starts nothing new and repeats nothing; it still stops what must
//     stop and reports what ends.
//   - A leader that orders more than 262,144 lives: session lost, and said so.
//   - The agent ends: it says Bye, within one second, and returns. Its children
//     are the runner's, which ends them.
//   - The agent is to be replaced (Return): its Bye says that it returns at once, and
//     its children run on.
//   - The agent is killed: the next one begins with what the process table says
//     is alive, reports again what is up, and numbers its events from 1 under a new
//     Boot. A life that ended meanwhile is in its inventory still, so that its end is
//     charged as any other.
//
// Tests: tables and rapid properties for plan; everything else in synctest
// bubbles with an in-memory session and simulated processes.
package agent
