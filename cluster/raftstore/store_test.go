package raftstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// kinds opens the two kinds of store; the function given to f opens it again
// after a crash.
func kinds(t *testing.T, f func(t *testing.T, open func() *Store)) {
	t.Run("bolt", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "node", "raft")
		var last *Store
		f(t, func() *Store {
			if last != nil {
				last.Close()
			}
			s, err := Open(Config{Dir: dir, Fatal: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			last = s
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
	t.Run("memory", func(t *testing.T) {
		m := NewMem()
		f(t, func() *Store { return openMem(t, m, Config{Fatal: func(err error) { t.Error(err) }}) })
	})
}

func openMem(t *testing.T, m *Mem, cfg Config) *Store {
	t.Helper()
	s, err := m.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func entries(from, to, term uint64) (logs []*raft.Log) {
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "%d/%d", i, term)})
	}
	return logs
}

// contents is all that raft can read, as text.
func contents(t *testing.T, s *Store) string {
	t.Helper()
	first, err1 := s.FirstIndex()
	last, err2 := s.LastIndex()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d..%d:", first, last)
	for i := uint64(1); i <= last+1; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err == nil {
			fmt.Fprintf(&b, " %d %d %s", l.Index, l.Term, l.Data)
		} else if !errors.Is(err, raft.ErrLogNotFound) {
			t.Fatal(err)
		}
	}
	term, _ := s.GetUint64([]byte("CurrentTerm"))
	voteTerm, _ := s.GetUint64([]byte(keyVoteTerm))
	cand, _ := s.Get([]byte(keyVoteCand))
	fmt.Fprintf(&b, "; term %d, vote %d %s; snapshots", term, voteTerm, cand)
	metas, err := s.Snapshots().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metas {
		_, r, err := s.Snapshots().Open(m.ID)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		r.Close()
		fmt.Fprintf(&b, " %d/%d %s", m.Index, m.Term, data)
	}
	return b.String()
}

func snapshot(s *Store, index, term uint64, data string) error {
	conf := raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a:1"}}}
	k, err := s.Snapshots().Create(1, index, term, conf, 1, &raft.InmemTransport{})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(k, data); err != nil {
		return err
	}
	return k.Close()
}

func vote(s raft.StableStore, term uint64, cand string) error {
	if err := s.SetUint64([]byte(keyVoteTerm), term); err != nil {
		return err
	}
	return s.Set([]byte(keyVoteCand), []byte(cand))
}

// TestBothKinds runs one script on both kinds of store and looks after each
// step twice, the second time after a crash.
func TestBothKinds(t *testing.T) {
	kinds(t, func(t *testing.T, open func() *Store) {
		s := open()
		if _, err := s.Get([]byte("CurrentTerm")); err == nil || err.Error() != "not found" {
			t.Errorf("missing key: %v, raft expects \"not found\"", err)
		}
		if _, err := s.GetUint64([]byte(keyVoteTerm)); err == nil || err.Error() != "not found" {
			t.Errorf("missing vote: %v, raft expects \"not found\"", err)
		}
		for _, step := range []struct {
			do   func(s *Store) error
			want string
		}{
			{func(s *Store) error { return nil }, "0..0:; term 0, vote 0 ; snapshots"},
			{func(s *Store) error { return s.StoreLogs(entries(1, 3, 1)) },
				"1..3: 1 1 1/1 2 1 2/1 3 1 3/1; term 0, vote 0 ; snapshots"},
			{func(s *Store) error { return s.DeleteRange(2, 3) }, "1..1: 1 1 1/1; term 0, vote 0 ; snapshots"},
			{func(s *Store) error { return s.StoreLog(entries(2, 2, 2)[0]) },
				"1..2: 1 1 1/1 2 2 2/2; term 0, vote 0 ; snapshots"},
			{func(s *Store) error { return vote(s, 2, "b@x") }, "1..2: 1 1 1/1 2 2 2/2; term 0, vote 2 b@x; snapshots"},
			{func(s *Store) error { return s.SetUint64([]byte("CurrentTerm"), 7) },
				"1..2: 1 1 1/1 2 2 2/2; term 7, vote 2 b@x; snapshots"},
			{func(s *Store) error { return errors.Join(snapshot(s, 1, 1, "one"), s.DeleteRange(1, 1)) },
				"2..2: 2 2 2/2; term 7, vote 2 b@x; snapshots 1/1 one"},
			{func(s *Store) error { return errors.Join(snapshot(s, 2, 2, "two"), snapshot(s, 9, 3, "nine")) },
				"2..2: 2 2 2/2; term 7, vote 2 b@x; snapshots 9/3 nine 2/2 two"},
			{func(s *Store) error { return s.StoreLogs(entries(10, 10, 3)) }, // after the gap of an installed snapshot
				"2..10: 2 2 2/2 10 3 10/3; term 7, vote 2 b@x; snapshots 9/3 nine 2/2 two"},
			{func(s *Store) error { return s.DeleteRange(1, 9) },
				"10..10: 10 3 10/3; term 7, vote 2 b@x; snapshots 9/3 nine 2/2 two"},
		} {
			if err := step.do(s); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, s); got != step.want {
				t.Errorf("got  %s\nwant %s", got, step.want)
			}
			s = open()
			if got := contents(t, s); got != step.want {
				t.Errorf("after a crash: got %s\nwant %s", got, step.want)
			}
		}
	})
}

