package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

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
		synctest.Wait()
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
