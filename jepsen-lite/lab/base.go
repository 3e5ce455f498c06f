package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// prefix is of the folders that labs keep their disks in.
const prefix = "jepsen-lite-"

// base is the folder of one lab: witness, disks and binaries. As root it is a
// tmpfs of its own, so that fsync costs what it costs in memory.
type base struct {
	dir  string
	root bool
	lock *os.File // held as long as the lab lives
}

func newBase(root bool) (*base, error) {
	sweep()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for the lab: %w", err)
	}
	b := &base{dir: dir, root: root}
	if err := b.fill(); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

func (b *base) fill() error {
	if b.root {
		if err := unix.Mount("tmpfs", b.dir, "tmpfs", 0, "mode=0755"); err != nil {
			return unable("no tmpfs can be mounted: %v", err)
		}
	}
	lock, err := os.Create(filepath.Join(b.dir, "lock"))
	if err != nil {
		return fmt.Errorf("cannot make a folder for the lab: %w", err)
	}
	b.lock = lock
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("cannot lock the folder of the lab: %w", err)
	}
	return os.Mkdir(b.witness(), 0o755)
}

func (b *base) witness() string { return filepath.Join(b.dir, "witness") }

// remove takes all mounts and files away.
func (b *base) remove() error {
	if b.lock != nil {
		b.lock.Close()
	}
	return wipe(b.dir)
}

// wipe unmounts all that is mounted in a folder, and removes it.
func wipe(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", m, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cannot remove the folder of the lab: %w", err)
	}
	return nil
}

// mountsBelow lists mount points at and below a folder, the newest first.
func mountsBelow(dir string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot list mounts: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 4 && (f[4] == dir || strings.HasPrefix(f[4], dir+"/")) {
			found = append([]string{f[4]}, found...)
		}
	}
	return found, nil
}

// sweep removes what testers have left that were killed: folders whose lock
// nobody holds. That it may fail harms nobody.
func sweep() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*", "lock"))
	for _, name := range locks {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = wipe(filepath.Dir(name))
		}
		f.Close()
	}
}
