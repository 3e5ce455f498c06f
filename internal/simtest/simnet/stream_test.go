package simnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const (
	alice = "10.0.0.1"
	bob   = "10.0.0.2"
)

// connect returns both ends of a stream from alice to bob, on a network with exactly 1 ms latency.
func connect(t *testing.T) (n *Net, a, b net.Conn, ha, hb *Host) {
	t.Helper()
	n = New(1)
	n.SetLatency(time.Millisecond, 0)
	ha, hb = n.Host(alice), n.Host(bob)
	l, err := hb.Listen(7401)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if a, err = ha.Dial(t.Context(), bob+":7401"); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return n, a, b, ha, hb
}

// read returns what one Read gives, and how long it took.
func read(t *testing.T, c net.Conn) (string, time.Duration) {
	t.Helper()
	start, buf := time.Now(), make([]byte, 100)
	k, err := c.Read(buf)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(buf[:k]), time.Since(start)
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func TestStreamTakesTheLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, a, b, _, _ := connect(t)
		if d := time.Since(start); d != 2*time.Millisecond {
			t.Errorf("dial took %v, want one round trip", d)
		}
		if a.RemoteAddr().String() != bob+":7401" || b.RemoteAddr().String() != a.LocalAddr().String() {
			t.Errorf("addresses %v %v %v", a.RemoteAddr(), b.RemoteAddr(), a.LocalAddr())
		}
		write(t, a, "hel")
		write(t, a, "lo")
		if s, d := read(t, b); s != "hello" || d != time.Millisecond {
			t.Errorf("read %q after %v", s, d)
		}
		write(t, b, "back")
		if s, _ := read(t, a); s != "back" {
			t.Errorf("read %q", s)
		}
	})
}

func TestCloseIsEOFAfterTheData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, _, _ := connect(t)
		write(t, a, "last words")
		a.Close()
		all, err := io.ReadAll(b)
		if err != nil || string(all) != "last words" {
			t.Errorf("read %q, %v", all, err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a closed end: %v", err)
		}
	})
}

func TestFullWindowBlocksTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, _, _ := connect(t)
		sent := bytes.Repeat([]byte("abcdefgh"), 3*window/8)
		wrote := make(chan error, 1)
		go func() {
			_, err := a.Write(sent)
			a.Close()
			wrote <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-wrote:
			t.Fatal("3 MiB were written and nobody read")
		default:
		}
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, sent) || <-wrote != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		b.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, _, _ := connect(t)
		start := time.Now()
		a.SetReadDeadline(start.Add(3 * time.Second))
		_, err := a.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() || time.Since(start) != 3*time.Second {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if k, err := a.Write(make([]byte, 2*window)); k != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", k, err)
		}
		time.AfterFunc(time.Second, func() { b.SetReadDeadline(time.Unix(1, 0)) })
		io.CopyN(io.Discard, b, window)
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline set during a read: %v", err)
		}
		a.SetDeadline(time.Time{})
		write(t, a, "again")
	})
}

func TestCutHoldsBytesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, _ := connect(t)
		n.Cut(alice, bob, true)
		write(t, a, "held")
		a.Close()
		b.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := b.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read through a cut: %v", err)
		}
		write(t, b, "the close is not seen")
		b.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { n.Heal(alice, bob) })
		if s, d := read(t, b); s != "held" || d != time.Second+time.Millisecond {
			t.Errorf("read %q after %v", s, d)
		}
		if _, err := b.Read(make([]byte, 9)); err != io.EOF {
			t.Errorf("after the heal: %v", err)
		}
	})
}

func TestOneWayCutLetsTheOtherWayPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, ha, hb := connect(t)
		n.Cut(alice, bob, true)
		write(t, b, "hi")
		if s, _ := read(t, a); s != "hi" {
			t.Errorf("read %q", s)
		}
		for _, h := range []*Host{ha, hb} { // a dial needs both ways
			start, to := time.Now(), map[string]string{alice: bob, bob: alice}[h.Addr()]
			if _, err := h.Dial(t.Context(), to+":7401"); !errors.Is(err, syscall.ETIMEDOUT) || time.Since(start) != 10*time.Second {
				t.Errorf("dial from %s: %v after %v", h.Addr(), err, time.Since(start))
			}
		}
	})
}

func TestDialThroughACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, _, ha, _ := connect(t)
		n.Partition([]string{alice}, []string{bob})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := ha.Dial(ctx, bob+":7401")
		var ne net.Error
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("dial: %v", err)
		}
		time.AfterFunc(time.Second, n.HealAll)
		start := time.Now()
		c, err := ha.Dial(t.Context(), bob+":7401")
		if err != nil || time.Since(start) > 1010*time.Millisecond {
			t.Fatalf("dial over the heal: %v after %v", err, time.Since(start))
		}
		c.Close()
	})
}

func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, ha, hb := connect(t)
		start := time.Now()
		time.AfterFunc(time.Second, hb.Crash)
		if _, err := a.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != time.Second+time.Millisecond {
			t.Errorf("the peer saw %v after %v", err, time.Since(start))
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the dead process read: %v", err)
		}
		if _, err := ha.Dial(t.Context(), bob+":7401"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial to a dead process: %v", err)
		}
		if _, err := hb.Dial(t.Context(), alice+":7401"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dial by a dead process: %v", err)
		}
		if _, err := hb.Listen(1); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listen by a dead process: %v", err)
		}
		again := n.Host(bob)
		l, err := again.Listen(7401)
		if err != nil {
			t.Fatalf("the port is still taken: %v", err)
		}
		if _, err := again.Listen(7401); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second listener: %v", err)
		}
		if _, err := ha.Dial(t.Context(), bob+":7401"); err != nil {
			t.Errorf("dial to the new process: %v", err)
		}
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
	})
}

func TestPauseHoldsEverythingUntilResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, ha, _ := connect(t)
		n.Pause(bob)
		write(t, a, "to bob")
		write(t, b, "from bob")
		start := time.Now()
		a.SetReadDeadline(start.Add(time.Second))
		if _, err := a.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a byte left a paused address: %v", err)
		}
		a.SetReadDeadline(time.Time{})
		time.AfterFunc(4*time.Second, func() { n.Resume(bob) })
		dialed := make(chan time.Time, 1)
		go func() {
			if c, err := ha.Dial(t.Context(), bob+":7401"); err == nil {
				c.Close()
			}
			dialed <- time.Now()
		}()
		if s, d := read(t, b); s != "to bob" || d != 4*time.Second+time.Millisecond {
			t.Errorf("bob read %q after %v", s, d)
		}
		if s, _ := read(t, a); s != "from bob" {
			t.Errorf("alice read %q", s)
		}
		if d := (<-dialed).Sub(start); d < 5*time.Second || d > 5010*time.Millisecond {
			t.Errorf("a dial to a paused address took %v", d)
		}
	})
}
