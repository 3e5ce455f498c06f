package mux

import (
	"net"
	"sync"
)

// Conn is an authenticated connection.
type Conn struct {
	net.Conn
	peer    string
	purpose Purpose
	leave   func() // the census; nil on the dialer's side
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.leave != nil {
		c.leave()
	}
	return c.Conn.Close()
}

// Peer is the node id of the other side.
func (c *Conn) Peer() string { return c.peer }

// Purpose is what the connection was opened for.
func (c *Conn) Purpose() Purpose { return c.purpose }

// NetConn is the connection underneath, as in crypto/tls.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// listener is the net.Listener of one purpose.
type listener struct {
	addr  net.Addr
	ready chan *Conn
	done  chan struct{}

	mu     sync.Mutex // orders put and Close: nothing is queued after Close
	closed bool
}

func newListener(addr net.Addr, backlog int) *listener {
	return &listener{addr: addr, ready: make(chan *Conn, backlog), done: make(chan struct{})}
}

// put queues a connection; false if the queue is full or the listener closed.
func (l *listener) put(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	select {
	case l.ready <- c:
		return true
	default:
		return false
	}
}

// Accept returns the next authenticated connection, a *Conn, or net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close ends Accept and closes what was queued. The port stays open for the
// other purposes.
func (l *listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	for {
		select {
		case c := <-l.ready:
			c.Close()
		default:
			return nil
		}
	}
}

// Addr is the address of the shared port.
func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
