package raftstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// openSnapshots opens raft's own file store after it has removed what a crash
// left half-written; upstream keeps and reports it for ever.
func openSnapshots(cfg Config) (raft.SnapshotStore, error) {
	names, err := filepath.Glob(filepath.Join(cfg.Dir, snapDir, "*.tmp"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		cfg.Logger.Warn("removing an unfinished snapshot", "name", name)
		if err := os.RemoveAll(name); err != nil {
			return nil, err
		}
	}
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard})
	log.RegisterSink(logSink{cfg.Logger})
	s, err := raft.NewFileSnapshotStoreWithLogger(cfg.Dir, keepSnaps, log)
	if err != nil {
		if strings.HasPrefix(err.Error(), "permissions test failed") {
			err = fmt.Errorf("cannot write to %s: %w", filepath.Join(cfg.Dir, snapDir), err)
		}
		return nil, err
	}
	return s, nil
}

// keySnapshot holds the newest snapshot that was finished.
const keySnapshot = "selfware.Snapshot"

// Every snapshot ends with a seal: a magic, and the SHA-256 of its description and
// its data. Raft has a CRC of the data alone; who the voters are is in the
// description.
const (
	sealMagic = "selfseal"
	sealSize  = len(sealMagic) + sha256.Size
)

// snapshots seals what is written and checks the seal of what is read. Like any
// other, a write that fails is fatal, and so is a read of a damaged snapshot.
type snapshots struct {
	raft.SnapshotStore
	guard *guard
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	var out raft.SnapshotSink
	err := s.guard.write("raft snapshot", s.limit(), func() (err error) {
		out, err = s.SnapshotStore.Create(v, index, term, c, ci, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	meta := raft.SnapshotMeta{Version: v, Index: index, Term: term, Configuration: c, ConfigurationIndex: ci}
	return &sink{SnapshotSink: out, store: s, meta: meta, sum: digest(meta)}, nil
}

// List implements raft.SnapshotStore.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	metas, err := s.SnapshotStore.List()
	for i, m := range metas {
		metas[i] = unsealed(m)
	}
	return metas, s.guard.read("raft snapshots", err)
}

// unsealed is the description of the data without its seal.
func unsealed(m *raft.SnapshotMeta) *raft.SnapshotMeta {
	c := *m
	c.Size -= int64(sealSize)
	return &c
}

// Open implements raft.SnapshotStore.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if err := s.check(id); err != nil {
		return nil, nil, s.guard.read("raft snapshot", err)
	}
	meta, rc, err := s.SnapshotStore.Open(id)
	if err != nil {
		return nil, nil, s.guard.read("raft snapshot", err)
	}
	meta = unsealed(meta)
	return meta, struct {
		io.Reader
		io.Closer
	}{io.LimitReader(rc, meta.Size), rc}, nil
}

// check reads a whole snapshot.
func (s *snapshots) check(id string) error {
	meta, rc, err := s.SnapshotStore.Open(id)
	if err != nil {
		return fmt.Errorf("snapshot %s cannot be read: %w", id, err)
	}
	defer rc.Close()
	sum := digest(*meta)
	seal := make([]byte, sealSize+1)
	if size := meta.Size - int64(sealSize); size < 0 {
		err = io.ErrUnexpectedEOF
	} else if _, err = io.CopyN(sum, rc, size); err == nil {
		var n int
		n, err = io.ReadFull(rc, seal)
		if errors.Is(err, io.ErrUnexpectedEOF) && n == sealSize {
			err = nil // and not a byte more
		}
	}
	if err != nil || string(seal[:sealSize]) != sealMagic+string(sum.Sum(nil)) {
		return fmt.Errorf("snapshot %s: %w: its SHA-256 is wrong (%v)", id, errDamaged, err)
	}
	return nil
}

// digest begins the hash of a snapshot with its description.
func digest(m raft.SnapshotMeta) hash.Hash {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %d %d %d\n", m.Version, m.Index, m.Term, m.ConfigurationIndex, len(m.Configuration.Servers))
	for _, s := range m.Configuration.Servers {
		fmt.Fprintf(h, "%d %q %q\n", s.Suffrage, s.ID, s.Address)
	}
	return h
}

func (s *snapshots) limit() time.Duration { return snapFactor * s.guard.deadline }

type sink struct {
	raft.SnapshotSink
	store *snapshots
	meta  raft.SnapshotMeta
	sum   hash.Hash
	ended bool
}

func (k *sink) Write(b []byte) (n int, err error) {
	err = k.write(func() (err error) {
		n, err = k.SnapshotSink.Write(b)
		return err
	})
	k.sum.Write(b[:n])
	return n, err
}

// Close seals the snapshot and notes that there is one. Raft calls it twice.
func (k *sink) Close() error {
	if k.ended {
		return k.store.guard.err()
	}
	k.ended = true
	return k.write(func() error {
		if _, err := k.SnapshotSink.Write([]byte(sealMagic + string(k.sum.Sum(nil)))); err != nil {
			return err
		}
		if err := k.SnapshotSink.Close(); err != nil {
			return err
		}
		return k.store.guard.base.Set([]byte(keySnapshot), encodeMark(k.meta))
	})
}

func (k *sink) Cancel() error {
	k.ended = true
	return k.write(k.SnapshotSink.Cancel)
}

func (k *sink) write(f func() error) error {
	return k.store.guard.write("raft snapshot", k.store.limit(), f)
}

// encodeMark and decodeMark word which snapshot is the newest.
func encodeMark(m raft.SnapshotMeta) []byte { return append(key(m.Term), key(m.Index)...) }

func decodeMark(val []byte) (m raft.SnapshotMeta, err error) {
	if len(val) != 16 {
		return m, damaged("the mark of the newest snapshot has %d bytes", len(val))
	}
	m.Term, m.Index = binary.BigEndian.Uint64(val), binary.BigEndian.Uint64(val[8:])
	return m, nil
}

// logSink writes what the file store logs to a slog.Logger.
type logSink struct{ out *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (k logSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Info:
		to = slog.LevelInfo
	case hclog.Warn:
		to = slog.LevelWarn
	case hclog.Error:
		to = slog.LevelError
	}
	k.out.Log(context.Background(), to, msg, args...)
}
