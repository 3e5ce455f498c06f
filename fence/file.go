package fence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockPause is how long a process waits before it tries a lock again. The kernel has
// no lock that both a deadline and the death of its holder end.
const lockPause = 5 * time.Millisecond

// File is a Store in a file, for processes of one machine. Each change is written
// beside it, synced and put in its place, under a lock on path + ".lock" that ends
// with its process. It is not for network file systems, whose locks are promises.
type File struct{ path string }

// NewFile gives the store in the file of that path. The file need not exist; its
// folder must. The path should stand beside the data that it protects.
func NewFile(path string) *File { return &File{path: path} }

// Load is Store's.
func (f *File) Load(context.Context) (Token, error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Token{}, nil
	}
	if err != nil {
		return Token{}, err
	}
	t, err := Parse(strings.TrimSuffix(string(data), "\n"))
	if err != nil {
		return Token{}, fmt.Errorf("%s is spoilt: %w", f.path, err)
	}
	return t, nil
}

// Swap is Store's.
func (f *File) Swap(ctx context.Context, old, next Token) (swapped bool, err error) {
	err = f.locked(ctx, func() error {
		kept, err := f.Load(ctx)
		if err != nil || kept != old {
			return err
		}
		swapped = true
		return f.write(next)
	})
	return swapped && err == nil, err
}

// Do checks the token and acts on it in one step: while act runs, no other process
// that goes through Do or Check on this file can be let in, and one that was let in
// before has ended its act. The error is a *StaleError if the token is refused; act
// was not called then.
func (f *File) Do(ctx context.Context, t Token, act func() error) error {
	return f.locked(ctx, func() error {
		newest, err := f.Load(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("cannot check a fencing token: %w", err)
		case newest.Newer(t):
			return &StaleError{Token: t, Newest: newest}
		case newest != t:
			if err := f.write(t); err != nil {
				return fmt.Errorf("cannot remember a fencing token: %w", err)
			}
		}
		return act()
	})
}

// locked runs do under the lock, which the kernel takes back if the process ends.
func (f *File) locked(ctx context.Context, do func() error) error {
	lock, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return do()
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("cannot lock %s: %w", lock.Name(), err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return fmt.Errorf("cannot lock %s: %w", lock.Name(), ctx.Err())
		}
	}
}

// write makes the token durable: the new file first, then its name.
func (f *File) write(t Token) error {
	temp := f.path + ".new"
	if err := writeSynced(temp, t.String()+"\n"); err != nil {
		return err
	}
	if err := os.Rename(temp, f.path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func writeSynced(path, text string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}
