package raftstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Copy copies the store of a stopped node into a folder that is empty or not there,
// and changes nothing in dir. While it copies, no node can open the store; it fails if
// one has it open.
func Copy(dir, to string) error {
	file := filepath.Join(dir, fileName)
	if fi, err := os.Stat(file); err != nil || fi.Size() == 0 {
		return fmt.Errorf("no raft log in %s (%v)", dir, err)
	}
	db, _, err := openBolt(dir, true) // read-only, it takes a lock and writes nothing
	if err != nil {
		return err
	}
	defer db.Close()
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("cannot copy raft store: %w", err)
	}
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(to, fileName), data, 0o600)
	}
	if snaps := filepath.Join(dir, snapDir); err == nil {
		if _, missing := os.Stat(snaps); !errors.Is(missing, os.ErrNotExist) {
			err = os.CopyFS(filepath.Join(to, snapDir), os.DirFS(snaps))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot copy raft store: %w", err)
	}
	return nil
}
