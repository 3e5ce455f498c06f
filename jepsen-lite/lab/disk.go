package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is the size of each node's disk, in bytes.
const diskSize = 192 << 20

const unsyncedText = "not synced"

// disk is what a node's data dir is on: a tmpfs, or an ext4 in an image of its
// own whose power can be cut; without root just a folder.
type disk struct {
	at     string
	image  string // the ext4's image; empty if there is none
	cuts   int
	mounts bool
}

// disk makes the disk of a node.
func (b *base) disk(name string, image bool) (*disk, error) {
	d := &disk{at: filepath.Join(b.dir, name), mounts: b.root}
	if err := os.Mkdir(d.at, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make a disk: %w", err)
	}
	switch {
	case image:
		d.image = filepath.Join(b.dir, name+".img")
		return d, d.format()
	case b.root:
		if err := unix.Mount("tmpfs", d.at, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
			return nil, fmt.Errorf("cannot make a disk: %w", err)
		}
	}
	return d, nil
}

func (d *disk) mount() string { return d.at }

// format makes the image and mounts it. The journal is written back only when
// someone syncs, so that what nobody synced is lost with the power.
func (d *disk) format() error {
	f, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(f.Truncate(diskSize), f.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot make a disk image: %w", err)
	}
	if err := tool("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image); err != nil {
		return err
	}
	return d.plug()
}

func (d *disk) plug() error {
	return tool("mount", "-o", "loop,noatime,commit=600,noauto_da_alloc", d.image, d.at)
}

// tool runs a program of the system.
func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return unable("%s is missing", name)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (d *disk) synced() string   { return filepath.Join(d.at, fmt.Sprintf(".synced-%d", d.cuts)) }
func (d *disk) unsynced() string { return filepath.Join(d.at, fmt.Sprintf(".unsynced-%d", d.cuts)) }

// mark writes what must outlive the power cut, and then what must not.
func (d *disk) mark() error {
	d.cuts++
	f, err := os.Create(d.synced())
	if err == nil {
		_, err = f.WriteString("synced")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		dir, openErr := os.Open(d.at)
		if err = openErr; err == nil {
			err = errors.Join(dir.Sync(), dir.Close())
		}
	}
	if err == nil {
		err = os.WriteFile(d.unsynced(), []byte(unsyncedText), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot mark a disk: %w", err)
	}
	return nil
}

// dyingTime is how long processes that were killed may go on holding a disk: the
// kernel ends a write before it ends its process.
const dyingTime = 5 * time.Second

func unmount(at string) error {
	for late := time.Now().Add(dyingTime); ; time.Sleep(5 * time.Millisecond) {
		if err := unix.Unmount(at, 0); !errors.Is(err, unix.EBUSY) || time.Now().After(late) {
			return err
		}
	}
}

// cutPower takes the image as it is now, without what the file system has not
// written to it, and goes on with that. No process uses the disk.
func (d *disk) cutPower() (Lost, error) {
	if d.image == "" {
		return Lost{}, unable("the disk is no image")
	}
	next := fmt.Sprintf("%s.%d", d.image, d.cuts)
	if err := tool("cp", "--sparse=always", d.image, next); err != nil {
		return Lost{}, err
	}
	if err := unmount(d.at); err != nil {
		return Lost{}, fmt.Errorf("cannot unmount %s: %w", d.at, err)
	}
	if err := errors.Join(os.Rename(next, d.image), d.plug()); err != nil {
		return Lost{}, fmt.Errorf("cannot go on with the disk after the power cut: %w", err)
	}
	var lost Lost
	if _, err := os.Stat(d.synced()); err == nil {
		lost.Kept = 1
	}
	// Whoever syncs another file writes the journal, and so the name of this one,
	// but not what is in it.
	if text, err := os.ReadFile(d.unsynced()); errors.Is(err, os.ErrNotExist) || err == nil && string(text) != unsyncedText {
		lost.Gone = 1
	}
	return lost, nil
}

// cutAll cuts the power of nodes: all marks, then all kills, then all disks, as
// after the first disk is taken nothing may be acknowledged that it does not hold.
func cutAll(nodes []Node, disks []*disk) (sum Lost, err error) {
	var errs []error
	for _, d := range disks {
		errs = append(errs, d.mark())
	}
	for _, n := range nodes {
		errs = append(errs, n.Kill())
	}
	if err := errors.Join(errs...); err != nil {
		return sum, err
	}
	for _, d := range disks {
		lost, err := d.cutPower()
		errs = append(errs, err)
		sum.Kept += lost.Kept
		sum.Gone += lost.Gone
	}
	return sum, errors.Join(errs...)
}

func (d *disk) filler() string { return filepath.Join(d.at, ".filler") }

// Fill implements Disk.
func (d *disk) Fill() (int64, error) {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("cannot fill a disk: %w", err)
	}
	defer f.Close()
	var filled int64
	for step := int64(diskSize); step >= 4096; {
		switch err := unix.Fallocate(int(f.Fd()), 0, filled, step); {
		case err == nil:
			filled += step
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		case !errors.Is(err, unix.EINTR):
			return filled, fmt.Errorf("cannot fill a disk: %w", err)
		}
	}
	probe := filepath.Join(d.at, ".probe")
	defer os.Remove(probe)
	if err := os.WriteFile(probe, make([]byte, 8192), 0o600); !errors.Is(err, unix.ENOSPC) {
		return filled, fmt.Errorf("cannot fill a disk: after %d bytes it still takes some (%v)", filled, err)
	}
	return filled, nil
}

// Free implements Disk.
func (d *disk) Free() error {
	if err := os.Remove(d.filler()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot free a disk: %w", err)
	}
	return nil
}
