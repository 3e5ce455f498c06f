package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
)

// Transfer hands leadership to another voter: to, or the most advanced one if it
// is empty. A transfer that hangs can leave a leader that accepts nothing
// (raft#696), so one that has not ended after ten election times ends the node.
func (n *Node) Transfer(ctx context.Context, to string) error {
	if n.leading.Load() == nil {
		return n.notLeader()
	}
	done := make(chan error, 1)
	n.wg.Go(func() { done <- n.transfer(to) })
	hung := time.NewTimer(10 * n.times.Election)
	defer hung.Stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-hung.C:
		err := errors.New("cannot hand leadership over: the transfer hangs (raft#696)")
		n.cfg.Fatal(err)
		return err
	}
}

func (n *Node) transfer(to string) error {
	if to == "" {
		return n.raft.LeadershipTransfer().Error()
	}
	node, err := n.lookUp(to)
	if err != nil {
		return err
	}
	for _, s := range n.voters() {
		if string(s.ID) == node.ID {
			return n.raft.LeadershipTransferToServer(s.ID, s.Address).Error()
		}
	}
	return fmt.Errorf("cannot hand leadership to %s: it is no voter", to)
}

func (n *Node) lookUp(key string) (node *fsm.Node, err error) {
	n.rep.m.View(func(v fsm.View) { node, err = v.Node(key) })
	return node, err
}

// Leave takes a node out of the cluster for good: its children move, and it
// loses its vote. Leader only. The node itself must then stop.
func (n *Node) Leave(ctx context.Context, key, request string) error {
	if n.leading.Load() == nil {
		return n.notLeader()
	}
	node, err := n.lookUp(key)
	if err != nil {
		return err
	}
	if v := n.voters(); len(v) == 1 && string(v[0].ID) == node.ID {
		return fmt.Errorf("cannot let %s leave: it is the only voter, the cluster would end with it", node.Name)
	}
	if node.State != fsm.NodeGone {
		if _, err := n.Submit(ctx, fsm.Command{
			Type: fsm.TypeNodeLeft, Request: request, Node: &fsm.NodeRef{ID: node.ID, Reason: "asked to leave", Leased: true, Apart: true},
		}); err != nil {
			return err
		}
	}
	for _, s := range n.Servers() {
		if string(s.ID) == node.ID {
			return n.raft.RemoveServer(s.ID, 0, 10*time.Second).Error()
		}
	}
	return nil
}

// SaveSnapshot gives the whole state as of now, for RestoreSnapshot. Leader only.
func (n *Node) SaveSnapshot(ctx context.Context) ([]byte, error) {
	if err := n.Verify(ctx); err != nil {
		return nil, err
	}
	return n.rep.m.Snapshot()
}

// RestoreSnapshot puts back a saved state on all replicas. Epochs and cluster
// time go on from the present state, in a new generation, so that no life of
// the discarded time can be taken for one of the restored. Exclusive children
// that are not where the restored state has them begin only when the leases of the
// discarded time have run out. Leader only.
func (n *Node) RestoreSnapshot(ctx context.Context, data []byte) error {
	l := n.leading.Load()
	if l == nil {
		return n.notLeader()
	}
	// First no more grants, then the time: every lease that was granted has begun by
	// now, and ends within the quarantine that the restored state imposes.
	n.restoring.Add(1)
	defer n.restoring.Add(-1)
	var wait time.Duration
	n.rep.m.View(func(v fsm.View) { wait = leasesOf(v) })
	image, err := n.rep.m.Successor(data, l.now(), wait)
	if err != nil {
		return err
	}
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Size: int64(len(image))}
	if err := n.raft.Restore(meta, io.NopCloser(bytes.NewReader(image)), time.Minute); err != nil {
		return fmt.Errorf("cannot restore the snapshot: %w", err)
	}
	l.tell(sessionNews{restored: true})
	return nil
}
