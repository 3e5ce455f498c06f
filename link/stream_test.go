package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/selfware/selfware/supervisor"
)

// file is a connection that reads what is given and keeps what is written.
type file struct {
	io.Reader
	bytes.Buffer
	closed bool
}

func (f *file) Read(p []byte) (int, error) { return f.Reader.Read(p) }
func (f *file) Close() error               { f.closed = true; return nil }

// reading is a stream that receives data and then EOF.
func reading(data []byte) *Stream { return NewStream(&file{Reader: bytes.NewReader(data)}) }

// framed gives what Write sends for v.
func framed(t testing.TB, values ...any) []byte {
	t.Helper()
	f := &file{}
	for _, v := range values {
		if err := NewStream(f).Write(v); err != nil {
			t.Fatal(err)
		}
	}
	return f.Bytes()
}

// frame puts a length before a body.
func frame(length uint32, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, length), body...)
}

func events(n int) []supervisor.ChildEvent {
	evs := make([]supervisor.ChildEvent, n)
	for i := range evs {
		evs[i] = supervisor.ChildEvent{Path: fmt.Sprint("shop/c", i), Epoch: supervisor.Epoch(i), Type: supervisor.EventStarted, PID: i}
	}
	return evs
}

// TestStream: what one side writes the other reads, in order, until it closes.
func TestStream(t *testing.T) {
	a, b := net.Pipe()
	agent, leader := NewStream(a), NewStream(b)
	sent := []Up{
		{Hello: &Hello{Node: Node{ID: "n1"}, Lives: []Life{{PID: 7}}}}, {Seq: 3, Events: events(MaxEvents)}, {}, {Bye: true},
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer agent.Close()
		for _, up := range sent {
			if err := agent.Write(up); err != nil {
				t.Error(err)
			}
		}
	})
	for i, want := range sent {
		var got Up
		if err := leader.Read(&got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("message %d is %+v, want %+v", i, got, want)
		}
	}
	wg.Wait()
	if err := leader.Read(new(Up)); err != io.EOF {
		t.Errorf("after the close: %v, want EOF", err)
	}
	if err := leader.Write(Down{}); err == nil {
		t.Error("a write after the close gave no error")
	}
}

// TestSmallReads: a connection may give one byte at a time.
func TestSmallReads(t *testing.T) {
	want := Up{Seq: 9, Events: events(20)}
	s := NewStream(&file{Reader: iotest.OneByteReader(bytes.NewReader(framed(t, want, Up{Pong: 1})))})
	var got, next Up
	if err := errors.Join(s.Read(&got), s.Read(&next)); err != nil || !reflect.DeepEqual(got, want) || next.Pong != 1 {
		t.Errorf("%+v, %+v, %v", got, next, err)
	}
}

