package cluster

import (
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/supervisor"
)

// shopRolling is a tree whose workers run a version, and change one after the other.
func shopRolling(version string, ids ...string) *supervisor.Spec {
	spec := shopOf(ids...)
	spec.Update = &supervisor.UpdatePolicy{Parallel: 1, MinReady: 10 * time.Second, Deadline: time.Minute, AutoRevert: true}
	for i := range spec.Children {
		spec.Children[i].Program = &supervisor.Program{Argv: []string{version}}
	}
	return spec
}

func TestNextAdvancesRollouts(t *testing.T) {
	s := newState(t)
	s.node("n1", nil)
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopRolling("v1", "a", "b")})
	s.apply(s.next(inputs{})...)
	if cmds := s.next(inputs{now: time.Hour}); len(cmds) != 0 {
		t.Errorf("without a rollout: %+v", cmds)
	}
	s.clock = time.Hour
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopRolling("v2", "a", "b")})
	if cmds := s.next(inputs{now: time.Hour + time.Minute - 1}); len(cmds) != 0 {
		t.Errorf("before the deadline: %+v", cmds)
	}
	cmds := s.next(inputs{now: time.Hour + time.Minute})
	if len(cmds) != 1 || cmds[0].Verb == nil || *cmds[0].Verb != (fsm.Verb{Verb: fsm.VerbAdvance, Path: "shop"}) {
		t.Fatalf("at the deadline: %+v", cmds)
	}
	s.clock += time.Minute
	s.apply(cmds...)
	s.m.View(func(v fsm.View) {
		if r, ok := v.Tree("shop").Rollout(); !ok || r.Phase != supervisor.RolloutReverting {
			t.Errorf("after it: %+v", r)
		}
	})
}

// obedient is a node that does at once what it is told, and notes what it runs when.
type obedient struct {
	l     *lab
	s     *link.Stream
	seq   uint64
	lives map[supervisor.Ref]bool
	began map[string]time.Time // path and version
}

func (o *obedient) obey(d link.Down) {
	for _, order := range d.Orders {
		ev := supervisor.ChildEvent{Path: order.Path, Epoch: order.Epoch, Type: supervisor.EventStarted, PID: 5}
		switch {
		case order.Action == supervisor.Halt:
			ev.Type, ev.Reason, ev.Ordered = supervisor.EventExited, supervisor.ExitNormal, true
		case o.lives[order.Ref]:
			continue
		default:
			o.lives[order.Ref] = true
			o.began[order.Path+" "+order.Program.Argv[0]] = time.Now()
		}
		o.seq++
		if err := o.s.Write(link.Up{Seq: o.seq, Events: []supervisor.ChildEvent{ev}}); err != nil {
			o.l.t.Fatal(err)
		}
	}
}

// TestLeaderAdvancesRollouts: nobody but the leader's clock moves a rollout on, and it
// does so when min_ready has passed, neither before nor much later.
func TestLeaderAdvancesRollouts(t *testing.T) {
	inLab(t, func(l *lab) {
		n := l.leader()
		o := &obedient{l: l, s: l.dial("n2", "n1"), lives: make(map[supervisor.Ref]bool), began: make(map[string]time.Time)}
		l.hello(o.s, "n2")
		o.obey(l.recv(o.s))
		for _, version := range []string{"v1", "v2"} {
			if _, err := apply(n, shopRolling(version, "a", "b", "c"), ""); err != nil {
				t.Fatal(err)
			}
			for o.began["shop/c "+version].IsZero() {
				o.obey(l.recv(o.s))
			}
		}
		for _, pair := range [][2]string{{"shop/a", "shop/b"}, {"shop/b", "shop/c"}} {
			took := o.began[pair[1]+" v2"].Sub(o.began[pair[0]+" v2"])
			if took < 10*time.Second || took > 10*time.Second+4*n.times.Tick {
				t.Errorf("%s begins %v after %s, want 10 s and little more", pair[1], took, pair[0])
			}
		}
		over := false
		for end := time.Now().Add(12 * time.Second); !over; <-time.After(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("after all that the rollout is not over")
			}
			n.Machine().View(func(v fsm.View) {
				_, under := v.Tree("shop").Rollout()
				over = !under
			})
		}
	})
}
