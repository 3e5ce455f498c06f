package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Names of the files of a run.
const (
	FileRun       = "run.json"
	FileOps       = "history.jsonl"
	FileFaults    = "nemesis.jsonl"
	FileBeats     = "witness.jsonl"
	FileAttempts  = "fenced.jsonl"
	FileSeen      = "events.jsonl"
	FileResources = "resources.jsonl"
	FileProbes    = "health.jsonl"
	FileLog       = "log.json"
)

// maxLine bounds a line: a List of all elements is the longest.
const maxLine = 16 << 20

// Stream writes values of one type, a line each. It may be used from any
// goroutine; Close tells the first error.
type Stream[T any] struct {
	mu   sync.Mutex
	file *os.File
	buf  *bufio.Writer
	n    int
	err  error
}

// Create begins a stream in a folder.
func Create[T any](dir, name string) (*Stream[T], error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	return &Stream[T]{file: f, buf: bufio.NewWriterSize(f, 1<<16)}, nil
}

// Put writes one value.
func (s *Stream[T]) Put(v T) {
	line, err := json.Marshal(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.err == nil {
		_, err = s.buf.Write(append(line, '\n'))
	}
	s.n++
	s.err = errors.Join(s.err, err)
}

// Len is how many values were put.
func (s *Stream[T]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Close ends the stream.
func (s *Stream[T]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.err, s.buf.Flush(), s.file.Close()); err != nil {
		return fmt.Errorf("cannot record %s: %w", s.file.Name(), err)
	}
	return nil
}

// Load reads a stream whole. One that is not there is empty.
func Load[T any](dir, name string) ([]T, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer f.Close()
	return decode[T](f, name)
}

func decode[T any](r io.Reader, name string) ([]T, error) {
	var all []T
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("cannot read %s, line %d: %w", name, len(all)+1, err)
		}
		all = append(all, v)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return all, nil
}

// Save writes one value as a file of its own.
func Save(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// LoadOne reads what Save wrote.
func LoadOne[T any](dir, name string) (v T, err error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return v, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return v, nil
}
