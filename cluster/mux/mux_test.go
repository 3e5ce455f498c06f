package mux

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

func ident(node string) Identity { return Identity{ClusterID: "c1", NodeID: node, Key: testKey} }

// pipeListener hands out the far ends of net.Pipe: sockets for bubbles.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startMux runs a mux until the test ends and checks that Run returns nil.
func startMux(t *testing.T, cfg Config) *Mux {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return m
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPurposes: each connection reaches the listener of its purpose, with the
// ids of both sides, and carries bytes both ways however long it lives.
func TestPurposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		m := startMux(t, Config{Listener: pl, Self: ident("server")})
		d := &Dialer{Dial: pl.dial, Self: ident("client")}
		for _, p := range []Purpose{Raft, Session, HTTP, Join} {
			l := m.Listener(p)
			near, err := d.DialPurpose(t.Context(), "x", p)
			if err != nil {
				t.Fatal(err)
			}
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			a, b := near.(*Conn), far.(*Conn)
			if a.Peer() != "server" || b.Peer() != "client" || a.Purpose() != p || b.Purpose() != p {
				t.Errorf("%s: got peers %s, %s and purposes %s, %s", p, a.Peer(), b.Peer(), a.Purpose(), b.Purpose())
			}
			time.Sleep(time.Hour) // virtual: no deadline of the handshake is left
			checkEcho(t, near, far)
			near.Close()
			far.Close()
		}
		if got := m.Stats(); got.Accepted != 4 || got.Refused != 0 {
			t.Errorf("stats %+v", got)
		}
	})
}

func checkEcho(t *testing.T, near, far net.Conn) {
	t.Helper()
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		sent := make(chan error, 1)
		go func() {
			_, err := pair[0].Write([]byte("hello"))
			sent <- err
		}()
		got := make([]byte, 5)
		if _, err := io.ReadFull(pair[1], got); err != nil || string(got) != "hello" {
			t.Errorf("read %q, %v", got, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// TestRefusals: the dialer learns why, over real sockets, and nothing of the
// refused connection reaches a listener.
func TestRefusals(t *testing.T) {
	m := startMux(t, Config{Listener: listenTCP(t), Self: ident("server")})
	raft := m.Listener(Raft)
	closed := m.Listener(Session)
	closed.Close()
	addr := raft.Addr().String()
	for _, tc := range []struct {
		name    string
		self    Identity
		node    string
		purpose Purpose
		want    error
		text    string
	}{
		{"wrong key", Identity{ClusterID: "c1", NodeID: "n", Key: make([]byte, 32)}, "", Raft, ErrWrongKey, "use the token of this cluster"},
		{"wrong cluster", Identity{ClusterID: "c2", NodeID: "n", Key: testKey}, "", Raft, ErrWrongCluster, "we belong to c2, the other side to c1"},
		{"wrong node", ident("n"), "other", Raft, ErrWrongNode, "we look for other, but server is there now"},
		{"never served", ident("n"), "", HTTP, ErrNoService, "for http: http is not served there"},
		{"no longer served", ident("n"), "", Session, ErrNoService, "session is not served there"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &Dialer{Self: tc.self}
			_, err := d.DialNode(t.Context(), tc.node, addr, tc.purpose)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(fmt.Sprint(err), string(testKey)) {
				t.Error("the error shows the key")
			}
		})
	}
	var ce *ClusterError
	_, err := (&Dialer{Self: Identity{ClusterID: "c2", NodeID: "n", Key: testKey}}).DialPurpose(t.Context(), addr, Raft)
	if !errors.As(err, &ce) || ce.Ours != "c2" || ce.Theirs != "c1" {
		t.Errorf("cluster ids are lost: %v", err)
	}
}

// TestOtherPrograms: what answers on the port is not a mux of our version.
func TestOtherPrograms(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	free := listenTCP(t)
	free.Close()
	for _, tc := range []struct {
		name, addr string
		want       error
		text       string
	}{
		{"http server", web.Listener.Addr().String(), ErrNotSelfware, `it says "HTTP/1.1`},
		{"ssh server", talker(t, "SSH-2.0-OpenSSH_9\r\n"), ErrNotSelfware, "SSH-2.0"},
		{"short talker", talker(t, "-ERR\r\n"), ErrNotSelfware, `"-ERR`},
		{"hangs up", talker(t, ""), ErrHungUp, "hung up"},
		{"newer selfware", talker(t, "selfware/3\nxxxx"), ErrVersion, `ours is 2, theirs is '3'`},
		{"unknown code", talker(t, "selfware/2\n\xff\x00"), ErrMalformed, "code 255"},
		{"nobody", free.Addr().String(), syscall.ECONNREFUSED, "refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := (&Dialer{Self: ident("n")}).DialPurpose(t.Context(), tc.addr, Raft)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// talker is a server that reads a hello, says one thing and hangs up.
func talker(t *testing.T, says string) string {
	l := listenTCP(t)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1024))
			io.WriteString(c, says)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// TestStrangers: whatever a stranger sends, no listener sees it, and a proof
// that is wrong, replayed or reflected is refused.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		m := startMux(t, Config{Listener: pl, Self: ident("server")})
		m.Listener(Raft)
		h := newHello(ident("n"), Raft)
		for name, proof := range map[string]func(rp reply) []byte{
			"zeros":     func(reply) []byte { return make([]byte, macSize) },
			"reflected": func(rp reply) []byte { return rp.mac[:] },
			"replayed": func(rp reply) []byte {
				rp.raw[len(rp.raw)-1] ^= 1 // the proof of another session, with another nonce
				mac := sign(testKey, labelDialer, h.raw, rp.raw)
				return mac[:]
			},
		} {
			c, _ := pl.dial(t.Context(), "")
			c.Write(h.raw)
			rp, err := readReply(c)
			if err != nil {
				t.Fatal(err)
			}
			c.Write(proof(rp))
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: not hung up: %v", name, err)
			}
		}
		for _, says := range []string{"GET / HTTP/1.1\r\n\r\n", "selfware/2\n\x01\x00\x00", "selfware/2\n\x01\xff\xffxxxxx"} {
			c, _ := pl.dial(t.Context(), "")
			go io.WriteString(c, says)
			if n, err := c.Read(make([]byte, 64)); n != 0 || err == nil {
				t.Errorf("%q: got an answer of %d bytes, %v", says, n, err)
			}
		}
		synctest.Wait()
		if got := m.Stats(); got.Accepted != 0 || got.Refused != 6 {
			t.Errorf("stats %+v", got)
		}
	})
}

