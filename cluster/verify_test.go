package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/link"
)

// whole starts three nodes and waits until all of them vote.
func (l *lab) whole() *Node {
	l.t.Helper()
	first := l.leader()
	for _, id := range []string{"n1", "n2", "n3"} {
		if id != "n1" {
			l.node(id)
		}
		l.follow(id, first)
	}
	for range 2000 {
		synctest.Wait()
		if len(first.voters()) == 3 {
			return first
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatalf("voters: %v", first.voters())
	return nil
}

// follow keeps a bare session of a node with the leader alive.
func (l *lab) follow(id string, leader *Node) {
	l.t.Helper()
	s := l.dial(id, "n1")
	hello := link.Hello{Node: l.self(id)}
	if err := s.Write(link.Up{Hello: &hello}); err != nil {
		l.t.Fatal(err)
	}
	go func() {
		for s.Read(new(link.Down)) == nil {
			// The answer says how far the node's replica is.
			_ = s.Write(link.Up{Pong: 1, Applied: leader.raft.AppliedIndex()})
		}
	}()
}

// TestVerifyAsksAnew: an answer that was under way when Verify was called proves
// nothing, since its sender may have elected another leader after it. So Verify
// takes a whole round trip at least, whenever it is called. raft's own
// VerifyLeader takes any part of one.
func TestVerifyAsksAnew(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.whole()
		const oneWay = 30 * time.Millisecond
		l.net.SetLatency(oneWay, 0)
		time.Sleep(5 * time.Second)
		shortest := time.Hour
		for i := range 40 {
			time.Sleep(50*time.Millisecond + time.Duration(i)*7*time.Millisecond)
			start := time.Now()
			f := n.raft.VerifyLeader()
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
			shortest = min(shortest, time.Since(start))
			start = time.Now()
			if err := n.Verify(context.Background()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 2*oneWay {
				t.Fatalf("Verify took %v; a round trip takes %v", took, 2*oneWay)
			}
		}
		if shortest >= 2*oneWay {
			t.Errorf("raft's VerifyLeader took at least %v: this test shows nothing", shortest)
		}
	})
}
