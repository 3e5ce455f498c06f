package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/fsm"
)

// TestNoGrantInQuarantine: after a restore nobody is granted a lease before every lease
// of the discarded time has surely run out; then everybody is again.
func TestNoGrantInQuarantine(t *testing.T) {
	inLab(t, func(l *lab) {
		n, ctx := l.leader(), l.t.Context()
		s := l.tenant("n2")
		l.renew(s, 1)
		if d := l.recv(s); d.Grant != 1 {
			l.t.Fatalf("before the restore: %+v", d)
		}
		saved, err := n.SaveSnapshot(ctx)
		if err != nil {
			l.t.Fatal(err)
		}
		restored := time.Now()
		if err := n.RestoreSnapshot(ctx, saved); err != nil {
			l.t.Fatal(err)
		}
		s = l.tenant("n2") // sessions were ended: all are asked anew
		granted := make(chan int64, 1)
		go func() { granted <- l.recv(s).Grant }()
		for at := int64(2); len(granted) == 0; at++ {
			if time.Since(restored) > 2*n.times.W() {
				l.t.Fatal("nobody is granted a lease any more")
			}
			l.renew(s, at)
			time.Sleep(n.times.Renew)
			synctest.Wait()
		}
		if waited := time.Since(restored); <-granted == 0 || waited < n.times.W() {
			l.t.Errorf("a lease was granted %v after the restore, W is %v", waited, n.times.W())
		}
	})
}

// TestNoGrantWhileRestoring: the state does not say so yet, the node does.
func TestNoGrantWhileRestoring(t *testing.T) {
	l := &leader{n: &Node{cfg: Config{Clock: func() time.Duration { return time.Hour }}}}
	fsm.New().View(func(v fsm.View) {
		if l.quarantined(v) {
			t.Error("quarantined without a cause")
		}
		l.n.restoring.Add(1)
		if !l.quarantined(v) {
			t.Error("not quarantined while it restores")
		}
	})
}
