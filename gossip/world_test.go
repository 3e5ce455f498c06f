package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/internal/simtest/simnet"
)

// world is a cluster in a bubble.
type world struct {
	t       *testing.T
	net     *simnet.Net
	profile Profile
	seeds   []string
	noSeeds atomic.Bool // from now on nobody has seeds
	nodes   map[string]*node
	boots   uint64
	lookup  func(context.Context, string) ([]string, error)
}

// node is one process of a node.
type node struct {
	*Gossip
	ip   string
	host *simnet.Host
	done chan error
}

// bubble runs a test on a fresh world, and ends all that it started.
func bubble(t *testing.T, seed uint64, p Profile, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(seed), profile: p, nodes: map[string]*node{}, seeds: []string{"10.0.0.1:7400"}}
		defer func() {
			for _, id := range w.ids() {
				w.kill(id)
			}
			time.Sleep(2 * time.Minute) // memberlist.Shutdown does not wait for its goroutines
		}()
		f(t, w)
	})
}

func testKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// config describes the next boot of a node.
func (w *world) config(id, ip string) Config {
	w.boots++
	return Config{
		NodeID: id, BootID: fmt.Sprintf("boot%d", w.boots), BootSeq: w.boots,
		ClusterID: "test", Key: testKey(1), BindAddr: ip, BindPort: 7400, Profile: w.profile,
		Meta:  Meta{Name: "name-of-" + id, ClusterAddr: ip + ":7401"},
		Seeds: w.ask, Lookup: w.lookup,
	}
}

// ask returns the seeds of the moment.
func (w *world) ask() []string {
	if w.noSeeds.Load() {
		return nil
	}
	return w.seeds
}

// open makes a node that does not run its loop.
func (w *world) open(c Config) (*node, error) {
	w.t.Helper()
	h := w.net.Host(c.BindAddr)
	tr, err := h.Gossip(c.BindPort)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Transport = tr
	g, err := New(c)
	if err != nil {
		return nil, err
	}
	return &node{Gossip: g, ip: c.BindAddr, host: h, done: make(chan error, 1)}, nil
}

// start opens and runs a node.
func (w *world) start(id, ip string) *node {
	w.t.Helper()
	n, err := w.open(w.config(id, ip))
	if err != nil {
		w.t.Fatal(err)
	}
	w.nodes[id] = n
	go func() { n.done <- n.Run(w.t.Context()) }()
	return n
}

// grow starts k nodes, n1 at 10.0.0.1 and so on, and waits until all see all.
func (w *world) grow(k int) {
	w.t.Helper()
	for i := range k {
		w.start(fmt.Sprintf("n%d", i+1), fmt.Sprintf("10.0.0.%d", i+1))
	}
	w.within(15*time.Second, "all see all", w.full)
}

// kill ends a node's process.
func (w *world) kill(id string) {
	n := w.nodes[id]
	n.host.Crash()
	n.Shutdown()
	if err := <-n.done; err != nil {
		w.t.Errorf("Run of %s: %v", id, err)
	}
	delete(w.nodes, id)
}

func (w *world) ids() []string { return slices.Sorted(maps.Keys(w.nodes)) }

// state is what one node thinks of another; empty if it does not know it.
func (w *world) state(observer, id string) State {
	if m := w.member(observer, id); m != nil {
		return m.State
	}
	return ""
}

func (w *world) member(observer, id string) *Member {
	for _, m := range w.nodes[observer].Members() {
		if m.NodeID == id {
			return &m
		}
	}
	return nil
}

// full tells whether every running node sees every running node alive, in its present boot.
func (w *world) full() bool {
	for _, observer := range w.nodes {
		right := 0
		for _, m := range observer.Members() {
			n := w.nodes[m.NodeID]
			if n != nil && m.State == Alive && m.BootID == n.cfg.BootID && m.Addr == n.ip+":7400" {
				right++
			}
		}
		if right != len(w.nodes) {
			return false
		}
	}
	return true
}

// allSee tells whether every running node thinks this of one node.
func (w *world) allSee(id string, s State) func() bool {
	return func() bool {
		return !slices.ContainsFunc(w.ids(), func(a string) bool { return w.state(a, id) != s })
	}
}

// within waits for a condition and returns how long it took; the test fails after the limit.
func (w *world) within(limit time.Duration, what string, cond func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > limit {
			w.t.Fatalf("not within %v: %s\n%s", limit, what, w.views())
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

// never watches that a condition stays false.
func (w *world) never(span time.Duration, what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if cond() {
			w.t.Fatalf("%s\n%s", what, w.views())
		}
	}
}

// anyDead tells whether any running node thinks another running node dead.
func (w *world) anyDead() bool {
	for _, observer := range w.nodes {
		for _, m := range observer.Members() {
			if m.State == Dead && w.nodes[m.NodeID] != nil {
				return true
			}
		}
	}
	return false
}

func (w *world) views() string {
	var b bytes.Buffer
	for _, a := range w.ids() {
		fmt.Fprintf(&b, "%s:", a)
		for _, m := range w.nodes[a].Members() {
			fmt.Fprintf(&b, " %s=%s@%s", m.NodeID, m.State, m.Addr)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// join opens a lone node and lets it join an address.
func (w *world) join(c Config, addr string) error {
	w.t.Helper()
	n, err := w.open(c)
	if err != nil {
		w.t.Fatal(err)
	}
	defer n.Shutdown()
	if err = n.Join(w.t.Context(), addr); err == nil {
		return errors.New("joined")
	}
	return err
}

// pass lets a bubble's time go by.
func pass(d time.Duration) { time.Sleep(d) }
