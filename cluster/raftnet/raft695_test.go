package raftnet

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// victim is a raft node under test, with two scripted peers. Its main loop can
// be held at two places that upstream offers: inside StoreLogs, and at the
// send on NotifyCh, which lies between "I am leader" and the first entry.
type victim struct {
	*raft.Raft
	store  *heldStore
	trans  raft.Transport
	notify chan bool
	peers  []*peer
}

// heldStore blocks StoreLogs while held is not nil.
type heldStore struct {
	*raft.InmemStore
	held chan chan struct{}
}

func (s *heldStore) StoreLogs(logs []*raft.Log) error {
	select {
	case release := <-s.held:
		<-release
	default:
	}
	return s.InmemStore.StoreLogs(logs)
}

func (s *heldStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// peer answers yes to everything, so that the victim becomes leader.
type peer struct {
	*raft.NetworkTransport
	id raft.ServerID
}

func (p *peer) run(done <-chan struct{}) {
	for {
		select {
		case rpc := <-p.Consumer():
			switch req := rpc.Command.(type) {
			case *raft.RequestPreVoteRequest:
				rpc.Respond(&raft.RequestPreVoteResponse{Term: req.Term, Granted: true}, nil)
			case *raft.RequestVoteRequest:
				rpc.Respond(&raft.RequestVoteResponse{Term: req.Term, Granted: true}, nil)
			case *raft.AppendEntriesRequest:
				last := req.PrevLogEntry + uint64(len(req.Entries))
				rpc.Respond(&raft.AppendEntriesResponse{Term: req.Term, LastLog: last, Success: true}, nil)
			default:
				rpc.Respond(nil, errors.New("not played"))
			}
		case <-done:
			return
		}
	}
}

// append sends what the leader of term would: a heartbeat if req is empty.
func (p *peer) append(to *victim, req raft.AppendEntriesRequest) (*raft.AppendEntriesResponse, error) {
	req.RPCHeader = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(p.id), Addr: []byte(p.LocalAddr())}
	var resp raft.AppendEntriesResponse
	err := p.AppendEntries("v", to.trans.LocalAddr(), &req, &resp)
	return &resp, err
}

// start makes a victim, its transport wrapped or as upstream has it.
func start(t *testing.T, wrapped bool) *victim {
	sim := newPipeNet()
	v := &victim{store: &heldStore{raft.NewInmemStore(), make(chan chan struct{}, 1)}, notify: make(chan bool)}
	layer := NewLayer(LayerConfig{Listener: sim.listen("v"), Dial: sim.dial})
	if wrapped {
		v.trans = New(Config{Layer: layer, Timeout: time.Second})
	} else {
		v.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: layer, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: time.Second, Logger: hclog.NewNullLogger()})
	}
	servers := []raft.Server{{ID: "v", Address: "v"}}
	for _, id := range []raft.ServerID{"b", "c"} {
		servers = append(servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
		p := &peer{id: id, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream:  NewLayer(LayerConfig{Listener: sim.listen(string(id)), Dial: sim.dial}),
			MaxPool: 3, Timeout: time.Second, Logger: hclog.NewNullLogger()})}
		go p.run(t.Context().Done())
		t.Cleanup(func() { p.Close(); p.CloseStreams() })
		v.peers = append(v.peers, p)
	}
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger, conf.NotifyCh = "v", hclog.NewNullLogger(), v.notify
	snaps := raft.NewInmemSnapshotStore()
	if err := raft.BootstrapCluster(conf, v.store, v.store, snaps, v.trans, raft.Configuration{Servers: servers}); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(conf, nullFSM{}, v.store, v.store, snaps, v.trans)
	if err != nil {
		t.Fatal(err)
	}
	v.Raft = r
	t.Cleanup(func() {
		go func() {
			for range v.notify {
			}
		}()
		if err := r.Shutdown().Error(); err != nil {
			t.Error(err)
		}
		v.trans.(raft.WithClose).Close()
		close(v.notify)
	})
	return v
}

// raft695 runs f with and without the wrapper, each in a bubble of its own.
func raft695(t *testing.T, f func(t *testing.T, v *victim, wrapped bool)) {
	for name, wrapped := range map[string]bool{"upstream": false, "wrapped": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, start(t, wrapped), wrapped) })
		})
	}
}

