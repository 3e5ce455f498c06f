package agent_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// patience is how long a test waits, in the bubble's time, for what must come.
const patience = time.Minute

// peer is the leader's end of one session; the agent has it as its link.
type peer struct {
	t     *testing.T
	at    time.Time // of the dial
	ups   chan link.Up
	downs chan link.Down
	gone  chan struct{}
	once  sync.Once

	got []supervisor.ChildEvent // events that expect has not looked at
	seq uint64                  // of the last event taken
}

func (p *peer) Send(up link.Up) error {
	select {
	case p.ups <- up:
		return nil
	case <-p.gone:
		return io.ErrClosedPipe
	}
}

func (p *peer) Recv() (link.Down, error) {
	select {
	case d := <-p.downs:
		return d, nil
	case <-p.gone:
		return link.Down{}, io.EOF
	}
}

func (p *peer) Close() error { p.once.Do(func() { close(p.gone) }); return nil }

// next is the next message of the agent.
func (p *peer) next() link.Up {
	p.t.Helper()
	select {
	case up := <-p.ups:
		p.check(up)
		return up
	case <-time.After(patience):
		p.t.Fatal("the agent sends nothing")
	}
	return link.Up{}
}

// check holds for every message: the numbers of events grow, one by one or more.
func (p *peer) check(up link.Up) {
	p.t.Helper()
	n := uint64(len(up.Events))
	if n > link.MaxEvents {
		p.t.Fatalf("%d events in one message", n)
	}
	if n > 0 && p.seq != 0 && up.Seq-n < p.seq {
		p.t.Fatalf("%d events up to %d follow number %d", n, up.Seq, p.seq)
	}
	if n > 0 {
		p.seq = up.Seq
	}
	p.got = append(p.got, up.Events...)
}

// hello takes the first message.
func (p *peer) hello() link.Hello {
	p.t.Helper()
	up := p.next()
	if up.Hello == nil {
		p.t.Fatalf("the session begins with %+v", up)
	}
	return *up.Hello
}

// event takes the next event.
func (p *peer) event() supervisor.ChildEvent {
	p.t.Helper()
	for len(p.got) == 0 {
		p.next()
	}
	e := p.got[0]
	p.got = p.got[1:]
	return e
}

// quiet fails if the agent sends an event within d.
func (p *peer) quiet(d time.Duration) {
	p.t.Helper()
	late := time.After(d)
	for {
		select {
		case up := <-p.ups:
			p.check(up)
		case <-late:
			if len(p.got) > 0 {
				p.t.Fatalf("unexpected events: %+v", p.got)
			}
			return
		}
	}
}

func (p *peer) send(d link.Down) {
	p.t.Helper()
	select {
	case p.downs <- d:
	case <-p.gone:
		p.t.Fatal("the agent has closed the session")
	case <-time.After(patience):
		p.t.Fatal("the agent does not read")
	}
	synctest.Wait()
}

// closed waits for the agent to close the session.
func (p *peer) closed() {
	p.t.Helper()
	select {
	case <-p.gone:
	case <-time.After(patience):
		p.t.Fatal("the agent keeps the session")
	}
}

// node is a node under test: an agent, its processes and the sessions it opens.
type node struct {
	t     *testing.T
	world *simproc.World
	procs *simproc.Table
	calls chan *peer
	down  atomic.Bool // dials fail

	mu    sync.Mutex
	dials []time.Time

	stop context.CancelFunc
	done chan error
}

func newNode(t *testing.T) *node {
	n := &node{t: t, world: simproc.NewWorld(), calls: make(chan *peer, 100)}
	n.procs = n.world.Table("n1")
	t.Cleanup(func() {
		if n.stop != nil {
			n.halt()
		}
	})
	return n
}

// run starts an agent; change may alter its config.
func (n *node) run(change ...func(*agent.Config)) *node {
	c := agent.Config{
		Node:   link.Node{ID: "id1", Name: "n1", Boot: "b1"},
		Runner: n.procs, Dial: n.dial, Seed: 1,
	}
	for _, f := range change {
		f(&c)
	}
	a, err := agent.New(c)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.done = cancel, make(chan error, 1)
	go func() { n.done <- a.Run(ctx) }()
	return n
}

// halt ends the agent and waits for it.
func (n *node) halt() {
	n.t.Helper()
	n.stop()
	n.stop = nil
	if err := <-n.done; err != nil {
		n.t.Errorf("Run: %v", err)
	}
}

func (n *node) dial(ctx context.Context) (link.Link, error) {
	n.mu.Lock()
	n.dials = append(n.dials, time.Now())
	n.mu.Unlock()
	if n.down.Load() {
		return nil, errors.New("no route")
	}
	p := &peer{
		t: n.t, at: time.Now(), ups: make(chan link.Up), downs: make(chan link.Down), gone: make(chan struct{}),
	}
	n.calls <- p
	return p, nil
}

// accept takes the next session.
func (n *node) accept() *peer {
	n.t.Helper()
	select {
	case p := <-n.calls:
		return p
	case <-time.After(patience):
		n.t.Fatal("the agent does not dial")
	}
	return nil
}

// connect takes the next session and settles it with these orders.
func (n *node) connect(term, index uint64, orders ...link.Order) *peer {
	n.t.Helper()
	p := n.accept()
	p.hello()
	p.send(link.Down{Term: term, Index: index, Full: true, Orders: orders})
	return p
}

// running fails unless exactly these lives run.
func (n *node) running(want ...supervisor.Ref) {
	n.t.Helper()
	synctest.Wait()
	var got []supervisor.Ref
	for _, l := range n.world.Running() {
		got = append(got, l.Ref)
	}
	if !slices.Equal(got, want) {
		n.t.Fatalf("running: %v, want %v", got, want)
	}
}

// oracle fails if an epoch was begun twice or two lives of a path overlapped.
func (n *node) oracle() {
	n.t.Helper()
	if bad := n.world.Repeats(); len(bad) > 0 {
		n.t.Fatalf("begun twice: %v", bad)
	}
	if bad := n.world.Overlaps(false); len(bad) > 0 {
		n.t.Fatalf("at the same time: %v", bad)
	}
}

func ref(path string, epoch uint64) supervisor.Ref {
	return supervisor.Ref{Path: path, Epoch: supervisor.Epoch(epoch)}
}

func run(path string, epoch uint64) link.Order {
	return link.Order{Order: supervisor.Order{
		Ref: ref(path, epoch), Action: supervisor.Run, StartReason: "initial",
		Program: &supervisor.Program{Argv: []string{"./" + path}},
	}}
}

func delayed(path string, epoch uint64, d time.Duration) link.Order {
	o := run(path, epoch)
	o.Delay = d
	return o
}

func halt(path string, epoch uint64) link.Order {
	return link.Order{Order: supervisor.Order{Ref: ref(path, epoch), Action: supervisor.Halt}}
}

// is fails unless e is of this type and life.
func is(t *testing.T, e supervisor.ChildEvent, typ supervisor.EventType, path string, epoch uint64) {
	t.Helper()
	if e.Type != typ || e.Path != path || e.Epoch != supervisor.Epoch(epoch) {
		t.Fatalf("event %+v, want %s of %s@%d", e, typ, path, epoch)
	}
}

const (
	spawned = supervisor.EventSpawned
	started = supervisor.EventStarted
	exited  = supervisor.EventExited
	crashed = supervisor.EventCrashed
)

// bubble runs f in a synctest bubble.
func bubble(t *testing.T, f func(*testing.T, *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newNode(t)) })
}
