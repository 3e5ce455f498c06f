package simtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simnet"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// machine is one node over all its starts: what is on its disk stays.
type machine struct {
	s        *sim
	id, name string
	ip       string
	disk     *raftstore.Mem
	seq      uint64 // starts so far
	first    bool   // it begins the cluster
	twin     bool   // a copy of another: its starts have names of their own
	mute     atomic.Bool
	p        *process // nil while it is down
}

// process is one start of a machine's node.
type process struct {
	m      *machine
	boot   string
	host   *simnet.Host
	gossip *gossip.Gossip
	node   *cluster.Node
	procs  *procTable
	cancel context.CancelFunc
	agent  context.CancelFunc
	over   chan struct{} // the agent has ended
	dead   atomic.Bool

	linkMu sync.Mutex
	link   link.Link // its session
}

func newMachine(s *sim, i int) *machine {
	m := &machine{s: s, id: fmt.Sprintf("id%d", i+1), name: fmt.Sprintf("n%d", i+1), disk: raftstore.NewMem(), first: i == 0}
	m.move()
	return m
}

// move gives a machine that is down another address.
func (m *machine) move() {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.nextIP++
	m.ip = fmt.Sprintf("10.0.%d.%d", m.s.nextIP/250, m.s.nextIP%250+1)
}

func (m *machine) String() string {
	if m.p == nil {
		return fmt.Sprintf("%s at %s: down", m.name, m.ip)
	}
	n := m.p.node
	leader, _ := n.Leader()
	out := fmt.Sprintf("%s at %s: leads=%v term=%d index=%d leader=%s gossip:", m.name, m.ip, n.Leads(), n.Term(), m.index(), leader)
	for _, g := range n.Members() {
		out += fmt.Sprintf(" %s=%s", g.Name, g.State)
	}
	return out + fmt.Sprintf(" servers=%v", n.Servers())
}

func (m *machine) index() (i uint64) {
	m.p.node.Machine().View(func(v fsm.View) { i = v.Index() })
	return i
}

func (m *machine) voters() (ids []string) {
	for _, s := range m.p.node.Servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, string(s.ID))
		}
	}
	return ids
}

// boot starts the machine's node: a new process on the same disk.
func (m *machine) boot() {
	s := m.s
	m.seq++
	p := &process{m: m, boot: fmt.Sprintf("b%d", m.seq), host: s.net.Host(m.ip), over: make(chan struct{})}
	if m.twin {
		p.boot = "twin-" + p.boot
	}
	s.notef("boot %s as %s at %s", m.name, p.boot, m.ip)
	if err := p.open(); err != nil {
		s.t.Fatalf("cannot boot %s: %v", m.name, err)
	}
	p.run()
	m.set(p)
	s.oracle.follow(p)
}

// set changes p; the bubble's main goroutine alone does, and reads it without mu.
func (m *machine) set(p *process) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.p = p
}

func (p *process) open() error {
	m, s := p.m, p.m.s
	log := s.log.With("node", m.name+"."+p.boot)
	tr, err := p.host.Gossip(7400)
	if err != nil {
		return err
	}
	p.gossip, err = gossip.New(gossip.Config{
		NodeID: m.id, BootID: p.boot, BootSeq: m.seq, ClusterID: clusterID, Key: clusterKey, BindAddr: m.ip, BindPort: 7400,
		Meta:    gossip.Meta{Name: m.name, ClusterAddr: m.ip + ":7401", APIAddr: m.ip + ":7402"},
		Profile: s.opt.profile, Seeds: s.seeds, Transport: &gossipPort{tr, p}, Logger: log,
	})
	if err != nil {
		return err
	}
	store, err := m.disk.Open(raftstore.Config{Fatal: p.fatal, Logger: log})
	if err != nil {
		return err
	}
	lis, err := p.host.Listen(7401)
	if err != nil {
		return err
	}
	p.node, err = cluster.New(cluster.Config{
		Self: p.self(), ClusterID: clusterID, Key: clusterKey, Profile: s.opt.profile, Bootstrap: m.first,
		Store: store, Listener: lis, Dial: p.host.Dial, Gossip: p.gossip, SnapshotEvery: s.opt.snapshots,
		ChecksumEvery: 64, // every run compares its replicas often (P9)
		Clock:         s.clock, Fatal: p.fatal, Logger: log,
	})
	return err
}

