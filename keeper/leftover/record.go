package leftover

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
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/selfware/selfware/internal/bug"
)

const (
	livesName   = "lives"
	markerKey   = "SELFWARE_RUN"
	maxWait     = 5 * time.Second // for what was killed to be gone
	lockWait    = 2 * time.Second // a child that is just being forked has a copy of the lock
	compactFrom = 4096            // lines, before a shorter file is written
)

// Record has every process that a keeper started, so that the next one on this
// folder can tell what was left behind. It is one append-only file: a line for
// each birth and each death, and a shorter copy when it has grown. Nothing is
// synced: a crash of the machine ends the children too. One goroutine owns it.
type Record struct {
	path string
	lock *os.File
	log  *slog.Logger
	head Head
	old  *earlier // what is to be swept

	file  *os.File
	lines int
	live  map[int]uint64 // start time by pid
	sick  bool           // the last write failed, and was reported
}

// Head is the beginning of the file: it tells which boot and which keeper it was.
type Head struct {
	Boot    string
	Token   string // random; all children carry it in their environment
	Session int    // of the keeper, and so of all children that did not leave it
	Cgroup  string // folder that all children are in; "" = none
}

// Marker is what all children carry in their environment.
func (h Head) Marker() string { return markerKey + "=" + h.Token }

func (h Head) text() string {
	text := fmt.Sprintf("selfware-lives 1 %s %s %d\n", h.Boot, h.Token, h.Session)
	if h.Cgroup != "" {
		text += "g " + h.Cgroup + "\n"
	}
	return text
}

// Open locks dir, which must exist, and reads what is there. Nothing is killed or
// written before Sweep. boot names this boot of the machine; "" = what the kernel says.
func Open(dir, boot string, log *slog.Logger) (*Record, error) {
	var err error
	if boot == "" {
		if boot, err = BootID(); err != nil {
			return nil, err
		}
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	r := &Record{path: filepath.Join(dir, livesName), lock: lock, log: log, live: make(map[int]uint64)}
	if r.old, err = readLives(r.path); err != nil {
		r.Close()
		return nil, err
	}
	session, _ := unix.Getsid(0)
	r.head = Head{Boot: boot, Token: rand.Text(), Session: session}
	return r, nil
}

// Reopen goes on with the record of this same process before it executed another
// binary: lock is the descriptor of its lock.
func Reopen(dir string, lock int, h Head, live map[int]uint64, log *slog.Logger) (*Record, error) {
	unix.CloseOnExec(lock)
	r := &Record{
		path: filepath.Join(dir, livesName), lock: os.NewFile(uintptr(lock), "lock"), log: log, head: h, live: live,
	}
	return r, r.rewrite()
}

// Sweep kills what the keeper before left behind, and begins a new file. It returns
// how many processes it killed.
func (r *Record) Sweep() (killed int, err error) {
	if r.old != nil && r.old.Boot == r.head.Boot {
		killed = r.old.killAll(r.log)
	}
	r.old = nil
	return killed, r.rewrite()
}

// Head gives the beginning of the file.
func (r *Record) Head() Head { return r.head }

// Use says in which cgroup all children are. Call it before Sweep.
func (r *Record) Use(cgroup string) { r.head.Cgroup = cgroup }

// Lock is the descriptor of the lock, for Reopen.
func (r *Record) Lock() int { return int(r.lock.Fd()) }

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

// Born records a new process.
func (r *Record) Born(pid int, start uint64) {
	r.live[pid] = start
	r.append(fmt.Appendf(nil, "+ %d %d\n", pid, start))
}

// Died records the end of a process.
func (r *Record) Died(pid int) {
	delete(r.live, pid)
	r.append(fmt.Appendf(nil, "- %d\n", pid))
}

// append never fails for the caller: without a record the death signal and the
// marker in the environment still tell our children.
func (r *Record) append(line []byte) {
	if r.file == nil {
		return // closed
	}
	_, err := r.file.Write(line)
	if err != nil && !r.sick {
		r.log.Warn("cannot record lives; leftovers will be told by their environment only", "err", err)
	}
	r.sick = err != nil
	r.lines++
	if r.lines < compactFrom || r.lines < 4*len(r.live) {
		return
	}
	if err := r.rewrite(); err != nil {
		r.lines = 0 // try again after as many lines more
		r.log.Warn("cannot shorten the record of lives", "err", err)
	}
}

// rewrite replaces the file by one with only the living.
func (r *Record) rewrite() error {
	text := []byte(r.head.text())
	for pid, start := range r.live {
		text = fmt.Appendf(text, "+ %d %d\n", pid, start)
	}
	tmp := r.path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("cannot record lives: %v", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = os.Rename(tmp, r.path)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot record lives: %v", err)
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.lines = f, len(r.live)
	return nil
}

// Close gives the folder back.
func (r *Record) Close() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
	r.lock.Close()
}

// earlier is what a keeper before us recorded and did not see end.
type earlier struct {
	Head
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
	if _, err := fmt.Sscanf(lines.Text(), "selfware-lives %d %s %s %d", &version, &e.Boot, &e.Token, &e.Session); err != nil || version != 1 {
		return nil, nil
	}
	for lines.Scan() {
		var pid int
		var start uint64
		if n, _ := fmt.Sscanf(lines.Text(), "+ %d %d", &pid, &start); n == 2 {
			e.live[pid] = start
		} else if n, _ := fmt.Sscanf(lines.Text(), "- %d", &pid); n == 1 {
			delete(e.live, pid)
		} else if path, ok := strings.CutPrefix(lines.Text(), "g "); ok && strings.HasSuffix(path, e.Token) {
			e.Cgroup = path
		}
	}
	return e, nil
}

// killAll kills every process of the earlier keeper, until a look finds none,
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
	e.removeCgroup()
	if len(seen) > 0 {
		log.Info("killed what an earlier run left behind", "processes", len(seen))
	}
	return len(seen)
}

