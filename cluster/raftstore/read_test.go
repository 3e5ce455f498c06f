package raftstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
)

// unreadable is a store whose reads fail.
type unreadable struct{ base }

func (unreadable) FirstIndex() (uint64, error)      { return 0, syscall.EIO }
func (unreadable) LastIndex() (uint64, error)       { return 0, syscall.EIO }
func (unreadable) GetLog(uint64, *raft.Log) error   { return syscall.EIO }
func (unreadable) Get([]byte) ([]byte, error)       { return nil, syscall.EIO }
func (unreadable) GetUint64([]byte) (uint64, error) { return 0, syscall.EIO }

// TestReadErrors: a failed read is fatal like a failed write, and ends all writing.
func TestReadErrors(t *testing.T) {
	for name, read := range map[string]func(s *Store) error{
		"first index": func(s *Store) error { _, err := s.FirstIndex(); return err },
		"last index":  func(s *Store) error { _, err := s.LastIndex(); return err },
		"entry":       func(s *Store) error { return s.GetLog(1, new(raft.Log)) },
		"term":        func(s *Store) error { _, err := s.GetUint64([]byte("CurrentTerm")); return err },
		"key":         func(s *Store) error { _, err := s.Get([]byte("k")); return err },
		"vote term":   func(s *Store) error { _, err := s.GetUint64([]byte(keyVoteTerm)); return err },
		"vote":        func(s *Store) error { _, err := s.Get([]byte(keyVoteCand)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			var fatal []error
			s := openMem(t, NewMem(), Config{Dir: "/data", Fatal: func(err error) { fatal = append(fatal, err) }})
			s.guard.base = unreadable{s.guard.base}
			if err := read(s); !errors.Is(err, syscall.EIO) || len(fatal) != 1 || !strings.Contains(fatal[0].Error(), "cannot read raft") {
				t.Errorf("got %v, fatal %v", err, fatal)
			}
			if err := s.StoreLogs(entries(1, 1, 1)); err == nil {
				t.Error("it still writes")
			}
		})
	}
}

// TestMissingIsNoError: what is not there yet is no reason to stop.
func TestMissingIsNoError(t *testing.T) {
	kinds(t, func(t *testing.T, open func() *Store) {
		s := open() // its Fatal fails the test
		for _, k := range []string{"CurrentTerm", keyVoteTerm, keyVoteCand} {
			if _, err := s.Get([]byte(k)); err == nil {
				t.Errorf("%s is there", k)
			}
		}
		if err := s.GetLog(7, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
			t.Error(err)
		}
	})
}

// TestSnapshotRotsWhileRunning: a snapshot that is damaged after the start is not
// sent to anybody.
func TestSnapshotRotsWhileRunning(t *testing.T) {
	dir := t.TempDir()
	var fatal error
	s, err := Open(Config{Dir: dir, Fatal: func(err error) { fatal = err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := snapshot(s, 5, 1, "five"); err != nil {
		t.Fatal(err)
	}
	metas, err := s.Snapshots().List()
	if err != nil || len(metas) != 1 || metas[0].Size != 4 {
		t.Fatalf("%+v, %v", metas, err)
	}
	name := filepath.Join(dir, snapDir, metas[0].ID, "meta.json")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(name, []byte(strings.Replace(string(data), "a:1", "b:1", 1)), 0o600) // another voter
	if _, _, err := s.Snapshots().Open(metas[0].ID); err == nil || fatal == nil || !errors.Is(fatal, errDamaged) {
		t.Errorf("opened: %v, fatal %v", err, fatal)
	}
}

// TestRefusesWhatRaftNeverDoes: to write over an entry, or under a key of nobody.
func TestRefusesWhatRaftNeverDoes(t *testing.T) {
	for name, do := range map[string]func(s *Store) error{
		"overwrite":  func(s *Store) error { return errors.Join(s.StoreLogs(entries(1, 3, 1)), s.StoreLogs(entries(2, 2, 2))) },
		"some key":   func(s *Store) error { return s.Set([]byte("k"), nil) },
		"closed log": func(s *Store) error { s.Close(); return s.StoreLogs(entries(1, 1, 1)) },
	} {
		fatal := 0
		s, err := Open(Config{Dir: t.TempDir(), Fatal: func(error) { fatal++ }})
		if err != nil {
			t.Fatal(err)
		}
		if err := do(s); err == nil || fatal != 1 {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}
