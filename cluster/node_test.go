package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simnet"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

var testKey = bytes.Repeat([]byte{9}, 32)

// members is a gossip that says what a test told it.
type members []gossip.Member

func (m members) Members() []gossip.Member { return m }
func (m members) Changed() <-chan struct{} { return nil }

// lab is one or more nodes in a bubble, without agents.
type lab struct {
	t   *testing.T
	net *simnet.Net
	// began is when the machines' clocks began.
	began time.Time
	all   members
	stop  []func()
	// config, if set, changes what a node is started with.
	config func(*Config)
	disks  map[string]*raftstore.Mem
	seq    map[string]uint64 // starts so far
	ends   map[string]func() // stops a node
}

// inLab runs f and then ends all nodes.
func inLab(t *testing.T, f func(l *lab)) {
	synctest.Test(t, func(t *testing.T) {
		l := &lab{
			t: t, net: simnet.New(1), began: time.Now().Add(-time.Hour), disks: make(map[string]*raftstore.Mem),
			seq: make(map[string]uint64), ends: make(map[string]func()),
		}
		for _, id := range []string{"n1", "n2", "n3"} {
			l.all = append(l.all, gossip.Member{
				Meta: gossip.Meta{NodeID: id, Name: id, ClusterAddr: l.addr(id)}, State: gossip.Alive,
			})
		}
		defer func() {
			for _, stop := range l.stop {
				stop()
			}
		}()
		f(l)
	})
}

func (l *lab) addr(id string) string { return "10.0.0." + id[1:] + ":7401" }

func (l *lab) self(id string) link.Node {
	seq := max(1, l.seq[id])
	return link.Node{ID: id, Name: id, Boot: fmt.Sprint(id, "b", seq), BootSeq: seq, Address: l.addr(id)}
}

// node starts a node; n1 begins the cluster.
func (l *lab) node(id string) *Node {
	l.t.Helper()
	host := l.net.Host("10.0.0." + id[1:])
	lis, err := host.Listen(7401)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.disks[id] == nil {
		l.disks[id] = raftstore.NewMem()
	}
	l.seq[id]++
	store, err := l.disks[id].Open(raftstore.Config{})
	if err != nil {
		l.t.Fatal(err)
	}
	cfg := Config{
		Self: l.self(id), ClusterID: "c", Key: testKey, Bootstrap: id == "n1", Store: store,
		Listener: lis, Dial: host.Dial, Gossip: l.all, Fatal: func(err error) { l.t.Error(err) },
		Clock: func() time.Duration { return time.Since(l.began) },
	}
	if l.config != nil {
		l.config(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			l.t.Errorf("Run of %s: %v", id, err)
		}
	})
	l.stop, l.ends[id] = append(l.stop, end), end
	return n
}

// leader starts n1 and waits until it serves.
func (l *lab) leader() *Node {
	l.t.Helper()
	n := l.node("n1")
	for range 1000 {
		if n.Leads() {
			return n
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatal("n1 never leads")
	return nil
}

// whole starts three nodes and waits until all of them vote.
func (l *lab) whole() *Node {
	l.t.Helper()
	n := l.leader()
	for _, other := range []*Node{n, l.node("n2"), l.node("n3")} {
		l.join(other)
	}
	for end := time.Now().Add(time.Minute); len(n.voters()) < 3; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("voters: %v", n.Servers())
		}
	}
	return n
}

// dial opens a bare session from one node to another's port.
func (l *lab) dial(from, to string) *link.Stream {
	l.t.Helper()
	d := mux.Dialer{Dial: l.net.Host("10.0.0." + from[1:]).Dial, Self: mux.Identity{ClusterID: "c", NodeID: from, Key: testKey}}
	conn, err := d.DialNode(l.t.Context(), to, l.addr(to), mux.Session)
	if err != nil {
		l.t.Fatal(err)
	}
	s := link.NewStream(conn)
	l.stop = append([]func(){func() { s.Close() }}, l.stop...)
	return s
}

func (l *lab) hello(s *link.Stream, id string) {
	l.t.Helper()
	if err := s.Write(link.Up{Hello: &link.Hello{Node: l.self(id)}}); err != nil {
		l.t.Fatal(err)
	}
}

// recv reads until a message that counts: pings are passed over.
func (l *lab) recv(s *link.Stream) link.Down {
	l.t.Helper()
	for {
		var d link.Down
		if err := s.Read(&d); err != nil {
			l.t.Fatalf("session: %v", err)
		}
		if d.Full || d.Redirect || d.Refused != "" || len(d.Orders)+len(d.Drop) > 0 || d.Ack > 0 || d.Grant > 0 {
			return d
		}
	}
}