func (p *process) self() link.Node {
	m := p.m
	return link.Node{
		ID: m.id, Name: m.name, Boot: p.boot, BootSeq: m.seq, Address: m.ip + ":7401", API: m.ip + ":7402",
		Gossip: m.ip + ":7400", CPU: 8000, Memory: 16 << 30, Version: "sim",
	}
}

// clock is what all machines' clocks show.
func (s *sim) clock() time.Duration { return time.Since(s.began) + time.Hour }

// seeds are all machines by their present addresses, as a name service would say.
func (s *sim) seeds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.machines {
		out = append(out, m.ip+":7400")
	}
	return out
}

// fatal is a fault of the subject, unless the process is dead already.
func (p *process) fatal(err error) {
	if !p.dead.Load() {
		p.m.s.failf("%s must not go on: %v", p.m.name, err)
	}
}

// run starts all parts. Each ends when the process does; sim.end waits.
func (p *process) run() {
	s := p.m.s
	times := cluster.TimesOf(s.opt.profile)
	p.procs = &procTable{Table: s.procs.Table(p.m.name)}
	a, err := agent.New(agent.Config{
		Node: p.self(), Runner: p.procs, Dial: p.dial, Silence: times.Hush(), Alone: times.Alone,
		Lease: agent.Lease{Renew: times.Renew, Soft: times.Soft, Fence: times.Fence}, Clock: s.clock,
		Seed: s.opt.seed + p.m.seq, Logger: s.log.With("node", p.m.name+"."+p.boot, "part", "agent"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var ctx, agentCtx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	agentCtx, p.agent = context.WithCancel(ctx)
	s.wg.Go(func() { p.ended("gossip", p.gossip.Run(ctx)) })
	s.wg.Go(func() { p.ended("cluster", p.node.Run(ctx)) })
	s.wg.Go(func() {
		defer close(p.over)
		p.ended("agent", a.Run(agentCtx))
	})
}

func (p *process) ended(part string, err error) {
	if err != nil && !p.dead.Load() && !errors.Is(err, net.ErrClosed) {
		p.m.s.failf("%s of %s ended: %v", part, p.m.name, err)
	}
}

func (p *process) dial(ctx context.Context) (link.Link, error) {
	l, err := p.node.Connect(ctx)
	if err == nil {
		p.linkMu.Lock()
		p.link = l
		p.linkMu.Unlock()
	}
	return l, err
}

// crash is kill -9 of the node and of all its children. It may be called again.
func (m *machine) crash() {
	p := m.p
	if p == nil {
		return
	}
	m.s.notef("crash %s", m.name)
	m.set(nil)
	p.dead.Store(true)
	p.host.Crash()
	m.disk.Crash()
	p.procs.kill()
	p.cancel()
	p.gossip.Shutdown()
}

// stop ends the node in peace, as SIGTERM does: first its children, then its
// session, then its leadership, then gossip.
func (m *machine) stop() {
	p := m.p
	if p == nil {
		return
	}
	m.s.notef("stop %s", m.name)
	p.agent()
	<-p.over
	p.procs.kill()
	p.dead.Store(true)
	p.cancel()
	_ = p.gossip.Leave(time.Second)
	time.Sleep(2 * cluster.TimesOf(m.s.opt.profile).Election)
	m.crash()
}

// dropSession closes the node's session, as a reset of its connection would.
func (p *process) dropSession() {
	p.linkMu.Lock()
	l := p.link
	p.linkMu.Unlock()
	if l != nil {
		l.Close()
	}
}

// procTable is the process's own table: once it is dead, it starts nothing.
type procTable struct {
	*simproc.Table
	mu   sync.Mutex
	dead bool
}

// Start implements agent.Processes.
func (t *procTable) Start(l agent.Launch) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return errors.New("the machine is dead")
	}
	return t.Table.Start(l)
}

// Stop implements agent.Processes.
func (t *procTable) Stop(ref supervisor.Ref, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dead {
		t.Table.Stop(ref, why)
	}
}

func (t *procTable) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = true
	t.KillAll()
}

// gossipPort can be cut off while everything else of the machine works.
type gossipPort struct {
	*simnet.Transport
	p *process
}

// WriteToAddress drops the packet while the machine's gossip is mute.
func (g *gossipPort) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if g.p.m.mute.Load() {
		return time.Now(), nil
	}
	return g.Transport.WriteToAddress(b, a)
}

// DialAddressTimeout fails while the machine's gossip is mute.
func (g *gossipPort) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if g.p.m.mute.Load() {
		return nil, syscall.ETIMEDOUT
	}
	return g.Transport.DialAddressTimeout(a, timeout)
}
