package raftstore

import (
	"context"
	"fmt"
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

// snapshots makes every failed write of a snapshot fatal, like any other.
type snapshots struct {
	raft.SnapshotStore
	guard *guard
}

func (s *snapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	var out raft.SnapshotSink
	err := s.guard.write("raft snapshot", s.limit(), func() (err error) {
		out, err = s.SnapshotStore.Create(v, index, term, c, ci, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &sink{out, s}, nil
}

func (s *snapshots) limit() time.Duration { return snapFactor * s.guard.deadline }

type sink struct {
	raft.SnapshotSink
	store *snapshots
}

func (k *sink) Write(b []byte) (n int, err error) {
	err = k.write(func() (err error) {
		n, err = k.SnapshotSink.Write(b)
		return err
	})
	return n, err
}

func (k *sink) Close() error  { return k.write(k.SnapshotSink.Close) }
func (k *sink) Cancel() error { return k.write(k.SnapshotSink.Cancel) }

func (k *sink) write(f func() error) error {
	return k.store.guard.write("raft snapshot", k.store.limit(), f)
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
