package raftnet

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// LayerConfig is what a Layer needs.
type LayerConfig struct {
	// Listener gives incoming raft connections, already authenticated. The
	// layer owns it. Required.
	Listener net.Listener
	// Dial opens an authenticated connection to the node with this id at addr,
	// and must fail if another node is there. Required.
	Dial func(ctx context.Context, node, addr string) (net.Conn, error)
	// Advertise is the address others reach us at. Empty means the listener's.
	Advertise string
}

// Layer is the raft.StreamLayer on any listener and dial function. Close also
// closes every connection of it, of either direction, so that no goroutine of
// raft's transport waits for a silent peer after shutdown.
type Layer struct {
	cfg LayerConfig

	mu     sync.Mutex
	conns  map[*layerConn]struct{}
	closed bool
}

var _ raft.StreamLayer = (*Layer)(nil)

// NewLayer makes a layer.
func NewLayer(cfg LayerConfig) *Layer {
	return &Layer{cfg: cfg, conns: map[*layerConn]struct{}{}}
}

// Accept returns the next incoming connection.
func (l *Layer) Accept() (net.Conn, error) {
	c, err := l.cfg.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.track(c)
}

// Dial connects to "id@address", or to whatever node is at a bare address.
func (l *Layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(timeout, defaultTimeout))
	defer cancel()
	node, addr := split(address)
	c, err := l.cfg.Dial(ctx, node, addr)
	if err != nil {
		return nil, err
	}
	return l.track(c)
}

// Addr is the address others reach us at.
func (l *Layer) Addr() net.Addr {
	if l.cfg.Advertise != "" {
		return advertised(l.cfg.Advertise)
	}
	return l.cfg.Listener.Addr()
}

// Close closes the listener and every connection.
func (l *Layer) Close() error {
	err := l.cfg.Listener.Close()
	l.mu.Lock()
	l.closed = true
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		c.Conn.Close()
	}
	return err
}

func (l *Layer) track(c net.Conn) (net.Conn, error) {
	lc := &layerConn{Conn: c, layer: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return nil, fmt.Errorf("cannot use a connection to %s: %w", c.RemoteAddr(), net.ErrClosed)
	}
	l.conns[lc] = struct{}{}
	return lc, nil
}

// layerConn leaves the layer when it is closed.
type layerConn struct {
	net.Conn
	layer *Layer
}

func (c *layerConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.conns, c)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }
