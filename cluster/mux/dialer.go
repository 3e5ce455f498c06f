package mux

import (
	"cmp"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Dialer opens authenticated connections to the muxes of the cluster. It may
// be used by many goroutines; none of its fields may change meanwhile.
type Dialer struct {
	// Dial opens the bare connection. Nil means TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Self is who we are.
	Self Identity
	// Starts judges the starts of those who answer. Nil accepts all.
	Starts Starts
	// HandshakeTimeout limits the handshake, and the dial too if ctx has no
	// deadline. Zero means 5 s.
	HandshakeTimeout time.Duration
}

// DialPurpose connects to whatever node is at addr. The returned connection is
// a *Conn. Errors wrap one of this package's, or that of the dial.
func (d *Dialer) DialPurpose(ctx context.Context, addr string, p Purpose) (net.Conn, error) {
	return d.DialNode(ctx, "", addr, p)
}

// DialNode is DialPurpose that fails with ErrWrongNode when addr belongs to
// another node than this one. An empty node means any.
func (d *Dialer) DialNode(ctx context.Context, node, addr string, p Purpose) (net.Conn, error) {
	c, err := d.dial(ctx, node, addr, p)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s for %s: %w", addr, p, err)
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, node, addr string, p Purpose) (*Conn, error) {
	if err := errors.Join(d.Self.Validate(), p.validate()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.HandshakeTimeout, DefaultHandshakeTimeout))
	defer cancel()
	open := d.Dial
	if open == nil {
		open = dialTCP
	}
	nc, err := open(ctx, addr)
	if err != nil {
		return nil, err
	}
	peer, err := d.introduce(ctx, nc, p)
	if err == nil && node != "" && peer != node {
		err = fmt.Errorf("%w: we look for %s, but %s is there now", ErrWrongNode, node, peer)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Conn{Conn: nc, peer: peer, purpose: p}, nil
}

// introduce runs the dialer's side of the handshake within ctx.
func (d *Dialer) introduce(ctx context.Context, nc net.Conn, p Purpose) (peer string, err error) {
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	peer, err = d.exchange(nc, p)
	if !stop() { // ctx ended, so the connection is or will be useless
		return "", fmt.Errorf("%w in the handshake: is this a selfware port?", ctx.Err())
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w (%w)", ErrHungUp, err)
	}
	return peer, err
}

func (d *Dialer) exchange(nc net.Conn, p Purpose) (peer string, err error) {
	h := newHello(d.Self, p)
	if _, err := nc.Write(h.raw); err != nil {
		return "", err
	}
	rp, err := readReply(nc)
	if err != nil {
		return "", err
	}
	if err := d.refused(rp, p); err != nil {
		return "", err
	}
	if want := sign(d.Self.Key, labelMux, h.raw, rp.raw); !hmac.Equal(want[:], rp.mac[:]) {
		return "", ErrWrongKey
	}
	if d.Starts != nil {
		if err := d.Starts.Check(rp.detail, rp.start); err != nil {
			return "", err
		}
		d.Starts.Note(rp.detail, rp.start)
	}
	proof := sign(d.Self.Key, labelDialer, h.raw, rp.raw)
	if _, err := nc.Write(proof[:]); err != nil {
		return "", err
	}
	return rp.detail, nil
}

// refused turns the reason of the mux into an error. The reason itself is not
// authenticated: it explains, it decides nothing.
func (d *Dialer) refused(rp reply, p Purpose) error {
	switch rp.code {
	case codeAccepted:
		return nil
	case codeCluster:
		if err := checkID("cluster id", rp.detail); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return &ClusterError{Ours: d.Self.ClusterID, Theirs: rp.detail}
	case codeStale:
		return ErrStale
	case codeVersion:
		return fmt.Errorf("%w: the other side does not speak %c", ErrVersion, version)
	case codeNoService:
		return fmt.Errorf("%s is %w", p, ErrNoService)
	}
	return fmt.Errorf("%w: unknown reply code %d", ErrMalformed, rp.code)
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
