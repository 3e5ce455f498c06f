package simnet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// segment is what one Write sent, or the end of the stream.
type segment struct {
	due  time.Time
	data []byte
	fin  bool
}

// conn is one end of a stream. Everything in it is guarded by the network's mutex.
type conn struct {
	n             *Net
	id            uint64
	host          *Host
	peer          *conn
	local, remote netip.AddrPort
	from, to      string // addresses of this end and of the peer
	class         string // of both ends; empty: not known, or none
	dialled       bool   // this end dialled: what it writes first tells the class

	in       []segment // sent by the peer, not yet read here
	inBytes  int
	closed   bool      // by this end
	reset    bool      // by the network
	vanished time.Time // closed without a word to the peer
	readBy   time.Time
	writeBy  time.Time
	changed  chan struct{} // closed and dropped when a waiter should look again; nil when nobody waits
	finishAt time.Time     // when the peer's close can be seen here, before cuts; zero if the peer is open
}

// pair makes both ends of a stream. The caller holds mu.
func (n *Net) pair(a, b *Host, aAddr, bAddr netip.AddrPort) (*conn, *conn) {
	here := &conn{n: n, id: n.nextID, host: a, local: aAddr, remote: bAddr, from: a.addr, to: b.addr}
	there := &conn{n: n, id: n.nextID + 1, host: b, local: bAddr, remote: aAddr, from: b.addr, to: a.addr}
	n.nextID += 2
	here.peer, there.peer = there, here
	here.dialled = true
	here.class = n.classify(bAddr.Port(), nil)
	there.class = here.class
	n.conns[here], n.conns[there] = true, true
	return here, there
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// Read waits for the next bytes to arrive, the end of the stream, the deadline or Close.
func (c *conn) Read(b []byte) (int, error) {
	for {
		c.n.mu.Lock()
		got, done, err := c.tryRead(b)
		next := c.nextArrival()
		deadline, changed := c.readBy, c.waitChan(done)
		c.n.mu.Unlock()
		if done {
			return got, err
		}
		waitFor(changed, earliest(next, deadline))
	}
}

// tryRead reads what has arrived. done is false when the caller must wait. The caller holds mu.
func (c *conn) tryRead(b []byte) (got int, done bool, err error) {
	switch {
	case c.reset:
		return 0, true, c.fail("read", os.NewSyscallError("read", syscall.ECONNRESET))
	case c.closed:
		return 0, true, c.fail("read", net.ErrClosed)
	case expired(c.readBy):
		return 0, true, c.fail("read", os.ErrDeadlineExceeded)
	case len(b) == 0:
		return 0, true, nil
	}
	for got < len(b) && c.arrived() {
		s := &c.in[0]
		if s.fin {
			if got == 0 {
				err = io.EOF
			}
			return got, true, err
		}
		k := copy(b[got:], s.data)
		got += k
		c.inBytes -= k
		if s.data = s.data[k:]; len(s.data) == 0 {
			c.in = c.in[1:]
		}
	}
	if got > 0 {
		c.peer.wake() // there is room in the window again
	}
	return got, got > 0, nil
}

// arrived tells whether the first segment can be read now. The caller holds mu.
func (c *conn) arrived() bool {
	if len(c.in) == 0 || c.n.blocked(c.to, c.from, c.class) {
		return false
	}
	return !time.Now().Before(c.n.arrival(c.to, c.from, c.in[0].due))
}

// nextArrival is when the first segment arrives; zero when only a change can tell. The caller holds mu.
func (c *conn) nextArrival() time.Time {
	if len(c.in) == 0 || c.n.blocked(c.to, c.from, c.class) {
		return time.Time{}
	}
	return c.n.arrival(c.to, c.from, c.in[0].due)
}

// Write sends bytes, waiting while the window is full.
func (c *conn) Write(b []byte) (int, error) {
	sent := 0
	for {
		c.n.mu.Lock()
		k, done, err := c.tryWrite(b[sent:])
		sent += k
		next := c.peerGoneAt()
		deadline, changed := c.writeBy, c.waitChan(done)
		c.n.mu.Unlock()
		if done {
			return sent, err
		}
		waitFor(changed, earliest(next, deadline))
	}
}

// tryWrite sends what fits. done is false when the caller must wait. The caller holds mu.
func (c *conn) tryWrite(b []byte) (sent int, done bool, err error) {
	gone := c.peerGoneAt()
	switch {
	case c.reset:
		return 0, true, c.fail("write", os.NewSyscallError("write", syscall.ECONNRESET))
	case c.closed:
		return 0, true, c.fail("write", net.ErrClosed)
	case !c.peer.vanished.IsZero() && c.n.born[c.to].After(c.peer.vanished):
		c.reset = true // a machine that came back knows nothing of the connection
		return 0, true, c.fail("write", os.NewSyscallError("write", syscall.ECONNRESET))
	case expired(c.writeBy):
		return 0, true, c.fail("write", os.ErrDeadlineExceeded)
	case !gone.IsZero() && !time.Now().Before(gone):
		return 0, true, c.fail("write", os.NewSyscallError("write", syscall.EPIPE))
	case c.peer.closed:
		return len(b), true, nil // gone, but this end cannot know yet
	}
	if c.dialled && c.class == "" {
		c.class = c.n.classify(c.remote.Port(), b)
		c.peer.class = c.class
	}
	sent = min(len(b), window-c.peer.inBytes)
	if sent > 0 {
		c.push(segment{data: append([]byte(nil), b[:sent]...)})
	}
	return sent, sent == len(b), nil
}

// peerGoneAt is when this end learns that the peer has closed; zero if it has not, or cannot just now. The caller
// holds mu.
func (c *conn) peerGoneAt() time.Time {
	if c.finishAt.IsZero() || c.n.blocked(c.to, c.from, c.class) {
		return time.Time{}
	}
	return c.n.arrival(c.to, c.from, c.finishAt)
}

// push sends one segment to the peer. The queue keeps the order: a late segment delays those behind it. The caller
// holds mu.
func (c *conn) push(s segment) {
	s.due = time.Now().Add(c.n.delay())
	if c.n.lost() {
		s.due = s.due.Add(resendData)
	}
	if s.fin {
		c.peer.finishAt = s.due
	}
	c.peer.in = append(c.peer.in, s)
	c.peer.inBytes += len(s.data)
	c.peer.wake()
}

// Close ends this side. Bytes already sent still arrive; the peer then reads EOF.
func (c *conn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.close()
	return nil
}

// close is Close for a caller that holds mu.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed = true
	c.in, c.inBytes = nil, 0
	delete(c.n.conns, c)
	if !c.peer.closed {
		c.push(segment{fin: true})
	}
	c.wake()
}

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.readBy, &c.writeBy) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.readBy) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeBy) }

func (c *conn) setDeadlines(t time.Time, fields ...*time.Time) error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	for _, f := range fields {
		*f = t
	}
	c.wake()
	return nil
}

// wake lets those who wait on this end look again. The caller holds mu.
func (c *conn) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// waitChan is the channel that wake closes; nil if the caller is done anyway. The caller holds mu.
func (c *conn) waitChan(done bool) <-chan struct{} {
	if done {
		return nil
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

func (c *conn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func expired(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// earliest of two times of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// waitFor blocks until changed closes or the time comes; zero means no time.
func waitFor(changed <-chan struct{}, until time.Time) {
	if until.IsZero() {
		<-changed
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	}
}
