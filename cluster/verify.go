package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/internal/bug"
)

// Verify returns nil if this node's replica holds every command that was
// acknowledged, by any node, before the call: it leads, a majority still says
// so, and it had caught up when its term began. A read after it is linearizable
// (P6). Otherwise the error is ErrNotLeader.
func (n *Node) Verify(ctx context.Context) error {
	l := n.leading.Load()
	if l == nil {
		return n.notLeader()
	}
	return n.confirm(ctx, l)
}

// confirm proves that at some moment after the call no successor of l had been
// elected: a majority of the voters has answered, in l's term, requests that were
// sent after the call began. raft's VerifyLeader makes the requests go out at
// once; that it is content is not enough (see raftnet.FollowedSince), and it counts
// servers without a vote too.
func (n *Node) confirm(ctx context.Context, l *leader) error {
	since := time.Now()
	if bug.On("read-without-verify") {
		return nil
	}
	for {
		done := make(chan error, 1)
		if !n.asking.ask(func() { done <- n.raft.VerifyLeader().Error() }) {
			return n.notLeader()
		}
		select {
		case err := <-done:
			// The same term before and after: had it led, lost and led again in
			// between, this replica could lack what the other leader acknowledged.
			if err != nil || n.leading.Load() != l || n.raft.CurrentTerm() != l.term {
				return n.notLeader()
			}
			if n.followed(l.term, since) || bug.On("verify-by-late-answers") {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("cannot verify the leader: %w", ctx.Err())
		}
	}
}

// asking counts the questions that raft has not answered. It answers all while its
// loop runs, and none any more once it is shut down: the loop may look at that first.
type asking struct {
	mu   sync.Mutex
	over bool
	wg   sync.WaitGroup
}

// ask asks in a goroutine, unless it is too late.
func (a *asking) ask(question func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over {
		a.wg.Go(question)
	}
	return !a.over
}

// end waits until all questions are answered. A loop that hangs holds up the shutdown
// just as long.
func (a *asking) end() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.wg.Wait()
}

// followed tells whether a majority of the voters, this node with them, has
// followed it in a term since a moment.
func (n *Node) followed(term uint64, since time.Time) bool {
	voters := n.voters()
	votes := 0
	for _, s := range voters {
		votes += count(s.ID == raft.ServerID(n.cfg.Self.ID) || n.transport.FollowedSince(s.ID, term, since))
	}
	return 2*votes > len(voters)
}
