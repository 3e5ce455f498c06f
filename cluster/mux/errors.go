package mux

import (
	"errors"
	"fmt"
)

// Why a connection was not made. DialPurpose and DialNode wrap one of these,
// or the error of the underlying dial.
var (
	// ErrWrongKey: the two sides do not hold the same cluster key.
	ErrWrongKey = errors.New("the cluster key is wrong: use the token of this cluster")
	// ErrWrongCluster: the other side is a node of another cluster. The error
	// that wraps it is a *ClusterError with both ids.
	ErrWrongCluster = errors.New("wrong cluster")
	// ErrWrongNode: the address now belongs to another node of this cluster.
	ErrWrongNode = errors.New("wrong node")
	// ErrVersion: the other side speaks another version of the handshake.
	ErrVersion = errors.New("other protocol version")
	// ErrNoService: the other side is a node of this cluster but does not
	// serve this purpose (yet, or any more).
	ErrNoService = errors.New("not served there")
	// ErrStale: the other side has seen a newer start of this node, or more in its
	// log than is there now, and does not speak with it.
	ErrStale = errors.New("the data dir of this node is older than it was: it was copied, or put back from a backup or a snapshot of its machine; " +
		"it must not be used, since it has forgotten what it promised: join as a new node with an empty data dir")
	// ErrNotSelfware: what answers on the port is another program.
	ErrNotSelfware = errors.New("not a selfware port")
	// ErrHungUp: the other side closed the connection in the handshake and did
	// not say why. It may be overloaded, stopping, or another program.
	ErrHungUp = errors.New("the other side hung up during the handshake")
	// ErrMalformed: a handshake message breaks its own format.
	ErrMalformed = errors.New("malformed handshake")
)

// ClusterError says that two nodes are of different clusters.
type ClusterError struct {
	Ours, Theirs string
}

func (e *ClusterError) Error() string {
	return fmt.Sprintf("wrong cluster: we belong to %s, the other side to %s", e.Ours, e.Theirs)
}

// Is makes errors.Is(err, ErrWrongCluster) true.
func (e *ClusterError) Is(target error) bool { return target == ErrWrongCluster }
