package raftnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

type addrs map[raft.ServerID]raft.ServerAddress

func (a addrs) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if addr, ok := a[id]; ok {
		return addr, nil
	}
	return "", errors.New("unknown")
}

// TestRequestsNameTheNode: the dial function learns which node is meant, at
// the address the provider knows, else at the one of the configuration, and a
// refusal because another node is there reaches raft as an error.
func TestRequestsNameTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newPipeNet()
		var dialled []string
		wrong := errors.New("another node is there")
		tr := New(Config{Provider: addrs{"b": "new:1"}, Timeout: time.Second, Layer: NewLayer(LayerConfig{
			Listener: sim.listen("a"),
			Dial: func(_ context.Context, node, addr string) (net.Conn, error) {
				dialled = append(dialled, node+" at "+addr)
				return nil, wrong
			},
		})})
		defer tr.Close()
		for name, call := range map[string]func(raft.ServerID, raft.ServerAddress) error{
			"append": func(id raft.ServerID, a raft.ServerAddress) error {
				return tr.AppendEntries(id, a, &raft.AppendEntriesRequest{}, nil)
			},
			"vote":     func(id raft.ServerID, a raft.ServerAddress) error { return tr.RequestVote(id, a, nil, nil) },
			"pre-vote": func(id raft.ServerID, a raft.ServerAddress) error { return tr.RequestPreVote(id, a, nil, nil) },
			"snapshot": func(id raft.ServerID, a raft.ServerAddress) error {
				return tr.InstallSnapshot(id, a, &raft.InstallSnapshotRequest{}, nil, nil)
			},
			"timeout now": func(id raft.ServerID, a raft.ServerAddress) error { return tr.TimeoutNow(id, a, nil, nil) },
		} {
			dialled = nil
			err1, err2 := call("b", "old:1"), call("c", "old:2")
			if !errors.Is(err1, wrong) || !errors.Is(err2, wrong) {
				t.Errorf("%s: %v, %v", name, err1, err2)
			}
			if got := strings.Join(dialled, ", "); got != "b at new:1, c at old:2" {
				t.Errorf("%s dialled %s", name, got)
			}
		}
		if _, err := tr.AppendEntriesPipeline("b", "x"); err != raft.ErrPipelineReplicationNotSupported {
			t.Errorf("pipeline: %v", err)
		}
	})
}

// TestVoteNamesTheNode: the stored vote names the node, not only an address
// that another node may get; raft still sees plain addresses.
func TestVoteNamesTheNode(t *testing.T) {
	tr := &Transport{provider: addrs{"b": "new:1"}}
	b, c := tr.EncodePeer("b", "old:1"), tr.EncodePeer("c", "new:1")
	if string(b) != "b@new:1" || bytes.Equal(b, c) {
		t.Errorf("votes %s and %s", b, c)
	}
	for in, want := range map[string]raft.ServerAddress{"b@new:1": "new:1", "new:1": "new:1", "": ""} {
		if got := tr.DecodePeer([]byte(in)); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestCloseEndsConnections: after Close no goroutine waits for a silent peer
// (the bubble would not end), and the layer takes no connection any more.
func TestCloseEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newPipeNet()
		layer := NewLayer(LayerConfig{Listener: sim.listen("a"), Dial: sim.dial, Advertise: "public:1"})
		for _, bad := range []Config{{}, {Layer: layer, Timeout: -1}} {
			if bad.Validate() == nil {
				t.Errorf("%+v is accepted", bad)
			}
		}
		tr := New(Config{Layer: layer})
		if got := tr.LocalAddr(); got != "public:1" {
			t.Errorf("local address %s", got)
		}
		in, err := sim.dial(t.Context(), "a", "a")
		if err != nil {
			t.Fatal(err)
		}
		sim.listen("b")
		out, got := make(chan error, 1), make(chan net.Conn, 1)
		go func() { c, _ := sim.nodes["b"].Accept(); got <- c }()
		go func() { out <- tr.RequestVote("b", "b", &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{}) }()
		far := <-got
		go io.Copy(io.Discard, far)
		synctest.Wait()
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if err := <-out; err == nil {
			t.Error("a request outlived Close")
		}
		if _, err := in.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("an incoming connection outlived Close: %v", err)
		}
		if len(layer.conns) != 0 {
			t.Errorf("%d connections left", len(layer.conns))
		}
		go func() { sim.nodes["b"].Accept() }()
		if _, err := layer.Dial("b@b", time.Second); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial after Close: %v", err)
		}
	})
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	l := Logger(slog.New(h))
	sub := l.With("node", "n1").Named("raft").Named("net")
	l.Trace("unseen")
	l.Log(hclog.Off, "unseen")
	l.Info("plain", "n", 1)
	sub.Warn("late", "f", hclog.Fmt("%d-%s", 7, "x"), "hex", hclog.Hex(255), "quote", hclog.Quote("a b"))
	sub.ResetNamed("z").Error("err", "error", io.EOF)
	l.Debug("odd", "alone")
	io.WriteString(l.StandardWriter(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn}), "line\n")
	l.StandardLogger(nil).Print("std")
	want := `level=INFO msg=plain n=1
level=WARN msg=late node=n1 from=raft.net f=7-x hex=0xff quote="\"a b\""
level=ERROR msg=err node=n1 from=z error=EOF
level=DEBUG msg=odd !BADKEY=alone
level=WARN msg=line
level=INFO msg=std
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if l.IsTrace() || !l.IsDebug() || !l.IsInfo() || !l.IsWarn() || !l.IsError() || l.GetLevel() != hclog.Debug {
		t.Error("levels are wrong")
	}
	if sub.Name() != "raft.net" || len(sub.ImpliedArgs()) != 2 || Logger(nil).GetLevel() != hclog.Off {
		t.Error("name, implied arguments or the nil logger are wrong")
	}
}
