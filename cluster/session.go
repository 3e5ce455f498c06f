package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

const (
	// helloTimeout bounds the first message of a session, writeTimeout each one
	// that the leader sends.
	helloTimeout = 5 * time.Second
	writeTimeout = 10 * time.Second
)

// session is one node's stream, as the leader holds it. What is to be sent is a
// level (orders by path), so a slow reader costs memory for its orders once,
// never a queue.
type session struct {
	stream *link.Stream
	conn   net.Conn
	hello  link.Hello
	signal chan struct{} // capacity 1: something to send

	mu  sync.Mutex
	out outbox
}

// outbox is the next Down in the making.
type outbox struct {
	full    bool
	orders  map[string]supervisor.Order // by path
	sorted  []string                    // paths in the order they came
	drops   []supervisor.Ref
	ack     uint64
	ping    uint64
	grant   int64
	refused string
	left    bool
	index   uint64
	any     bool
}

func newSession(conn net.Conn, stream *link.Stream, hello link.Hello) *session {
	return &session{conn: conn, stream: stream, hello: hello, signal: make(chan struct{}, 1)}
}

// put changes what is to be sent and wakes the writer.
func (s *session) put(change func(*outbox)) {
	s.mu.Lock()
	if s.out.orders == nil {
		s.out.orders = make(map[string]supervisor.Order)
	}
	change(&s.out)
	s.out.any = true
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// order adds an order, or replaces the one for that path.
func (o *outbox) order(ord supervisor.Order) {
	if _, ok := o.orders[ord.Path]; !ok {
		o.sorted = append(o.sorted, ord.Path)
	}
	o.orders[ord.Path] = ord
}

// drop takes an order back.
func (o *outbox) drop(ref supervisor.Ref) {
	if ord, ok := o.orders[ref.Path]; ok && ord.Epoch == ref.Epoch {
		delete(o.orders, ref.Path)
	}
	o.drops = append(o.drops, ref)
}

func (s *session) take() outbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.out
	s.out = outbox{}
	return out
}

// write sends what is put, until the session ends. l gives the time that
// back-offs are counted from.
func (s *session) write(ctx context.Context, l *leader) {
	defer s.conn.Close()
	for {
		select {
		case <-s.signal:
		case <-ctx.Done():
			return
		}
		out := s.take()
		if !out.any {
			continue
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := s.stream.Write(out.down(l)); err != nil || out.refused != "" {
			return
		}
	}
}

func (o *outbox) down(l *leader) link.Down {
	d := link.Down{
		Term: l.term, Index: o.index, Full: o.full, Drop: o.drops,
		Ack: o.ack, Ping: o.ping, Grant: o.grant, Refused: o.refused, Left: o.left,
	}
	now := l.now()
	for _, path := range o.sorted {
		if ord, ok := o.orders[path]; ok {
			d.Orders = append(d.Orders, link.Order{Order: ord, Delay: max(0, ord.NotBefore-now)})
			delete(o.orders, path) // sorted may name it twice
		}
	}
	return d
}

// acceptSessions serves the sessions that nodes open to this one.
func (n *Node) acceptSessions(ctx context.Context) {
	lis := n.mux.Listener(mux.Session)
	n.wg.Go(func() {
		for {
			select {
			case conn := <-n.inbox:
				n.wg.Go(func() { n.serveSession(ctx, conn, n.cfg.Self.ID) })
			case <-ctx.Done():
				return
			}
		}
	})
	stop := context.AfterFunc(ctx, func() { lis.Close() })
	defer stop()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		peer := conn.(*mux.Conn).Peer()
		n.wg.Go(func() { n.serveSession(ctx, conn, peer) })
	}
}

