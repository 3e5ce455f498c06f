package cluster

import (
	"context"
	"fmt"
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
		f := n.raft.VerifyLeader()
		done := make(chan error, 1)
		n.wg.Go(func() { done <- f.Error() })
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
