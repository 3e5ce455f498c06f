package vswitch

import (
	"encoding/binary"
	"net/netip"
)

// header is what forwarding wants to know of a packet.
type header struct {
	dst   netip.Addr
	ports [2]uint16 // source and destination; zero if it has none
}

// parse reads an IPv4 packet. Later fragments have no ports, as nothing in them
// says so.
func parse(p []byte) (header, bool) {
	const minimum = 20
	if len(p) < minimum || p[0]>>4 != 4 {
		return header{}, false
	}
	h := header{dst: netip.AddrFrom4([4]byte(p[16:20]))}
	size := int(p[0]&0x0f) * 4
	proto, fragment := p[9], binary.BigEndian.Uint16(p[6:8])&0x1fff
	if (proto == 6 || proto == 17) && fragment == 0 && size >= minimum && len(p) >= size+4 {
		h.ports[0] = binary.BigEndian.Uint16(p[size:])
		h.ports[1] = binary.BigEndian.Uint16(p[size+2:])
	}
	return h, true
}
