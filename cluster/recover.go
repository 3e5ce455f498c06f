package cluster

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/cluster/raftnet"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
)

// Recover makes the node whose store this is the only voter of its cluster, for
// when the majority is lost for good. Entries that were not committed yet become
// committed; what only the lost nodes had is gone. The generation rises, so no
// epoch of before is ever used again, and exclusive children begin only when the
// leases that the lost leader may have granted have run out. The node must not run.
// Every other node must join again with an empty data dir.
func Recover(store *raftstore.Store, id, addr string) error {
	m := &recovery{replica: newReplica(func(error) {})}
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(id)
	c.Logger = raftnet.Logger(nil)
	_, trans := raft.NewInmemTransport(raft.ServerAddress(addr))
	only := raft.Configuration{Servers: []raft.Server{{ID: c.LocalID, Address: raft.ServerAddress(addr)}}}
	err := raft.RecoverCluster(c, m, store, store, store.Snapshots(), trans, only)
	if err = errors.Join(err, m.failed); err != nil {
		return fmt.Errorf("cannot recover the cluster: %w", err)
	}
	return nil
}

// recovery is a throw-away replica: it replays the log, then raises the
// generation in the snapshot that RecoverCluster writes.
type recovery struct {
	*replica
	failed error
}

// Apply is raft's.
func (r *recovery) Apply(l *raft.Log) any {
	if _, err := r.m.Apply(l.Index, l.Data); err != nil {
		r.failed = errors.Join(r.failed, err)
	}
	return nil
}

// Snapshot is raft's.
func (r *recovery) Snapshot() (raft.FSMSnapshot, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	var wait time.Duration
	r.m.View(func(v fsm.View) { wait = leasesOf(v) })
	r.m.Raise(wait)
	return r.replica.Snapshot()
}

// Replay gives the state that a store holds, without changing the store:
// its last snapshot and every entry after it, committed or not.
func Replay(store *raftstore.Store) (*fsm.Machine, error) {
	return ReplayTo(store, math.MaxUint64)
}

// ReplayTo is Replay that stops after the entry upTo. It fails if the last
// snapshot is of a later one.
func ReplayTo(store *raftstore.Store, upTo uint64) (*fsm.Machine, error) {
	m := fsm.New()
	return m, ReadLog(store, m, upTo, func(index uint64, data []byte) error {
		_, err := m.Apply(index, data)
		return err
	})
}

// ReadLog restores the last snapshot of a store into m, and then hands out every entry
// after it that carries commands, up to upTo. It changes nothing of the store, and fails
// if the snapshot is of a later entry.
func ReadLog(store *raftstore.Store, m *fsm.Machine, upTo uint64, each func(index uint64, data []byte) error) error {
	from, err := loadLatest(store, m)
	if err != nil {
		return err
	}
	if from > upTo {
		return fmt.Errorf("cannot go back to index %d: the last snapshot is of %d", upTo, from)
	}
	last, err := store.LastIndex()
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	last = min(last, upTo)
	first, err := store.FirstIndex()
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	for i := max(first, from+1); i <= last && i > 0; i++ {
		var l raft.Log
		if err := store.GetLog(i, &l); err != nil {
			return fmt.Errorf("cannot read log entry %d: %w", i, err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if err := each(l.Index, l.Data); err != nil {
			return err
		}
	}
	return nil
}

func loadLatest(store *raftstore.Store, m *fsm.Machine) (index uint64, err error) {
	metas, err := store.Snapshots().List()
	if err != nil || len(metas) == 0 {
		return 0, err
	}
	meta, rc, err := store.Snapshots().Open(metas[0].ID)
	if err != nil {
		return 0, fmt.Errorf("cannot open snapshot %s: %w", metas[0].ID, err)
	}
	if err := (&replica{m: m, fatal: func(error) {}, watch: make(chan struct{})}).Restore(rc); err != nil {
		return 0, err
	}
	return meta.Index, nil
}
