package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/supervisor/breaker"
)

// serve gives a client of a server that answers as told.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Config{API: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

const gone = `{"title":"Gone","status":410,"code":"gone","detail":"the history begins at index 9"}`

func TestAnswersThatAreNone(t *testing.T) {
	ctx := t.Context()
	var p *api.Problem
	_, err := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }).Status(ctx)
	if !errors.As(err, &p) || p.Code != api.CodeInternal || p.Status != 502 || !strings.Contains(p.Detail, "is this a selfware API?") {
		t.Errorf("error %v", err)
	}
	if _, err = serve(t, say("<html>")).Status(ctx); err == nil || !strings.Contains(err.Error(), "cannot read the answer of the node at http://127.0.0.1") {
		t.Errorf("error %v", err)
	}
	err = serve(t, say("not a snapshot")).SaveSnapshot(ctx, io.Discard)
	if !errors.As(err, &p) || p.Code != api.CodeBadRequest {
		t.Errorf("error %v", err)
	}
}

func TestTimeout(t *testing.T) {
	over := make(chan struct{})
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-over })
	defer close(over)
	c.cfg.Timeout = time.Millisecond
	if _, err := c.Status(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestAProblemEndsAStream(t *testing.T) {
	ignore := func(api.Event) error { return nil }
	err := serve(t, say("id: 3\n\nevent: problem\ndata: "+gone+"\n\n")).Follow(t.Context(), "1", ignore)
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.CodeGone {
		t.Errorf("error %v", err)
	}
	err = serve(t, say("{\"problem\":"+gone+"}\n")).Logs(t.Context(), "a/b", LogOptions{}, func(api.LogLine) error { return nil })
	if !errors.As(err, &p) || p.Code != api.CodeGone {
		t.Errorf("error %v", err)
	}
}

func TestStreamsOfNonsense(t *testing.T) {
	err := serve(t, say("nonsense\n")).Logs(t.Context(), "a/b", LogOptions{}, func(api.LogLine) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "cannot decode a log line") {
		t.Errorf("error %v", err)
	}
	err = serve(t, say("data: nonsense\n\n")).Follow(t.Context(), "", func(api.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "cannot decode an event") {
		t.Errorf("error %v", err)
	}
	err = serve(t, say(strings.Repeat("x", maxLine+1))).Logs(t.Context(), "a/b", LogOptions{}, func(api.LogLine) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "a line has more than") {
		t.Errorf("error %v", err)
	}
	err = serve(t, func(w http.ResponseWriter, _ *http.Request) { // cut off in the middle
		io.WriteString(w, `{"stream":"stdout","text":"a"}`+"\n")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}).Logs(t.Context(), "a/b", LogOptions{}, func(api.LogLine) error { return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a log that was cut off ends with %v", err)
	}
}

// A stream says where it begins, so that a client that got no event yet misses
// none when it must connect again.
func TestFollowResumesWhereItBegan(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		if len(asked) < 3 {
			fmt.Fprintf(w, "id: 7\n\n: alive\n\n")
			return
		}
		fmt.Fprintf(w, "id: 7\n\nid: 8.1\ndata: {\"index\":8,\"n\":1}\n\n")
	})
	enough := errors.New("enough")
	err := c.Follow(t.Context(), "", func(ev api.Event) error {
		if ev.Index != 8 || ev.N != 1 {
			t.Errorf("event %+v", ev)
		}
		return enough
	})
	if !errors.Is(err, enough) || strings.Join(asked, " ") != " since=7 since=7" {
		t.Errorf("asked %q, ended with %v", asked, err)
	}
}

// A stream that is silent for too long counts as broken, and is opened again
// with growing waits.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Socket: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		var opened []time.Duration
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			opened = append(opened, time.Since(began))
			go func() { // answers once, and no more
				defer there.Close()
				buf := make([]byte, 4096)
				there.Read(buf)
				io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\n\n")
				io.Copy(io.Discard, there)
			}()
			return here, nil
		}
		err = c.Follow(ctx, "", func(api.Event) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if len(opened) < 6 || len(opened) > 7 {
			t.Errorf("opened at %v, want each %v", opened, maxSilence)
		}
		c.Close()
	})
}

// A client with a breaker asks a node that is not there five times, then fails at once,
// and tries again after 30 s. Callers that give up, and answers of any kind, are no
// failures. Other clients made from it share the breaker.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New(breaker.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(Config{API: "10.0.0.9:7402", Breaker: b})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		refuses := errors.New("connection refused")
		dials := 0
		c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials++
			return nil, refuses
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 10 {
			if _, err := c.Status(gone); !errors.Is(err, context.Canceled) {
				t.Fatalf("given up: %v", err)
			}
		}
		dials = 0
		for i := range 10 {
			want := refuses
			if i >= 5 {
				want = breaker.ErrCircuitOpen
			}
			if _, err := c.Stale().Status(t.Context()); !errors.Is(err, want) {
				t.Fatalf("request %d: %v, want %v", i, err, want)
			}
		}
		if m := b.Metrics(); dials != 5 || m.Closed.Failure != 5 || m.Closed.Abandoned != 10 || m.Open.Refused != 5 {
			t.Errorf("%d connections were tried, metrics %+v", dials, m)
		}
		time.Sleep(30 * time.Second)
		c.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				there.Read(make([]byte, 4096))
				io.WriteString(there, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			}()
			return here, nil
		}
		for range 3 {
			var p *api.Problem
			if _, err := c.Status(t.Context()); !errors.As(err, &p) {
				t.Errorf("an answer that is an error: %v", err)
			}
		}
		if b.State() != breaker.Closed {
			t.Errorf("after three answers it is %v", b.State())
		}
	})
}