// TestRaft695Cause: while the main loop of a leader sits in StoreLogs, the
// heartbeat of a newer leader changes its term and state in upstream. With the
// wrapper nothing moves until the main loop is back.
func TestRaft695Cause(t *testing.T) {
	raft695(t, func(t *testing.T, v *victim, wrapped bool) {
		<-v.notify
		if err := v.Barrier(time.Second).Error(); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		v.store.held <- release
		term := v.CurrentTerm()
		v.Apply([]byte("x"), 0)
		synctest.Wait() // the main loop is in StoreLogs now
		if len(v.store.held) != 0 {
			t.Fatal("StoreLogs is not held")
		}
		resp := make(chan error, 1)
		go func() {
			_, err := v.peers[0].append(v, raft.AppendEntriesRequest{Term: term + 1})
			resp <- err
		}()
		synctest.Wait()
		moved := v.CurrentTerm() != term || v.State() != raft.Leader
		if moved == wrapped {
			t.Errorf("wrapped %t: state is %s in term %d (was leader of %d) behind the back of the main loop",
				wrapped, v.State(), v.CurrentTerm(), term)
		}
		close(release)
		if lead := <-v.notify; lead {
			t.Error("still leader")
		}
		if err := <-resp; err != nil {
			t.Errorf("the heartbeat was not answered: %v", err)
		}
		if v.CurrentTerm() != term+1 || v.State() != raft.Follower {
			t.Errorf("the heartbeat had no effect: %s in term %d", v.State(), v.CurrentTerm())
		}
	})
}

// TestRaft695Divergence: the end of it. The victim has just won term n and has
// not written its first entry when the heartbeat of the leader of n+1 comes.
// Upstream then writes that entry as one of term n+1, which the victim never
// led. The true leader's own entry has the same index and term, so raft's
// consistency check takes the one for the other, and what is committed at that
// index differs between replicas. With the wrapper the check does its work.
func TestRaft695Divergence(t *testing.T) {
	raft695(t, func(t *testing.T, v *victim, wrapped bool) {
		time.Sleep(10 * time.Second) // virtual: the victim has won and waits on NotifyCh
		term, index := v.CurrentTerm(), v.LastIndex()+1
		if v.State() != raft.Leader {
			t.Fatalf("victim is %s", v.State())
		}
		leader := v.peers[0]
		beat := make(chan error, 1)
		go func() {
			_, err := leader.append(v, raft.AppendEntriesRequest{Term: term + 1})
			beat <- err
		}()
		synctest.Wait()
		if lead := <-v.notify; !lead {
			t.Fatal("not told of leadership")
		}
		if lead := <-v.notify; lead {
			t.Fatal("not told of its loss")
		}
		if err := <-beat; err != nil {
			t.Fatal(err)
		}
		var own raft.Log
		if err := v.store.GetLog(index, &own); err != nil {
			t.Fatal(err)
		}
		if got := own.Term == term+1; got == wrapped {
			t.Errorf("wrapped %t: the victim, leader of term %d, wrote its entry under term %d", wrapped, term, own.Term)
		}
		// The true leader holds its own entry (index, term+1) and now sends and
		// commits the next.
		resp, err := leader.append(v, raft.AppendEntriesRequest{Term: term + 1,
			PrevLogEntry: index, PrevLogTerm: term + 1, LeaderCommitIndex: index + 1,
			Entries: []*raft.Log{{Index: index + 1, Term: term + 1, Type: raft.LogCommand, Data: []byte("y")}}})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Success == wrapped || (v.CommitIndex() > index) == wrapped {
			t.Errorf("wrapped %t: success %t, committed up to %d with an own entry at %d",
				wrapped, resp.Success, v.CommitIndex(), index)
		}
	})
}

type nullFSM struct{}

func (nullFSM) Apply(*raft.Log) any                 { return nil }
func (nullFSM) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("none") }
func (nullFSM) Restore(io.ReadCloser) error         { return nil }

// pipeNet is a network of net.Pipe, for bubbles.
type pipeNet struct{ nodes map[string]*pipeListener }

func newPipeNet() *pipeNet { return &pipeNet{nodes: map[string]*pipeListener{}} }

type pipeListener struct {
	addr  advertised
	conns chan net.Conn
	done  context.Context
	end   context.CancelFunc
}

// listen must come before the first dial.
func (n *pipeNet) listen(addr string) *pipeListener {
	ctx, cancel := context.WithCancel(context.Background())
	l := &pipeListener{addr: advertised(addr), conns: make(chan net.Conn), done: ctx, end: cancel}
	n.nodes[addr] = l
	return l
}

func (n *pipeNet) dial(ctx context.Context, node, addr string) (net.Conn, error) {
	l := n.nodes[addr]
	if l == nil || (node != "" && node != addr) {
		return nil, errors.New("wrong node")
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done.Done():
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done.Done():
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.end(); return nil }
func (l *pipeListener) Addr() net.Addr { return l.addr }
