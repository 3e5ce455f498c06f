package simtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simnet"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// process is one start of a machine's agent process.
type process struct {
	m       *machine
	boot    string
	host    *simnet.Host
	gossip  *gossip.Gossip
	node    *cluster.Node
	procs   *procTable
	cancel  context.CancelFunc
	agent   context.CancelFunc
	over    chan struct{} // the agent has ended
	dead    atomic.Bool
	gone    chan struct{} // closed when it is dead, and nothing of it reaches anybody
	bury    sync.Once
	leaving atomic.Bool // it ends in peace

	health chan link.Health // what its checks of itself say

	linkMu sync.Mutex
	link   link.Link // its session
}

func (p *process) open() error {
	m, s := p.m, p.m.s
	log := slog.New(ear{s.log.Handler(), p}).With("node", m.name+"."+p.boot)
	tr, err := p.host.Gossip(gossipAt)
	if err != nil {
		return err
	}
	p.gossip, err = gossip.New(gossip.Config{
		NodeID: m.id, BootID: p.boot, BootSeq: m.seq, ClusterID: clusterID, Key: clusterKey, BindAddr: m.ip, BindPort: gossipAt,
		Meta:    gossip.Meta{Name: m.name, ClusterAddr: m.ip + ":7401", APIAddr: m.ip + ":7402"},
		Profile: s.opt.profile, Seeds: s.seeds, Transport: &gossipPort{tr, p}, Logger: log,
	})
	if err != nil {
		return err
	}
	store, err := m.disk.Open(raftstore.Config{Deadline: cluster.TimesOf(s.opt.profile).Stall, Fatal: p.fatal, Logger: log})
	if err != nil {
		return err
	}
	store.StableStore = mortal{store.StableStore, p}
	lis, err := p.host.Listen(clusterAt)
	if err != nil {
		return err
	}
	p.node, err = cluster.New(cluster.Config{
		Self: p.self(), ClusterID: clusterID, Key: clusterKey, Profile: s.opt.profile, Bootstrap: m.first && m.wiped == 0,
		Store: store, Listener: lis, Dial: p.host.Dial, Gossip: p.gossip, SnapshotEvery: s.opt.snapshots,
		ChecksumEvery: 64, // every run compares its replicas often (P9)
		Applied:       func(index, term uint64, data []byte) { s.oracle.applied(p, index, term, data) },
		Clock:         m.clock, Fatal: p.fatal, Logger: log,
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

// The ports of a machine.
const gossipAt, clusterAt = 7400, 7401

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

// fatal ends the process. Unless it is dead already, or has a disk that may do this
// to it, that is a fault of the subject.
func (p *process) fatal(err error) {
	if p.dead.Load() {
		return
	}
	if p.m.failing() == "" {
		p.m.s.failf("%s must not go on: %v", p.m.name, err)
		return
	}
	p.m.s.notef("%s ends itself: %v", p.m.name, err)
	p.m.s.count(func(c *faultCounts) { c.disks++ })
	p.die()
}

// mortal is a stable store whose process may have died of it. Raft panics when its
// term cannot be saved, since nobody should go on then. Here it goes on, cut off from
// everything, until it is shut down: raft answers those who wait for it only as long as
// its loop runs.
type mortal struct {
	raft.StableStore
	p *process
}

// Set implements raft.StableStore.
func (m mortal) Set(k, v []byte) error { return m.last(m.StableStore.Set(k, v)) }

// SetUint64 implements raft.StableStore.
func (m mortal) SetUint64(k []byte, v uint64) error { return m.last(m.StableStore.SetUint64(k, v)) }

func (m mortal) last(err error) error {
	if err != nil && m.p.dead.Load() {
		<-m.p.gone
		return nil
	}
	return err
}

// run starts all parts. Each ends when the process does; sim.end waits.
func (p *process) run() {
	s := p.m.s
	times := cluster.TimesOf(s.opt.profile)
	p.m.procs.Attach()
	var ctx, agentCtx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	agentCtx, p.agent = context.WithCancel(ctx)
	table, labels := p.table(ctx)
	a, err := agent.New(agent.Config{
		Node: p.self(), Labels: labels, Runner: table, Dial: p.dial, Silence: times.Hush(), Alone: times.Alone, End: p.endChildren,
		Lease: agent.Lease{Renew: times.Renew, Soft: times.Soft, Fence: times.Fence}, Clock: p.m.clock, Health: p.health,
		Seed: s.opt.seed + p.m.seq, Logger: s.log.With("node", p.m.name+"."+p.boot, "part", "agent"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.wg.Go(func() { p.ended("gossip", p.gossip.Run(ctx)) })
	s.wg.Go(func() { p.ended("cluster", p.node.Run(ctx)) })
	s.wg.Go(func() {
		defer close(p.over)
		p.ended("agent", a.Run(agentCtx))
	})
}

// endChildren is the agent's way out in peace; a dead one has none.
func (p *process) endChildren() { p.procs.kill((*simproc.Table).KillAll) }

func (p *process) ended(part string, err error) {
	if err != nil && !p.dead.Load() && !p.leaving.Load() && !errors.Is(err, net.ErrClosed) {
		p.m.s.failf("%s of %s ended: %v", part, p.m.name, err)
	}
}

func (p *process) dial(ctx context.Context) (link.Link, error) {
	p.m.gate.wait()
	l, err := p.node.Connect(ctx)
	if err != nil {
		p.accuse(err)
		return nil, err
	}
	p.linkMu.Lock()
	defer p.linkMu.Unlock()
	p.link = newWire(l, p)
	return p.link, nil
}

// crash takes the keeper and the children along.
func (p *process) crash() {
	p.dead.Store(true)
	p.host.Crash()
	p.m.s.net.Release(p.m.ip)
	p.m.disk.Crash()
	p.procs.kill((*simproc.Table).KillAll)
	p.cancel()
	p.bury.Do(func() { close(p.gone) })
}

func (p *process) powerOff() {
	p.host.PowerOff()
	p.crash()
}

// die leaves keeper and children alone. Any goroutine of the process may call it.
func (p *process) die() {
	p.dead.Store(true)
	p.host.CrashKeeping(clusterAt)
	p.m.disk.Crash()
	p.procs.kill((*simproc.Table).Detach)
	p.cancel()
	p.bury.Do(func() { close(p.gone) })
}

// dropSession closes the node's session, as a reset of its connection would.
func (p *process) dropSession() (had bool) {
	p.linkMu.Lock()
	l := p.link
	p.linkMu.Unlock()
	if l != nil {
		l.Close()
	}
	return l != nil
}

// procTable is the process's own hold on the machine's table: once it is dead, it
// starts and stops nothing, and while it is paused its calls wait.
type procTable struct {
	*simproc.Table
	gate *gate
	mu   sync.Mutex
	dead bool
}

// Start implements agent.Processes.
func (t *procTable) Start(l agent.Launch) error {
	t.gate.wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return errors.New("the machine is dead")
	}
	return t.Table.Start(l)
}

// Stop implements agent.Processes.
func (t *procTable) Stop(ref supervisor.Ref, why string) { t.call(func() { t.Table.Stop(ref, why) }) }

// Settle implements agent.Processes.
func (t *procTable) Settle(ref supervisor.Ref) { t.call(func() { t.Table.Settle(ref) }) }

// Hold implements agent.Processes.
func (t *procTable) Hold(until time.Duration) { t.call(func() { t.Table.Hold(until) }) }

func (t *procTable) call(f func()) {
	t.gate.wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dead {
		f()
	}
}

// kill ends the process's hold on the table, in the way that f says; once.
func (t *procTable) kill(f func(*simproc.Table)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dead {
		t.dead = true
		f(t.Table)
	}
}

// gossipPort can be cut off while everything else of the machine works.
type gossipPort struct {
	*simnet.Transport
	p *process
}

// WriteToAddress drops the packet while the machine's gossip is mute.
func (g *gossipPort) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if g.p.m.mute.Load() {
		g.p.m.s.bit("mute")
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

// classes tells raft's streams from sessions and the rest: the mux says so in the
// byte after its magic.
func classes(port uint16, first []byte) string {
	switch {
	case port == gossipAt:
		return "gossip"
	case len(first) < 12:
		return ""
	case first[11] == 1:
		return "raft"
	case first[11] == 2:
		return "session"
	}
	return fmt.Sprintf("purpose %d", first[11])
}
