package runner

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	livesName   = "lives"
	markerKey   = "SELFWARE_RUN"
	lockWait    = 2 * time.Second // a child that is just being forked holds a copy of the lock
	compactFrom = 4096            // lines, before a shorter file is written
)

// livesFile records every process we start, so that the next runner on this
// folder can tell what we left behind. It is one append-only file: a line for
// each birth and each death, and a shorter copy when it has grown. Nothing is
// synced: a crash of the machine ends the children too.
type livesFile struct {
	path string
	lock *os.File
	log  *slog.Logger
	head livesHead

	mu    sync.Mutex
	file  *os.File
	lines int
	live  map[int]uint64 // start time by pid
	sick  bool           // the last write failed, and was reported
}

// livesHead is the first line: it tells which boot and which runner it was.
type livesHead struct {
	boot    string
	token   string // random; all children carry it in their environment
	session int    // of the runner, and so of all children that did not leave it
}

func (h livesHead) marker() string { return markerKey + "=" + h.token }

func (h livesHead) line() string {
	return fmt.Sprintf("selfware-lives 1 %s %s %d\n", h.boot, h.token, h.session)
}

// openLives locks dir, kills what the runner before left behind, and begins a
// new file. It returns how many processes it killed.
func openLives(dir, boot string, log *slog.Logger) (*livesFile, int, error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, 0, err
	}
	l := &livesFile{path: filepath.Join(dir, livesName), lock: lock, log: log, live: make(map[int]uint64)}
	old, err := readLives(l.path)
	if err != nil {
		l.close()
		return nil, 0, err
	}
	killed := 0
	if old != nil && old.boot == boot {
		killed = old.killAll(log)
	}
	session, _ := unix.Getsid(0)
	l.head = livesHead{boot: boot, token: rand.Text(), session: session}
	if err := l.rewrite(); err != nil {
		l.close()
		return nil, 0, err
	}
	return l, killed, nil
}

func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the run folder: %v", err)
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			lock.Close()
			return nil, fmt.Errorf("cannot use %s: another node process uses it (%v); stop that one first", filepath.Dir(dir), err)
		}
	}
}

func (l *livesFile) marker() string { return l.head.marker() }

// born records a new process.
func (l *livesFile) born(pid int, start uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live[pid] = start
	l.append(fmt.Appendf(nil, "+ %d %d\n", pid, start))
}

// died records the end of a process.
func (l *livesFile) died(pid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, pid)
	l.append(fmt.Appendf(nil, "- %d\n", pid))
}

// append never fails for the caller: without a record the death signal and the
// marker in the environment still tell our children.
func (l *livesFile) append(line []byte) {
	if l.file == nil {
		return // closed
	}
	_, err := l.file.Write(line)
	if err != nil && !l.sick {
		l.log.Warn("cannot record lives; leftovers will be told by their environment only", "err", err)
	}
	l.sick = err != nil
	l.lines++
	if l.lines < compactFrom || l.lines < 4*len(l.live) {
		return
	}
	if err := l.rewrite(); err != nil {
		l.lines = 0 // try again after as many lines more
		l.log.Warn("cannot shorten the record of lives", "err", err)
	}
}

// rewrite replaces the file by one with only the living.
func (l *livesFile) rewrite() error {
	text := []byte(l.head.line())
	for pid, start := range l.live {
		text = fmt.Appendf(text, "+ %d %d\n", pid, start)
	}
	tmp := l.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("cannot record lives: %v", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = os.Rename(tmp, l.path)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot record lives: %v", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.lines = f, len(l.live)
	return nil
}

func (l *livesFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	l.lock.Close()
}

// earlier is what a runner before us recorded and did not see end.
type earlier struct {
	livesHead
	live map[int]uint64
}

// readLives returns nil if there is no file, or none that it understands: a
// full disk may have cut it off anywhere.
func readLives(path string) (*earlier, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the record of lives: %v", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Scan()
	e := &earlier{live: make(map[int]uint64)}
	var version int
	if _, err := fmt.Sscanf(lines.Text(), "selfware-lives %d %s %s %d", &version, &e.boot, &e.token, &e.session); err != nil || version != 1 {
		return nil, nil
	}
	for lines.Scan() {
		var pid int
		var start uint64
		if n, _ := fmt.Sscanf(lines.Text(), "+ %d %d", &pid, &start); n == 2 {
			e.live[pid] = start
		} else if n, _ := fmt.Sscanf(lines.Text(), "- %d", &pid); n == 1 {
			delete(e.live, pid)
		}
	}
	return e, nil
}

// killAll kills every process of the earlier runner, until a look finds none,
// for at most maxWait. It returns how many there were.
func (e *earlier) killAll(log *slog.Logger) int {
	seen := make(map[int]bool)
	pause := time.Millisecond
	for deadline := time.Now().Add(maxWait); ; time.Sleep(pause) {
		left, err := e.killOnce(seen)
		if err != nil {
			log.Warn("cannot look for leftovers", "err", err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			log.Warn("processes of an earlier run do not die of SIGKILL", "count", left)
			break
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
	if len(seen) > 0 {
		log.Info("killed what an earlier run left behind", "processes", len(seen))
	}
	return len(seen)
}

func (e *earlier) killOnce(seen map[int]bool) (left int, err error) {
	pids, err := allPIDs()
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		stat, err := readStat(pid)
		if err != nil || stat.state == 'Z' || !e.owns(pid, stat) {
			continue
		}
		left++
		seen[pid] = true
		killExactly(pid, stat.start)
	}
	return left, err
}

// owns never trusts a number alone. Ours is: a recorded leader with its start
// time; a member of a recorded leader's group, of the runner's session, as long
// as that number was not given to another process; and whatever carries the
// runner's marker, which finds helpers that left their group.
func (e *earlier) owns(pid int, stat procStat) bool {
	if start, ok := e.live[pid]; ok && start != 0 && start == stat.start {
		return true
	}
	if start, ok := e.live[stat.pgrp]; ok && start != 0 && stat.session == e.session && stat.start >= start {
		leader, err := readStat(stat.pgrp)
		if err != nil || leader.start == start {
			return true
		}
	}
	return hasEnv(pid, e.marker())
}

// killExactly kills the process of this pid and start time and never another:
// the pidfd keeps meaning the process that the second look has seen.
func killExactly(pid int, start uint64) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if stat, err := readStat(pid); err == nil && stat.start == start {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
