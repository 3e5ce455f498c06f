package simnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/internal/simtest/simnet"
)

// two is a stream between two hosts, with a listener at 10.0.0.2:1.
func two(t *testing.T, n *simnet.Net) (a, b *simnet.Host, here, there net.Conn) {
	t.Helper()
	a, b = n.Host("10.0.0.1"), n.Host("10.0.0.2")
	lis, err := b.Listen(1)
	if err != nil {
		t.Fatal(err)
	}
	if here, err = a.Dial(t.Context(), "10.0.0.2:1"); err != nil {
		t.Fatal(err)
	}
	if there, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b, here, there
}

// reads is what a read within a minute says.
func reads(c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	switch {
	case err == nil:
		return string(buf[:n])
	case errors.Is(err, io.EOF):
		return "EOF"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, context.DeadlineExceeded), err.(net.Error).Timeout():
		return "nothing"
	}
	return err.Error()
}

func TestCutOfOneClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.Classify(func(_ uint16, first []byte) string { return string(first) })
		_, _, raft, raftEnd := two(t, n)
		b := n.Host("10.0.0.3")
		lis, _ := b.Listen(1)
		other, _ := n.Host("10.0.0.1").Dial(t.Context(), "10.0.0.3:1")
		otherEnd, _ := lis.Accept()
		for _, x := range []string{"10.0.0.2", "10.0.0.3"} {
			n.CutClass("10.0.0.1", x, "raft", true)
		}
		raft.Write([]byte("raft"))
		other.Write([]byte("session"))
		raftEnd.Write([]byte("back"))
		if a, b, c := reads(raftEnd), reads(otherEnd), reads(raft); a != "nothing" || b != "session" || c != "back" {
			t.Errorf("read %q, %q and %q", a, b, c)
		}
		n.HealAll()
		if got := reads(raftEnd); got != "raft" {
			t.Errorf("after the heal: %q", got)
		}
	})
}

func TestResetAndHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		_, _, here, there := two(t, n)
		if n.Reset("10.0.0.1", "10.0.0.2", "") != 1 || reads(here) != "reset" || reads(there) != "reset" {
			t.Error("a reset is not told at both ends")
		}
		n = simnet.New(1)
		_, _, here, there = two(t, n)
		if n.HalfOpen("10.0.0.1", "10.0.0.2", "") != 1 || reads(here) != "reset" || reads(there) != "nothing" {
			t.Error("a half-open stream is not told at one end")
		}
		if _, err := there.Write([]byte("x")); err != nil {
			t.Errorf("the end that does not know cannot write: %v", err)
		}
	})
}

func TestPowerOffTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b, here, _ := two(t, n)
		b.PowerOff()
		if got := reads(here); got != "nothing" {
			t.Errorf("told %q", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, "10.0.0.2:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a dial of a dark machine: %v", err)
		}
		time.Sleep(time.Second)
		n.Host("10.0.0.2")
		if _, err := here.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a write to a machine that came back: %v", err)
		}
		if _, err := a.Dial(t.Context(), "10.0.0.2:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a dial of a machine that came back: %v", err)
		}
	})
}

// TestKeptPort: who dials while the process is away is answered by the next one.
func TestKeptPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b, here, _ := two(t, n)
		b.CrashKeeping(1)
		if got := reads(here); got != "EOF" {
			t.Errorf("its own streams: %q", got)
		}
		waiting, err := a.Dial(t.Context(), "10.0.0.2:1")
		if err != nil {
			t.Fatal(err)
		}
		lis, err := n.Host("10.0.0.2").Listen(1)
		if err != nil {
			t.Fatal(err)
		}
		next, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		next.Write([]byte("late"))
		if got := reads(waiting); got != "late" {
			t.Errorf("who waited reads %q", got)
		}
		lis.Close()
		b = n.Host("10.0.0.2")
		if _, err := b.Listen(1); err != nil {
			t.Fatal(err)
		}
		b.CrashKeeping(1)
		n.Release("10.0.0.2")
		if _, err := a.Dial(t.Context(), "10.0.0.2:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after the keeper's death: %v", err)
		}
	})
}

// TestPacketsTwiceAndLate: some arrive twice, and not in the order of sending.
func TestPacketsTwiceAndLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		n.SetPackets(0.5, 0.5)
		a, err := n.Host("10.0.0.1").Gossip(1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := n.Host("10.0.0.2").Gossip(1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range byte(100) {
			a.WriteTo([]byte{i}, "10.0.0.2:1")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		seen, last, back := make(map[byte]int), -1, 0
		for len(b.PacketCh()) > 0 {
			i := (<-b.PacketCh()).Buf[0]
			seen[i]++
			if int(i) < last {
				back++
			}
			last = int(i)
		}
		twice := 0
		for _, times := range seen {
			if times == 2 {
				twice++
			}
		}
		if len(seen) != 100 || twice < 20 || back < 10 {
			t.Errorf("%d of 100 arrived, %d twice, %d after a later one", len(seen), twice, back)
		}
	})
}
