package raftstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/internal/bug"
)

const (
	fileName    = "raft.db"
	snapDir     = "snapshots"
	keepSnaps   = 2
	cacheSize   = 512 // entries
	lockTimeout = time.Second
	// snapFactor is how much longer than Deadline one step of a snapshot may
	// take: its fsync covers megabytes.
	snapFactor = 6
)

// Config is what a Store needs. Zero values mean the default.
type Config struct {
	// Dir is made if it is not there. Required for Open.
	Dir string
	// Deadline is how long one write may take. Zero means 5 s.
	Deadline time.Duration
	// Fatal is called once, with the first write that failed or hung. It may
	// run on a timer's goroutine while the write still hangs, or on raft's own,
	// so it must not wait for raft. It should not return. Nil means: log, write all stacks to stderr, exit with code 1.
	Fatal func(error)
	// Logger gets warnings. Nil means none.
	Logger *slog.Logger
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var err error
	if c.Dir == "" {
		err = errors.New("dir is missing")
	}
	if c.Deadline < 0 {
		err = errors.Join(err, errors.New("deadline must not be negative"))
	}
	return err
}

func (c Config) withDefaults() Config {
	c.Deadline = cmp.Or(c.Deadline, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { exit(c.Logger, err) }
	}
	return c
}

// Store is raft's LogStore and StableStore, and gives its SnapshotStore.
type Store struct {
	raft.LogStore // raft.LogCache over the guard
	raft.StableStore
	guard  *guard
	snaps  *snapshots
	closer io.Closer
}

// Open opens or makes the store in cfg.Dir. It reads all of it first, and fails if
// another process has it open, if the disk is full, or if anything in it is not as
// it was written or not there.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot open raft store: %w", err)
	}
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot open raft store: %w", err)
	}
	db, has, err := openBolt(cfg.Dir, false)
	if err != nil {
		return nil, err
	}
	s, err := assemble(cfg, db, has)
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("cannot open raft store in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func assemble(cfg Config, db *bolt, has contentsOf) (*Store, error) {
	files, err := openSnapshots(cfg)
	if err != nil {
		return nil, err
	}
	// Without this a power cut could take the new files back out of Dir.
	if err := syncDirs(cfg.Dir, filepath.Dir(filepath.Clean(cfg.Dir))); err != nil {
		return nil, err
	}
	s, err := newStore(cfg, db, files, db)
	if err != nil {
		return nil, err
	}
	return s, s.checkWhole(has)
}

// newStore puts guard and cache before b, and the guard before snaps.
func newStore(cfg Config, b base, snaps raft.SnapshotStore, closer io.Closer) (*Store, error) {
	g := &guard{base: b, dir: cfg.Dir, deadline: cfg.Deadline, fatal: cfg.Fatal}
	cache, err := raft.NewLogCache(cacheSize, g)
	if err != nil {
		return nil, err
	}
	return &Store{LogStore: cache, StableStore: g, guard: g, snaps: &snapshots{snaps, g}, closer: closer}, nil
}

// StoreLog implements raft.LogStore.
func (s *Store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. The cache flattens errors to text; the
// guard still has the real one.
func (s *Store) StoreLogs(logs []*raft.Log) error {
	if err := s.LogStore.StoreLogs(logs); err != nil {
		return cmp.Or(s.guard.err(), err)
	}
	return nil
}

// Snapshots is raft's snapshot store beside the log.
func (s *Store) Snapshots() raft.SnapshotStore { return s.snaps }

// Holds gives raft's term, and the last index that log and snapshots reach.
func (s *Store) Holds() (term, reach uint64, err error) {
	term, err1 := s.GetUint64([]byte("CurrentTerm"))
	if err1 != nil && notFound(err1) {
		err1 = nil
	}
	reach, err2 := s.LastIndex()
	metas, err3 := s.snaps.List()
	if len(metas) > 0 {
		reach = max(reach, metas[0].Index)
	}
	return term, reach, errors.Join(err1, err2, err3)
}

// Err is the failure that ended all writing, or nil.
func (s *Store) Err() error { return s.guard.err() }

// Close closes the files. Call it when raft has shut down. It waits for a
// write under way, so for ever if that hangs.
func (s *Store) Close() error { return s.closer.Close() }

// checkWhole looks for the snapshot that must hold what the verified log does not:
// what comes before its first entry, and before each gap. The newest snapshot must be
// there and unharmed, even if the log alone would do: raft would start from an older
// one, or from nothing, and forget what it had acknowledged.
func (s *Store) checkWhole(has contentsOf) error {
	metas, err := s.snaps.List()
	if err != nil {
		return err
	}
	var newest raft.SnapshotMeta
	if len(metas) > 0 {
		newest = *metas[0]
		if err := s.snaps.check(newest.ID); err != nil {
			return fmt.Errorf("%w; move the directory away and join as a new node", err)
		}
	}
	if val, ok := has.conf[keySnapshot]; ok {
		last, err := decodeMark(val)
		if err != nil {
			return err
		}
		if newer(last, newest) {
			return fmt.Errorf("the snapshot of entry %d is gone or unreadable; move the directory away and join as a new node", last.Index)
		}
	}
	for _, i := range append([]uint64{has.at.first}, has.gaps...) {
		if i > 1 && newest.Index < i-1 {
			return fmt.Errorf("the log begins at entry %d, but no readable snapshot reaches entry %d; move the directory away and join as a new node", i, i-1)
		}
	}
	return nil
}

func syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		err = f.Sync()
		if bug.On("ignored-fsync-error") {
			err = nil
		}
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// exit ends the process although the log or stderr may be files on the very
// disk that hangs.
func exit(l *slog.Logger, err error) {
	time.AfterFunc(time.Second, func() { os.Exit(1) })
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	fmt.Fprintf(os.Stderr, "fatal: %v\n\n%s\n", err, stacks)
	l.Error("storage failed, the process exits", "error", err)
	os.Exit(1)
}