func (e *earlier) killOnce(seen map[int]bool) (left int, err error) {
	pids, err := AllPIDs()
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		stat, err := ReadStat(pid)
		if err != nil || stat.State == 'Z' || !e.owns(pid, stat) {
			continue
		}
		left++
		seen[pid] = true
		killExactly(pid, stat.Start)
	}
	if e.Cgroup != "" && left > 0 { // all at once: nobody forks faster than that
		_ = os.WriteFile(filepath.Join(e.Cgroup, "cgroup.kill"), []byte("1"), 0)
	}
	return left, err
}

// removeCgroup removes the folders of the earlier keeper's cgroup, which are empty.
func (e *earlier) removeCgroup() {
	if e.Cgroup == "" {
		return
	}
	each, _ := filepath.Glob(filepath.Join(e.Cgroup, "[0-9]*"))
	for _, path := range append(each, e.Cgroup) {
		os.Remove(path)
	}
}

// owns never trusts a number alone. Ours is: a recorded leader with its start
// time; a member of a recorded leader's group, of the keeper's session, as long
// as that number was not given to another process; whatever carries the keeper's
// marker, or is in its cgroup: that finds helpers that left their group.
func (e *earlier) owns(pid int, stat Stat) bool {
	if start, ok := e.live[pid]; ok && start != 0 && (start == stat.Start || bug.On("killed-by-pid-alone")) {
		return true
	}
	if start, ok := e.live[stat.Group]; ok && start != 0 && stat.Session == e.Session && stat.Start >= start {
		leader, err := ReadStat(stat.Group)
		if err != nil || leader.Start == start {
			return true
		}
	}
	return hasEnv(pid, e.Marker()) || e.Cgroup != "" && inCgroup(pid, e.Token)
}

// killExactly kills the process of this pid and start time and never another:
// the pidfd keeps meaning the process that the second look has seen.
func killExactly(pid int, start uint64) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if stat, err := ReadStat(pid); err == nil && stat.Start == start {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// KillGroup kills the process group that this process leads, and never another: a
// kernel before 6.9 signals the leader alone. It tells whether the process was there.
func KillGroup(pid int, start uint64) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if stat, err := ReadStat(pid); err != nil || stat.Start != start || stat.State == 'Z' {
		return false
	}
	const group = 1 << 2 // PIDFD_SIGNAL_PROCESS_GROUP
	if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, group) != nil {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	return true
}

// Sweep kills what a keeper that has ended left behind in a run folder.
func Sweep(dir string, log *slog.Logger) error {
	r, err := Open(dir, "", log)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Sweep()
	return err
}
