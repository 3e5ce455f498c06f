package offline

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/jepsen-lite/history"
)

// Read reads copies of raft folders, by name of their node.
func Read(dirs map[string]string) (history.Log, error) {
	log := history.Log{Names: make(map[string]string)}
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		disk := readDisk(dirs[name])
		disk.Node = name
		log.Disks = append(log.Disks, disk)
	}
	log.Common = common(log.Disks)
	if log.Common == 0 {
		return log, errors.New("cannot read any raft log")
	}
	traced := false
	for i := range log.Disks {
		d := &log.Disks[i]
		if d.Error != "" {
			continue
		}
		if err := finish(&log, d, dirs[d.Node], !traced && whole(d, log.Common)); err != nil {
			d.Error = err.Error()
			continue
		}
		traced = traced || whole(d, log.Common)
	}
	log.Complete = traced
	return log, nil
}

// near is how far behind the majority a disk may be for the others to be read only
// as far: nodes do not end at one instant.
const near = 50

// common is the last index that a majority of the disks reaches, or, if others
// are just behind, they.
func common(disks []history.Disk) uint64 {
	lasts := make([]uint64, len(disks))
	for i, d := range disks {
		lasts[i] = d.Last
	}
	slices.Sort(lasts)
	most := lasts[(len(lasts)-1)/2]
	for _, last := range lasts {
		if last > 0 && last+near >= most {
			return last
		}
	}
	return most
}

func readDisk(dir string) history.Disk {
	var d history.Disk
	err := withStore(dir, func(s *raftstore.Store) (err error) {
		if d.First, err = s.FirstIndex(); err != nil {
			return err
		}
		if d.Last, err = s.LastIndex(); err != nil {
			return err
		}
		for i := d.First; i <= d.Last && i > 0; i++ {
			var l raft.Log
			err := s.GetLog(i, &l)
			if errors.Is(err, raft.ErrLogNotFound) {
				continue // the gap that an installed snapshot leaves
			}
			if err != nil {
				return fmt.Errorf("entry %d: %w", i, err)
			}
			d.Entries = append(d.Entries, history.Entry{Index: i, Term: l.Term, Hash: digest(&l)})
		}
		return nil
	})
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

// whole: the disk has every entry up to there.
func whole(d *history.Disk, upTo uint64) bool {
	return d.First == 1 && d.Last >= upTo
}

func digest(l *raft.Log) string {
	sum := sha256.Sum256(append([]byte{byte(l.Type)}, l.Data...))
	return hex.EncodeToString(sum[:8])
}

// finish replays a disk up to the common index, and traces it if asked to.
func finish(log *history.Log, d *history.Disk, dir string, trace bool) error {
	return withStore(dir, func(s *raftstore.Store) error {
		if trace {
			t := tracer{log: log}
			if err := t.run(s); err != nil {
				return err
			}
		}
		if d.Last < log.Common {
			return nil // it is behind: it has no such state
		}
		m, err := cluster.ReplayTo(s, log.Common)
		if err != nil {
			return err
		}
		_, d.State, err = m.Hash()
		return err
	})
}

// withStore opens a store that nobody else has.
func withStore(dir string, use func(*raftstore.Store) error) (err error) {
	var failed error
	s, err := raftstore.Open(raftstore.Config{Dir: dir, Fatal: func(err error) { failed = err }})
	if err != nil {
		return err
	}
	return errors.Join(use(s), failed, s.Close())
}
