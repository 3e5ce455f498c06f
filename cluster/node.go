package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/cluster/raftnet"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
)

// Node is this machine's part in the cluster: its replica of the state, its
// vote, and, while it leads, the leader's work. Make one with New, then Run it.
type Node struct {
	cfg   Config
	times Times
	log   *slog.Logger
	rep   *replica
	raft  *raft.Raft
	// transport knows which servers have lately answered raft's requests.
	transport *raftnet.Transport
	mux       *mux.Mux
	dialer    *mux.Dialer
	starts    *starts
	notify    chan bool

	// leading is set while this node leads and has caught up with its log.
	leading atomic.Pointer[leader]
	// restoring counts the restores under way here: no lease is granted meanwhile.
	restoring atomic.Int32
	// inbox takes sessions that this process opens to itself.
	inbox chan net.Conn
	// hint is the leader a redirect named, turn picks whom to ask without one.
	hint atomic.Pointer[string]
	turn atomic.Uint32
	// session is this node's session with the leader, once it has orders.
	session atomic.Pointer[uplink]
	// lastHeard is when a leader was last heard, and which.
	heardMu     sync.Mutex
	heardLeader string
	heardAt     time.Time

	over chan struct{} // closed when Run ends
	// left is closed when a leader says that this node has left the cluster.
	left     chan struct{}
	leftOnce sync.Once
	wg       sync.WaitGroup
	asking   asking
}

// New opens raft on the store and the cluster port. Nothing is served before
// Run; raft itself begins at once.
func New(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = bootTime
	}
	n := &Node{
		cfg: cfg, times: TimesOf(cfg.Profile), log: cfg.Logger, rep: newReplica(cfg.Fatal),
		// Raft blocks on a full NotifyCh (nomad#6977); roles always reads it.
		notify: make(chan bool, 16), inbox: make(chan net.Conn, 4), over: make(chan struct{}), left: make(chan struct{}),
	}
	n.rep.applied = cfg.Applied
	start, err := startOf(cfg.Self, cfg.Store)
	if err != nil {
		return nil, err
	}
	n.starts = newStarts(n.rep.m)
	self := mux.Identity{ClusterID: cfg.ClusterID, NodeID: cfg.Self.ID, Key: cfg.Key, Start: start}
	n.dialer = &mux.Dialer{Dial: cfg.Dial, Self: self, Starts: n.starts}
	if n.mux, err = mux.New(mux.Config{Listener: cfg.Listener, Self: self, Starts: n.starts, Logger: cfg.Logger}); err != nil {
		return nil, err
	}
	// A purpose is served once its listener was asked for: before Run, so that
	// nobody who dials early is turned away.
	for _, p := range []mux.Purpose{mux.Session, mux.HTTP, mux.Join} {
		n.mux.Listener(p)
	}
	if err := n.openRaft(); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Node) openRaft() error {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.cfg.Self.ID)
	c.HeartbeatTimeout, c.ElectionTimeout = n.times.Heartbeat, n.times.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = n.times.Lease, n.times.Commit
	// A long tail of entries makes InstallSnapshot rare (raft#697).
	c.TrailingLogs, c.SnapshotThreshold, c.SnapshotInterval = 10240, 8192, 30*time.Second
	if k := n.cfg.SnapshotEvery; k > 0 {
		c.TrailingLogs, c.SnapshotThreshold, c.SnapshotInterval = k, k, 2*time.Second
	}
	c.NoLegacyTelemetry, c.ShutdownOnRemove = true, false
	c.NotifyCh = n.notify
	c.Logger = raftnet.Logger(n.log.With("part", "raft"))

	layer := raftnet.NewLayer(raftnet.LayerConfig{
		Listener: n.mux.Listener(mux.Raft),
		Dial: func(ctx context.Context, node, addr string) (net.Conn, error) {
			return n.dialer.DialNode(ctx, node, addr, mux.Raft)
		},
		Advertise: n.cfg.Self.Address,
	})
	n.transport = raftnet.New(raftnet.Config{
		Layer: layer, Timeout: 10 * time.Second, Provider: addressBook{n}, Logger: n.log.With("part", "raftnet"),
	})
	store, snaps := n.cfg.Store, n.cfg.Store.Snapshots()
	if n.cfg.Bootstrap {
		if err := bootstrap(c, store, snaps, n.transport, n.cfg.Self.Address); err != nil {
			return err
		}
	}
	var err error
	n.raft, err = raft.NewRaft(c, n.rep, store, store, snaps, n.transport)
	if err != nil {
		return fmt.Errorf("cannot start raft: %w", err)
	}
	return nil
}

