package raftstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
)

// Info is what a stopped node has stored.
type Info struct {
	FirstIndex, LastIndex uint64 // of the log; zero if it is empty
	LastTerm              uint64 // of the last entry of the log, or of Snapshot if it reaches further
	CurrentTerm           uint64
	// Snapshot is the latest readable one, or nil.
	Snapshot *raft.SnapshotMeta
	// Configuration is the latest set of servers in log or snapshot, committed
	// or not, and the index of its entry; zero if there is none.
	Configuration      raft.Configuration
	ConfigurationIndex uint64
}

// Reach is the last index that log and snapshot hold together.
func (i Info) Reach() uint64 {
	if i.Snapshot != nil {
		return max(i.LastIndex, i.Snapshot.Index)
	}
	return i.LastIndex
}

// Inspect reads the store of a stopped node and changes nothing. It fails if
// there is none, or if a node has it open.
func Inspect(dir string) (Info, error) {
	var info Info
	err := inspectLog(dir, &info)
	if err == nil {
		err = inspectSnapshots(filepath.Join(dir, snapDir), &info)
	}
	if err != nil {
		return Info{}, err
	}
	if s := info.Snapshot; s != nil {
		if s.Index >= info.LastIndex {
			info.LastTerm = s.Term
		}
		if s.ConfigurationIndex > info.ConfigurationIndex {
			info.Configuration, info.ConfigurationIndex = s.Configuration, s.ConfigurationIndex
		}
	}
	return info, nil
}

func inspectLog(dir string, info *Info) error {
	path := filepath.Join(dir, fileName)
	if fi, err := os.Stat(path); err != nil || fi.Size() == 0 {
		return fmt.Errorf("no raft log in %s (%v)", dir, err)
	}
	db, has, err := openBolt(dir, true)
	if err != nil {
		return err
	}
	defer db.Close()
	if !has.made {
		return fmt.Errorf("cannot read raft log in %s: it was never used", dir)
	}
	if err := readLog(db, info); err != nil {
		return fmt.Errorf("cannot read raft log in %s: %w", dir, err)
	}
	return nil
}

func readLog(db *bolt, info *Info) (err error) {
	if info.CurrentTerm, err = db.GetUint64([]byte("CurrentTerm")); err != nil && !notFound(err) {
		return err
	}
	at := db.tail()
	info.FirstIndex, info.LastIndex = at.first, at.last
	for i := info.LastIndex; i >= info.FirstIndex && i > 0; i-- {
		var l raft.Log
		err := db.GetLog(i, &l)
		if errors.Is(err, raft.ErrLogNotFound) && i < info.LastIndex {
			return nil // the gap that an installed snapshot leaves: it knows the servers
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if i == info.LastIndex {
			info.LastTerm = l.Term
		}
		if l.Type == raft.LogConfiguration {
			info.Configuration, info.ConfigurationIndex = raft.DecodeConfiguration(l.Data), i
			return nil
		}
	}
	return nil
}

// inspectSnapshots reads the descriptions only: raft.FileSnapshotStore would
// write a test file, and reading needs no more.
func inspectSnapshots(dir string, info *Info) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read snapshots: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		var meta raft.SnapshotMeta
		b, err := os.ReadFile(filepath.Join(dir, e.Name(), "meta.json"))
		if err != nil || json.Unmarshal(b, &meta) != nil {
			continue // raft passes over it, too
		}
		if info.Snapshot == nil || newer(meta, *info.Snapshot) {
			info.Snapshot = &meta
		}
	}
	return nil
}
