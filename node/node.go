package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
)

// stopTime is what children get when their node stops; containers and systemd
// give the node itself little more.
const stopTime = 8 * time.Second

// Config is what Open needs besides the data dir.
type Config struct {
	// Logger may be nil: discard.
	Logger  *slog.Logger
	Version string
	// Keeper is the connection to the keeper of the processes. Required, but for an
	// embedded node (Start).
	Keeper *runner.Keeper
	host   *host // of an embedded node
	// Fatal is called when the node must not go on; nil logs and exits with 1.
	Fatal func(error)
}

// Node is a whole node. Open it, then Run it.
type Node struct {
	settings Settings
	log      *slog.Logger
	self     link.Node

	store   *raftstore.Store
	gossip  *gossip.Gossip
	cluster *cluster.Node
	keeper  *runner.Keeper // nil if it is embedded, and then there is no runner
	runner  *runner.Runner
	host    *host // nil if it is not embedded
	table   agent.Processes
	agent   *agent.Agent
	health  *watch
	api     *api.Server

	clusterPort  net.Listener
	apiListeners []net.Listener
	closers      []func() error
}

// Open takes the data dir and the ports and puts the parts together. After an
// error nothing is held.
func Open(dir string, c Config) (*Node, error) {
	s, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) {
			c.Logger.Error("the node must stop", "why", err)
			os.Exit(lastCode(err))
		}
	}
	end := c.Fatal
	c.Fatal = func(err error) { end(poison(dir, err)) }
	n := &Node{settings: s, keeper: c.Keeper, host: c.host, log: c.Logger.With("node", s.Name)}
	if err := n.open(dir, c); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *Node) open(dir string, c Config) error {
	token, start, err := n.identify(dir, c.Version)
	if err != nil {
		return err
	}
	// The ports before the runner, which kills what an earlier start left behind:
	// if another process has them, that one may be the original of a copied dir,
	// and its children are no leftovers.
	if err := n.listen(); err != nil {
		return err
	}
	if err := n.openTable(dir, c); err != nil {
		return err
	}
	if err := start.write(dir); err != nil {
		return err
	}
	n.store, err = raftstore.Open(raftstore.Config{
		Dir: filepath.Join(dir, "raft"), Deadline: cluster.TimesOf(n.settings.Profile).Stall,
		Logger: n.log.With("part", "raftstore"),
	})
	if err != nil {
		return err
	}
	n.closers = append(n.closers, n.store.Close)
	if err := n.openGossip(token); err != nil {
		return err
	}
	if err := n.openCluster(token, c.Fatal); err != nil {
		return err
	}
	if n.health, err = newWatch(ownChecks(dir)); err != nil {
		return err
	}
	times := cluster.TimesOf(n.settings.Profile)
	n.agent, err = agent.New(agent.Config{
		Node: n.self, Labels: n.labels(), Runner: n.table, Dial: n.cluster.Connect,
		Silence: times.Hush(), Alone: times.Alone, Lease: agent.Lease{Renew: times.Renew, Soft: times.Soft, Fence: times.Fence},
		Seed: n.self.BootSeq, End: n.endChildren, Health: n.health.out, Logger: n.log.With("part", "agent"),
	})
	if err != nil {
		return err
	}
	n.introduceFunctions()
	return n.openAPI(dir, c.Version)
}

// openTable opens what holds the children: processes, or functions of this program.
func (n *Node) openTable(dir string, c Config) (err error) {
	if n.host != nil {
		n.table, err = n.host.open(n, c.Fatal)
		return err
	}
	n.runner, err = runner.New(runner.Config{Dir: dir, Keeper: n.keeper, Logger: n.log.With("part", "runner")})
	if err != nil {
		return err
	}
	n.table = agent.Adapter(n.runner)
	return nil
}

// identify says who the node is, and numbers this start.
func (n *Node) identify(dir, version string) (t mux.Token, start boot, err error) {
	if t, err = n.token(dir); err != nil {
		return t, start, err
	}
	last, err := lastBoot(dir)
	if err != nil {
		return t, start, err
	}
	host, err := n.settings.advertised()
	if err != nil {
		return t, start, err
	}
	start = boot{seq: last.seq + 1, addr: n.settings.addr(host, 1)}
	if err := n.alone(last, start, t); err != nil {
		return t, start, err
	}
	s := n.settings
	cpu, memory := capacity(s)
	n.self = link.Node{
		ID: s.ID, Name: s.Name, Boot: randomHex(8), BootSeq: start.seq,
		Address: start.addr, API: s.addr(host, 2), Gossip: s.addr(host, 0),
		Labels: s.Labels, CPU: cpu, Memory: memory, Profile: string(s.Profile), Version: version,
	}
	return t, start, nil
}

