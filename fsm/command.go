package fsm

import (
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// Schema is the version of entries and snapshots that this build writes. It
// reads this one only; another stops the node (design.md section 7).
const Schema = 1

// Type says what a command is. Numbers are never reused.
type Type uint8

const (
	TypeInit Type = iota + 1
	TypeEvents
	TypeAssign
	TypeNodeUp
	TypeNodeLost
	TypeNodeLeft
	TypeDrain
	TypeApplyTree
	TypeDeleteTree
	TypeVerb
	TypeNodeFenced
	TypeChecksum
	TypeReturned
	TypeScale
	TypeNodeHealth
	typeEnd
)

// Command is one change. Exactly the field of its Type is set.
type Command struct {
	Type Type `cbor:"1,keyasint"`
	// Request is the id of a user's request; a repeat gets the first answer.
	Request string `cbor:"2,keyasint,omitempty"`

	Init   *Init                   `cbor:"10,keyasint,omitempty"`
	Events []supervisor.ChildEvent `cbor:"11,keyasint,omitempty"`
	Assign []supervisor.Assign     `cbor:"12,keyasint,omitempty"`
	Up     *NodeUp                 `cbor:"13,keyasint,omitempty"`
	Node   *NodeRef                `cbor:"14,keyasint,omitempty"` // lost, fenced, left, drain, returned
	Tree   *supervisor.Spec        `cbor:"15,keyasint,omitempty"`
	Name   string                  `cbor:"16,keyasint,omitempty"` // of the tree to delete
	Verb   *Verb                   `cbor:"17,keyasint,omitempty"`
	By     string                  `cbor:"18,keyasint,omitempty"`
	// Sum, of a checksum, is what a majority of the voters holds for an earlier
	// checksum entry; nil if none is known.
	Sum *link.Sum `cbor:"19,keyasint,omitempty"`
	// If, of apply and delete, is the Tag that the tree must have, or TagNone.
	// Empty: any.
	If string `cbor:"20,keyasint,omitempty"`

	Scale *Scale `cbor:"21,keyasint,omitempty"`

	Health *link.Health `cbor:"25,keyasint,omitempty"` // together with Node
}

// Init is the first command of a cluster.
type Init struct {
	ClusterID string `cbor:"1,keyasint"`
	// Generation is raised by a forced recovery, so that no epoch is used twice.
	Generation uint64 `cbor:"2,keyasint"`
}

// NodeUp says that a node's session began, with the lives it holds.
type NodeUp struct {
	Node  link.Node        `cbor:"1,keyasint"`
	Lives []supervisor.Ref `cbor:"2,keyasint"`
	// Apart: if this is a new start, the agent before may have acted alone.
	Apart bool `cbor:"3,keyasint,omitempty"`
}

// NodeRef names a node in one of its starts: lost, fenced, left, drain, returned
// (it has obeyed its orders and told all it did alone). For drain, On says which way.
type NodeRef struct {
	ID     string `cbor:"1,keyasint"`
	Boot   string `cbor:"2,keyasint,omitempty"`
	Reason string `cbor:"3,keyasint,omitempty"`
	On     bool   `cbor:"4,keyasint,omitempty"`
	// Leased, of lost and left: the node's lease may not have run out, so its
	// exclusive lives are not over before it is fenced.
	Leased bool `cbor:"5,keyasint,omitempty"`
	// Apart, of lost and left: its agent may run on and act alone.
	Apart bool `cbor:"6,keyasint,omitempty"`
}

// Verb is an operator's request: start, stop, restart, move, pause, resume or reset, or one about
// a rollout.
type Verb struct {
	Verb string `cbor:"1,keyasint"`
	Path string `cbor:"2,keyasint"`
	To   string `cbor:"3,keyasint,omitempty"` // node name or id
	Why  string `cbor:"4,keyasint,omitempty"` // of pause, resume and reset, for the record
}

// Scale is the size that a pool gets.
type Scale struct {
	Path string `cbor:"1,keyasint"`
	Size int    `cbor:"2,keyasint,omitempty"`
}

// Entry is what one raft log entry holds.
type Entry struct {
	Schema   uint8         `cbor:"1,keyasint"`
	Time     time.Duration `cbor:"2,keyasint"` // cluster time
	Wall     int64         `cbor:"3,keyasint"` // Unix milliseconds, for display only
	Commands []Command     `cbor:"4,keyasint"`
}

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	// A field that this build does not know is refused like an unknown type: to
	// drop it would let replicas differ. Text need not be UTF-8, since what a
	// program printed may be in it, and an entry that is refused stops all nodes.
	decMode = must(cbor.DecOptions{
		MaxArrayElements: 4 << 20, MaxMapPairs: 4 << 20, MaxNestedLevels: 512,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode gives the canonical bytes of an entry (RFC 8949 core deterministic). It
// refuses what Apply would give an error for: once in the log, such an entry
// would stop every node.
func (e Entry) Encode() ([]byte, error) {
	e.Schema = Schema
	data, err := encMode.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot encode a log entry: %w", err)
	}
	if _, err := decode(data); err != nil {
		return nil, err
	}
	return data, nil
}

// fits: every input has a position of its own in the entry, so that no epoch is
// made twice (P1). Events and assigns are an input each, another command is one.
func (e Entry) fits() error {
	if inputs := e.inputs(); inputs > supervisor.MaxInputs {
		return fmt.Errorf("cannot put %d inputs into one log entry: the limit is %d", inputs, supervisor.MaxInputs)
	}
	return nil
}

// inputs is how many positions the commands of the entry may take.
func (e *Entry) inputs() (n int) {
	for i := range e.Commands {
		n += max(1, len(e.Commands[i].Events)+len(e.Commands[i].Assign))
	}
	return n
}

// decode reads an entry. Any error means that this build must not go on.
func decode(data []byte) (Entry, error) {
	var e Entry
	if err := decMode.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("cannot decode a log entry: %w", err)
	}
	if e.Schema != Schema {
		return e, fmt.Errorf("cannot apply a log entry of schema %d: this build knows %d; run a newer selfware-node", e.Schema, Schema)
	}
	if err := e.fits(); err != nil {
		return e, err
	}
	for i := range e.Commands {
		if err := e.Commands[i].known(); err != nil {
			return e, err
		}
	}
	return e, nil
}

// known refuses a command that this build cannot apply as its author meant it.
func (c *Command) known() error {
	ok := true
	switch c.Type {
	case TypeInit:
		ok = c.Init != nil
	case TypeNodeUp:
		ok = c.Up != nil
	case TypeNodeLost, TypeNodeLeft, TypeNodeFenced, TypeDrain, TypeReturned:
		ok = c.Node != nil
	case TypeApplyTree:
		ok = c.Tree != nil
	case TypeVerb:
		ok = c.Verb != nil
	case TypeScale:
		ok = c.Scale != nil
	case TypeNodeHealth:
		ok = c.Node != nil && c.Health != nil
	case TypeEvents, TypeAssign, TypeDeleteTree, TypeChecksum:
	default:
		return fmt.Errorf("cannot apply a command of unknown type %d; run a newer selfware-node", c.Type)
	}
	if !ok {
		return fmt.Errorf("cannot apply a command of type %d without its body", c.Type)
	}
	return nil
}