// TestUnfinishedSnapshot: a snapshot that was not closed, or cancelled, is not
// there after a crash and leaves nothing behind.
func TestUnfinishedSnapshot(t *testing.T) {
	kinds(t, func(t *testing.T, open func() *Store) {
		s := open()
		for _, end := range []func(raft.SnapshotSink) error{raft.SnapshotSink.Cancel, func(raft.SnapshotSink) error { return nil }} {
			k, err := s.Snapshots().Create(1, 5, 1, raft.Configuration{}, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(k, "half")
			if err := end(k); err != nil {
				t.Fatal(err)
			}
		}
		s = open()
		if got := contents(t, s); !strings.HasSuffix(got, "snapshots") {
			t.Errorf("got %s", got)
		}
		if left, _ := filepath.Glob(filepath.Join(s.guard.dir, snapDir, "*")); len(left) != 0 {
			t.Errorf("left behind: %s", left)
		}
	})
}

// TestMemCrash: what a crashed process goes on to write, nobody reads; what it
// wrote before and what it keeps reading stay as they were.
func TestMemCrash(t *testing.T) {
	m := NewMem()
	old := openMem(t, m, Config{})
	logs := entries(1, 2, 1)
	if err := old.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	logs[0].Data[0] = 'X' // the disk has its own copy
	m.Crash()
	if err := errors.Join(old.DeleteRange(1, 1), old.StoreLogs(entries(3, 3, 9)), vote(old, 9, "z"), snapshot(old, 3, 9, "z")); err != nil {
		t.Fatal(err)
	}
	s := openMem(t, m, Config{})
	if got, want := contents(t, s), "1..2: 1 1 1/1 2 1 2/1; term 0, vote 0 ; snapshots"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := s.StoreLogs(entries(3, 3, 2)); err != nil {
		t.Fatal(err)
	}
	if got, want := contents(t, old), "2..3: 2 1 2/1 3 9 3/9; term 0, vote 9 z; snapshots 3/9 z"; got != want {
		t.Errorf("the crashed process reads %s\nwant %s", got, want)
	}
}

// TestSyncDirsTells: a folder that cannot be synced is an error, for what is in it
// may be gone after a power cut. /proc has no fsync.
func TestSyncDirsTells(t *testing.T) {
	if err := syncDirs(t.TempDir(), "/proc/self"); err == nil {
		t.Error("a failed fsync was not told")
	}
}

// TestInUse: a second process gets a clear error, to write and to read.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err1 := Open(Config{Dir: dir})
	_, err2 := Inspect(dir)
	for _, err := range []error{err1, err2} {
		if err == nil || err.Error() != "data dir "+dir+" is in use by another process" {
			t.Errorf("got %v", err)
		}
	}
}

// TestDamaged: a log that continues from a snapshot which is gone is refused,
// and so is a directory that cannot be used.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.StoreLogs(entries(1, 9, 1)), snapshot(s, 5, 1, "five"), s.DeleteRange(1, 4), s.Close()); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, snapDir, "*", "meta.json"))
	if err := os.WriteFile(names[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	_, err = Open(Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if !strings.Contains(logged.String(), `level=WARN msg="failed to read metadata"`) {
		t.Errorf("logged %s", logged.String())
	}
	if err == nil || !strings.Contains(err.Error(), "the snapshot of entry 5 is gone or unreadable") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	for _, cfg := range []Config{{}, {Dir: file}, {Dir: dir, Deadline: -1}} {
		if s, err := Open(cfg); err == nil {
			s.Close()
			t.Errorf("%+v is accepted", cfg)
		}
	}
	os.WriteFile(filepath.Join(dir, fileName), bytes.Repeat([]byte("x"), 20000), 0o600)
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a file that is no database: %v", err)
	}
}

// TestInspect: what a stopped node holds, without changing a file.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), "no raft log in "+dir) {
		t.Errorf("an empty directory: %v", err)
	}
	use := func(f func(s *Store) error) Info {
		t.Helper()
		s, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f(s), s.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if info := use(func(*Store) error { return nil }); info.Reach() != 0 || info.Snapshot != nil {
		t.Errorf("never used: %+v", info)
	}
	conf := raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a:1"}, {ID: "b", Address: "b:1"}}}
	info := use(func(s *Store) error {
		logs := entries(1, 9, 3)
		logs[1].Type, logs[1].Data = raft.LogConfiguration, raft.EncodeConfiguration(conf)
		return errors.Join(s.SetUint64([]byte("CurrentTerm"), 4), s.StoreLogs(logs))
	})
	if info.FirstIndex != 1 || info.Reach() != 9 || info.LastTerm != 3 || info.CurrentTerm != 4 ||
		info.ConfigurationIndex != 2 || len(info.Configuration.Servers) != 2 {
		t.Errorf("a log: %+v", info)
	}
	info = use(func(s *Store) error {
		return errors.Join(snapshot(s, 20, 4, "x"), s.StoreLogs(entries(21, 22, 5)), s.DeleteRange(1, 5))
	})
	if info.Reach() != 22 || info.LastTerm != 5 || info.Snapshot.Index != 20 || info.ConfigurationIndex != 1 || len(info.Configuration.Servers) != 1 {
		t.Errorf("a log beyond a snapshot: %+v", info)
	}
	info = use(func(s *Store) error { return s.DeleteRange(1, 30) })
	if info.Reach() != 20 || info.LastTerm != 4 {
		t.Errorf("a snapshot alone: %+v", info)
	}
}
