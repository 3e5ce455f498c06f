package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// pipes is a listener of in-memory connections: a write waits for its reader, so
// a client that does not read is slow at once.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.over)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// inBubble runs a one-node world in simulated time.
func inBubble(t *testing.T, test func(t *testing.T, w *world, p *pipes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t}
		m := &member{w: w, machine: fsm.New(), watch: make(chan struct{})}
		m.self = link.Node{ID: "NODE1ID", Name: "n1", Boot: "b1", BootSeq: 1}
		w.nodes, w.leader = []*member{m}, m
		w.must(fsm.Command{Type: fsm.TypeInit, Init: &fsm.Init{ClusterID: "test", Generation: 1}})
		w.must(fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: m.self}})
		s := must(api.New(api.Config{Cluster: alone{m}, Logs: &m.logs, Self: m.self, Peers: w.peers}))(t)
		p := &pipes{conns: make(chan net.Conn), over: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Run(ctx, p) }()
		test(t, w, p)
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// ask sends a request by hand and gives what comes back.
func (p *pipes) ask(t *testing.T, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	here, there := net.Pipe()
	p.conns <- there
	if _, err := fmt.Fprintf(here, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	return here, bufio.NewReaderSize(here, 16)
}

// head reads the head of an answer.
func head(t *testing.T, r *bufio.Reader) {
	t.Helper()
	for {
		switch text, err := r.ReadString('\n'); {
		case err != nil:
			t.Fatal(err)
		case text == "\r\n":
			return
		}
	}
}

func TestASlowFollowerIsCutOff(t *testing.T) {
	for _, path := range []string{"/v1/events/stream?since=0", "/v1/logs?path=shop/store&follow=true"} {
		t.Run(path, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, p *pipes) {
				w.must(applyShop(t))
				w.start("shop/store", w.nodes[0], 1)
				for range 2000 {
					w.nodes[0].logs.write("shop/store", "stdout", strings.Repeat("x", 40))
				}
				conn, r := p.ask(t, path)
				defer conn.Close()
				head(t, r)
				w.noise(500)
				time.Sleep(16 * time.Second) // it reads nothing for longer than the server waits
				conn.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the stream goes on")
				}
				// Its place is free again, and the server well.
				for range 3 {
					c, r := p.ask(t, path)
					head(t, r)
					c.Close()
				}
			})
		})
	}
}

func applyShop(t *testing.T) fsm.Command {
	t.Helper()
	return fsm.Command{Type: fsm.TypeApplyTree, Tree: parsed(t, shop), By: "test"}
}

func TestStreamsShowThatTheyLive(t *testing.T) {
	for _, path := range []string{"/v1/events/stream", "/v1/logs?path=shop/store&follow=true&tail=0"} {
		t.Run(path, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world, p *pipes) {
				w.must(applyShop(t))
				w.start("shop/store", w.nodes[0], 1)
				w.nodes[0].logs.write("shop/store", "stdout", "old")
				conn, r := p.ask(t, path)
				defer conn.Close()
				head(t, r)
				began := time.Now()
				pieces := make(chan struct{}, 100)
				go func() {
					buf := make([]byte, 4096)
					for {
						if _, err := conn.Read(buf); err != nil {
							close(pieces)
							return
						}
						pieces <- struct{}{}
					}
				}()
				for time.Since(began) < 5*time.Minute { // far longer than any limit on one write
					at := time.Now()
					if _, ok := <-pieces; !ok {
						t.Fatalf("the stream broke off after %v", time.Since(began))
					}
					if gap := time.Since(at); gap > api.KeepAlive {
						t.Fatalf("silent for %v", gap)
					}
				}
			})
		})
	}
}

func TestAClientSoSlowThatHistoryPassesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, p *pipes) {
		w.noise(1000) // more than goes out at once
		conn, r := p.ask(t, "/v1/events/stream?since=0")
		defer conn.Close()
		head(t, r)
		synctest.Wait()              // the server waits for us to read
		w.noise(fsm.MaxRecords + 10) // what it would send next is forgotten meanwhile
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		text, err := io.ReadAll(http.MaxBytesReader(nil, io.NopCloser(r), 1<<20))
		if !strings.Contains(string(text), "event: problem\ndata: {") || !strings.Contains(string(text), `"code":"gone"`) {
			t.Errorf("%v after %.300s", err, text[max(0, len(text)-300):])
		}
	})
}

func TestADeposedLeaderEndsItsStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, p *pipes) {
		conn, r := p.ask(t, "/v1/events/stream")
		defer conn.Close()
		head(t, r)
		w.lead(nil) // and no entry ever comes
		began := time.Now()
		body := make(chan struct{})
		go func() {
			for {
				if text, err := r.ReadString('\n'); err != nil || strings.TrimSpace(text) == "0" {
					close(body)
					return
				}
			}
		}()
		<-body
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the stream ended after %v", took)
		}
	})
}

func TestHoldingLastsTenSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world, p *pipes) {
		w.lead(nil)
		began := time.Now()
		conn, r := p.ask(t, "/v1/status")
		defer conn.Close()
		line := must(r.ReadString('\n'))(t)
		if took := time.Since(began); !strings.Contains(line, "503") || took < 10*time.Second || took > 11*time.Second {
			t.Errorf("%q after %v", line, took)
		}
	})
}

func TestAHeadThatNeverComes(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *world, p *pipes) {
		here, there := net.Pipe()
		p.conns <- there
		began := time.Now()
		fmt.Fprint(here, "GET /v1/status HT")
		_, _ = io.ReadAll(here)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the server waited %v", took)
		}
	})
}
