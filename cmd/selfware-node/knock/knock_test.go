package knock

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/selfware/selfware/cluster/mux"
)

// clusterAt serves the cluster port of a node, like a real one: sessions, and
// nothing else that matters here.
func clusterAt(t *testing.T, lis net.Listener, token mux.Token, serves bool) {
	t.Helper()
	m, err := mux.New(mux.Config{Listener: lis, Self: mux.Identity{ClusterID: token.ClusterID, NodeID: "n1", Key: token.Key}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	if serves {
		sessions := m.Listener(mux.Session)
		wg.Go(func() {
			for {
				conn, err := sessions.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		})
	}
	wg.Go(func() { _ = m.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

func TestKnock(t *testing.T) {
	token := mux.Token{ClusterID: "c-1", Key: mux.NewKey()}
	good, starting := listen(t), listen(t)
	clusterAt(t, good, token, true)
	clusterAt(t, starting, token, false)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	free := listen(t)
	free.Close()
	tests := []struct {
		name, addr string
		token      mux.Token
		err        string
	}{
		{"all is well", good.Addr().String(), token, ""},
		{"another cluster", good.Addr().String(), mux.Token{ClusterID: "c-2", Key: token.Key}, "wrong cluster: that node is of c-1, the token of c-2"},
		{"another key", good.Addr().String(), mux.Token{ClusterID: "c-1", Key: mux.NewKey()}, "wrong token"},
		{"a web server", web.Listener.Addr().String(), token, "this is no selfware cluster port"},
		{"nobody", free.Addr().String(), token, "(connection refused)"},
		{"a node that starts", starting.Addr().String(), token, "(it is still starting)"},
		{"no address", "http://n1:7401", token, "give the host, or host:port"},
		{"no port", "n1:seven", token, "give the host, or host:port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Knock(t.Context(), tt.addr, tt.token.Encode(), 0, func(line string) { t.Errorf("said %q without patience", line) })
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
	if err := Knock(t.Context(), good.Addr().String(), "sw1-nonsense", 0, nil); err == nil || !strings.HasPrefix(err.Error(), "cannot join: ") {
		t.Errorf("got %v for a token that is none", err)
	}
}

// TestKnockWaits: the node may come after the one who knocks.
func TestKnockWaits(t *testing.T) {
	token := mux.Token{ClusterID: "c-1", Key: mux.NewKey()}
	free := listen(t)
	addr := free.Addr().String()
	free.Close()
	said := 0
	err := Knock(t.Context(), addr, token.Encode(), time.Minute, func(string) {
		said++
		lis, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("the port was taken meanwhile: %v", err)
		}
		clusterAt(t, lis, token, true)
	})
	if err != nil || said != 1 {
		t.Errorf("got %v after %d lines, want nil after 1", err, said)
	}
}

// TestKnockEnds: the user need not wait for the end of all patience.
func TestKnockEnds(t *testing.T) {
	token := mux.Token{ClusterID: "c-1", Key: mux.NewKey()}
	free := listen(t)
	free.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	err := Knock(ctx, free.Addr().String(), token.Encode(), time.Hour, func(string) { cancel(enough) })
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want the reason of the end", err)
	}
}
