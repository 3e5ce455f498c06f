package link

import (
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Limits of a session.
const (
	// MaxFrame bounds one encoded Up or Down.
	MaxFrame = 64 << 20
	// MaxEvents bounds the events of one Up; more follow in the next.
	MaxEvents = 4096
)

// Node is what a node says of itself when its session begins.
type Node struct {
	ID   string `cbor:"id" json:"id"`
	Name string `cbor:"name" json:"name"`
	// Boot names this start of the agent, BootSeq orders the starts.
	Boot    string            `cbor:"boot" json:"boot"`
	BootSeq uint64            `cbor:"boot_seq" json:"boot_seq"`
	Address string            `cbor:"address" json:"address"` // cluster address, host:port
	API     string            `cbor:"api" json:"api"`         // API address, host:port
	Gossip  string            `cbor:"gossip" json:"gossip"`
	Labels  map[string]string `cbor:"labels" json:"labels,omitempty"`
	// CPU in thousandths of a core, Memory in bytes.
	CPU     int64  `cbor:"cpu" json:"cpu"`
	Memory  int64  `cbor:"memory" json:"memory"`
	Profile string `cbor:"profile" json:"profile"` // of its times; one per cluster
	Version string `cbor:"version" json:"version"`
}

// Life is one life that a node holds.
type Life struct {
	supervisor.Ref
	PID int  `cbor:"pid"`
	Up  bool `cbor:"up"`
}

// Hello opens a session.
type Hello struct {
	Node  Node   `cbor:"node"`
	Lives []Life `cbor:"lives"`
}

// Up is one message from an agent to the leader. Hello is set on the first one.
type Up struct {
	Hello *Hello `cbor:"hello,omitempty"`
	// Seq numbers the last of Events; the events of one agent are numbered
	// from 1 in the order they happened.
	Seq    uint64                  `cbor:"seq"`
	Events []supervisor.ChildEvent `cbor:"events,omitempty"`
	// Obeyed: the agent has obeyed a Full, and with this message has told all that
	// happened before: what it was lent earlier is void.
	Obeyed bool `cbor:"obeyed,omitempty"`
	// Pong answers Down.Ping.
	Pong uint64 `cbor:"pong,omitempty"`
	// Applied is how far the node's replica of the log is, 0 if it has none.
	Applied uint64 `cbor:"applied,omitempty"`
	// Bye announces that the agent ends on purpose and its children with it.
	Bye bool `cbor:"bye,omitempty"`
	// Holds: together with Bye, some child could not be ended and may still run.
	Holds bool `cbor:"holds,omitempty"`
	// Returns: together with Bye, the agent comes back at once and its children
	// run on meanwhile (an upgrade).
	Returns bool `cbor:"returns,omitempty"`
	// Renew asks for the lease: the agent's own clock when it sent this, in
	// nanoseconds since its machine booted. The leader only echoes it.
	Renew int64 `cbor:"renew,omitempty"`
	// Sum is the hash of the node's replica at the last checksum entry it applied.
	Sum *Sum `cbor:"sum,omitempty"`
	// Health is how the node is, each time that it has changed, and once in each session.
	Health *Health `cbor:"health,omitempty"`
}

// Order is a supervisor.Order with the back-off as what is left of it when the
// leader sent it: an agent does not know cluster time.
type Order struct {
	supervisor.Order
	Delay time.Duration `cbor:"delay,omitempty"`
}

// Down is one message from the leader to an agent.
type Down struct {
	Term  uint64 `cbor:"term"`
	Index uint64 `cbor:"index"`
	// Full: Orders is the whole of what the node must make true.
	Full   bool             `cbor:"full,omitempty"`
	Orders []Order          `cbor:"orders,omitempty"`
	Drop   []supervisor.Ref `cbor:"drop,omitempty"` // orders that hold no more
	// Ack: events up to this Seq are committed.
	Ack  uint64 `cbor:"ack,omitempty"`
	Ping uint64 `cbor:"ping,omitempty"`
	// Grant answers Up.Renew: the lease counts from that moment of the agent's
	// clock. The leader gave it after it had verified, having received Renew, that
	// it leads.
	Grant int64 `cbor:"grant,omitempty"`
	// Redirect: this node is not the leader; Leader is, if not empty.
	Redirect bool   `cbor:"redirect,omitempty"`
	Leader   string `cbor:"leader,omitempty"`
	// Refused ends the session: the node may not join, for this reason. Left: it
	// has left the cluster for good and must stop.
	Refused string `cbor:"refused,omitempty"`
	Left    bool   `cbor:"left,omitempty"`
}

// Link is an agent's session with the leader, as the agent sees it. Recv
// blocks; after an error the agent dials anew.
type Link interface {
	Send(Up) error
	Recv() (Down, error)
	Close() error
}
