package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/gossip"
)

// Ports of a bare node.
const (
	bareGossip = 7400
	bareRaft   = 7401
	bareRPC    = 7402
)

// entrySize is that of a small event of ours in the log.
const entrySize = 200

// Requests to a bare node: one byte, answered by one byte.
const (
	askWrite = 'w' // commit an entry; 1 if it is committed
	askAlive = 'a' // how many members are believed to be alive
)

// bareConfig makes a bare node.
type bareConfig struct {
	Dir     string
	Hosts   []string
	Self    int
	Profile gossip.Profile
}

// bareNode is what the floors of a cluster are made of: hashicorp/raft on bolt
// and memberlist with our times and no code of ours.
type bareNode struct {
	cfg     bareConfig
	raft    *raft.Raft
	members *memberlist.Memberlist
}

// beBareNode runs one until its stdin ends.
func beBareNode(cfg bareConfig) error {
	n := &bareNode{cfg: cfg}
	if err := n.openRaft(); err != nil {
		return err
	}
	if err := n.openGossip(); err != nil {
		return err
	}
	lis, err := net.Listen("tcp", n.addr(n.cfg.Self, bareRPC))
	if err != nil {
		return err
	}
	defer lis.Close()
	go n.accept(lis) // ends with the process
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (n *bareNode) addr(i, port int) string {
	return fmt.Sprintf("%s:%d", n.cfg.Hosts[i], port)
}

func (n *bareNode) openRaft() error {
	t := cluster.TimesOf(n.cfg.Profile)
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.Hosts[n.cfg.Self])
	c.HeartbeatTimeout, c.ElectionTimeout = t.Heartbeat, t.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = t.Lease, t.Commit
	c.LogOutput, c.NoLegacyTelemetry = io.Discard, true
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(n.cfg.Dir, "bare.db"),
		BoltOptions: &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return fmt.Errorf("cannot open a bare log: %w", err)
	}
	logs, err := raft.NewLogCache(512, store)
	if err != nil {
		return err
	}
	trans, err := raft.NewTCPTransport(n.addr(n.cfg.Self, bareRaft), nil, 3, 10*time.Second, io.Discard)
	if err != nil {
		return fmt.Errorf("cannot open a bare transport: %w", err)
	}
	snaps := raft.NewInmemSnapshotStore()
	var all raft.Configuration
	for i, host := range n.cfg.Hosts {
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(host), Address: raft.ServerAddress(n.addr(i, bareRaft))})
	}
	if err := raft.BootstrapCluster(c, logs, store, snaps, trans, all); err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("cannot begin a bare cluster: %w", err)
	}
	n.raft, err = raft.NewRaft(c, nothing{}, logs, store, snaps, trans)
	return err
}

func (n *bareNode) openGossip() error {
	t := gossip.Timing(n.cfg.Profile)
	c := memberlist.DefaultLANConfig()
	c.Name, c.BindAddr, c.BindPort, c.AdvertisePort = fmt.Sprintf("%s-%d", n.cfg.Hosts[n.cfg.Self], os.Getpid()), n.cfg.Hosts[n.cfg.Self], bareGossip, bareGossip
	c.ProbeInterval, c.ProbeTimeout, c.SuspicionMult = t.ProbeInterval, t.ProbeTimeout, t.SuspicionMult
	c.GossipInterval, c.TCPTimeout, c.PushPullInterval = t.GossipInterval, t.TCPTimeout, t.PushPull
	c.LogOutput = io.Discard
	var err error
	if n.members, err = memberlist.Create(c); err != nil {
		return fmt.Errorf("cannot begin bare gossip: %w", err)
	}
	var others []string
	for i := range n.cfg.Hosts {
		others = append(others, n.addr(i, bareGossip))
	}
	_, err = n.members.Join(others)
	return err
}

func (n *bareNode) accept(lis net.Listener) {
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		go n.serve(conn) // ends with the connection
	}
}

func (n *bareNode) serve(conn net.Conn) {
	defer conn.Close()
	var op [1]byte
	for {
		if _, err := io.ReadFull(conn, op[:]); err != nil {
			return
		}
		answer := byte(0)
		switch op[0] {
		case askWrite:
			if n.raft.Apply(make([]byte, entrySize), 5*time.Second).Error() == nil {
				answer = 1
			}
		case askAlive:
			answer = byte(n.members.NumMembers())
		}
		if _, err := conn.Write([]byte{answer}); err != nil {
			return
		}
	}
}

// nothing is a raft.FSM without a state.
type nothing struct{}

// Apply does nothing.
func (nothing) Apply(*raft.Log) any { return nil }

// Snapshot has nothing to keep.
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nothing{}, nil }

// Restore has nothing to read.
func (nothing) Restore(r io.ReadCloser) error { return r.Close() }

// Persist writes nothing.
func (nothing) Persist(sink raft.SnapshotSink) error { return sink.Close() }

// Release has nothing to release.
func (nothing) Release() {}
