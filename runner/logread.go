package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

const (
	defaultTail  = 100
	maxTail      = 100_000
	maxLine      = 64 << 10 // a longer line is told in pieces
	maxFollowers = 256
	readBlock    = 32 << 10
)

// LogOptions says which lines to read.
type LogOptions struct {
	Follow bool   // go on with what is written from now on, until ctx ends
	Tail   int    // lines of each stream to begin with; 0 = 100, negative = none, at most 100,000
	Stream string // "stdout", "stderr" or "both"; "" = both
}

// LogLine is one line a child wrote, without its newline.
type LogLine struct {
	Stream string
	Text   string
}

// Logs calls emit for each line of the child called name, running or not. Of
// both streams it gives the tail of stderr first, then that of stdout: lines
// carry no time, so their true order is unknown. With Follow it then gives new
// lines as they arrive, over rotations and restarts, until ctx ends (its error
// is returned), the runner ends (nil), or emit fails (that error). A follower
// that is slower than the rotation misses the files that are gone.
// If no child of that name has run since New, and none left a file, it returns
// ErrNoLogs.
func (r *Runner) Logs(ctx context.Context, name string, opt LogOptions, emit func(LogLine) error) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("cannot read logs: %v", err)
	}
	ls := r.logs
	var fresh chan struct{}
	if opt.Follow { // before the tail is read, or a line could fall between
		var err error
		if fresh, err = ls.follow(name); err != nil {
			return fmt.Errorf("cannot follow logs of %s: %w", name, err)
		}
		defer ls.unfollow(fresh)
	}
	readers, err := ls.readers(name, opt)
	if err != nil {
		return err
	}
	for _, lr := range readers {
		defer lr.close()
	}
	for {
		for _, lr := range readers {
			if err := lr.lines(opt.Follow, emit); err != nil {
				if opt.Follow && errors.Is(err, os.ErrClosed) {
					return nil // the store was closed in the midst of it
				}
				return err
			}
		}
		if !opt.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ls.done:
			return nil
		case <-fresh:
		}
	}
}

func (ls *logStore) follow(name string) (chan struct{}, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.followers) >= maxFollowers {
		return nil, ErrTooManyFollowers
	}
	c := make(chan struct{}, 1)
	ls.followers[c] = name
	ls.following.Add(1)
	return c, nil
}

func (ls *logStore) unfollow(c chan struct{}) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.followers, c)
	ls.following.Add(-1)
}

// readers returns one reader for each stream asked for, set to its tail.
func (ls *logStore) readers(name string, opt LogOptions) ([]*logReader, error) {
	kinds, ok := map[string][]string{
		"": {"stderr", "stdout"}, "both": {"stderr", "stdout"}, "stdout": {"stdout"}, "stderr": {"stderr"},
	}[opt.Stream]
	if !ok {
		return nil, fmt.Errorf("cannot read logs of %s: stream %q is not stdout, stderr or both", name, opt.Stream)
	}
	tail := min(opt.Tail, maxTail)
	if tail == 0 {
		tail = defaultTail
	}
	ls.mu.Lock()
	known := ls.known[name] // it may have said nothing yet
	ls.mu.Unlock()
	var list []*logReader
	for _, kind := range kinds {
		lr := &logReader{store: ls, kind: kind, path: name + "/" + kind + ".log"}
		found, err := lr.seekTail(max(tail, 0))
		if err != nil {
			return nil, fmt.Errorf("cannot read logs of %s: %v", name, err)
		}
		known = known || found
		list = append(list, lr)
	}
	if !known {
		return nil, fmt.Errorf("cannot read logs of %s: %w", name, ErrNoLogs)
	}
	return list, nil
}

// logReader reads one stream forwards, from file to newer file.
type logReader struct {
	store *logStore
	kind  string
	path  string
	file  *os.File // nil = none yet
	part  []byte   // a line whose end has not come
}

func (lr *logReader) close() {
	if lr.file != nil {
		lr.file.Close()
	}
}

// open returns the i-th older file, or nil if there is none.
func (lr *logReader) open(i int) (*os.File, error) {
	f, err := lr.store.root.Open(rotated(lr.path, i))
	if missing(err) {
		return nil, nil
	}
	return f, err
}

