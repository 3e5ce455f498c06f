package raftstore

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// TestCrashTearsWhatIsUnderWay: of a batch that a crash interrupts, the disk keeps
// what OnTear says, and what was acknowledged before.
func TestCrashTearsWhatIsUnderWay(t *testing.T) {
	for keep := range 4 {
		m := NewMem()
		s, err := m.Open(Config{Fatal: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		batch := func(from uint64) (logs []*raft.Log) {
			for i := range uint64(3) {
				logs = append(logs, &raft.Log{Index: from + i, Term: 1})
			}
			return logs
		}
		if err := s.StoreLogs(batch(1)); err != nil {
			t.Fatal(err)
		}
		m.OnTear(func(n int) int { return min(n, keep) })
		old := m.Copy()
		m.OnWrite(func(string) error { m.Crash(); return errors.New("no power") })
		if s.StoreLogs(batch(4)) == nil {
			t.Fatal("a write that the crash interrupted was acknowledged")
		}
		for i := uint64(1); i <= 6; i++ {
			if want := i <= 3+uint64(keep); m.Holds(i) != want {
				t.Errorf("keep %d: entry %d is there: %v", keep, i, !want)
			}
		}
		if !old.Holds(3) || old.Holds(4) {
			t.Error("the copy is not as the disk was")
		}
	}
}