// serveSession reads one session for as long as it, and this node's leadership,
// last. Whoever does not lead says who does.
func (n *Node) serveSession(ctx context.Context, conn net.Conn, peer string) {
	defer conn.Close()
	stream := link.NewStream(conn)
	_ = conn.SetReadDeadline(time.Now().Add(helloTimeout))
	var up link.Up
	if err := stream.Read(&up); err != nil || up.Hello == nil {
		return
	}
	l := n.leading.Load()
	if l == nil {
		_, addr := n.Leader()
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_ = stream.Write(link.Down{Redirect: true, Leader: addr})
		return
	}
	if up.Hello.Node.ID != peer {
		_ = stream.Write(link.Down{Refused: fmt.Sprintf("it says it is %s, its connection %s", up.Hello.Node.ID, peer)})
		return
	}
	s := newSession(conn, stream, *up.Hello)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	n.wg.Go(func() { s.write(ctx, l) })
	l.tell(sessionNews{s: s, opened: true, up: up})
	for {
		_ = conn.SetReadDeadline(time.Now().Add(n.times.Unreachable))
		var up link.Up
		err := stream.Read(&up)
		if err == nil && len(up.Events) > link.MaxEvents {
			err = fmt.Errorf("cannot take %d events at once: the limit is %d", len(up.Events), link.MaxEvents)
		}
		if err != nil {
			l.tell(sessionNews{s: s, closed: true, gone: byeOfKernel(err)})
			return
		}
		l.tell(sessionNews{s: s, up: up})
	}
}

// byeOfKernel: the connection ended because the process at its other end did.
func byeOfKernel(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, syscall.ECONNRESET)
}

// Connect opens this node's own session: to the leader if one is known, else to
// any node, which redirects. On the leader itself it stays in the process.
func (n *Node) Connect(ctx context.Context) (link.Link, error) {
	if n.Leads() {
		here, there := net.Pipe()
		select {
		case n.inbox <- there:
			return &uplink{Stream: link.NewStream(here), n: n, to: peer{n.cfg.Self.ID, n.cfg.Self.Address}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	id, addr, err := n.leaderOrAny()
	if err != nil {
		return nil, err
	}
	// A node that takes the call and says nothing must not hold up the search
	// for the leader.
	ctx, cancel := context.WithTimeout(ctx, 3*n.times.Ping)
	defer cancel()
	conn, err := n.dialer.DialNode(ctx, id, addr, mux.Session)
	if err != nil {
		return nil, err
	}
	return &uplink{Stream: link.NewStream(conn), n: n, to: peer{conn.(*mux.Conn).Peer(), addr}}, nil
}

// leaderOrAny gives the leader, or, for a node that does not hear it, the next
// of the others in turn.
func (n *Node) leaderOrAny() (id, addr string, err error) {
	if _, sid := n.raft.LeaderWithID(); sid != "" {
		id, addr = n.Leader()
	}
	if addr != "" && id != n.cfg.Self.ID {
		return id, addr, nil
	}
	if hint := n.hint.Swap(nil); hint != nil && *hint != "" {
		return "", *hint, nil
	}
	members := n.cfg.Gossip.Members()
	for range members {
		m := members[int(n.turn.Add(1))%len(members)]
		if m.NodeID != n.cfg.Self.ID && m.ClusterAddr != "" && m.State == gossip.Alive {
			return m.NodeID, m.ClusterAddr, nil
		}
	}
	return "", "", errors.New("cannot reach the cluster: no leader and no other node is known yet")
}

// uplink is this node's end of its session. It adds what the leader must know
// of this node's replica, and learns who leads.
type uplink struct {
	*link.Stream
	n    *Node
	to   peer
	told uint64        // index of the last Sum sent; Send has one caller
	term atomic.Uint64 // of the leader it is with
}

// Send sends one message.
func (u *uplink) Send(up link.Up) error {
	up.Applied = u.n.raft.AppliedIndex()
	if sum, ok := u.n.rep.m.Sum(); ok && sum.Index != u.told && up.Hello == nil {
		up.Sum, u.told = &sum, sum.Index
	}
	return u.Write(up)
}

// Recv waits for one message.
func (u *uplink) Recv() (link.Down, error) {
	var d link.Down
	err := u.Read(&d)
	switch {
	case err != nil:
		u.n.session.CompareAndSwap(u, nil)
	case d.Left:
		u.n.leftOnce.Do(func() { close(u.n.left) })
	case d.Redirect:
		u.n.hint.Store(&d.Leader)
	case d.Full:
		u.term.Store(d.Term)
		u.n.session.Store(u)
	}
	return d, err
}
