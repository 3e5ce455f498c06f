package runner

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// drainTime is how long the output of a dead child is still read if some
	// helper that left its group holds the pipe open.
	drainTime = 100 * time.Millisecond
	// maxDrain bounds what is read in the very end, in bytes.
	maxDrain = 1 << 20
	// maxOpenLogs bounds the log files that are open at once.
	maxOpenLogs = 512
)

var streamNames = [2]string{"stdout", "stderr"}

// logStore moves what children write into files, all with one goroutine and
// one buffer. Its files are found under root by the child's name.
type logStore struct {
	root *os.Root
	max  int64
	keep int
	log  *slog.Logger
	pipe *poller
	buf  [64 << 10]byte // of pump
	done chan struct{}  // closed by stop

	// rotating is held for writing while files are renamed, and for reading
	// by those who look for the next file.
	rotating sync.RWMutex

	following atomic.Int32

	mu        sync.Mutex
	stopped   bool
	nextID    uint64
	streams   map[uint64]*stream
	files     map[string]*logFile // by path, those that have a stream
	open      map[*logFile]bool   // those that hold a descriptor
	known     map[string]bool     // names that had a stream; files are made at the first byte only
	followers map[chan struct{}]string
}

func newLogStore(dir string, most int64, keep int, log *slog.Logger) (*logStore, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("cannot create the log folder: %v", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log folder: %v", err)
	}
	pipe, err := newPoller("output")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &logStore{
		root: root, max: most, keep: keep, log: log, pipe: pipe, done: make(chan struct{}),
		streams: make(map[uint64]*stream), files: make(map[string]*logFile), open: make(map[*logFile]bool),
		known: make(map[string]bool), followers: make(map[chan struct{}]string),
	}, nil
}

// pump copies output until stop.
func (ls *logStore) pump() {
	ls.pipe.wait(func(id uint64) {
		ls.mu.Lock()
		s := ls.streams[id]
		ls.mu.Unlock()
		if s != nil {
			s.copyOnce(ls.buf[:])
		}
	})
}

// stop ends pump and all followers.
func (ls *logStore) stop() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.stopped {
		ls.stopped = true
		close(ls.done)
		ls.pipe.close()
	}
}

// close takes what is left in the pipes and closes the files. Call it after
// pump has ended.
func (ls *logStore) close() {
	ls.stop()
	ls.mu.Lock()
	var left []*stream
	for _, s := range ls.streams {
		left = append(left, s)
	}
	ls.mu.Unlock()
	for _, s := range left {
		s.cut()
	}
	ls.root.Close()
}

// newStream returns a stream that owns fd, our end of a child's pipe.
func (ls *logStore) newStream(name, kind string, fd int) *stream {
	file := ls.acquire(name, kind)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.nextID++
	s := &stream{store: ls, id: ls.nextID, fd: fd, file: file}
	ls.streams[s.id] = s
	return s
}

// watch has pump read s from now on.
func (ls *logStore) watch(s *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ls.pipe.add(s.fd, s.id)
}

// acquire returns the file of one stream of a child. Two lives of a child
// overlap for a moment in their logs, and share it.
func (ls *logStore) acquire(name, kind string) *logFile {
	path := name + "/" + kind + ".log"
	ls.mu.Lock()
	defer ls.mu.Unlock()
	f := ls.files[path]
	if f == nil {
		f = &logFile{store: ls, name: name, path: path}
		ls.files[path] = f
	}
	f.refs++
	ls.known[name] = true
	return f
}

func (ls *logStore) release(f *logFile) {
	ls.mu.Lock()
	f.refs--
	last := f.refs == 0
	if last {
		delete(ls.files, f.path)
	}
	ls.mu.Unlock()
	if last {
		f.mu.Lock()
		f.shut()
		f.mu.Unlock()
	}
}

// opened notes that f holds a descriptor, and makes room by closing another,
// which will be opened again when it is needed.
func (ls *logStore) opened(f *logFile) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.open[f] = true
	if len(ls.open) <= maxOpenLogs {
		return
	}
	for other := range ls.open {
		if other != f && other.mu.TryLock() { // never wait: others lock in the other order
			if other.file != nil {
				other.file.Close()
				other.file = nil
			}
			delete(ls.open, other)
			other.mu.Unlock()
			return
		}
	}
}

func (ls *logStore) shutOne(f *logFile) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.open, f)
}

// wrote wakes the followers of name.
func (ls *logStore) wrote(name string) {
	if ls.following.Load() == 0 {
		return
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for c, of := range ls.followers {
		if of == name {
			poke(c)
		}
	}
}

// stream is our end of one pipe of a child.
type stream struct {
	store *logStore
	id    uint64
	file  *logFile

	mu sync.Mutex
	fd int // -1 when closed
}

// copyOnce moves one read's worth, so that a loud child leaves room for others.
func (s *stream) copyOnce(buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		s.read(buf)
	}
}

// read returns how much it has moved: 0 if there is nothing now or, with the
// stream closed, nothing ever.
func (s *stream) read(buf []byte) int {
	n, err := unix.Read(s.fd, buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0
	case err != nil || n == 0:
		s.closeLocked()
		return 0
	}
	s.file.write(buf[:n])
	return n
}

// drain gives a dead child's output a short time to come to its end. It takes no
// lock: whoever holds it may be waiting for a slow disk.
func (s *stream) drain() { time.AfterFunc(drainTime, s.cut) }

// cut takes what is in the pipe now, and closes it.
func (s *stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	buf := make([]byte, 32<<10)
	for moved := 0; s.fd >= 0 && moved < maxDrain; {
		n := s.read(buf)
		if n == 0 {
			break
		}
		moved += n
	}
	s.closeLocked()
}

// end closes the stream as it is.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked()
}

func (s *stream) closeLocked() {
	if s.fd < 0 {
		return
	}
	s.store.pipe.del(s.fd)
	unix.Close(s.fd)
	s.fd = -1
	s.store.mu.Lock()
	delete(s.store.streams, s.id)
	s.store.mu.Unlock()
	s.file.endLine()
	s.store.release(s.file)
}