// TestOldClient: a dialer of another version is told so.
func TestOldClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		startMux(t, Config{Listener: pl, Self: ident("server")})
		c, _ := pl.dial(t.Context(), "")
		defer c.Close()
		c.Write([]byte("selfware/0\n\x01\x01\x01"))
		rp, err := readReply(c)
		if err != nil || rp.code != codeVersion {
			t.Errorf("got %+v, %v", rp, err)
		}
	})
}

// TestSlowLoris: a crowd of silent connections neither keeps an honest node
// out nor costs more than MaxPending handshakes, and all end by themselves.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		m := startMux(t, Config{Listener: pl, Self: ident("server"), MaxPending: 8, MaxPerIP: 8})
		l := m.Listener(Raft)
		var silent []net.Conn
		for range 100 {
			c, err := pl.dial(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			go c.Write([]byte("self")) // and then nothing
			silent = append(silent, c)
			if n := m.Stats().Pending; n > 8 {
				t.Fatalf("%d handshakes under way", n)
			}
		}
		start := time.Now()
		c, err := (&Dialer{Dial: pl.dial, Self: ident("n")}).DialPurpose(t.Context(), "", Raft)
		if err != nil || time.Since(start) != 0 {
			t.Fatalf("the honest node: %v after %s", err, time.Since(start))
		}
		far, _ := l.Accept()
		far.Close()
		c.Close()
		time.Sleep(DefaultHandshakeTimeout + time.Millisecond)
		if got := m.Stats(); got.Pending != 0 || got.Evicted < 92 || got.Refused != 100 {
			t.Errorf("stats %+v", got)
		}
		for _, c := range silent {
			c.Close()
		}
	})
}

