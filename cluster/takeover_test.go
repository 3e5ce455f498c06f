package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// three starts three nodes, the leader first, and waits until all of them vote.
func (l *lab) three() []*Node {
	l.t.Helper()
	nodes := []*Node{l.leader(), l.node("n2"), l.node("n3")}
	for _, n := range nodes {
		l.join(n)
	}
	for end := time.Now().Add(time.Minute); len(nodes[0].voters()) < 3; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("voters: %v", nodes[0].Servers())
		}
	}
	return nodes
}

// TestLeadsOnlyWhenCaughtUp: what was acknowledged is in the state of the next
// leader from the first moment in which it says that it leads, though it did not
// know, when it was elected, that this had been committed (P6).
func TestLeadsOnlyWhenCaughtUp(t *testing.T) {
	inLab(t, func(l *lab) {
		nodes := l.three()
		l.net.SetLatency(30*time.Millisecond, 0)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := apply(nodes[0], shopOf("a"), ""); err != nil {
			l.t.Fatal(err)
		}
		l.net.Partition([]string{"10.0.0.1"}, []string{"10.0.0.2", "10.0.0.3"})
		has := func(n *Node) (has bool) {
			n.Machine().View(func(v fsm.View) { has = v.Tree("shop") != nil })
			return has
		}
		if has(nodes[1]) && has(nodes[2]) {
			l.t.Error("both knew already: this shows nothing")
		}
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			for _, n := range nodes[1:] {
				if n.Leads() && !has(n) {
					l.t.Errorf("%s leads and lacks what was acknowledged", n.cfg.Self.ID)
				}
				if n.Leads() {
					return
				}
			}
			if time.Now().After(end) {
				l.t.Fatal("nobody leads")
			}
		}
	})
}

// TestRenewalWaitsForItsOwnProof: a verification that was under way when a renewal
// arrived proves nothing for it. Its answer takes the way to the leader, a round
// trip of the voters that began after it, and the way back (P13).
func TestRenewalWaitsForItsOwnProof(t *testing.T) {
	inLab(t, func(l *lab) {
		l.whole()
		first, second := l.tenant("n4"), l.tenant("n5")
		const oneWay = 30 * time.Millisecond
		l.net.SetLatency(oneWay, 0)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		drain(first)
		for i := range 20 {
			l.renew(first, int64(i)+1)
			time.Sleep(time.Duration(1+i%10) * 5 * time.Millisecond)
			began := time.Now()
			l.renew(second, int64(i)+1)
			if d := l.recv(second); d.Grant != int64(i)+1 {
				l.t.Fatalf("answered by %+v", d)
			}
			if took := time.Since(began); took < 4*oneWay {
				l.t.Fatalf("granted after %v; with a verification of its own it takes %v", took, 4*oneWay)
			}
		}
	})
}

// drain reads what a session is sent, so that it does not stall.
func drain(s *link.Stream) {
	go func() {
		for s.Read(new(link.Down)) == nil {
			continue
		}
	}()
}
