package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
)

// overshoot is how far beyond its limit a log file may grow in the middle of a
// line; then it is rotated there.
const overshoot = 64 << 10

// logFile is the writing side of one log. A fault never reaches the child: what
// cannot be written is dropped and counted, and a line says so as soon as
// writing works again.
type logFile struct {
	store *logStore
	name  string
	path  string
	refs  int // under logStore.mu

	mu      sync.Mutex
	file    *os.File // nil = open it when needed
	size    int64
	midLine bool // the last byte was not a newline
	lost    int64
	why     error // of the loss
}

// write appends chunk, or counts it as lost.
func (f *logFile) write(chunk []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ready(); err != nil {
		f.lose(len(chunk), err)
		return
	}
	if f.lost > 0 && !f.notice() {
		f.lost += int64(len(chunk))
		return
	}
	for len(chunk) > 0 {
		n := f.fit(chunk)
		if !f.put(chunk[:n]) {
			f.lose(len(chunk)-n, f.why)
			return
		}
		chunk = chunk[n:]
		if over := f.size - f.store.max; over >= overshoot || (over >= 0 && !f.midLine) {
			f.rotate()
			if err := f.ready(); err != nil {
				f.lose(len(chunk), err)
				return
			}
		}
	}
	f.store.wrote(f.name)
}

// fit returns how much of chunk goes into this file: all of it, or up to the
// first line end at or after the limit, if there is one within overshoot.
func (f *logFile) fit(chunk []byte) int {
	room := f.store.max - f.size
	if int64(len(chunk)) < room {
		return len(chunk)
	}
	from := int(max(room-1, 0))
	if i := bytes.IndexByte(chunk[from:], '\n'); i >= 0 && i < overshoot {
		return from + i + 1
	}
	return len(chunk)
}

// put writes one piece and reports whether all of it is in the file.
func (f *logFile) put(piece []byte) bool {
	n, err := f.file.Write(piece)
	f.size += int64(n)
	if n > 0 {
		f.midLine = piece[n-1] != '\n'
	}
	if err != nil {
		f.lose(len(piece)-n, err)
	}
	return err == nil
}

// lose counts n bytes that could not be written.
func (f *logFile) lose(n int, why error) {
	if f.lost == 0 {
		f.store.log.Warn("output of a child is lost", "child", f.name, "file", f.path, "err", why)
	}
	f.lost += int64(n)
	f.why = why
}

// notice says in the log how much is missing here.
func (f *logFile) notice() bool {
	text := fmt.Sprintf("[selfware: %d bytes of output are missing here: %v]\n", f.lost, f.why)
	if f.midLine {
		text = "\n" + text
	}
	n, err := f.file.WriteString(text)
	f.size += int64(n)
	if err != nil {
		f.file.Truncate(f.size - int64(n)) // half a notice would come again and again
		f.size -= int64(n)
		return false
	}
	f.midLine, f.lost, f.why = false, 0, nil
	return true
}

// endLine is called when a stream ends, so that the next life begins on a line
// of its own, and so that a loss in the end is told.
func (f *logFile) endLine() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (!f.midLine && f.lost == 0) || f.ready() != nil {
		return
	}
	if f.lost > 0 {
		f.notice()
	} else {
		f.put([]byte("\n"))
	}
	f.store.wrote(f.name)
}

// ready opens the file, and its folder if need be.
func (f *logFile) ready() error {
	if f.file != nil {
		return nil
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	root := f.store.root
	file, err := root.OpenFile(f.path, flags, 0o640)
	if errors.Is(err, fs.ErrNotExist) {
		if err = root.MkdirAll(path.Dir(f.path), 0o750); err == nil {
			file, err = root.OpenFile(f.path, flags, 0o640)
		}
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.path)
	}
	if err != nil {
		file.Close()
		return err
	}
	f.file, f.size = file, info.Size()
	f.store.opened(f)
	return nil
}

func (f *logFile) shut() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
		f.store.shutOne(f)
	}
}

// rotate makes room: .2 becomes .3, .1 becomes .2, the file becomes .1.
func (f *logFile) rotate() {
	f.shut()
	f.store.rotating.Lock()
	defer f.store.rotating.Unlock()
	for i := f.store.keep; i > 0; i-- {
		err := f.store.root.Rename(rotated(f.path, i-1), rotated(f.path, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.store.log.Warn("cannot rotate log", "file", f.path, "err", err)
		}
	}
}

// rotated names the i-th older file; the 0th is the current one.
func rotated(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, i)
}
