package vswitch

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// network is two real namespaces on a switch.
func network(t *testing.T) (s *Switch, a, b *Namespace) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("no TUN devices here: %v", err)
	}
	s = New(Config{Seed: 1, Ports: map[uint16]uint8{7401: classRaft}, Other: classOther})
	t.Cleanup(s.Close)
	make := func(name string, ip netip.Addr) *Namespace {
		ns, err := NewNamespace()
		if err != nil {
			t.Skipf("no network namespaces here: %v", err)
		}
		t.Cleanup(func() { ns.Close() })
		dev, err := ns.Tun(netip.PrefixFrom(ip, 24), 1500)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Attach(name, ip, dev); err != nil {
			t.Fatal(err)
		}
		return ns
	}
	return s, make("a", ipA), make("b", ipB)
}

func listen(t *testing.T, ns *Namespace, address string) (l net.Listener) {
	t.Helper()
	if err := ns.Do(func() (err error) { l, err = net.Listen("tcp4", address); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// echo gives back what it gets.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
	}
}

// roundTrip sends a byte and waits for it.
func roundTrip(c net.Conn, limit time.Duration) (time.Duration, error) {
	at := time.Now()
	if err := c.SetDeadline(at.Add(limit)); err != nil {
		return 0, err
	}
	if _, err := c.Write([]byte{1}); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return time.Since(at), err
}

// TestRealNamespaces: the kernel's own TCP through the switch, with a delay, a
// one-way cut of one port, and healing.
func TestRealNamespaces(t *testing.T) {
	s, a, b := network(t)
	raft, other := listen(t, b, "10.0.0.2:7401"), listen(t, b, "10.0.0.2:9000")
	go echo(raft)
	go echo(other)
	conns := make([]net.Conn, 2)
	for i, address := range []string{"10.0.0.2:7401", "10.0.0.2:9000"} {
		c, err := a.Dial(t.Context(), "tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if took, err := roundTrip(c, 5*time.Second); err != nil {
			t.Fatalf("%s: %v", address, err)
		} else {
			t.Logf("round trip to %s: %v", address, took)
		}
		conns[i] = c
	}

	set(t, s, "a", "b", classRaft|classOther, Rule{Delay: 60 * time.Millisecond})
	if took, err := roundTrip(conns[0], 5*time.Second); err != nil || took < 60*time.Millisecond {
		t.Errorf("with 60 ms of delay one way: %v, %v", took, err)
	}
	set(t, s, "a", "b", classRaft|classOther, Rule{})
	set(t, s, "b", "a", classRaft, Rule{Cut: true})
	if took, err := roundTrip(conns[0], 300*time.Millisecond); err == nil {
		t.Errorf("an answer came through the cut after %v", took)
	}
	if _, err := roundTrip(conns[1], 5*time.Second); err != nil {
		t.Errorf("the other port: %v", err)
	}
	if sum := traffic(t, s, "b", "a"); sum.Cut == 0 {
		t.Errorf("counted %+v: the cut dropped nothing", sum)
	}
	s.Heal()
	conns[0].SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(conns[0], make([]byte, 1)); err != nil {
		t.Errorf("what was lost is not sent again after healing: %v", err)
	}
}

// TestThroughput prints what the switch carries; a tester needs far less than
// the floor here.
func TestThroughput(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time: not in -short")
	}
	_, a, b := network(t)
	l := listen(t, b, "10.0.0.2:9000")
	type result struct {
		n  int64
		at time.Time
	}
	done := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- result{}
			return
		}
		n, _ := io.Copy(io.Discard, c)
		done <- result{n, time.Now()}
	}()
	c, err := a.Dial(t.Context(), "tcp4", "10.0.0.2:9000")
	if err != nil {
		t.Fatal(err)
	}
	at, buf := time.Now(), make([]byte, 1<<16)
	for time.Since(at) < time.Second {
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	r := <-done
	rate := float64(r.n) * 8 / r.at.Sub(at).Seconds() / 1e6
	t.Logf("%.0f Mbit/s", rate)
	if rate < 20 {
		t.Errorf("%.0f Mbit/s is too slow to test anything", rate)
	}
}