// bootstrap makes the node the one voter of a new cluster, unless it has state.
func bootstrap(c *raft.Config, store interface {
	raft.LogStore
	raft.StableStore
}, snaps raft.SnapshotStore, trans raft.Transport, addr string) error {
	has, err := raft.HasExistingState(store, store, snaps)
	if err != nil || has {
		return err
	}
	first := raft.Configuration{Servers: []raft.Server{{ID: c.LocalID, Address: raft.ServerAddress(addr)}}}
	if err := raft.BootstrapCluster(c, store, store, snaps, trans, first); err != nil {
		return fmt.Errorf("cannot begin a cluster: %w", err)
	}
	return nil
}

// Run serves until ctx ends or the cluster port fails, then shuts raft down. A
// leader hands its leadership over first, so that others need not find out.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The port outlives the roles: leadership is handed over through it.
	port, closePort := context.WithCancel(context.WithoutCancel(ctx))
	defer closePort()
	failed := make(chan error, 1)
	n.wg.Go(func() {
		failed <- n.mux.Run(port)
		cancel()
	})
	n.wg.Go(func() { n.acceptSessions(ctx) })
	n.wg.Go(func() { n.watchLeader(ctx) })
	n.wg.Go(n.greet)
	n.roles(ctx)
	n.handOver()
	n.asking.end()
	err := n.raft.Shutdown().Error()
	closePort()
	close(n.over)
	n.wg.Wait()
	return errors.Join(<-failed, err)
}

