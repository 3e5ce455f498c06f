package simtest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
)

// machine is one node over all its starts: what is on its disk stays, and so do its
// keeper and the children, unless they die.
type machine struct {
	s        *sim
	id, name string
	ip       string
	disk     *raftstore.Mem
	seq      uint64 // starts so far, as its disk says
	boots    int    // starts so far
	newest   uint64 // the highest seq before an older disk was put back; 0: none was
	first    bool   // it begins the cluster
	twin     bool   // a copy of another: its starts have names of their own
	mute     atomic.Bool
	p        *process // nil while it is down
	procs    *simproc.Table
	gate     gate
	wiped    int
	rng      *rand.Rand
	rngMu    sync.Mutex

	// Since when it is refused, and when it last was; with mu of sim.
	refusedSince, refused time.Time

	mu     sync.Mutex
	rate   float64       // of its clock
	showed time.Duration // by its clock, at the moment of shown
	shown  time.Time
	broken string // its disk; what is written fails, or hangs, so
	met    bool   // a write has met that
	mend   chan struct{}
}

func newMachine(s *sim, i int) *machine {
	m := &machine{
		s: s, id: fmt.Sprintf("id%d", i+1), name: fmt.Sprintf("n%d", i+1), first: i == 0, rate: 1,
		rng: rand.New(rand.NewPCG(s.opt.seed, uint64(i)+100)), showed: time.Hour, shown: time.Now(),
	}
	if s.opt.drift { // the clocks of two machines differ by at most 5 % (A1 in cluster/doc.go)
		m.rate = 0.976 + 0.048*m.rng.Float64()
		m.showed = time.Duration(m.rng.Int64N(int64(1000 * time.Hour)))
	}
	kill := cluster.TimesOf(s.opt.profile).Kill
	m.procs = s.procs.TableOn(m.name, simproc.Machine{
		Clock: m.clock, Rate: m.rate,
		Lag: func() time.Duration { return time.Duration(m.chance() * 0.9 * float64(kill)) },
	})
	m.format()
	m.move()
	return m
}

// chance draws from 0 to 1.
func (m *machine) chance() float64 {
	m.rngMu.Lock()
	defer m.rngMu.Unlock()
	return m.rng.Float64()
}

// clock is the machine's own: since it booted, at its own rate.
func (m *machine) clock() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.showed + time.Duration(m.rate*float64(time.Since(m.shown)))
}

// reboot begins its clock anew.
func (m *machine) reboot() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.showed, m.shown = time.Second, time.Now()
}

// move gives a machine that is down another address.
func (m *machine) move() {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.nextIP++
	if m.ip != "" {
		m.s.net.Release(m.ip)
	}
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
	if how := m.failing(); how != "" && how != "disk-slow" {
		s.notef("%s cannot boot: %s", m.name, how) // whoever mends the disk boots it
		return
	}
	m.seq++
	m.boots++
	p := &process{m: m, boot: fmt.Sprintf("b%d", m.boots), host: s.net.Host(m.ip), over: make(chan struct{}), gone: make(chan struct{}), health: make(chan link.Health)}
	p.procs = &procTable{Table: m.procs, gate: &m.gate}
	if m.twin {
		p.boot = "twin-" + p.boot
	}
	s.notef("boot %s as %s at %s", m.name, p.boot, m.ip)
	if err := p.open(); err != nil {
		s.t.Fatalf("cannot boot %s: %v", m.name, err)
	}
	p.run()
	m.set(p)
}

// set changes p; the bubble's main goroutine alone does, and reads it without mu.
func (m *machine) set(p *process) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.p = p
}

// crash is the death of the keeper: kill -9 of the node and of all its children. It
// may be called again.
func (m *machine) crash() { m.end("crash", (*process).crash) }

// power takes the machine's power: nobody hears of its end, and its clock begins anew.
func (m *machine) power() {
	m.end("power", (*process).powerOff)
	m.reboot()
}

// killAgent is the death of the agent process alone: keeper and children go on.
func (m *machine) killAgent() {
	if m.p != nil {
		m.s.count(func(c *faultCounts) { c.agents++ })
	}
	m.end("agent-kill", (*process).die)
}

func (m *machine) end(how string, f func(*process)) {
	p := m.p
	if p == nil {
		return
	}
	m.s.notef("%s %s", how, m.name)
	f(p)
	m.thaw()
	m.reap()
}

// reap takes a process that has died, in whatever way, out of the world.
func (m *machine) reap() {
	if p := m.p; p != nil && p.dead.Load() {
		m.set(nil)
		p.cancel()
		p.gossip.Shutdown()
	}
}

// stop ends the node in peace, as SIGTERM does: first its children, then its
// session, then its leadership, then gossip.
func (m *machine) stop() {
	p := m.p
	if p == nil {
		return
	}
	m.s.notef("stop %s", m.name)
	m.gate.open()
	p.agent()
	<-p.over
	if !p.dead.Load() {
		p.leaving.Store(true)
		p.cancel()
		_ = p.gossip.Leave(time.Second)
		time.Sleep(2 * cluster.TimesOf(m.s.opt.profile).Election)
	}
	m.crash()
}

// gate holds up those who pass while it is shut.
type gate struct {
	mu   sync.Mutex
	shut chan struct{}
}

func (g *gate) wait() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// pause stops the agent process alone (SIGSTOP): nothing of it reaches the network,
// its leader's session or the keeper. Keeper and children go on.
func (m *machine) pause() {
	m.s.net.Pause(m.ip)
	m.gate.close()
}

func (m *machine) resume() {
	m.s.net.Resume(m.ip)
	m.gate.open()
}

// freeze stops all of the machine; its clock goes on.
func (m *machine) freeze() {
	m.pause()
	m.procs.Freeze()
}

// thaw lets it go on. Its keeper gets to run in an order of its own with the agent.
func (m *machine) thaw() {
	m.procs.Thaw(time.Duration(m.chance() * float64(50*time.Millisecond)))
	m.resume()
}
