package mux

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
)

// Purpose says what a connection is for.
type Purpose byte

// The purposes. Their numbers travel and never change.
const (
	Raft    Purpose = iota + 1 // raft between voters
	Session                    // the stream between a node and the leader
	HTTP                       // requests forwarded between nodes
	Join                       // a new node that asks to be let in
)

var purposeNames = [...]string{Raft: "raft", Session: "session", HTTP: "http", Join: "join"}

func (p Purpose) String() string {
	if p.validate() != nil {
		return fmt.Sprintf("purpose(%d)", byte(p))
	}
	return purposeNames[p]
}

func (p Purpose) validate() error {
	if p < Raft || p > Join {
		return fmt.Errorf("unknown purpose %d", byte(p))
	}
	return nil
}

// Identity is who a node is and what proves it.
type Identity struct {
	ClusterID string // 1 to 64 printable ASCII characters
	NodeID    string // likewise; a joining node uses its own fresh id
	Key       []byte // the cluster key, 32 bytes
	Start     Start  // of this process; zero if it is no node's
}

// Validate reports what is wrong with the identity, without showing the key.
func (id Identity) Validate() error {
	err := errors.Join(checkID("cluster id", id.ClusterID), checkID("node id", id.NodeID))
	if len(id.Key) != keySize {
		err = errors.Join(err, fmt.Errorf("cluster key must have %d bytes, not %d", keySize, len(id.Key)))
	}
	return err
}

// String names the identity and hides the key.
func (id Identity) String() string { return id.NodeID + " of cluster " + id.ClusterID }

// LogValue keeps the key out of logs.
func (id Identity) LogValue() slog.Value { return slog.StringValue(id.String()) }

// NewKey makes a random cluster key.
func NewKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	return key
}
