package raftnet

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/internal/bug"
)

// Config is what a Transport needs. Zero values mean the default.
type Config struct {
	// Layer carries the connections; New owns it. Required.
	Layer raft.StreamLayer
	// Timeout limits each RPC, dial included; a snapshot gets this much per
	// 256 KiB. Zero means 10 s.
	Timeout time.Duration
	// Provider knows the present address of a server. Nil, or an error, means
	// the address in raft's configuration.
	Provider raft.ServerAddressProvider
	// Logger gets raft's network messages. Nil means none.
	Logger *slog.Logger
}

const defaultTimeout = 10 * time.Second

// Transport is raft's network transport with the changes that doc.go explains.
type Transport struct {
	*raft.NetworkTransport
	provider raft.ServerAddressProvider
	acks     acks
}

// What raft looks for with type assertions must survive the embedding.
var (
	_ raft.Transport   = (*Transport)(nil)
	_ raft.WithPreVote = (*Transport)(nil)
	_ raft.WithClose   = (*Transport)(nil)
)

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	if c.Layer == nil {
		return errors.New("layer is missing")
	}
	if c.Timeout < 0 {
		return errors.New("timeout must not be negative")
	}
	return nil
}

// New makes a transport and starts to accept on the layer. raft.Shutdown
// closes it. The configuration is a program's, not a user's: New panics if
// Validate fails.
func New(cfg Config) *Transport {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Sprintf("cannot make raft's transport: %v", err))
	}
	return &Transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Logger:                  Logger(cfg.Logger).Named("raft-net"),
			Stream:                  cfg.Layer,
			MaxPool:                 3,
			MaxRPCsInFlight:         1, // raft#612
			Timeout:                 cmp.Or(cfg.Timeout, defaultTimeout),
			MsgpackUseNewTimeFormat: true,
		}),
		provider: cfg.Provider,
	}
}

// SetHeartbeatHandler ignores the handler, so that heartbeats take the same
// way as every other request: raft#695.
func (t *Transport) SetHeartbeatHandler(handle func(raft.RPC)) {
	if bug.On("heartbeat-fast-path") {
		t.NetworkTransport.SetHeartbeatHandler(handle)
	}
}

// Close ends the transport and its pooled connections.
func (t *Transport) Close() error {
	err := t.NetworkTransport.Close()
	t.CloseStreams()
	return err
}

// at is where a server is now, with its id for Layer.Dial to insist on.
func (t *Transport) at(id raft.ServerID, target raft.ServerAddress) raft.ServerAddress {
	if t.provider != nil {
		if addr, err := t.provider.ServerAddr(id); err == nil {
			target = addr
		}
	}
	return join(id, target)
}

// AppendEntriesPipeline always fails with ErrPipelineReplicationNotSupported.
func (t *Transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	return t.NetworkTransport.AppendEntriesPipeline(id, t.at(id, target))
}

// AppendEntries implements raft.Transport.
func (t *Transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	sent := time.Now()
	err := t.NetworkTransport.AppendEntries(id, t.at(id, target), req, resp)
	if err == nil && resp.Term == req.Term {
		t.acks.note(id, req.Term, sent)
	}
	return err
}

// RequestVote implements raft.Transport.
func (t *Transport) RequestVote(id raft.ServerID, target raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.at(id, target), req, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t *Transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.at(id, target), req, resp)
}

// InstallSnapshot implements raft.Transport.
func (t *Transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return t.NetworkTransport.InstallSnapshot(id, t.at(id, target), req, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t *Transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.at(id, target), req, resp)
}

// EncodePeer is how raft names a server in requests and in the stored vote:
// "id@address".
func (t *Transport) EncodePeer(id raft.ServerID, addr raft.ServerAddress) []byte {
	return []byte(t.at(id, addr))
}

// DecodePeer is the address within what EncodePeer made.
func (t *Transport) DecodePeer(b []byte) raft.ServerAddress {
	_, addr := split(raft.ServerAddress(b))
	return raft.ServerAddress(addr)
}

func join(id raft.ServerID, addr raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + addr
}

// split undoes join; the id is empty where there is none.
func split(s raft.ServerAddress) (node, addr string) {
	if node, addr, ok := strings.Cut(string(s), "@"); ok {
		return node, addr
	}
	return "", string(s)
}
