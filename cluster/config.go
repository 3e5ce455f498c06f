package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
)

// Gossip is what the cluster asks of package gossip.
type Gossip interface {
	Members() []gossip.Member
	Changed() <-chan struct{}
}

// Config is what a Node needs.
type Config struct {
	// Self is this node as it tells the leader: ids, boot, addresses, room.
	Self link.Node
	// ClusterID and Key are the token's.
	ClusterID string
	Key       []byte
	// Profile names the times; empty is lan.
	Profile gossip.Profile
	// Bootstrap makes this node, if its store is empty, the first voter of a
	// new cluster. Exactly one node of a cluster is ever started so.
	Bootstrap bool

	Store *raftstore.Store
	// Listener is the cluster port; the node owns it.
	Listener net.Listener
	// Dial opens bare connections to other nodes' cluster ports. Nil is TCP.
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Gossip Gossip

	// Functions are those of the program that the node is embedded in; nil if it is not.
	Functions *function.Registry

	// SnapshotEvery is how many entries lie between two snapshots, and how many
	// are kept besides; 0 is 8,192, and 10,240 kept. Only simulations set it, low.
	SnapshotEvery uint64
	// ChecksumEvery is after how many entries replicas compare themselves; 0 is
	// 2,048. Only simulations set it, low.
	ChecksumEvery uint64

	// Applied, if set, is told of each entry right after this replica has applied it.
	// Only simulations set it.
	Applied func(index, term uint64, data []byte)

	// Clock is the time since the machine booted, suspension included, by which
	// cluster time and leases are counted. Nil is CLOCK_BOOTTIME.
	Clock func() time.Duration

	// Fatal is called when the node must not go on: an entry or a snapshot that
	// this build cannot apply, or (fsm.Diverged) a replica that is not equal to the
	// majority's. It should end the process. Required.
	Fatal func(error)
	// Logger may be nil: discard.
	Logger *slog.Logger
}

// Validate says what is missing.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("cannot make a cluster node without %s", what))
		}
	}
	need(c.Self.ID != "" && c.Self.Name != "" && c.Self.Boot != "", "id, name and boot of the node")
	need(c.Self.Address != "", "a cluster address")
	need(c.ClusterID != "" && len(c.Key) == 32, "a cluster id and a key of 32 bytes")
	need(c.Store != nil, "a store")
	need(c.Listener != nil, "a listener")
	need(c.Gossip != nil, "gossip")
	need(c.Fatal != nil, "a way to stop")
	return errors.Join(errs...)
}