func (n *Node) token(dir string) (mux.Token, error) {
	text, err := Token(dir)
	if err != nil {
		return mux.Token{}, err
	}
	t, err := mux.ParseToken(text)
	switch {
	case err != nil:
		return t, fmt.Errorf("%s: %w", filepath.Join(dir, "token"), err)
	case t.ClusterID != n.settings.ClusterID:
		return t, fmt.Errorf("cannot use %s: its token is of cluster %s, its settings of %s", dir, t.ClusterID, n.settings.ClusterID)
	}
	return t, nil
}

// listen takes the ports of the cluster and of the API. The keeper holds a copy of
// the cluster's: whoever knocks there while no agent runs waits for the next one.
func (n *Node) listen() (err error) {
	addr := n.settings.addr(n.settings.Bind, 1)
	if n.keeper != nil {
		n.clusterPort = inherited(n.keeper, addr)
	}
	if n.clusterPort == nil {
		if n.clusterPort, err = listen(addr, "cluster"); err != nil {
			return err
		}
	}
	n.closers = append(n.closers, n.clusterPort.Close)
	if n.keeper != nil {
		if err := handOver(n.keeper, n.clusterPort); err != nil {
			return err
		}
	}
	tcp, err := listen(n.settings.addr(n.settings.Bind, 2), "API")
	if err != nil {
		return err
	}
	n.closers = append(n.closers, tcp.Close)
	n.apiListeners = []net.Listener{tcp}
	return nil
}

// clusterName is what the keeper knows the cluster port by.
const clusterName = "cluster port"

// inherited gives the listener that an agent before this one had, if it is at addr.
func inherited(k *runner.Keeper, addr string) net.Listener {
	f := k.Stored(clusterName)
	if f == nil {
		return nil
	}
	defer f.Close()
	lis, err := net.FileListener(f)
	if err != nil {
		return nil
	}
	if !listensAt(lis, addr) { // the settings were edited
		lis.Close()
		return nil
	}
	return lis
}

// listensAt tells whether a listener is at an address. One for all addresses of
// IPv4 takes those of IPv6 as well, and calls itself [::].
func listensAt(lis net.Listener, addr string) bool {
	has, err := netip.ParseAddrPort(lis.Addr().String())
	if err != nil {
		return false
	}
	want, err := netip.ParseAddrPort(addr)
	if err != nil || has.Port() != want.Port() {
		return false
	}
	return has.Addr().Unmap() == want.Addr().Unmap() || has.Addr().IsUnspecified() && want.Addr().IsUnspecified()
}

// handOver gives the keeper a copy of a listener.
func handOver(k *runner.Keeper, lis net.Listener) error {
	raw, err := lis.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = k.Store(clusterName, int(fd)) }); err != nil {
		return err
	}
	return sent
}

// alone refuses a start while the node's last one still runs, elsewhere: two
// processes with one id could vote twice. That happens when a data dir is copied.
func (n *Node) alone(last, now boot, t mux.Token) error {
	if last.addr == "" || last.addr == now.addr {
		return nil // on the same address, the port tells
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	d := mux.Dialer{Self: mux.Identity{ClusterID: t.ClusterID, NodeID: n.settings.ID, Key: t.Key}, Dial: n.dial}
	conn, err := d.DialNode(ctx, n.settings.ID, last.addr, mux.Join)
	if err != nil {
		return nil // nobody is there, or another node
	}
	conn.Close()
	return fmt.Errorf("cannot start node %s at %s: it runs at %s; was its data dir copied? Each node needs one of its own, made by join", n.settings.Name, now.addr, last.addr)
}

func (n *Node) openGossip(t mux.Token) error {
	host, _, _ := net.SplitHostPort(n.self.Gossip)
	// Gossip and the cluster port use keys of their own, made from the token's.
	key := sha256.Sum256(append([]byte("selfware gossip "), t.Key...))
	var err error
	n.gossip, err = gossip.New(gossip.Config{
		NodeID: n.self.ID, BootID: n.self.Boot, BootSeq: n.self.BootSeq,
		ClusterID: t.ClusterID, Key: key[:],
		BindAddr: n.settings.Bind, BindPort: n.settings.Port, AdvertiseAddr: host, AdvertisePort: n.settings.Port,
		Meta:    gossip.Meta{Name: n.self.Name, ClusterAddr: n.self.Address, APIAddr: n.self.API, Version: n.self.Version},
		Profile: n.settings.Profile, Seeds: n.seeds, Logger: n.log.With("part", "gossip"),
	})
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func() error { n.gossip.Shutdown(); return nil })
	return nil
}

// seeds are the addresses of the settings and those of every node that the state
// knows: either may be outdated, hardly both.
func (n *Node) seeds() []string {
	seeds := append([]string(nil), n.settings.Seeds...)
	if n.cluster == nil {
		return seeds
	}
	n.cluster.Machine().View(func(v fsm.View) {
		for _, other := range v.Nodes() {
			if other.ID != n.self.ID && other.Gossip != "" && other.State != fsm.NodeGone {
				seeds = append(seeds, other.Gossip)
			}
		}
	})
	return seeds
}