func apply(n *Node, spec *supervisor.Spec, request string) (fsm.Result, error) {
	return n.Submit(context.Background(), fsm.Command{Type: fsm.TypeApplyTree, Tree: spec, Request: request, By: "test"})
}

func TestSubmitAndVerify(t *testing.T) {
	inLab(t, func(l *lab) {
		n, other := l.leader(), l.node("n2")
		res, err := apply(n, shopOf("a"), "r1")
		if err != nil || res.Index == 0 || len(res.Decisions) == 0 {
			t.Errorf("apply: %+v, %v", res, err)
		}
		if err := n.Verify(l.t.Context()); err != nil {
			t.Errorf("verify on the leader: %v", err)
		}
		n.Machine().View(func(v fsm.View) {
			if v.Tree("shop") == nil || v.ClusterID() != "c" {
				t.Error("what was acknowledged is not in the state")
			}
		})
		if _, err := n.Submit(l.t.Context(), fsm.Command{Type: fsm.TypeDeleteTree, Name: "nobody"}); !errors.Is(err, fsm.ErrUnknownTree) {
			t.Errorf("delete of nobody: %v", err)
		}
		if _, err := apply(other, shopOf("a"), "r2"); !errors.Is(err, ErrNotLeader) {
			t.Errorf("apply on a node that does not lead: %v", err)
		}
		if err := other.Verify(l.t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Errorf("verify on a node that does not lead: %v", err)
		}
	})
}

func TestSubmitRefusesWhatDoesNotFit(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		spec := shopOf("a")
		spec.Children[0].Program.Env = map[string]string{"BIG": strings.Repeat("x", maxEntry)}
		if _, err := apply(n, spec, ""); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a spec of %d bytes: %v", maxEntry, err)
		}
		if _, err := apply(n, shopOf("a"), ""); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

// TestOneTooLargeTakesNobodyAlong: what would share an entry with a request that
// does not fit is done all the same.
func TestOneTooLargeTakesNobodyAlong(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		big := shopOf("a")
		big.Children[0].Program.Env = map[string]string{"BIG": strings.Repeat("x", maxEntry)}
		small := fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "nobody"}}
		lead := &leader{n: n, commits: make(chan []byte, 1), idle: true}
		errs := make([]error, 4)
		for i, cmd := range []fsm.Command{small, small, {Type: fsm.TypeApplyTree, Tree: big}, small} {
			errs[i] = errors.New("no answer yet")
			lead.propose(&proposal{cmd: cmd, then: func(_ fsm.Result, err error) { errs[i] = err }})
		}
		for len(lead.waiting) > 0 {
			lead.propel()
			<-lead.commits
			lead.answer(outcome{results: make([]fsm.Result, len(lead.flight))})
		}
		for i, err := range errs {
			if i == 2 && !errors.Is(err, ErrTooLarge) || i != 2 && err != nil {
				t.Errorf("command %d: %v", i, err)
			}
		}
	})
}

func TestBusyIsSaid(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		n.leading.Store(&leader{n: n, ctx: n.leading.Load().ctx, proposals: make(chan *proposal)}) // nobody takes from it
		if _, err := apply(n, shopOf("a"), ""); !errors.Is(err, ErrBusy) {
			t.Errorf("with a full queue: %v", err)
		}
	})
}

func TestQuorumLostIsUncertain(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.whole()
		l.net.Partition([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})
		_, err := apply(n, shopOf("a"), "once")
		if !errors.Is(err, ErrUncertain) {
			t.Errorf("apply without a quorum: %v", err)
		}
		time.Sleep(5 * time.Second)
		if n.Leads() || !errors.Is(n.Verify(l.t.Context()), ErrNotLeader) {
			t.Error("without a quorum it still leads")
		}
		l.net.HealAll()
		time.Sleep(5 * time.Second)
	})
}

