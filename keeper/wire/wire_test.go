package wire

import (
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	x, y, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	a, b = NewConn(x), NewConn(y)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func spawn() *Message {
	return &Message{
		Op: Spawn, Exclusive: true, Fenced: true, Key: "shop/api@5", PID: -7, Start: 1 << 63, Number: -1 << 62, Note: []byte("\x00\xff{}"),
		Spec: &Spec{
			Path: "/bin/\xfe", Dir: "/tmp", Argv: []string{"a", "", "\xff"}, Env: []string{"A=b"}, Umask: -1,
			Cred: &syscall.Credential{Uid: 1, Gid: 2, Groups: []uint32{3, 1<<32 - 1}}, Files: []int{-1, 0, 1}, Keep: 2,
		},
	}
}

// TestEveryField: what is sent arrives, in order, descriptors included.
func TestEveryField(t *testing.T) {
	a, b := pair(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	m := spawn()
	for _, v := range []reflect.Value{reflect.ValueOf(*m), reflect.ValueOf(*m.Spec)} {
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "FDs" && name != "Lent" && name != "Short" {
				t.Errorf("%s is not set, so nothing is shown of it", name)
			}
		}
	}
	m.FDs = pipe[:]
	for _, m := range []*Message{{Op: Attach}, m, {Op: Hold, Number: 5}} {
		if err := a.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Recv(); err != nil || got.Op != Attach || got.FDs != nil || got.Short {
		t.Fatalf("got %+v, %v", got, err)
	}
	got, err := b.Recv()
	if err != nil || len(got.FDs) != 2 || !got.Check() {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := unix.Write(got.FDs[1], []byte("x")); err != nil {
		t.Error(err)
	}
	var c [1]byte
	if n, err := unix.Read(got.FDs[0], c[:]); n != 1 || err != nil {
		t.Errorf("the descriptors are no pipe: %v", err)
	}
	closeAll(got.FDs)
	want := spawn()
	got.FDs = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got, err := b.Recv(); err != nil || got.Number != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestSendDoesNotWait: a peer that reads nothing costs memory up to a limit, and
// then the connection. What was queued arrives, with its descriptors, once it reads.
func TestSendDoesNotWait(t *testing.T) {
	a, b := pair(t)
	note := []byte(strings.Repeat("n", MaxNote))
	const many = 20
	for i := range many {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Send(&Message{Op: Note, Number: int64(i), Note: note, FDs: []int{int(r.Fd())}, Lent: true}); err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
	}
	for i := range many {
		m, err := b.Recv()
		if err != nil || m.Number != int64(i) || len(m.FDs) != 1 || len(m.Note) != MaxNote {
			t.Fatalf("message %d: %v", i, err)
		}
		closeAll(m.FDs)
	}
	var err error
	for range MaxQueue/MaxNote + 10 {
		if err = a.Send(&Message{Op: Note, Note: note}); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("the queue has no limit")
	}
	if err := a.Send(&Message{Op: Attach}); !errors.Is(err, ErrClosed) {
		t.Errorf("after that: %v", err)
	}
}

// TestLimits: what is too large is refused before it is sent.
func TestLimits(t *testing.T) {
	a, b := pair(t)
	for name, m := range map[string]*Message{
		"key": {Key: strings.Repeat("k", MaxKey+1)}, "note": {Note: make([]byte, MaxNote+1)},
		"frame": {Spec: &Spec{Argv: []string{strings.Repeat("x", MaxFrame)}}},
	} {
		if err := a.Send(m); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
	if err := a.Send(&Message{Op: Running}); err != nil {
		t.Error(err)
	}
	if m, err := b.Recv(); err != nil || m.Op != Running {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestBroken: a peer that talks nonsense is cut off, and nothing panics.
func TestBroken(t *testing.T) {
	good, err := spawn().encode()
	if err != nil {
		t.Fatal(err)
	}
	body := good[header:]
	for i := range body {
		_, _ = decode(body[:i]) // the groups of the credential may be missing: they have no count
		for _, c := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			spoilt := append([]byte(nil), body...)
			spoilt[i] = c
			_, _ = decode(spoilt)
		}
	}
	for _, frame := range [][]byte{{0xff, 0xff, 0xff, 0xff, 0}, {0, 0, 0, 1, 200, 1}, {0, 0, 0, 1, 0, 1}} {
		a, b := pair(t)
		if _, err := unix.Write(a.fd, frame); err != nil {
			t.Fatal(err)
		}
		if m, err := b.Recv(); !errors.Is(err, errBroken) {
			t.Errorf("%v: got %+v, %v", frame, m, err)
		}
	}
	if (&Message{Spec: &Spec{Argv: []string{"x"}, Files: []int{0}, Keep: 1}}).Check() {
		t.Error("descriptors that are not there are accepted")
	}
}

// TestEnd: the end of one side is told to the other, and ends a wait.
func TestEnd(t *testing.T) {
	a, b := pair(t)
	done := make(chan error)
	go func() {
		_, err := b.Recv()
		done <- err
	}()
	a.Shut()
	if err := <-done; err != io.EOF {
		t.Errorf("got %v", err)
	}
	if err := b.Send(&Message{Op: Attach}); err != nil {
		t.Errorf("a peer that is gone is no error of Send: %v", err)
	}
}
