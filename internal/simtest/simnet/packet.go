package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// packet is one datagram on its way.
type packet struct {
	from, to netip.AddrPort
	data     []byte
}

// Transport carries memberlist: packets and streams on one port of a host.
type Transport struct {
	host    *Host
	at      netip.AddrPort
	streams *listener
	packets chan *memberlist.Packet
}

var _ memberlist.NodeAwareTransport = (*Transport)(nil)

// Gossip opens a port for packets and streams. A taken port gives syscall.EADDRINUSE.
func (h *Host) Gossip(port int) (*Transport, error) {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	l, err := h.listen(port)
	if err != nil {
		return nil, err
	}
	if h.n.sockets[l.at] != nil {
		l.close()
		return nil, opError("listen", l.at, os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	t := &Transport{host: h, at: l.at, streams: l, packets: make(chan *memberlist.Packet, packetQueue)}
	h.n.sockets[l.at] = t
	return t, nil
}

// FinalAdvertiseAddr returns what it is given, or the transport's own address.
func (t *Transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip == "" {
		return net.IP(t.at.Addr().AsSlice()), int(t.at.Port()), nil
	}
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot advertise %q: %w", ip, err)
	}
	return net.IP(a.AsSlice()), port, nil
}

// WriteTo sends a packet to "ip:port". As with UDP, that it was sent says nothing about its arrival.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot send to %q: %w", addr, err)
	}
	n := t.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[t.at] != t {
		return time.Time{}, &net.OpError{Op: "write", Net: "udp", Err: net.ErrClosed}
	}
	if n.lost() || n.cut(t.at.Addr().String(), to.Addr().String(), n.classify(to.Port(), nil)) {
		return time.Now(), nil
	}
	p := &packet{from: t.at, to: to, data: slices.Clone(b)}
	n.send(p, n.delay()+n.overtaken())
	if n.again > 0 && n.rng.Float64() < n.again {
		n.send(&packet{from: p.from, to: p.to, data: slices.Clone(b)}, n.delay()+n.overtaken())
	}
	return time.Now(), nil
}

// WriteToAddress is WriteTo; the name is not needed to find the way.
func (t *Transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, a.Addr)
}

// send puts a packet on its way.
func (n *Net) send(p *packet, delay time.Duration) {
	time.AfterFunc(delay, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.deliver(p)
	})
}

// deliver hands a packet to its socket, holds it for a paused address, or loses it. The caller holds mu.
func (n *Net) deliver(p *packet) {
	from, to := p.from.Addr().String(), p.to.Addr().String()
	if n.cut(from, to, n.classify(p.to.Port(), nil)) {
		return
	}
	for _, addr := range []string{from, to} {
		if n.paused[addr] {
			if len(n.held[addr]) < packetQueue {
				n.held[addr] = append(n.held[addr], p)
			}
			return
		}
	}
	t := n.sockets[p.to]
	if t == nil {
		return
	}
	select {
	case t.packets <- &memberlist.Packet{Buf: p.data, From: net.UDPAddrFromAddrPort(p.from), Timestamp: time.Now()}:
	default: // the socket's buffer is full
	}
}

// PacketCh delivers the packets that arrive.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh delivers the streams that others dial.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streams.backlog }

// DialTimeout opens a stream to "ip:port".
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return t.host.Dial(ctx, addr)
}

// DialAddressTimeout is DialTimeout; the name is not needed to find the way.
func (t *Transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// Shutdown closes the port. Streams that were accepted live on.
func (t *Transport) Shutdown() error {
	n := t.host.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[t.at] == t {
		delete(n.sockets, t.at)
	}
	t.streams.close()
	return nil
}
