package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
)

// Cluster is what the API asks of package cluster; *cluster.Node is one.
type Cluster interface {
	// Machine is this node's replica; Watch is closed when it next changes.
	Machine() *fsm.Machine
	Watch() <-chan struct{}
	// Leader is who leads, as far as known; Leads: this node does, and serves.
	Leader() (id, addr string)
	Leads() bool
	Term() uint64

	Submit(ctx context.Context, cmd fsm.Command) (fsm.Result, error)
	Verify(ctx context.Context) error
	Transfer(ctx context.Context, to string) error
	Leave(ctx context.Context, node, request string) error
	SaveSnapshot(ctx context.Context) ([]byte, error)
	RestoreSnapshot(ctx context.Context, data []byte) error

	// HTTP is where other nodes' forwarded requests come in, DialHTTP how to
	// forward. Both ends have proven to be of this cluster.
	HTTP() net.Listener
	DialHTTP(ctx context.Context, node, addr string) (net.Conn, error)
}

// LogReader reads what children of this node wrote; *runner.Runner is one.
type LogReader interface {
	Logs(ctx context.Context, name string, opt runner.LogOptions, emit func(runner.LogLine) error) error
}

// RaftServer is one server of raft's configuration.
type RaftServer struct {
	ID, Address string
	Voter       bool
}

// Config is what a Server needs.
type Config struct {
	Cluster Cluster
	Logs    LogReader
	// Live lists the processes that this node holds; nil: it holds none.
	Live func() []runner.Process
	// Self is this node.
	Self link.Node
	// Peers lists raft's configuration as this node knows it. Required.
	Peers func() []RaftServer
	// Suspects says which nodes gossip does not call alive: node id to a word
	// or two, such as "dead". Nil: none.
	Suspects func() map[string]string
	// Version is that of the program.
	Version string
	// Hosts are names, besides IP addresses, localhost and the node's own
	// name, by which browsers and other clients may call this node.
	Hosts []string
	// HoldFor is how long a request waits for a leader; 0 is 10 s.
	HoldFor time.Duration
	// MaxStreams bounds the streams of events and logs at once; 0 is 256.
	MaxStreams int
	// Logger may be nil: discard.
	Logger *slog.Logger
}

// Limits of a Server, besides Config.MaxStreams.
const (
	maxRequests = 512       // at once, streams apart; as many again forwarded by others
	maxBody     = 5 << 20   // of a request, but for a snapshot; a tree file has 4 MiB
	maxBodies   = 512 << 20 // of all requests at once
	maxHeader   = 64 << 10
	maxConns    = 4096 // per kind of listener
	maxKey      = 128  // length of an idempotency key
)

// Times of a Server.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 30 * time.Second
	answerTimeout  = 30 * time.Second // besides HoldFor
	restoreTimeout = 90 * time.Second
	writeTimeout   = 15 * time.Second // for a stream's client to take a piece
	idleTimeout    = 60 * time.Second
	endTimeout     = 5 * time.Second // for requests to end when the server does
)

// Validate says what is missing.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, fmt.Errorf("cannot make an API without %s", what))
		}
	}
	need(c.Cluster != nil, "a cluster")
	need(c.Logs != nil, "a reader of logs")
	need(c.Peers != nil, "a way to list raft's peers")
	need(c.Self.ID != "" && c.Self.Name != "", "id and name of the node")
	if c.HoldFor < 0 || c.MaxStreams < 0 {
		errs = append(errs, errors.New("cannot make an API with a negative limit"))
	}
	return errors.Join(errs...)
}
