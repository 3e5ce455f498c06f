package raftstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/internal/bug"
)

// base is what stores bytes: bolt or memory.
type base interface {
	raft.LogStore
	raft.StableStore
}

// guard stands before every read and write: a write that fails or hangs, or a read
// that fails, ends the process, or, if fatal returns, all writing.
type guard struct {
	base
	dir      string
	deadline time.Duration
	fatal    func(error)

	mu       sync.Mutex
	failed   error
	voteTerm *uint64 // set by the first half of a vote, see vote.go
}

// ticks is how often a watchdog looks. A paused process misses all looks but
// one, so that at most Deadline/ticks of the pause is held against the disk.
const ticks = 10

// write runs f, which changes what, within limit.
func (g *guard) write(what string, limit time.Duration, f func() error) error {
	if err := g.err(); err != nil {
		return err
	}
	w := g.watch(what, limit)
	err := f()
	w.stop()
	if err != nil && !bug.On("store-error-swallowed") {
		return g.fail(explain(what, g.dir, err))
	}
	// A write that came through after the watchdog gave it up is not
	// acknowledged either: the verdict stands.
	return g.err()
}

// read judges a read. Bytes that cannot be read, or are not as they were written,
// are no reason to go on without them.
func (g *guard) read(what string, err error) error {
	if err == nil || notFound(err) || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return g.fail(fmt.Errorf("cannot read %s in %s: %w", what, g.dir, err))
}

// FirstIndex implements raft.LogStore.
func (g *guard) FirstIndex() (uint64, error) {
	i, err := g.base.FirstIndex()
	return i, g.read("raft log", err)
}

// LastIndex implements raft.LogStore.
func (g *guard) LastIndex() (uint64, error) {
	i, err := g.base.LastIndex()
	return i, g.read("raft log", err)
}

// GetLog implements raft.LogStore.
func (g *guard) GetLog(index uint64, l *raft.Log) error {
	return g.read("raft log", g.base.GetLog(index, l))
}

// fail records the first failure and reports it; it returns that failure.
func (g *guard) fail(err error) error {
	g.mu.Lock()
	first := g.failed == nil
	if first {
		g.failed = err
	}
	err = g.failed
	g.mu.Unlock()
	if first && !bug.On("bad-disk-only-steps-down") {
		g.fatal(err)
	}
	return err
}

func (g *guard) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// StoreLog implements raft.LogStore.
func (g *guard) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (g *guard) StoreLogs(logs []*raft.Log) error {
	return g.write("raft log", g.deadline, func() error { return g.base.StoreLogs(logs) })
}

// DeleteRange implements raft.LogStore.
func (g *guard) DeleteRange(from, to uint64) error {
	return g.write("raft log", g.deadline, func() error { return g.base.DeleteRange(from, to) })
}

// watchdog judges one write.
type watchdog struct {
	mu    sync.Mutex
	timer *time.Timer
	left  int
	done  bool
}

// watch fails the guard unless stop is called within limit.
func (g *guard) watch(what string, limit time.Duration) *watchdog {
	w := &watchdog{left: ticks}
	w.mu.Lock() // the timer may fire before it is assigned
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit/ticks, func() {
		if w.expired(limit / ticks) {
			g.fail(explain(what, g.dir, fmt.Errorf("not done after %s: the disk hangs", limit)))
		}
	})
	return w
}

// expired counts one look and arranges the next.
func (w *watchdog) expired(step time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done || bug.On("disk-hang-unnoticed") {
		return false
	}
	if w.left--; w.left > 0 {
		w.timer.Reset(step)
		return false
	}
	return true
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	w.timer.Stop()
}

// explain says what a failed write means to the person who reads it.
func explain(what, dir string, err error) error {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		// bbolt flattens some errors to text.
		if errors.Is(err, full) || strings.Contains(err.Error(), full.Error()) {
			return fmt.Errorf("cannot write %s in %s: %w; free space and start the node again; nothing acknowledged was lost", what, dir, full)
		}
	}
	return fmt.Errorf("cannot write %s in %s: %w", what, dir, err)
}