// greet answers those who knock: a node that wants to join and tries its token,
// a leader that wants to know whether this process lives. The handshake was all
// there is to say.
func (n *Node) greet() {
	lis := n.mux.Listener(mux.Join)
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// roles runs lead whenever this node leads. Raft tells of every change; a new
// term of leadership begins only after the former one's work has ended.
func (n *Node) roles(ctx context.Context) {
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case leads := <-n.notify:
			stop()
			stop = func() {}
			if leads {
				stop = n.startLeading(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) startLeading(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	n.wg.Go(func() {
		defer close(done)
		n.lead(ctx)
	})
	return func() {
		cancel()
		<-done
	}
}

// handOver transfers leadership on the way out. A transfer that hangs must not
// leave a node that neither leads nor follows (raft#696): here the node ends anyway,
// and Transfer ends it. Whether it was done shows by the state: raft never answers a
// transfer that it has not begun when it is shut down.
func (n *Node) handOver() {
	if n.raft.State() != raft.Leader || len(n.voters()) < 2 {
		return
	}
	n.raft.LeadershipTransfer()
	look := time.NewTicker(n.times.Election / 50)
	defer look.Stop()
	for end := time.Now().Add(n.times.Election); n.raft.State() == raft.Leader; <-look.C {
		if time.Now().After(end) {
			n.log.Warn("leadership was not handed over", "within", n.times.Election)
			return
		}
	}
}

// watchLeader notes when a leader was last heard: a new leader counts the old
// one's silence from there and not from its own election. And it ends a session
// with a leader that raft knows to be succeeded: one that is paused does not hang up.
func (n *Node) watchLeader(ctx context.Context) {
	tick := time.NewTicker(n.times.Tick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, id := n.raft.LeaderWithID(); id != "" && string(id) != n.cfg.Self.ID {
				n.heardMu.Lock()
				n.heardLeader, n.heardAt = string(id), n.raft.LastContact()
				n.heardMu.Unlock()
				if u := n.session.Load(); u != nil && u.to.id != string(id) && n.raft.CurrentTerm() > u.term.Load() {
					u.Close()
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// Machine is this node's replica of the state. It may be behind.
func (n *Node) Machine() *fsm.Machine { return n.rep.m }

// Watch gives a channel that is closed when the replica next changes.
func (n *Node) Watch() <-chan struct{} { return n.rep.Watch() }

// peer is another node.
type peer struct{ id, addr string }

// Leader gives the leader's id and address as this node knows them: from raft,
// or, on a node without a vote, from its session. Both are empty if it knows
// none.
func (n *Node) Leader() (id, addr string) {
	a, sid := n.raft.LeaderWithID()
	if sid == "" {
		if u := n.session.Load(); u != nil {
			return u.to.id, u.to.addr
		}
		return "", ""
	}
	if known := n.address(string(sid)); known != "" {
		return string(sid), known
	}
	return string(sid), string(a)
}

// Leads tells whether this node leads and serves.
func (n *Node) Leads() bool { return n.leading.Load() != nil }

// Serves gives the term in which this node leads and serves; ok is false if it does
// not.
func (n *Node) Serves() (term uint64, ok bool) {
	if l := n.leading.Load(); l != nil {
		return l.term, true
	}
	return 0, false
}

// Left is closed once this node has left the cluster for good: it must stop.
func (n *Node) Left() <-chan struct{} { return n.left }

// Term is the raft term.
func (n *Node) Term() uint64 { return n.raft.CurrentTerm() }

// Members is what gossip says.
func (n *Node) Members() []gossip.Member { return n.cfg.Gossip.Members() }

// Servers lists the raft configuration as this node knows it.
func (n *Node) Servers() []raft.Server {
	f := n.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

func (n *Node) voters() []raft.Server {
	var voters []raft.Server
	for _, s := range n.Servers() {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s)
		}
	}
	return voters
}

// Stats are raft's own counters, for people.
func (n *Node) Stats() map[string]string { return n.raft.Stats() }

// HTTP is the listener of requests that other nodes forward.
func (n *Node) HTTP() net.Listener { return n.mux.Listener(mux.HTTP) }

// DialHTTP opens a connection for forwarded requests to a node of the cluster.
func (n *Node) DialHTTP(ctx context.Context, node, addr string) (net.Conn, error) {
	return n.dialer.DialNode(ctx, node, addr, mux.HTTP)
}

// address is where a node's cluster port is now: gossip knows best, then what
// the node last told a leader. Empty if neither knows it. Of two that call
// themselves the same, raft must go on with the one that was entered: the other, a
// copy, could acknowledge in its name what it does not have (consul#733).
func (n *Node) address(id string) string {
	var entered fsm.Node
	n.rep.m.View(func(v fsm.View) {
		if node, err := v.Node(id); err == nil {
			entered = *node
		}
	})
	for _, m := range n.cfg.Gossip.Members() {
		other := m.BootID != entered.Boot && (m.Conflict || m.BootSeq <= entered.BootSeq)
		if m.NodeID == id && m.ClusterAddr != "" && (!other || entered.Address == "") {
			return m.ClusterAddr
		}
	}
	return entered.Address
}

// addressBook is raft's ServerAddressProvider: addresses change, ids do not.
type addressBook struct{ n *Node }

// ServerAddr gives the present address of a server.
func (b addressBook) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if addr := b.n.address(string(id)); addr != "" {
		return raft.ServerAddress(addr), nil
	}
	return "", fmt.Errorf("cannot find the address of node %s", id)
}
