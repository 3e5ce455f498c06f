package gossip

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestConfigIsChecked(t *testing.T) {
	good := Config{NodeID: "n1", BootID: "b1", ClusterID: "c", Key: testKey(1), BindAddr: "127.0.0.1"}
	if err := good.Validate(); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for want, spoil := range map[string]func(*Config){
		"node id":              func(c *Config) { c.NodeID = "a.b" },
		"boot id":              func(c *Config) { c.BootID = "" },
		"cluster id":           func(c *Config) { c.ClusterID = strings.Repeat("x", 201) },
		"31 bytes":             func(c *Config) { c.Key = c.Key[:31] },
		"port 70000":           func(c *Config) { c.BindPort = 70000 },
		"advertised port":      func(c *Config) { c.AdvertisePort = -1 },
		"profile":              func(c *Config) { c.Profile = "moon" },
		"is not an IP":         func(c *Config) { c.BindAddr = "localhost" },
		"address to advertise": func(c *Config) { c.BindAddr = "0.0.0.0" },
		"others can reach":     func(c *Config) { c.AdvertiseAddr = "::" },
		"of 512":               func(c *Config) { c.Meta.Name = strings.Repeat("x", 500) },
		"this is node n1":      func(c *Config) { c.Meta.NodeID = "n2" },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestOversizeMetaIsRefused(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(2)
		if err := w.nodes["n1"].UpdateMeta(Meta{Name: strings.Repeat("x", 500)}); err == nil {
			t.Error("600 bytes of meta were taken")
		}
		pass(time.Second)
		if m := w.member("n2", "n1"); m.Name != "name-of-n1" {
			t.Errorf("n1 is now %q", m.Name)
		}
	})
}

// TestLargestMetaCanLeave: what Validate lets through must fit with Leaving set too.
func TestLargestMetaCanLeave(t *testing.T) {
	c := Config{NodeID: "n1", BootID: "b1", BootSeq: 1}
	k := 0
	for ; ; k++ {
		if _, err := c.withMeta(Meta{Name: strings.Repeat("x", k)}); err != nil {
			break
		}
	}
	encoded, err := c.withMeta(Meta{Name: strings.Repeat("x", k-1)})
	if err != nil || len(encoded) > 512 || len(encoded) < 500 {
		t.Fatalf("the largest name makes %d bytes: %v", len(encoded), err)
	}
	m, err := decodeMeta("n1.b1", encoded)
	if err != nil {
		t.Fatal(err)
	}
	m.Leaving = true
	if b, err := m.encode(); err != nil || len(b) > 512 {
		t.Errorf("with Leaving it takes %d bytes: %v", len(b), err)
	}
}

func TestJoinSaysWhyNot(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(3)
		wrongKey := w.config("n9", "10.0.0.9")
		wrongKey.Key = testKey(2)
		wrongCluster := w.config("n8", "10.0.0.8")
		wrongCluster.ClusterID = "another"
		cutOff := w.config("n7", "10.0.0.7")
		w.net.Cut("10.0.0.7", "10.0.0.2", false)
		for _, c := range []struct {
			config Config
			addr   string
			want   error
		}{
			{wrongKey, "10.0.0.1:7400", ErrWrongKey},
			{wrongCluster, "10.0.0.1:7400", ErrWrongCluster},
			{w.config("n6", "10.0.0.6"), "10.0.0.66:7400", ErrUnreachable},
			{cutOff, "10.0.0.2:7400", ErrUnreachable},
			{w.config("n5", "10.0.0.5"), "10.0.0.5:7400", ErrJoin},
		} {
			if err := w.join(c.config, c.addr); !errors.Is(err, c.want) {
				t.Errorf("%s to %s: got %v, want %v", c.config.NodeID, c.addr, err, c.want)
			}
		}
		pass(10 * time.Second)
		if len(w.nodes["n1"].Members()) != 3 || !w.full() {
			t.Errorf("strangers changed the view:\n%s", w.views())
		}
	})
}

// TestOtherProtocolIsRefused joins with a memberlist that speaks a later version of what we put into it.
func TestOtherProtocolIsRefused(t *testing.T) {
	bubble(t, 1, LAN, func(t *testing.T, w *world) {
		w.grow(2)
		n, err := w.open(w.config("n9", "10.0.0.9"))
		if err != nil {
			t.Fatal(err)
		}
		n.Shutdown()
		tr, err := w.net.Host("10.0.0.9").Gossip(7400)
		if err != nil {
			t.Fatal(err)
		}
		n.cfg.Transport = tr
		later := n.cfg.memberlist(&delegate{table: newTable(n.timings), changed: make(chan struct{}, 1)}, n.log)
		later.Delegate, later.Events, later.Alive = n.d, nil, nil
		later.DelegateProtocolMin, later.DelegateProtocolMax, later.DelegateProtocolVersion = 2, 2, 2
		if n.list, err = memberlist.Create(later); err != nil {
			t.Fatal(err)
		}
		defer n.list.Shutdown()
		if err := n.joinOne("10.0.0.1:7400"); !errors.Is(err, ErrIncompatible) {
			t.Errorf("join: %v", err)
		}
		pass(5 * time.Second)
		if len(w.nodes["n1"].Members()) != 2 {
			t.Errorf("it was let in:\n%s", w.views())
		}
	})
}

func TestRealSockets(t *testing.T) {
	c := Config{NodeID: "n1", BootID: "b1", BootSeq: 1, ClusterID: "c", Key: testKey(1), BindAddr: "127.0.0.91"}
	first, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Shutdown()
	_, port, _ := net.SplitHostPort(first.Addr())
	taken := c
	fmt.Sscan(port, &taken.BindPort)
	want := fmt.Sprintf("cannot listen on 127.0.0.91:%s (gossip): address already in use; is another node running there?", port)
	if _, err := New(taken); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("taken port: %v", err)
	}
	foreign := c
	foreign.BindAddr = "192.0.2.1"
	if _, err := New(foreign); err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("foreign address: %v", err)
	}
	for want, spoil := range map[error]func(*Config){
		ErrWrongKey:     func(c *Config) { c.Key = testKey(2) },
		ErrWrongCluster: func(c *Config) { c.ClusterID = "another" },
		nil:             func(*Config) {},
	} {
		other := c
		other.NodeID, other.BindAddr = "n2", "127.0.0.92"
		spoil(&other)
		g, err := New(other)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Join(t.Context(), first.Addr()); !errors.Is(err, want) {
			t.Errorf("join: got %v, want %v", err, want)
		}
		g.Shutdown()
		if err := g.Join(t.Context(), "127.0.0.93:1"); err == nil {
			t.Error("joined after the end")
		}
	}
}