// TestConcurrentWriters: messages of several writers do not mix.
func TestConcurrentWriters(t *testing.T) {
	const writers, each = 8, 25
	a, b := net.Pipe()
	s, r := NewStream(a), NewStream(b)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for k := range each {
				if err := s.Write(Up{Pong: uint64(i), Seq: uint64(k), Events: events(i * 40)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [writers]uint64
	for range writers * each {
		var up Up
		if err := r.Read(&up); err != nil {
			t.Fatal(err)
		}
		if up.Seq != next[up.Pong] || len(up.Events) != int(up.Pong)*40 {
			t.Fatalf("writer %d: message %d with %d events, want %d", up.Pong, up.Seq, len(up.Events), next[up.Pong])
		}
		next[up.Pong]++
	}
	wg.Wait()
}

// TestCloseFreesWriters: Close ends a write that blocks, and those behind it.
func TestCloseFreesWriters(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	s := NewStream(a)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := s.Write(Down{}); err == nil {
				t.Error("nobody reads, and a write succeeded")
			}
		})
	}
	if _, err := b.Read(make([]byte, 1)); err != nil { // one writer is under way
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// TestTruncated: a message cut at any byte is an error: EOF between messages,
// ErrUnexpectedEOF within one.
func TestTruncated(t *testing.T) {
	data := framed(t, Up{Seq: 1, Events: events(3)})
	for i := range data {
		want := io.ErrUnexpectedEOF
		if i == 0 {
			want = io.EOF
		}
		if err := reading(data[:i]).Read(new(Up)); err != want {
			t.Fatalf("cut at %d: %v, want %v", i, err, want)
		}
	}
}

// TestGarbage: what does not decode into the message is an error.
func TestGarbage(t *testing.T) {
	valid := framed(t, Up{Seq: 1})[4:]
	for what, body := range map[string][]byte{
		"an empty frame":      {},
		"text":                []byte("\x65hello"),
		"no CBOR":             []byte("hello"),
		"two values":          append(bytes.Clone(valid), valid...),
		"a wrong type":        []byte("\xa1\x63seq\x61x"),
		"too many elements":   []byte("\xa1\x66events\x9a\xff\xff\xff\xff"),
		"nested too deep":     append([]byte("\xa1\x61x"), bytes.Repeat([]byte{0x81}, 1000)...),
		"an HTTP request":     []byte("GET / HTTP/1.1\r\n\r\n"),
		"a number below zero": []byte("\xa1\x63seq\x20"),
	} {
		if err := reading(frame(uint32(len(body)), body)).Read(new(Up)); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s gave %v", what, err)
		}
	}
	if err := reading([]byte("GET / HTTP/1.1\r\n\r\n")).Read(new(Up)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("an unframed HTTP request gave %v", err)
	}
}

// TestNewerField: a field of a newer build is passed over, so that nodes of two
// builds can talk.
func TestNewerField(t *testing.T) {
	var up Up
	if err := reading(framed(t, map[string]any{"seq": 4, "mood": "good"})).Read(&up); err != nil || up.Seq != 4 {
		t.Errorf("%+v %v", up, err)
	}
}

// TestLimit: a message over MaxFrame is neither sent nor read, one at it is both.
func TestLimit(t *testing.T) {
	f := &file{}
	s := NewStream(f)
	text := strings.Repeat("x", MaxFrame-5) // and 5 bytes of CBOR head
	if err := s.Write(text + "x"); err == nil || f.Len() > 0 {
		t.Fatalf("a message over the limit: %v, %d bytes sent", err, f.Len())
	}
	if err := s.Write(text); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := reading(f.Bytes()).Read(&got); err != nil || got != text {
		t.Errorf("a message at the limit: %d bytes, %v", len(got), err)
	}
	if err := reading(frame(MaxFrame+1, nil)).Read(&got); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("a length over the limit gave %v", err)
	}
}

// TestLyingLength: memory follows what arrives, not what a length claims, in the
// frame or in CBOR.
func TestLyingLength(t *testing.T) {
	for what, data := range map[string][]byte{
		"a frame":  frame(MaxFrame, []byte("\xa0")),
		"an array": frame(16, []byte("\xa1\x66events\x9a\x00\x0f\xff\xff\xf6\xf6\xf6")),
		"a text":   frame(14, []byte("\xa1\x66hello\x00\x7a\x7f\xff\xff\xff\x00")),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 20 {
			if err := reading(data).Read(new(Up)); err == nil {
				t.Fatalf("%s that lies about its length gave no error", what)
			}
		}
		runtime.ReadMemStats(&after)
		if took := (after.TotalAlloc - before.TotalAlloc) / 20; took > 64<<10 {
			t.Errorf("%s that lies about its length took %d bytes", what, took)
		}
	}
}

// TestBufferIsGivenBack: one large message does not hold its memory for the rest
// of the session.
func TestBufferIsGivenBack(t *testing.T) {
	s := NewStream(&file{})
	if err := errors.Join(s.Write(strings.Repeat("x", 1<<20)), s.Write(Up{})); err != nil {
		t.Fatal(err)
	}
	if cap(s.buf) > 64<<10 {
		t.Errorf("the stream holds a buffer of %d bytes", cap(s.buf))
	}
}

// TestUnencodable: an error, and nothing is sent.
func TestUnencodable(t *testing.T) {
	f := &file{}
	s := NewStream(f)
	if err := s.Write(func() {}); err == nil || f.Len() > 0 {
		t.Errorf("%v, %d bytes sent", err, f.Len())
	}
	if err := s.Close(); err != nil || !f.closed {
		t.Errorf("close: %v", err)
	}
}

// FuzzRead: no bytes make Read panic, and what it accepts it would also send.
func FuzzRead(f *testing.F) {
	f.Add(framed(f, Up{Seq: 1, Events: events(2)}))
	f.Add(framed(f, Up{Hello: &Hello{Node: Node{ID: "n1", Labels: map[string]string{"a": "b"}}}}))
	f.Add(framed(f, Down{Term: 1, Orders: []Order{{Delay: 5}}}))
	f.Add(frame(MaxFrame, []byte{0xa0}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var up, again Up
		if err := reading(data).Read(&up); err == nil {
			if err := reading(framed(t, up)).Read(&again); err != nil || !bytes.Equal(framed(t, up), framed(t, again)) {
				t.Errorf("%+v reads back as %+v (%v)", up, again, err)
			}
		}
		_ = reading(data).Read(new(Down))
	})
}