// missing also holds for a name that leads through another child's log file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// seekTail sets the reader n lines before the end, in whatever file that is.
func (lr *logReader) seekTail(n int) (found bool, err error) {
	lr.store.rotating.RLock()
	defer lr.store.rotating.RUnlock()
	for i := 0; i <= lr.store.keep; i++ {
		f, err := lr.open(i)
		if err != nil {
			return false, err
		}
		if f == nil {
			if i == 0 {
				continue // rotated, and nothing written since
			}
			break
		}
		lr.close()
		lr.file = f
		seen, err := backLines(f, n)
		if err != nil {
			return false, err
		}
		if n -= seen; n <= 0 {
			break
		}
	}
	return lr.file != nil, nil
}

// backLines sets f to the start of its n-th last line and returns how many
// lines lie ahead: n, or fewer if f has no more. A last line without newline
// counts.
func backLines(f *os.File, n int) (int, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 || end == 0 {
		return 0, err
	}
	buf := make([]byte, readBlock)
	ends := 0 // newlines seen, but for one at the very end
	for pos := end; pos > 0; {
		size := min(pos, int64(len(buf)))
		pos -= size
		if _, err := f.ReadAt(buf[:size], pos); err != nil && err != io.EOF {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' || pos+i == end-1 {
				continue
			}
			if ends++; ends == n {
				_, err := f.Seek(pos+i+1, io.SeekStart)
				return n, err
			}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return ends + 1, err
}

// lines emits everything up to the present end. A last line without newline
// is held back if more may follow.
func (lr *logReader) lines(hold bool, emit func(LogLine) error) error {
	buf := make([]byte, readBlock)
	for {
		n, err := lr.read(buf)
		if err != nil {
			return fmt.Errorf("cannot read log %s: %w", lr.path, err)
		}
		if n == 0 {
			break
		}
		if err := lr.split(buf[:n], emit); err != nil {
			return err
		}
	}
	if len(lr.part) == 0 || hold {
		return nil
	}
	return lr.flush(emit)
}

func (lr *logReader) split(data []byte, emit func(LogLine) error) error {
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			lr.part = append(lr.part, data...)
			if len(lr.part) >= maxLine {
				return lr.flush(emit)
			}
			return nil
		}
		lr.part = append(lr.part, data[:i]...)
		if err := lr.flush(emit); err != nil {
			return err
		}
		data = data[i+1:]
	}
	return nil
}

func (lr *logReader) flush(emit func(LogLine) error) error {
	text := string(lr.part)
	lr.part = lr.part[:0]
	return emit(LogLine{Stream: lr.kind, Text: text})
}

// read returns the next bytes, going on to newer files; 0 at the present end.
func (lr *logReader) read(buf []byte) (int, error) {
	for {
		if lr.file != nil {
			if n, err := lr.file.Read(buf); n > 0 || (err != nil && err != io.EOF) {
				return n, err
			}
		}
		moved, n, err := lr.next(buf)
		if err != nil || n > 0 || !moved {
			return n, err
		}
	}
}

// next goes on to the file that followed the present one, if there is one. As
// nothing is written to a file once it is renamed, one more read under the lock
// tells that the old one is used up.
func (lr *logReader) next(buf []byte) (moved bool, n int, err error) {
	lr.store.rotating.RLock()
	defer lr.store.rotating.RUnlock()
	at, err := lr.place()
	if err != nil || at == 0 {
		return false, 0, err
	}
	if lr.file != nil {
		if n, err = lr.file.Read(buf); n > 0 {
			return false, n, nil
		}
	}
	f, err := lr.open(at - 1)
	if f == nil || err != nil {
		return false, 0, err
	}
	lr.close()
	lr.file = f
	return true, 0, nil
}

// place returns how many times the present file was rotated. One that is gone,
// or none, stands behind the oldest file there is.
func (lr *logReader) place() (int, error) {
	var mine os.FileInfo
	if lr.file != nil {
		var err error
		if mine, err = lr.file.Stat(); err != nil {
			return 0, err
		}
	}
	oldest := 0
	for i := 0; i <= lr.store.keep; i++ {
		info, err := lr.store.root.Stat(rotated(lr.path, i))
		if missing(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if mine != nil && os.SameFile(mine, info) {
			return i, nil
		}
		oldest = i
	}
	return oldest + 1, nil
}
