package gossip

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/hashicorp/memberlist"
)

// Meta is what a node tells all others about itself. Its encoding must fit in 512 bytes.
type Meta struct {
	NodeID      string `cbor:"1,keyasint"`           // durable id of the node; filled from Config if empty
	BootID      string `cbor:"2,keyasint"`           // id of the process start; filled from Config if empty
	BootSeq     uint64 `cbor:"3,keyasint"`           // greater for each later start; filled from Config if 0
	Name        string `cbor:"4,keyasint,omitempty"` // what people call the node
	ClusterAddr string `cbor:"5,keyasint,omitempty"` // host:port of raft and sessions (7401)
	APIAddr     string `cbor:"6,keyasint,omitempty"` // host:port of the HTTP API (7402)
	Version     string `cbor:"7,keyasint,omitempty"` // of the program
	Leaving     bool   `cbor:"8,keyasint,omitempty"` // set by Leave: the coming silence is wanted
}

// encode returns the canonical CBOR of a meta, checked as if Leaving were set: a node must always be able to leave.
func (m Meta) encode() ([]byte, error) {
	leaving := m
	leaving.Leaving = true
	if b, err := encMode.Marshal(leaving); err != nil || len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("cannot gossip about node %s: its description takes %d bytes of %d (shorten its name or addresses)",
			m.NodeID, len(b), memberlist.MetaMaxSize)
	}
	return encMode.Marshal(m)
}

// decodeMeta reads what a peer sent and checks that it belongs to the name it came under.
func decodeMeta(name string, b []byte) (Meta, error) {
	var m Meta
	if len(b) > memberlist.MetaMaxSize {
		return m, fmt.Errorf("cannot accept node %q: its description takes %d bytes of %d", name, len(b), memberlist.MetaMaxSize)
	}
	if err := decMode.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("cannot accept node %q: its description is unreadable: %v", name, err)
	}
	if m.NodeID == "" || gossipName(m.NodeID, m.BootID) != name {
		return m, fmt.Errorf("cannot accept node %q: it describes itself as %q", name, gossipName(m.NodeID, m.BootID))
	}
	return m, nil
}

// gossipName is unique per process start: see the package comment.
func gossipName(nodeID, bootID string) string { return nodeID + "." + bootID }

var encMode, decMode = cborModes()

// cborModes builds the encoder (core deterministic) and a decoder with small limits, for input of peers.
func cborModes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options
	}
	dec, err := cbor.DecOptions{MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 64}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc, dec
}