// fakeIP gives a pipe a remote address.
type fakeIP struct {
	net.Conn
	ip string
}

func (c fakeIP) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 1} }

// TestPerIP: one greedy address loses its own oldest handshakes, not others'.
func TestPerIP(t *testing.T) {
	p := pending{max: 4, perIP: 2}
	add := func(ip string) *handshake {
		c, _ := net.Pipe()
		return p.add(fakeIP{c, ip})
	}
	other, g1, g2 := add("10.0.0.1"), add("10.0.0.2"), add("10.0.0.2")
	g3 := add("10.0.0.2")
	if p.remove(g1) || !p.remove(g2) || !p.remove(g3) || !p.remove(other) {
		t.Error("the victim is not the oldest of the greedy address")
	}
	oldest := add("10.0.0.1")
	for i := range 4 {
		add(fmt.Sprintf("10.0.1.%d", i))
	}
	if now, evicted := p.counts(); p.remove(oldest) || now != 4 || evicted != 2 {
		t.Errorf("%d under way, %d cut off", now, evicted)
	}
}

// TestBacklog: connections nobody takes are closed, not kept without limit.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		m := startMux(t, Config{Listener: pl, Self: ident("server"), Backlog: 2})
		l := m.Listener(Raft)
		d := &Dialer{Dial: pl.dial, Self: ident("n")}
		var last net.Conn
		for range 3 {
			c, err := d.DialPurpose(t.Context(), "", Raft)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it is in the queue, or closed
			last = c
		}
		if _, err := last.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the third connection: %v", err)
		}
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if m.Listener(Raft) == l {
			t.Error("a closed listener is not replaced")
		}
	})
}

// TestDialerGivesUp: a port that never answers costs the timeout, or less when
// ctx ends first.
func TestDialerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go io.Copy(io.Discard, far)
			return near, nil
		}
		d := &Dialer{Dial: mute, Self: ident("n"), HandshakeTimeout: 3 * time.Second}
		start := time.Now()
		_, err := d.DialPurpose(t.Context(), "", Raft)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = d.DialPurpose(ctx, "", Raft)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// TestRunEnds: Run closes port, handshakes and listeners; a port that fails is
// an error.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pl := newPipeListener()
		m, _ := New(Config{Listener: pl, Self: ident("server")})
		l := m.Listener(Raft)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		c, _ := pl.dial(t.Context(), "")
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a pending handshake lives on: %v", err)
		}
		for _, l := range []net.Listener{l, m.Listener(Raft), m.Listener(HTTP)} {
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept after Run: %v", err)
			}
		}
	})
	pl := newPipeListener()
	m, _ := New(Config{Listener: pl, Self: ident("server")})
	pl.Close()
	if err := m.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a port that fails: %v", err)
	}
}

// TestHTTPServer: the HTTP listener serves net/http as it is.
func TestHTTPServer(t *testing.T) {
	m := startMux(t, Config{Listener: listenTCP(t), Self: ident("server")})
	l := m.Listener(HTTP)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") })}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	d := &Dialer{Self: ident("n")}
	c, err := d.DialPurpose(t.Context(), l.Addr().String(), HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "hi" {
		t.Errorf("body %q", body)
	}
	srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	for name, cfg := range map[string]Config{
		"listener is missing":      {Self: ident("n")},
		"cluster key must have 32": {Listener: newPipeListener(), Self: Identity{ClusterID: "c", NodeID: "n", Key: []byte("short")}},
		"node id must have 1":      {Listener: newPipeListener(), Self: ident("")},
		"only printable":           {Listener: newPipeListener(), Self: ident("a b")},
		"must not be negative":     {Listener: newPipeListener(), Self: ident("n"), MaxPending: -1},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := (&Dialer{Self: ident("n")}).DialPurpose(t.Context(), "x", 9); err == nil {
		t.Error("an unknown purpose is dialled")
	}
	if s := fmt.Sprintf("%v %+v", ident("n"), Token{"c", testKey}); strings.Contains(s, string(testKey[:4])) {
		t.Errorf("the key shows in %s", s)
	}
}
