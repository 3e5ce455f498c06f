package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

func TestPoll(t *testing.T) {
	own := link.Sum{Index: 7, Hash: "a", Form: "f"}
	other, stale, foreign := own, own, own
	other.Hash, stale.Index, foreign.Form, foreign.Hash = "b", 3, "g", "c"
	third := own
	third.Hash = "c"
	voter := func(s link.Sum) report { return report{sum: s, voter: true} }
	silent := voter(link.Sum{})
	for name, tt := range map[string]struct {
		reports     []report
		agreed, odd bool
		alone       bool
	}{
		"a cluster of one":                    {[]report{voter(own)}, true, false, false},
		"all agree":                           {[]report{voter(own), voter(own), voter(own)}, true, false, false},
		"two of three have spoken":            {[]report{voter(own), voter(own), silent}, true, false, false},
		"one of three has":                    {[]report{voter(own), silent, silent}, false, false, false},
		"a follower differs":                  {[]report{voter(own), voter(own), voter(other)}, true, true, false},
		"the leader does":                     {[]report{voter(own), voter(other), voter(other)}, false, true, true},
		"the leader does, one is away":        {[]report{voter(own), voter(other), silent}, false, true, false},
		"all three differ":                    {[]report{voter(own), voter(other), voter(third)}, false, true, false},
		"two and two of five":                 {[]report{voter(own), voter(own), voter(other), voter(other), silent}, false, true, false},
		"a learner differs":                   {[]report{voter(own), {sum: other}}, true, true, false},
		"learners decide nothing":             {[]report{voter(own), silent, silent, {sum: own}, {sum: own}}, false, false, false},
		"an older checksum, or another build": {[]report{voter(own), voter(stale), voter(foreign)}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if b := poll(own, tt.reports); b.agreed != tt.agreed || b.odd != tt.odd || (b.alone != nil) != tt.alone {
				t.Errorf("got %+v", b)
			}
		})
	}
}

// trio is three voters with agents that only answer pings.
type trio struct {
	*lab
	nodes []*Node
	mu    sync.Mutex
	fatal map[string]error
}

func newTrio(l *lab) *trio {
	x := &trio{lab: l, fatal: make(map[string]error)}
	l.config = func(c *Config) {
		id := c.Self.ID
		c.ChecksumEvery = 20
		c.Fatal = func(err error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			if x.fatal[id] == nil {
				x.fatal[id] = err
			}
		}
	}
	x.nodes = append(x.nodes, l.leader(), l.node("n2"), l.node("n3"))
	for _, n := range x.nodes {
		l.attend(n)
	}
	x.until("three voters", func() bool { return len(x.nodes[0].voters()) == 3 })
	return x
}

func (x *trio) until(what string, cond func() bool) {
	x.t.Helper()
	for range 6000 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	x.t.Fatalf("never: %s", what)
}

// halted names the nodes that were told to stop because they differ.
func (x *trio) halted() (ids []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, n := range x.nodes {
		if err := x.fatal[n.cfg.Self.ID]; err != nil {
			if d := new(fsm.Diverged); !errors.As(err, &d) {
				x.t.Errorf("%s: %v", n.cfg.Self.ID, err)
			}
			ids = append(ids, n.cfg.Self.ID)
		}
	}
	return ids
}

// work puts entries into the log.
func (x *trio) work(n int) {
	x.t.Helper()
	for i := range n {
		cmd := fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: "n3", On: i%2 == 0}, By: "test"}
		if _, err := x.nodes[0].Submit(x.t.Context(), cmd); err != nil {
			x.t.Fatal(err)
		}
	}
}

func TestChecksumsAgree(t *testing.T) {
	inLab(t, func(l *lab) {
		x := newTrio(l)
		for range 3 {
			x.work(25)
			time.Sleep(time.Second)
		}
		for _, n := range x.nodes {
			if n.Machine().Agreed() == 0 {
				t.Errorf("%s has never compared itself", n.cfg.Self.ID)
			}
		}
		time.Sleep(2 * checksumAfter) // for what has happened since the last one
		sum, _ := x.nodes[0].Machine().Sum()
		time.Sleep(10 * time.Minute)
		if now, _ := x.nodes[0].Machine().Sum(); now != sum || len(x.halted()) > 0 {
			t.Errorf("while nothing changed, checksums went from %d to %d; halted: %v", sum.Index, now.Index, x.halted())
		}
	})
}

// TestDivergedFollower: it alone halts, soon after the checksum, even if nothing
// else happens.
func TestDivergedFollower(t *testing.T) {
	inLab(t, func(l *lab) {
		x := newTrio(l)
		x.nodes[1].rep.m.Raise(0)
		x.work(25)
		x.until("the follower halts", func() bool { return len(x.halted()) > 0 })
		time.Sleep(time.Minute)
		if got := fmt.Sprint(x.halted()); got != "[n2]" {
			t.Errorf("halted: %s", got)
		}
	})
}

// TestDivergedLeader: it halts and takes nobody along.
func TestDivergedLeader(t *testing.T) {
	inLab(t, func(l *lab) {
		x := newTrio(l)
		x.nodes[0].rep.m.Raise(0)
		x.work(25)
		x.until("the leader halts", func() bool { return len(x.halted()) > 0 })
		time.Sleep(time.Minute)
		if got := fmt.Sprint(x.halted()); got != "[n1]" {
			t.Errorf("halted: %s", got)
		}
	})
}

// TestRestoreBetweenChecksums: what was remembered of the state before is not held
// against the state after.
func TestRestoreBetweenChecksums(t *testing.T) {
	inLab(t, func(l *lab) {
		x := newTrio(l)
		saved, err := x.nodes[0].SaveSnapshot(x.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		x.work(25)
		if err := x.nodes[0].RestoreSnapshot(x.t.Context(), saved); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var before uint64
		for range 3 {
			x.work(25)
			time.Sleep(time.Second)
		}
		for _, n := range x.nodes {
			before = max(before, n.Machine().Agreed())
		}
		if len(x.halted()) > 0 || before == 0 {
			t.Errorf("halted: %v, agreed at %d", x.halted(), before)
		}
	})
}

// attend keeps a node's session open and answers pings, until the lab ends.
func (l *lab) attend(n *Node) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.stop = append([]func(){func() { cancel(); <-done }}, l.stop...)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if s, err := n.Connect(ctx); err == nil {
				stop := context.AfterFunc(ctx, func() { s.Close() })
				err = s.Send(link.Up{Hello: &link.Hello{Node: n.cfg.Self}})
				for err == nil {
					var d link.Down
					if d, err = s.Recv(); err == nil && d.Ping > 0 {
						err = s.Send(link.Up{Pong: d.Ping})
					}
				}
				stop()
				s.Close()
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
}
