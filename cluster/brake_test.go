package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

func TestBrakes(t *testing.T) {
	for _, tt := range []struct {
		lost, of int
		want     bool
	}{
		{0, 5, false}, {1, 1, false}, {1, 2, false}, {1, 3, false}, {2, 3, true}, {2, 5, true}, {2, 6, false},
		{3, 8, true}, {3, 9, false}, {7, 20, true}, {6, 20, false}, {34, 100, true}, {33, 100, false},
	} {
		m := massLoss{lost: make(map[string]bool), of: tt.of}
		for i := range tt.lost {
			m.lost[fmt.Sprint(i)] = true
		}
		if got := m.brakes(); got != tt.want {
			t.Errorf("%d of %d lost: %v", tt.lost, tt.of, got)
		}
	}
}

func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int
	}{
		{0, 50}, {time.Second, 100}, {10 * time.Second, 550}, {11 * time.Second, 650}, {20 * time.Second, 1550},
		{30 * time.Second, 3550}, {60 * time.Second, 31550}, {100 * time.Hour, 1_000_000_000},
	} {
		if got := allowed(tt.d); got < tt.want || tt.d < time.Hour && got != tt.want {
			t.Errorf("%v: %d, want %d", tt.d, got, tt.want)
		}
	}
}

// lose ends a node's part.
func (s *state) lose(id string) {
	s.t.Helper()
	s.apply(fsm.Command{Type: fsm.TypeNodeLost, Node: &fsm.NodeRef{ID: id, Boot: "b1", Reason: "silent"}})
}

// many is a cluster of small nodes and a tree spread over them.
func many(t *testing.T, nodes, children int) *state {
	s := newState(t)
	for i := range nodes {
		name := fmt.Sprint("n", i)
		s.apply(fsm.Command{Type: fsm.TypeNodeUp, Up: &fsm.NodeUp{Node: link.Node{
			ID: name, Name: name, Boot: "b1", BootSeq: 1, CPU: 1 << 30, Memory: 1 << 50,
		}}})
	}
	ids := make([]string, children)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: shopOf(ids...)})
	for range children/maxAssigns + 1 {
		if cmds := s.next(inputs{}); len(cmds) > 0 {
			s.apply(cmds...)
		}
	}
	return s
}

// TestPacedMoves: after the loss of many nodes their children move at the pace, all
// of them within a bound; a new tree does not wait behind them. Everybody can see it.
func TestPacedMoves(t *testing.T) {
	s := many(t, 6, 1200)
	s.clock = time.Hour
	s.lose("n0")
	s.lose("n1")
	s.lose("n2")
	var b brake
	moved, began := 0, s.clock
	for s.clock < began+brakeWindow {
		var cmds []fsm.Command
		s.m.View(func(v fsm.View) {
			p := b.pace(lostLately(v, s.clock), s.clock)
			cmds = next(TimesOf(""), v, inputs{now: s.clock, pace: p})
			b.moved += p.moves(v, cmds)
			if waits := len(v.Pending(9999)) > 0; waits != (Paced(v) != "") {
				t.Errorf("at %v: waiting %v, and it says %q", s.clock-began, waits, Paced(v))
			}
		})
		if len(cmds) > 0 {
			if why := cmds[0].Assign[0].Why; !strings.HasPrefix(why, "moves are paced: 3 of 6 nodes lost within 1m0s; ") {
				t.Fatalf("why: %s", why)
			}
			for _, a := range cmds[0].Assign {
				moved += count(strings.HasPrefix(a.Path, "shop/"))
			}
			s.apply(cmds...)
		}
		if moved > allowed(s.clock-began) {
			t.Fatalf("%d moves within %v", moved, s.clock-began)
		}
		if moved == 600 {
			break
		}
		if s.clock == began+time.Second { // in the middle of it
			s.m.View(func(v fsm.View) {
				r, ok := Explain(v, v.Pending(1)[0].Path)
				if !ok || !strings.HasPrefix(r.Why, "moves are paced: 3 of 6 nodes") {
					t.Errorf("explained: %v, %+v", ok, r)
				}
			})
			other := shopOf("a", "b")
			other.Name = "other"
			s.apply(fsm.Command{Type: fsm.TypeApplyTree, Tree: other})
			s.m.View(func(v fsm.View) {
				if got := assign(v, pace{massLoss: lostLately(v, s.clock), on: true}, s.clock, 0); len(got) != 2 || !strings.HasPrefix(got[0].Path, "other/") {
					t.Errorf("a new tree waits behind the paced moves: %d placed", len(got))
				}
			})
		}
		s.clock += 100 * time.Millisecond
	}
	if took := s.clock - began; moved < 600 || took < 5*time.Second || took > 12*time.Second {
		t.Errorf("%d of 600 moved within %v", moved, took)
	}
}

// TestPaceProperties: whatever is lost and comes back, whenever: moves are never
// paced after the loss of a single node, none is held back longer than brakeWindow
// after the last loss, and while they are paced there are never more than allowed.
func TestPaceProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 30).Draw(rt, "nodes")
		lostAt := make(map[int]time.Duration)
		var b brake
		var began, last time.Duration
		moved := 0
		for now := time.Duration(0); now < 5*time.Minute; now += time.Duration(rapid.IntRange(1, 20_000).Draw(rt, "step")) * time.Millisecond {
			for range rapid.IntRange(0, 3).Draw(rt, "events") {
				n := rapid.IntRange(0, nodes-1).Draw(rt, "node")
				if _, down := lostAt[n]; down {
					delete(lostAt, n)
				} else {
					lostAt[n], last = now, now
				}
			}
			m := massLoss{lost: make(map[string]bool), of: nodes - len(lostAt)}
			for n, at := range lostAt {
				if now-at < brakeWindow {
					m.lost[fmt.Sprint(n)] = true
					m.of++
				}
			}
			was := b.on
			p := b.pace(m, now)
			switch {
			case p.on && len(m.lost) < 2:
				rt.Fatalf("paced after the loss of %d", len(m.lost))
			case p.on && now >= last+brakeWindow:
				rt.Fatalf("paced %v after the last loss", now-last)
			case !p.on:
				continue
			}
			if !was {
				began, moved = now, 0
			}
			n := rapid.IntRange(0, p.room).Draw(rt, "moves")
			b.moved += n
			if moved += n; moved > allowed(now-began) {
				rt.Fatalf("%d moves within %v", moved, now-began)
			}
		}
	})
}
