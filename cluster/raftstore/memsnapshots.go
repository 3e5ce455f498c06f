package raftstore

import (
	"bytes"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// memSnapshots is the snapshot store of a Mem.
type memSnapshots struct{ base *memBase }

func (s *memSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if err := s.base.mem.before("create"); err != nil {
		return nil, err
	}
	s.base.mu.Lock()
	defer s.base.mu.Unlock()
	s.base.made++
	return &memSink{base: s.base, meta: raft.SnapshotMeta{
		Version: v, ID: fmt.Sprintf("%d-%d-%d", term, index, s.base.made),
		Index: index, Term: term, Configuration: c, ConfigurationIndex: ci,
	}}, nil
}

// List returns the finished snapshots, newest first.
func (s *memSnapshots) List() ([]*raft.SnapshotMeta, error) {
	s.base.mu.RLock()
	defer s.base.mu.RUnlock()
	var metas []*raft.SnapshotMeta
	for _, snap := range s.base.snaps {
		metas = append(metas, &snap.meta)
	}
	return metas, nil
}

func (s *memSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.base.mu.RLock()
	defer s.base.mu.RUnlock()
	for _, snap := range s.base.snaps {
		if snap.meta.ID == id {
			return &snap.meta, io.NopCloser(bytes.NewReader(snap.data)), nil
		}
	}
	return nil, nil, fmt.Errorf("cannot open snapshot %s: not there", id)
}

// memSink is a snapshot being written; Close makes it one.
type memSink struct {
	base *memBase
	meta raft.SnapshotMeta
	data []byte
	done bool
}

func (k *memSink) ID() string { return k.meta.ID }

func (k *memSink) Write(b []byte) (int, error) {
	if err := k.base.mem.before("write"); err != nil {
		return 0, err
	}
	k.data = append(k.data, b...)
	return len(b), nil
}

func (k *memSink) Close() error {
	if k.done {
		return nil
	}
	k.done = true
	if err := k.base.mem.before("close"); err != nil {
		return err
	}
	k.meta.Size = int64(len(k.data))
	k.base.mu.Lock()
	defer k.base.mu.Unlock()
	i := 0 // raft installs older snapshots only when it restores a backup, under a new term
	for i < len(k.base.snaps) && newer(k.base.snaps[i].meta, k.meta) {
		i++
	}
	snaps := append(k.base.snaps[:i:i], memSnapshot{k.meta, k.data})
	snaps = append(snaps, k.base.snaps[i:]...)
	k.base.snaps = snaps[:min(len(snaps), keepSnaps)]
	return nil
}

func (k *memSink) Cancel() error {
	k.done = true
	return nil
}

func newer(a, b raft.SnapshotMeta) bool {
	if a.Term != b.Term {
		return a.Term > b.Term
	}
	return a.Index > b.Index
}
