package simnet

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Host is one process on a machine of the network. Several may live at one address; a port belongs to one of them.
type Host struct {
	n    *Net
	ip   netip.Addr
	addr string
	gone bool // crashed; guarded by n.mu
	// keeps: it stands for who holds a port for the next process.
	keeps bool
}

// Host returns a new process at the address, an IP such as "10.0.0.1". It panics on anything else.
func (n *Net) Host(addr string) *Host {
	ip := netip.MustParseAddr(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.born[ip.String()] = time.Now()
	if _, was := n.dark[ip.String()]; was {
		delete(n.dark, ip.String())
		n.wakeAll()
	}
	return &Host{n: n, ip: ip, addr: ip.String()}
}

// Addr is the address of the host's machine.
func (h *Host) Addr() string { return h.addr }

// Restart returns a new process at the same address. The old one is crashed first if it still lives.
func (h *Host) Restart() *Host {
	h.Crash()
	return h.n.Host(h.addr)
}

// Crash ends the process: its connections and ports close as a kernel closes them, and none of its calls works
// any more. Peers read EOF one latency later, or after the heal if they are cut off.
func (h *Host) Crash() {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	h.leave()
	for _, c := range h.n.open() {
		if c.host == h {
			c.close()
		}
	}
	h.n.wakeAll() // its dials end too
}

// leave closes the process's ports. The caller holds mu.
func (h *Host) leave() {
	if h.gone {
		return
	}
	h.gone = true
	for _, l := range maps.Clone(h.n.listeners) {
		if l.host == h {
			l.close()
		}
	}
	for at, t := range maps.Clone(h.n.sockets) {
		if t.host == h {
			delete(h.n.sockets, at)
		}
	}
}

// Listen opens a port for streams; 0 picks a free one. A taken port gives syscall.EADDRINUSE.
func (h *Host) Listen(port int) (net.Listener, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return h.listen(port)
}

// listen is Listen for a caller that holds mu.
func (h *Host) listen(port int) (*listener, error) {
	if port == 0 {
		port = int(h.dynamicPort())
	}
	at := netip.AddrPortFrom(h.ip, uint16(port))
	if h.gone {
		return nil, opError("listen", at, net.ErrClosed)
	}
	if l := h.n.listeners[at]; l != nil && l.host.keeps {
		return h.inherit(l), nil
	}
	if h.n.listeners[at] != nil {
		return nil, opError("listen", at, os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &listener{host: h, at: at, backlog: make(chan net.Conn, backlog), done: make(chan struct{})}
	h.n.listeners[at] = l
	return l, nil
}

// dynamicPort picks the next port for a dialling end. The caller holds mu.
func (h *Host) dynamicPort() uint16 {
	h.n.nextPort++
	if h.n.nextPort < firstDynamic {
		h.n.nextPort = firstDynamic
	}
	return h.n.nextPort
}

// Dial opens a stream to "ip:port". It takes one round trip. Nobody listening gives syscall.ECONNREFUSED; a cut
// path gives the context's error, or syscall.ETIMEDOUT after 10 s.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("cannot dial %q: %w", addr, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, syscall.ETIMEDOUT)
	defer cancel()
	class := h.n.classOf(to.Port())
	if err := h.travel(ctx, h.addr, to.Addr().String(), class); err != nil {
		return nil, opError("dial", to, err)
	}
	refused := h.n.refuses(to)
	if err := h.travel(ctx, to.Addr().String(), h.addr, class); err != nil {
		return nil, opError("dial", to, err)
	}
	if refused {
		return nil, opError("dial", to, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	return h.connect(to)
}

// refuses tells whether nobody listens at the address.
func (n *Net) refuses(to netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listeners[to] == nil
}

// connect makes both ends of a stream and hands one to the listener.
func (h *Host) connect(to netip.AddrPort) (net.Conn, error) {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[to]
	switch {
	case h.gone:
		return nil, opError("dial", to, net.ErrClosed)
	case l == nil || len(l.backlog) == cap(l.backlog):
		return nil, opError("dial", to, os.NewSyscallError("connect", syscall.ECONNREFUSED))
	}
	here, there := n.pair(h, l.host, netip.AddrPortFrom(h.ip, h.dynamicPort()), to)
	l.backlog <- there
	return here, nil
}

// travel waits until a packet sent now has gone from one address to the other.
func (h *Host) travel(ctx context.Context, from, to, class string) error {
	n := h.n
	n.mu.Lock()
	due := time.Now().Add(n.delay())
	if n.lost() {
		due = due.Add(resendDial)
	}
	n.mu.Unlock()
	for {
		n.mu.Lock()
		_, dark := n.dark[to]
		gone, blocked := h.gone, dark || n.blocked(from, to, class)
		left := time.Until(n.arrival(from, to, due))
		var opened chan struct{}
		if blocked {
			opened = n.waiter()
		}
		n.mu.Unlock()
		switch {
		case gone:
			return net.ErrClosed
		case !blocked && left <= 0:
			return nil
		case !blocked:
			opened = nil
		}
		if err := wait(ctx, opened, blocked, left); err != nil {
			n.dropWaiter(opened)
			return err
		}
	}
}

// wait blocks until the path may have opened (blocked), or for the rest of the journey.
func wait(ctx context.Context, opened <-chan struct{}, blocked bool, left time.Duration) error {
	var arrive <-chan time.Time
	if !blocked {
		t := time.NewTimer(left)
		defer t.Stop()
		arrive = t.C
	}
	select {
	case <-opened:
		return nil
	case <-arrive:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// opError dresses an error as package net does, so that callers can use errors.Is and net.Error on it.
func opError(op string, at netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
}

// listener accepts the streams of one port.
type listener struct {
	host    *Host
	at      netip.AddrPort
	backlog chan net.Conn
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, opError("accept", l.at, net.ErrClosed)
	}
}

func (l *listener) Close() error {
	l.host.n.mu.Lock()
	defer l.host.n.mu.Unlock()
	l.close()
	return nil
}

// close frees the port and drops what nobody accepted. The caller holds mu.
func (l *listener) close() {
	if l.host.n.listeners[l.at] != l {
		return
	}
	delete(l.host.n.listeners, l.at)
	close(l.done)
	for len(l.backlog) > 0 {
		(<-l.backlog).(*conn).close()
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
