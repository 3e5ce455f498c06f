package mux

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// DefaultHandshakeTimeout is the HandshakeTimeout of Config and Dialer.
const DefaultHandshakeTimeout = 5 * time.Second

// Config is what a Mux needs. Zero values mean the default.
type Config struct {
	// Listener is the shared port; Run closes it. Required.
	Listener net.Listener
	// Self is this node. Required.
	Self Identity
	// HandshakeTimeout limits one handshake. Zero means 5 s.
	HandshakeTimeout time.Duration
	// MaxPending limits the handshakes under way. Zero means 256.
	MaxPending int
	// MaxPerIP limits those from one address. Zero means a quarter of
	// MaxPending, at least 1.
	MaxPerIP int
	// Backlog limits the connections that wait in each listener for Accept.
	// Zero means 128.
	Backlog int
	// MaxPerPeer limits the open connections of one node, MaxConns those of all.
	// Zero means 1,024 and 16,384.
	MaxPerPeer, MaxConns int
	// Starts judges the starts of those who dial. Nil accepts all.
	Starts Starts
	// Logger gets refusals, at most one line a second. Nil means none.
	Logger *slog.Logger
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	err := c.Self.Validate()
	if c.Listener == nil {
		err = errors.Join(err, errors.New("listener is missing"))
	}
	if c.HandshakeTimeout < 0 || c.MaxPending < 0 || c.MaxPerIP < 0 || c.Backlog < 0 || c.MaxPerPeer < 0 || c.MaxConns < 0 {
		err = errors.Join(err, errors.New("limits must not be negative"))
	}
	return err
}

func (c Config) withDefaults() Config {
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, DefaultHandshakeTimeout)
	c.MaxPending = cmp.Or(c.MaxPending, 256)
	c.MaxPerIP = cmp.Or(c.MaxPerIP, max(1, c.MaxPending/4))
	c.Backlog = cmp.Or(c.Backlog, 128)
	c.MaxPerPeer, c.MaxConns = cmp.Or(c.MaxPerPeer, 1024), cmp.Or(c.MaxConns, 16_384)
	if c.Starts == nil {
		c.Starts = anyStart{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Mux shares one port between the purposes.
type Mux struct {
	cfg     Config
	pending pending
	open    census
	slots   chan struct{} // one per handshake goroutine; strict where pending is quick

	mu        sync.Mutex
	ended     bool
	listeners map[Purpose]*listener

	accepted, refused atomic.Uint64
	lastLog           atomic.Int64 // unix seconds of the last line about a refusal
}

// New checks the configuration. Nothing is accepted before Run.
func New(cfg Config) (*Mux, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make the cluster port: %w", err)
	}
	cfg = cfg.withDefaults()
	return &Mux{
		cfg:       cfg,
		pending:   pending{max: cfg.MaxPending, perIP: cfg.MaxPerIP},
		slots:     make(chan struct{}, cfg.MaxPending),
		listeners: map[Purpose]*listener{},
	}, nil
}

// Listener returns the listener of a purpose, the same one until it is closed.
// Its Accept returns *Conn. A purpose that nobody has asked a listener for, or
// whose listener is closed, is refused with ErrNoService. After Run the
// listener is a closed one.
func (m *Mux) Listener(p Purpose) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.listeners[p]; l != nil && (m.ended || !l.isClosed()) {
		return l
	}
	l := newListener(m.cfg.Listener.Addr(), m.cfg.Backlog)
	if m.ended {
		l.Close()
	}
	m.listeners[p] = l
	return l
}

// Stats are counts since New.
type Stats struct {
	Pending  int    // handshakes under way now
	Open     int    // connections that were handed over and are not closed yet
	Accepted uint64 // connections handed to a listener
	Refused  uint64 // handshakes that failed, those cut off included
	Evicted  uint64 // handshakes cut off because too many were under way
}

// Stats returns the counts.
func (m *Mux) Stats() Stats {
	now, evicted := m.pending.counts()
	return Stats{Pending: now, Open: m.open.count(), Accepted: m.accepted.Load(), Refused: m.refused.Load(), Evicted: evicted}
}

// Run accepts connections until ctx ends (nil) or the port fails (an error).
// Before it returns, every handshake has ended and the port and all listeners
// are closed. Connections that were handed over live on. Run it once.
func (m *Mux) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { m.cfg.Listener.Close() })
	defer stop()
	err := m.acceptAll(ctx, &wg)
	m.cfg.Listener.Close()
	m.pending.cut()
	wg.Wait()
	m.closeListeners()
	return err
}