func (n *Node) openCluster(t mux.Token, fatal func(error)) (err error) {
	n.cluster, err = cluster.New(cluster.Config{
		Self: n.self, ClusterID: t.ClusterID, Key: t.Key, Profile: n.settings.Profile,
		Bootstrap: n.settings.Bootstrap, Store: n.store, Listener: n.host.port(n.clusterPort), Dial: n.dial, Gossip: n.gossip,
		Functions: n.functions(), Fatal: fatal, Logger: n.log,
	})
	return err
}

// dial opens a connection from the node's own address: on a machine with several
// networks, or several nodes, the way back and the firewall's rules go by it.
func (n *Node) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	if ip := net.ParseIP(n.settings.Bind); !ip.IsUnspecified() {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return n.host.conn(d.DialContext(ctx, "tcp", addr))
}

func (n *Node) openAPI(dir, version string) error {
	os.Remove(Socket(dir)) // the keeper's lock says that nobody serves it
	unix, err := net.Listen("unix", Socket(dir))
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", Socket(dir), err)
	}
	n.closers = append(n.closers, unix.Close)
	if err := os.Chmod(Socket(dir), 0o600); err != nil {
		return err
	}
	n.apiListeners = append(n.apiListeners, unix)
	host, _ := os.Hostname()
	n.api, err = api.New(api.Config{
		Cluster: n.cluster, Logs: n.logs(), Live: n.live(), Self: n.self, Peers: n.peers, Suspects: n.suspects,
		Hosts:   []string{host, n.settings.Advertise},
		Version: version, Logger: n.log.With("part", "api"),
	})
	return err
}

// peers is raft's configuration in the API's words.
func (n *Node) peers() []api.RaftServer {
	var peers []api.RaftServer
	for _, s := range n.cluster.Servers() {
		peers = append(peers, api.RaftServer{ID: string(s.ID), Address: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return peers
}

// suspects says which nodes gossip does not call alive.
func (n *Node) suspects() map[string]string {
	words := make(map[string]string)
	for _, m := range n.gossip.Members() {
		if m.State != gossip.Alive {
			words[m.NodeID] = string(m.State)
		}
	}
	return words
}

func listen(addr, what string) (net.Listener, error) {
	lis, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s (%s): address already in use; is another node running there? Stop it, or give another --bind", addr, what)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("cannot listen on %s (%s): this machine has no such address; give another --bind", addr, what)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s (%s): %w", addr, what, err)
	}
	return lis, nil
}

func (n *Node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		if err := n.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// endChildren stops the children as their specs say, all at once, within
// stopTime; what is left then is killed.
func (n *Node) endChildren() {
	for _, l := range n.table.Live() {
		n.table.Stop(l.Ref, "the node stops")
	}
	late := time.NewTimer(stopTime)
	defer late.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for len(n.table.Live()) > 0 {
		select {
		case <-look.C:
		case <-late.C:
			return
		}
	}
}

// Self is the node as others see it.
func (n *Node) Self() link.Node { return n.self }

// Run runs the node until ctx ends, a part fails or the keeper wants another agent.
// If ctx ends, the children stop first, then the agent says so, and only then the
// node leaves the others. Else the children stay for the next agent, and the others
// are told that it comes at once.
func (n *Node) Run(ctx context.Context) error {
	n.log.Info("node runs", "id", n.self.ID, "cluster", n.settings.ClusterID, "gossip", n.self.Gossip,
		"cluster_port", n.self.Address, "api", n.self.API)
	yield := n.began()
	asked := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	// stage starts a part whose life ends when the given context does; a part
	// that ends early ends the node.
	stage := func(ctx context.Context, name string, run func(context.Context) error) (stop func()) {
		ctx, end := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := run(ctx); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				mu.Unlock()
			}
			cancel()
		}()
		return func() { end(); <-done }
	}
	const runnerStage = 3
	stops := []func(){
		stage(ctx, "gossip", n.gossip.Run),
		stage(ctx, "cluster", n.cluster.Run),
		stage(ctx, "api", func(ctx context.Context) error { return n.api.Run(ctx, n.apiListeners...) }),
		stage(ctx, "runner", n.runTable),
		stage(ctx, "agent", n.agent.Run),
		stage(ctx, "health", n.health.Run),
	}
	returns := false
	select {
	case <-ctx.Done():
		returns = asked.Err() == nil && n.keeper != nil // it starts another agent
	case <-n.cluster.Left():
		n.log.Info("this node has left the cluster; its data dir is of no more use")
	case <-yield:
		returns = true
	}
	if returns {
		n.agent.Return()
		n.runner.Detach()
	}
	n.log.Info("node stops", "children_stay", returns)
	for i := len(stops) - 1; i >= 0; i-- {
		switch {
		case returns:
		case i == runnerStage && n.keeper != nil && len(n.runner.Live()) == 0:
			// From now on a refused connection says what is true: nothing is left here.
			_ = n.keeper.Drop(clusterName)
		case i == 0:
			_ = n.gossip.Leave(0)
		}
		stops[i]()
	}
	return errors.Join(append(errs, n.close())...)
}
