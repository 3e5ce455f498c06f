package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// knock sends raw text to a node's API and gives the connection.
func knock(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answered gives the status line that came within a moment; empty: none.
func answered(c net.Conn, within time.Duration) string {
	c.SetReadDeadline(time.Now().Add(within))
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

// TestRequestsAreBounded: beyond 512 at once a request is refused at once, and those
// that wait are served all the same.
func TestRequestsAreBounded(t *testing.T) {
	m := newWorld(t, 1).nodes[0]
	addr := m.addr
	hold := make(chan struct{})
	var waiting atomic.Int32
	m.before = func(ctx context.Context) error { waiting.Add(1); <-hold; return nil }
	ask := "DELETE /v1/trees/t HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	var held []net.Conn
	for range 512 {
		held = append(held, knock(t, addr, ask))
	}
	for late := time.After(20 * time.Second); waiting.Load() < 512; {
		select {
		case <-late:
			t.Fatalf("%d of 512 requests wait", waiting.Load())
		default:
			runtime.Gosched()
		}
	}
	if line := answered(knock(t, addr, ask), 20*time.Second); !strings.Contains(line, "503") {
		t.Errorf("the 513th got %q", line)
	}
	close(hold)
	for i, c := range held {
		if line := answered(c, 20*time.Second); !strings.Contains(line, "404") {
			t.Fatalf("request %d got %q", i, line)
		}
	}
}

// TestBodiesTogetherAreBounded: requests that announce more than 512 MiB together are
// refused before a byte of them is read.
func TestBodiesTogetherAreBounded(t *testing.T) {
	addr := newWorld(t, 1).nodes[0].addr
	const size = 5 << 20
	ask := fmt.Sprintf("PUT /v1/trees/t HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", size)
	for range 512<<20/size + 1 {
		knock(t, addr, ask)
	}
	for range 50 { // those before may not all have been read yet
		if line := answered(knock(t, addr, ask), 5*time.Second); strings.Contains(line, "503") {
			return
		}
	}
	t.Error("nothing was refused")
}

// TestHeadersAreBounded, and so is a key.
func TestHeadersAreBounded(t *testing.T) {
	addr := newWorld(t, 1).nodes[0].addr
	for name, tt := range map[string]struct{ key, value, want string }{
		"all headers": {"X-Much", strings.Repeat("x", 80<<10), "431"},
		"the key":     {"Idempotency-Key", strings.Repeat("k", 129), "400"},
	} {
		res := get(t, "PUT", "http://"+addr+"/v1/trees/t", "x", func(r *http.Request) { r.Header.Set(tt.key, tt.value) })
		if body := read(t, res); !strings.HasPrefix(res.Status, tt.want) {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
}

// TestConnectionsAreBounded: beyond 4,096 the newest is closed, and one that ends
// makes room.
func TestConnectionsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 4,100 connections")
	}
	addr := newWorld(t, 1).nodes[0].addr
	var open []net.Conn
	for i := range 4096 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Skipf("only %d connections can be opened here: %v", i, err)
		}
		defer c.Close()
		open = append(open, c)
	}
	ask := "GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	if line := answered(knock(t, addr, ask), 20*time.Second); line != "" {
		t.Errorf("the 4,097th was answered: %q", line)
	}
	for _, c := range open[:10] {
		c.Close()
	}
	for range 100 {
		if line := answered(knock(t, addr, ask), time.Second); strings.Contains(line, "200") {
			return
		}
	}
	t.Error("after others were closed none is answered")
}