func (m *Mux) acceptAll(ctx context.Context, wg *sync.WaitGroup) error {
	var wait time.Duration
	for {
		conn, err := m.cfg.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot accept on %s: %w", m.cfg.Listener.Addr(), err)
		case err != nil: // out of descriptors or memory: it may pass
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			m.complain("cannot accept connections", "error", err, "retry", wait)
			sleep(ctx, wait)
			continue
		}
		wait = 0
		h := m.pending.add(conn)
		// Waits only for goroutines whose connection is closed already.
		m.slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-m.slots }()
			m.serve(h)
		})
	}
}

// serve runs one handshake and hands the connection over or closes it.
func (m *Mux) serve(h *handshake) {
	h.conn.SetDeadline(time.Now().Add(m.cfg.HandshakeTimeout))
	c, err := m.welcome(h.conn)
	if !m.pending.remove(h) && err == nil {
		err = errors.New("cut off: too many handshakes under way")
	}
	if err == nil {
		err = h.conn.SetDeadline(time.Time{})
	}
	if err == nil {
		err = m.open.enter(c, m.cfg.MaxPerPeer, m.cfg.MaxConns)
	}
	if err == nil && !m.handOver(c) {
		c.Close() // it leaves the census
		err = fmt.Errorf("nobody takes connections for %s", c.purpose)
	}
	if err != nil {
		h.conn.Close()
		m.refused.Add(1)
		m.complain("connection refused", "from", h.conn.RemoteAddr(), "error", err)
		return
	}
	m.accepted.Add(1)
}

// welcome is the mux's side of the handshake.
func (m *Mux) welcome(nc net.Conn) (*Conn, error) {
	h, err := readHello(nc)
	if errors.Is(err, ErrVersion) {
		turnAway(nc, codeVersion, "")
	}
	if err != nil {
		return nil, err
	}
	if h.cluster != m.cfg.Self.ClusterID {
		turnAway(nc, codeCluster, m.cfg.Self.ClusterID)
		return nil, &ClusterError{Ours: m.cfg.Self.ClusterID, Theirs: h.cluster}
	}
	if !m.serves(h.purpose) {
		turnAway(nc, codeNoService, "")
		return nil, fmt.Errorf("%s is %w", h.purpose, ErrNoService)
	}
	if err := m.cfg.Starts.Check(h.node, h.start); err != nil {
		turnAway(nc, codeStale, "")
		return nil, err
	}
	rp, wire := accept(m.cfg.Self, h)
	if _, err := nc.Write(wire); err != nil {
		return nil, err
	}
	var got [macSize]byte
	if _, err := io.ReadFull(nc, got[:]); err != nil {
		if err = hungUp(err); errors.Is(err, ErrHungUp) {
			err = fmt.Errorf("%w; node %s may hold another key", err, h.node)
		}
		return nil, err
	}
	if want := sign(m.cfg.Self.Key, labelDialer, h.raw, rp.raw); !hmac.Equal(want[:], got[:]) && !bug.On("wrong-key-accepted") {
		return nil, ErrWrongKey
	}
	m.cfg.Starts.Note(h.node, h.start)
	return &Conn{Conn: nc, peer: h.node, purpose: h.purpose}, nil
}

// turnAway says why and waits, within the handshake's deadline, until the
// other side hangs up: closing a socket with unread bytes in it would reset
// the connection and could destroy the reason before it is read.
func turnAway(nc net.Conn, code byte, detail string) {
	if _, err := nc.Write(refusal(code, detail)); err == nil {
		io.CopyN(io.Discard, nc, 1024)
	}
}

func (m *Mux) serves(p Purpose) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.listeners[p]
	return l != nil && !l.isClosed()
}

func (m *Mux) handOver(c *Conn) bool {
	m.mu.Lock()
	l := m.listeners[c.purpose]
	m.mu.Unlock()
	return l != nil && l.put(c)
}

func (m *Mux) closeListeners() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	for _, l := range m.listeners {
		l.Close()
	}
}

// complain logs at most once a second, so that strangers cannot fill the log.
func (m *Mux) complain(msg string, args ...any) {
	now := time.Now().Unix()
	if last := m.lastLog.Load(); last != now && m.lastLog.CompareAndSwap(last, now) {
		m.cfg.Logger.Warn(msg, append(args, "refused so far", m.refused.Load())...)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
