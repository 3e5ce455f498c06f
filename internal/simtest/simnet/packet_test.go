package simnet

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// sockets opens port 7400 at alice's and bob's.
func sockets(t *testing.T, n *Net) (a, b *Transport) {
	t.Helper()
	var err error
	if a, err = n.Host(alice).Gossip(7400); err != nil {
		t.Fatal(err)
	}
	if b, err = n.Host(bob).Gossip(7400); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// burst sends k numbered packets from a to bob and returns what b received within a second.
func burst(t *testing.T, a, b *Transport, k int) (got []string) {
	t.Helper()
	for i := range k {
		if _, err := a.WriteTo(fmt.Append(nil, i), bob+":7400"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	return received(b)
}

func received(b *Transport) (got []string) {
	for len(b.PacketCh()) > 0 {
		got = append(got, string((<-b.PacketCh()).Buf))
	}
	return got
}

func TestPacketArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sockets(t, New(1))
		start := time.Now()
		a.WriteTo([]byte("ping"), bob+":7400")
		p := <-b.PacketCh()
		if string(p.Buf) != "ping" || p.From.String() != alice+":7400" {
			t.Errorf("got %q from %v", p.Buf, p.From)
		}
		if d := p.Timestamp.Sub(start); d < 300*time.Microsecond || d > 400*time.Microsecond {
			t.Errorf("it took %v", d)
		}
		if _, err := a.host.Gossip(7400); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a second socket on the port: %v", err)
		}
	})
}

func TestPacketLossIsSeeded(t *testing.T) {
	run := func(seed uint64) (count int) {
		synctest.Test(t, func(t *testing.T) {
			n := New(seed)
			n.SetLoss(0.1)
			a, b := sockets(t, n)
			count = len(burst(t, a, b, 1000))
		})
		return count
	}
	first := run(1)
	if first < 850 || first > 950 {
		t.Errorf("%d of 1000 arrived with 10 %% loss", first)
	}
	if again := run(1); again != first {
		t.Errorf("the same seed lost %d, then %d", 1000-first, 1000-again)
	}
}

func TestFullSocketDropsPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sockets(t, New(1))
		if got := len(burst(t, a, b, packetQueue+500)); got != packetQueue {
			t.Errorf("%d arrived", got)
		}
	})
}

func TestCutLosesPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := sockets(t, n)
		n.Cut(bob, alice, true)
		if got := len(burst(t, a, b, 5)); got != 5 {
			t.Errorf("%d of 5 arrived on the way that is not cut", got)
		}
		n.Cut(alice, bob, false)
		if got := len(burst(t, a, b, 5)); got != 0 {
			t.Errorf("%d arrived through a cut", got)
		}
		n.HealAll()
		if got := len(burst(t, a, b, 5)); got != 5 {
			t.Errorf("%d of 5 arrived after the heal", got)
		}
	})
}

func TestPauseHoldsPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := sockets(t, n)
		n.Pause(alice)
		n.Pause(bob)
		if got := burst(t, a, b, 3); len(got) != 0 {
			t.Fatalf("%v arrived during the pause", got)
		}
		n.Resume(alice)
		time.Sleep(time.Second)
		n.Resume(bob)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := received(b); len(got) != 3 {
			t.Errorf("%v arrived after the pause", got)
		}
	})
}

func TestCrashedSocketIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := sockets(t, n)
		b.host.Crash()
		if got := burst(t, a, b, 3); len(got) != 0 {
			t.Errorf("%v arrived at a dead process", got)
		}
		if _, err := b.WriteTo([]byte("x"), alice+":7400"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a dead process sent: %v", err)
		}
		if _, err := a.DialTimeout(bob+":7400", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial: %v", err)
		}
		again, err := b.host.Restart().Gossip(7400)
		if err != nil {
			t.Fatal(err)
		}
		if got := burst(t, a, again, 3); len(got) != 3 {
			t.Errorf("%v arrived at the new process", got)
		}
	})
}

func TestTransportStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sockets(t, New(1))
		c, err := a.DialTimeout(bob+":7400", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		write(t, c, "state")
		if s, _ := read(t, <-b.StreamCh()); s != "state" {
			t.Errorf("read %q", s)
		}
		b.Shutdown()
		if _, err := a.DialTimeout(bob+":7400", time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after shutdown: %v", err)
		}
	})
}

// TestLateSegmentsStayInOrder: loss delays a stream, it never reorders it.
func TestLateSegmentsStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b, _, _ := connect(t)
		n.SetLoss(0.3)
		want, start := "", time.Now()
		for i := range 26 {
			s := string(rune('a' + i))
			want += s
			write(t, a, s)
		}
		got := ""
		for len(got) < 26 {
			s, _ := read(t, b)
			got += s
		}
		if got != want || time.Since(start) < resendData {
			t.Errorf("read %q after %v", got, time.Since(start))
		}
	})
}
