package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"github.com/hashicorp/memberlist"
)

// Config tells New everything. NodeID, BootID, ClusterID, Key and BindAddr are mandatory.
type Config struct {
	NodeID  string // durable random id of this node
	BootID  string // random id of this process start
	BootSeq uint64 // greater than at every earlier start of this node; the caller persists it

	ClusterID string // 1 to 200 bytes; nodes of another cluster are refused
	Key       []byte // 32 bytes, the same on all nodes

	BindAddr      string // IP to listen on, UDP and TCP
	BindPort      int    // 0 picks a free port
	AdvertiseAddr string // IP that others use; empty: BindAddr, which then must not be 0.0.0.0 or ::
	AdvertisePort int    // 0: the port that was bound

	Meta    Meta    // what others shall know; the ids may be left empty
	Profile Profile // empty: lan

	// Seeds returns gossip addresses, "host:port" with an IP or a DNS name, to try when joining. Asked anew for each
	// round of the rejoin loop. nil: none.
	Seeds func() []string
	// Lookup resolves DNS names of seeds. nil: the system's resolver.
	Lookup func(ctx context.Context, host string) ([]string, error)

	Transport memberlist.Transport // nil: real UDP and TCP
	Logger    *slog.Logger         // nil: discard
}

// Validate reports everything that is wrong with a configuration.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("cannot start gossip: "+format, args...))
		}
	}
	bad(!goodID(c.NodeID), "node id %q must have 1 to 64 letters, digits, '-' or '_'", c.NodeID)
	bad(!goodID(c.BootID), "boot id %q must have 1 to 64 letters, digits, '-' or '_'", c.BootID)
	bad(c.ClusterID == "" || len(c.ClusterID) > 200, "cluster id %q must have 1 to 200 bytes", c.ClusterID)
	bad(len(c.Key) != 32, "the key has %d bytes, not 32", len(c.Key))
	bad(c.BindPort < 0 || c.BindPort > 65535, "port %d is not in 0..65535", c.BindPort)
	bad(c.AdvertisePort < 0 || c.AdvertisePort > 65535, "advertised port %d is not in 0..65535", c.AdvertisePort)
	_, err := ParseProfile(string(c.Profile))
	bad(err != nil, "%v", err)
	bind, err := netip.ParseAddr(c.BindAddr)
	bad(err != nil, "bind address %q is not an IP", c.BindAddr)
	if c.AdvertiseAddr != "" {
		ip, err := netip.ParseAddr(c.AdvertiseAddr)
		bad(err != nil || ip.IsUnspecified(), "advertised address %q is not an IP that others can reach", c.AdvertiseAddr)
	} else {
		bad(err == nil && bind.IsUnspecified(), "bound to %s, it needs an address to advertise", c.BindAddr)
	}
	if _, err := c.withMeta(c.Meta); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// goodID keeps ids free of '.', which joins them, and of '/', which memberlist cuts names at.
func goodID(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !(r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) < 0
}

// withMeta fills the ids of a meta from the configuration and encodes it. Other ids than ours are refused.
func (c Config) withMeta(m Meta) (encoded []byte, err error) {
	m.NodeID, m.BootID, m.BootSeq = cmp.Or(m.NodeID, c.NodeID), cmp.Or(m.BootID, c.BootID), cmp.Or(m.BootSeq, c.BootSeq)
	if m.NodeID != c.NodeID || m.BootID != c.BootID || m.BootSeq != c.BootSeq {
		return nil, fmt.Errorf("cannot gossip about node %s (boot %s): this is node %s (boot %s)", m.NodeID, m.BootID, c.NodeID, c.BootID)
	}
	return m.encode()
}

// protocolVersion is what our Meta and our use of gossip mean. A node of another one is refused.
const protocolVersion = 1

// memberlist translates the configuration.
func (c Config) memberlist(d *delegate, log *slog.Logger) *memberlist.Config {
	m := memberlist.DefaultLANConfig()
	Timing(c.Profile).apply(m)
	m.Name = gossipName(c.NodeID, c.BootID)
	m.Label = c.ClusterID
	m.SecretKey = c.Key
	m.BindAddr, m.BindPort = c.BindAddr, c.BindPort
	m.AdvertiseAddr = c.AdvertiseAddr
	if c.Transport == nil { // else the transport knows where it is
		m.AdvertiseAddr = cmp.Or(c.AdvertiseAddr, c.BindAddr)
	}
	m.AdvertisePort = cmp.Or(c.AdvertisePort, c.BindPort)
	m.Transport = c.Transport
	m.RequireNodeNames = true     // a restarted process must not answer for its former self
	m.EnableCompression = false   // costs more than it saves on our small messages
	m.GossipVerifyIncoming = true // no plain text accepted
	m.GossipVerifyOutgoing = true // none sent
	m.MsgpackUseNewTimeFormat = true
	m.DelegateProtocolMin, m.DelegateProtocolMax, m.DelegateProtocolVersion = protocolVersion, protocolVersion, protocolVersion
	m.Delegate, m.Events, m.Alive, m.Conflict = d, d, d, d
	m.LogOutput, m.Logger = nil, newMemberlistLogger(log)
	return m
}

// listenAddr is how errors name the place we listen on.
func (c Config) listenAddr() string { return net.JoinHostPort(c.BindAddr, fmt.Sprint(c.BindPort)) }
