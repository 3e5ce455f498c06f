package mux

import (
	"net"
	"slices"
	"sync"
)

// pending holds the connections whose handshake is under way, oldest first.
type pending struct {
	max, perIP int

	mu      sync.Mutex
	queue   []*handshake
	evicted uint64
}

// handshake is one entry of pending.
type handshake struct {
	conn net.Conn
	ip   string
}

// add admits a connection. When its address or all together have too many, the
// oldest handshake is cut off: an honest one is over in a round trip, so the
// oldest is the one least likely to be honest.
func (p *pending) add(conn net.Conn) *handshake {
	h := &handshake{conn: conn, ip: ipOf(conn)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.victim(h.ip); i >= 0 {
		p.queue[i].conn.Close()
		p.queue = slices.Delete(p.queue, i, i+1)
		p.evicted++
	}
	p.queue = append(p.queue, h)
	return h
}

// victim is the index of the handshake that must give way, or -1.
func (p *pending) victim(ip string) int {
	same, first := 0, -1
	for i, q := range p.queue {
		if q.ip != ip {
			continue
		}
		if same++; first < 0 {
			first = i
		}
	}
	if same >= p.perIP {
		return first
	}
	if len(p.queue) >= p.max {
		return 0
	}
	return -1
}

// remove ends a handshake; false if it was cut off before.
func (p *pending) remove(h *handshake) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, h)
	if i < 0 {
		return false
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	return true
}

// cut closes every connection, so that the handshakes end.
func (p *pending) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.queue {
		h.conn.Close()
	}
}

func (p *pending) counts() (now int, evicted uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue), p.evicted
}

func ipOf(c net.Conn) string {
	addr := c.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}