// join keeps a session of a node open and answers pings, as its agent would.
func (l *lab) join(n *Node) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.stop = append([]func(){func() { cancel(); <-done }}, l.stop...)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if s, err := n.Connect(ctx); err == nil {
				context.AfterFunc(ctx, func() { s.Close() })
				n.pretend(s)
				s.Close()
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

// pretend is an agent without children, for as long as its session lasts.
func (n *Node) pretend(s link.Link) {
	up := link.Up{Hello: &link.Hello{Node: n.cfg.Self}}
	for s.Send(up) == nil {
		if d, err := s.Recv(); err != nil || d.Redirect {
			return
		}
		up = link.Up{Pong: 1}
	}
}

func TestSession(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		s := l.dial("n2", "n1")
		l.hello(s, "n2")
		if d := l.recv(s); !d.Full || len(d.Orders) != 0 || d.Term == 0 || d.Index == 0 {
			l.t.Fatalf("at first: %+v", d)
		}
		if _, err := apply(n, shopOf("a"), ""); err != nil {
			l.t.Fatal(err)
		}
		d := l.recv(s)
		if len(d.Orders) != 1 || d.Orders[0].Path != "shop/a" || d.Orders[0].Action != supervisor.Run || d.Full {
			l.t.Fatalf("after the apply: %+v", d)
		}
		ref := d.Orders[0].Ref
		up := link.Up{Seq: 1, Events: []supervisor.ChildEvent{{Path: ref.Path, Epoch: ref.Epoch, Type: supervisor.EventStarted, PID: 5}}}
		if err := s.Write(up); err != nil {
			l.t.Fatal(err)
		}
		for d = l.recv(s); d.Ack == 0; d = l.recv(s) {
		}
		if d.Ack != 1 {
			t.Errorf("acknowledged %d", d.Ack)
		}
		s.Close()
		s = l.dial("n2", "n1")
		l.hello(s, "n2")
		if d := l.recv(s); !d.Full || len(d.Orders) != 1 || d.Orders[0].Ref != ref {
			t.Errorf("in a second session: %+v, want all orders anew", d)
		}
	})
}

func TestSessionIsRefused(t *testing.T) {
	inLab(t, func(l *lab) {
		l.leader()
		l.node("n2")
		liar := l.dial("n3", "n1")
		l.hello(liar, "n2")
		if d := l.recv(liar); !strings.Contains(d.Refused, "it says it is n2") {
			t.Errorf("a hello in another's name: %+v", d)
		}
		l.hello(l.dial("n3", "n1"), "n3")
		time.Sleep(time.Second)
		copied := l.dial("n3", "n1")
		twin := l.self("n3")
		twin.Boot = "another"
		if err := copied.Write(link.Up{Hello: &link.Hello{Node: twin}}); err != nil {
			l.t.Fatal(err)
		}
		if d := l.recv(copied); !strings.Contains(d.Refused, "copied") {
			t.Errorf("a copied data dir: %+v", d)
		}
		astray := l.dial("n3", "n2")
		l.hello(astray, "n3")
		if d := l.recv(astray); !d.Redirect {
			t.Errorf("a session with a node that does not lead: %+v", d)
		}
		mute := l.dial("n3", "n1")
		began := time.Now()
		var d link.Down
		if err := mute.Read(&d); err == nil || time.Since(began) > helloTimeout+time.Second {
			t.Errorf("without a hello, after %v: %v", time.Since(began), err)
		}
	})
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	_, err := New(Config{})
	for _, what := range []string{"id, name and boot", "cluster address", "key of 32 bytes", "a store", "a listener", "gossip", "a way to stop"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("an empty configuration: %v, want %q", err, what)
		}
	}
}

func TestOutbox(t *testing.T) {
	s := newSession(nil, nil, link.Hello{})
	order := func(path string, epoch supervisor.Epoch) supervisor.Order {
		return supervisor.Order{Ref: supervisor.Ref{Path: path, Epoch: epoch}, Action: supervisor.Run, NotBefore: 5 * time.Second}
	}
	s.put(func(o *outbox) {
		o.order(order("a", 1))
		o.order(order("b", 2))
		o.drop(supervisor.Ref{Path: "a", Epoch: 1})
		o.order(order("a", 3))
		o.order(order("b", 4))
		o.index = 7
	})
	out := s.take()
	d := out.down(&leader{n: &Node{cfg: Config{Clock: func() time.Duration { return 0 }}}, term: 3, base: 2 * time.Second})
	got := fmt.Sprint(d.Term, d.Index, d.Drop)
	for _, o := range d.Orders {
		got += fmt.Sprintf(" %s@%d", o.Path, o.Epoch)
		if o.Delay <= 2*time.Second || o.Delay > 3*time.Second {
			t.Errorf("the back-off that is left: %v", o.Delay)
		}
	}
	if want := "3 7 [{a 0.1}] a@3 b@4"; got != want {
		t.Errorf("got %q, want %q: one order a path, the last one", got, want)
	}
	if again := s.take(); again.any {
		t.Error("what was taken is still there")
	}
}
