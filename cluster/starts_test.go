package cluster

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/fsm"
)

func TestStartsCheck(t *testing.T) {
	st := newState(t)
	st.node("n1", nil) // start 1, boot b1
	b1 := bootNumber("b1")
	for name, tt := range map[string]struct {
		seen mux.Start // of n2
		node string
		now  mux.Start
		want string
	}{
		"unknown":                    {mux.Start{}, "n9", mux.Start{Seq: 1}, ""},
		"says nothing":               {mux.Start{Seq: 4}, "n2", mux.Start{}, ""},
		"the same":                   {mux.Start{Seq: 4, Boot: 7, Term: 3, Reach: 90}, "n2", mux.Start{Seq: 4, Boot: 7}, ""},
		"the next":                   {mux.Start{Seq: 4, Boot: 7, Term: 3, Reach: 90}, "n2", mux.Start{Seq: 5, Boot: 8, Term: 3, Reach: 90}, ""},
		"an older one":               {mux.Start{Seq: 4, Boot: 7}, "n2", mux.Start{Seq: 3, Boot: 6}, "number 3, and number 4 is known"},
		"another of that number":     {mux.Start{Seq: 4, Boot: 7}, "n2", mux.Start{Seq: 4, Boot: 6}, "known as another one"},
		"the next, with an old vote": {mux.Start{Seq: 4, Boot: 7, Term: 3}, "n2", mux.Start{Seq: 5, Boot: 8, Term: 2, Reach: 1}, "was in term 3 and says 2"},
		"the next, with less log":    {mux.Start{Seq: 4, Boot: 7, Reach: 90}, "n2", mux.Start{Seq: 5, Boot: 8, Term: 9, Reach: 89}, "had log entry 90 and now ends at 89"},
		"as the state knows it":      {mux.Start{}, "n1", mux.Start{Seq: 1, Boot: b1}, ""},
		"copied, as the state shows": {mux.Start{}, "n1", mux.Start{Seq: 1, Boot: b1 + 1}, "known as another one"},
		"a name is no id":            {mux.Start{Seq: 4}, "n3", mux.Start{Seq: 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStarts(st.m)
			s.Note("n2", tt.seen)
			err := s.Check(tt.node, tt.now)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestStartsRemember: what is known of a node only grows.
func TestStartsRemember(t *testing.T) {
	s := newStarts(fsm.New())
	s.progress("n1", 9, 9) // of a node that never shook hands
	s.Note("n1", mux.Start{Seq: 2, Boot: 1, Term: 3, Reach: 50})
	s.progress("n1", 4, 70)
	s.progress("n1", 2, 60)
	s.Note("n1", mux.Start{Seq: 1, Boot: 9, Term: 99, Reach: 99})
	if got, want := s.known("n1"), (mux.Start{Seq: 2, Boot: 1, Term: 4, Reach: 70}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.Note("n1", mux.Start{Seq: 3, Boot: 2, Term: 4, Reach: 71})
	if got, want := s.known("n1"), (mux.Start{Seq: 3, Boot: 2, Term: 4, Reach: 71}); got != want {
		t.Errorf("after the next start: got %+v, want %+v", got, want)
	}
	for i := range maxStarts + 5 {
		s.Note(strings.Repeat("x", i%60)+string(rune(i)), mux.Start{Seq: 1})
	}
	if len(s.seen) > maxStarts {
		t.Errorf("%d starts are remembered", len(s.seen))
	}
}

// TestRolledBackDisk: a voter comes back with the disk it had before entries that it
// helped to commit. The leader dies too: with the forgetful node's vote, a third
// one that lacks them would lead. Nobody speaks with it; with its own disk, all is
// well.
func TestRolledBackDisk(t *testing.T) {
	for _, back := range []bool{true, false} {
		inLab(t, func(l *lab) {
			x := newTrio(l)
			old := l.disks["n2"].Copy()
			x.work(30)
			time.Sleep(time.Second) // the leader hears how far they are
			l.ends["n2"]()
			if back {
				l.disks["n2"] = old
			}
			n2 := l.node("n2")
			if !back {
				l.attend(n2)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			conn, err := n2.dialer.DialNode(x.t.Context(), "n1", l.addr("n1"), mux.Raft)
			if back != errors.Is(err, mux.ErrStale) {
				t.Errorf("rolled back %v: n2 dials n1: %v", back, err)
			}
			if err == nil {
				conn.Close()
			}
			conn, err = x.nodes[0].dialer.DialNode(x.t.Context(), "n2", l.addr("n2"), mux.Raft)
			if (err != nil) != back {
				t.Errorf("rolled back %v: n1 dials n2: %v", back, err)
			}
			if err == nil {
				conn.Close()
			}
			if got := n2.raft.AppliedIndex() >= x.nodes[0].raft.AppliedIndex()-1; got == back {
				t.Errorf("rolled back %v: it caught up: %v", back, got)
			}
		})
	}
}
