package gossip

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnreachable: nobody answered at the address.
	ErrUnreachable = errors.New("nobody answers there")
	// ErrWrongKey: the node there is of this cluster but has another gossip key.
	ErrWrongKey = errors.New("the gossip keys differ")
	// ErrWrongCluster: who listens there hung up at the sight of our cluster id. memberlist gives no reason to a
	// stranger, so that it is a program of another kind cannot be ruled out.
	ErrWrongCluster = errors.New("it belongs to another cluster or is no selfware node")
	// ErrIncompatible: the node there, or one it knows, speaks another version of the protocol.
	ErrIncompatible = errors.New("protocol versions do not match")
	// ErrJoin: the exchange failed for another reason, which the message names.
	ErrJoin = errors.New("the exchange failed")
	// ErrClosed: this node has left or shut down.
	ErrClosed = errors.New("gossip has ended")
)

// causes maps words of memberlist's and the kernel's messages to our errors; memberlist wraps with %v, so that the
// words are all there is. The first match counts. A test against real nodes pins each of them.
var causes = []struct {
	words string
	err   error
}{
	{"no installed keys could decrypt", ErrWrongKey},
	{"is not encrypted", ErrWrongKey},
	{"protocol version", ErrIncompatible},
	{"failed to resolve", ErrUnreachable},
	{"dial tcp", ErrUnreachable},
	{"dial udp", ErrUnreachable},
	{"timeout", ErrUnreachable},
	{"EOF", ErrWrongCluster},
	{"connection reset", ErrWrongCluster},
	{"broken pipe", ErrWrongCluster},
}

// joinError explains why a join with one address failed.
func joinError(addr string, err error) error {
	text := err.Error()
	for _, c := range causes {
		if strings.Contains(text, c.words) {
			return fmt.Errorf("cannot join %s: %w", addr, c.err)
		}
	}
	return fmt.Errorf("cannot join %s: %w: %s", addr, ErrJoin, oneLine(text))
}

// oneLine flattens hashicorp/go-multierror's bulleted text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// startError explains why memberlist could not start.
func startError(c Config, err error) error {
	text := oneLine(err.Error())
	switch {
	case strings.Contains(text, "address already in use"):
		return fmt.Errorf("cannot listen on %s (gossip): address already in use; is another node running there? "+
			"(choose another address or stop that node)", c.listenAddr())
	case strings.Contains(text, "cannot assign requested address"):
		return fmt.Errorf("cannot listen on %s (gossip): this machine has no such address", c.listenAddr())
	case strings.Contains(text, "permission denied"):
		return fmt.Errorf("cannot listen on %s (gossip): permission denied", c.listenAddr())
	}
	return fmt.Errorf("cannot start gossip on %s: %s", c.listenAddr(), text)
}
