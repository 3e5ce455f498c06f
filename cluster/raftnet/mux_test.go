package raftnet

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/mux"
)

// book is an address book that may be wrong.
type book struct {
	mu    sync.Mutex
	addrs addrs
}

func (b *book) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs.ServerAddr(id)
}

func (b *book) set(a addrs) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs = a
}

// muxNode runs a raft node with id at addr of sim behind a mux.
func muxNode(t *testing.T, sim *pipeNet, id, addr string, where *book, conf raft.Configuration) *raft.Raft {
	self := mux.Identity{ClusterID: "c", NodeID: id, Key: make([]byte, 32)}
	m, err := mux.New(mux.Config{Listener: sim.nodes[addr], Self: self})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	d := &mux.Dialer{Self: self, Dial: func(ctx context.Context, a string) (net.Conn, error) { return sim.dial(ctx, a, a) }}
	trans := New(Config{Provider: where, Layer: NewLayer(LayerConfig{
		Listener: m.Listener(mux.Raft),
		Dial: func(ctx context.Context, node, a string) (net.Conn, error) {
			return d.DialNode(ctx, node, a, mux.Raft)
		},
	})})
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = raft.ServerID(id), hclog.NewNullLogger()
	store, snaps := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
	if err := raft.BootstrapCluster(c, store, store, snaps, trans, conf); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(c, nullFSM{}, store, store, snaps, trans)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(r.Shutdown().Error(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestMovedAddresses: two of five nodes are up, and the address book of one
// takes the other for the three lost ones, too, as it may after containers
// restarted with new addresses.
// Upstream counts the one's vote four times and has a leader that two of five
// agreed on. Here nobody's vote is taken for another's. With a third node and
// a right book there is a leader, and it commits.
func TestMovedAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, where := newPipeNet(), &book{}
		var conf raft.Configuration
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			sim.listen("at-" + id)
			conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress("at-" + id)})
		}
		where.set(addrs{"b": "at-c", "d": "at-c", "e": "at-c"})
		nodes := []*raft.Raft{muxNode(t, sim, "a", "at-a", where, conf), muxNode(t, sim, "c", "at-c", &book{}, conf)}
		for range 60 {
			time.Sleep(time.Second)
			if leaderOf(nodes) != nil {
				t.Fatal("two of five nodes have a leader")
			}
		}
		where.set(nil)
		nodes = append(nodes, muxNode(t, sim, "b", "at-b", &book{}, conf))
		time.Sleep(30 * time.Second)
		leader := leaderOf(nodes)
		if leader == nil {
			t.Fatal("no leader half a minute after the addresses were right")
		}
		if err := leader.Apply([]byte("x"), time.Second).Error(); err != nil {
			t.Error(err)
		}
	})
}

func leaderOf(nodes []*raft.Raft) *raft.Raft {
	for _, r := range nodes {
		if r.State() == raft.Leader {
			return r
		}
	}
	return nil
}
