package raftstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// Mem is a simulated disk: it survives the crash of the node that uses it.
// Every write that was acknowledged is kept; an unfinished snapshot is lost, and so
// is what was being written, unless OnTear keeps some of it.
type Mem struct {
	mu      sync.Mutex
	disk    *memDisk
	onWrite func(what string) error
	onTear  func(entries int) int
	onStore func(logs []*raft.Log)
	flight  []*raft.Log // what StoreLogs is about to write
}

// NewMem makes an empty disk.
func NewMem() *Mem { return &Mem{disk: &memDisk{kv: map[string][]byte{}}} }

// Crash fixes what the next Open finds. The process that crashed may go on
// until the simulation has stopped it: it writes to a copy that nobody reads.
//
// What is under way is lost, or a part of it is kept (OnTear).
func (m *Mem) Crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disk = m.disk.clone()
	if m.onTear != nil && len(m.flight) > 0 {
		m.disk.put(m.flight[:m.onTear(len(m.flight))])
	}
	m.flight = nil
}

// OnTear makes a crash ask f how many of the entries that are just being stored it
// keeps, the first ones. They were not acknowledged. Nil: none.
func (m *Mem) OnTear(f func(entries int) int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onTear = f
}

// Holds tells whether an entry is on the disk, or in a snapshot of it.
func (m *Mem) Holds(index uint64) bool {
	m.mu.Lock()
	disk := m.disk
	m.mu.Unlock()
	disk.mu.RLock()
	defer disk.mu.RUnlock()
	_, ok := disk.find(index)
	return ok || slices.ContainsFunc(disk.snaps, func(s memSnapshot) bool { return s.meta.Index >= index })
}

// Copy gives another disk with the same contents: a backup, or the snapshot of a
// machine.
func (m *Mem) Copy() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Mem{disk: m.disk.clone()}
}

// Open is the start of a process on this disk: a Crash of the one before, if
// there is one. Dir is only used in messages.
func (m *Mem) Open(cfg Config) (*Store, error) {
	cfg.Dir = cmp.Or(cfg.Dir, "memory")
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot open raft store: %w", err)
	}
	m.Crash()
	m.mu.Lock()
	defer m.mu.Unlock()
	b := &memBase{memDisk: m.disk, mem: m}
	return newStore(cfg.withDefaults(), b, &memSnapshots{b}, io.NopCloser(nil))
}

// OnWrite makes the disk call f before each write of any process. If f returns
// an error, the write fails with it and changes nothing; if f blocks, the disk
// hangs. What is "store", "delete", "set KEY", "create", "write" or "close";
// the last three are of snapshots. Nil removes f.
func (m *Mem) OnWrite(f func(what string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onWrite = f
}

func (m *Mem) before(what string) error {
	m.mu.Lock()
	f := m.onWrite
	m.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(what)
}

// memDisk is the contents. Entries and values are never changed in place.
type memDisk struct {
	mu    sync.RWMutex
	logs  []*raft.Log // by index
	kv    map[string][]byte
	snaps []memSnapshot // newest first
	made  int           // snapshots ever, for ids
}

type memSnapshot struct {
	meta raft.SnapshotMeta
	data []byte
}

func (d *memDisk) clone() *memDisk {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return &memDisk{logs: slices.Clone(d.logs), kv: maps.Clone(d.kv), snaps: slices.Clone(d.snaps), made: d.made}
}

func (d *memDisk) find(index uint64) (int, bool) {
	return slices.BinarySearchFunc(d.logs, index, func(l *raft.Log, i uint64) int { return cmp.Compare(l.Index, i) })
}

// memBase is the disk as one process sees it.
type memBase struct {
	*memDisk
	mem *Mem
}

func (b *memBase) FirstIndex() (uint64, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.logs) == 0 {
		return 0, nil
	}
	return b.logs[0].Index, nil
}

func (b *memBase) LastIndex() (uint64, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.logs) == 0 {
		return 0, nil
	}
	return b.logs[len(b.logs)-1].Index, nil
}

func (b *memBase) GetLog(index uint64, l *raft.Log) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	i, ok := b.find(index)
	if !ok {
		return raft.ErrLogNotFound
	}
	*l = *b.logs[i]
	l.Data, l.Extensions = bytes.Clone(l.Data), bytes.Clone(l.Extensions)
	return nil
}

func (b *memBase) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

func (b *memBase) StoreLogs(logs []*raft.Log) error {
	b.mem.begin(b, logs)
	defer b.mem.begin(b, nil)
	if err := b.mem.before("store"); err != nil {
		return err
	}
	b.put(logs)
	b.mem.tell(logs)
	return nil
}

// OnStore tells f of all entries, once they are stored. Nil: nobody.
func (m *Mem) OnStore(f func(logs []*raft.Log)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onStore = f
}

func (m *Mem) tell(logs []*raft.Log) {
	m.mu.Lock()
	f := m.onStore
	m.mu.Unlock()
	if f != nil {
		f(logs)
	}
}

// begin notes what is being stored, if b is the process that has the disk.
func (m *Mem) begin(b *memBase, logs []*raft.Log) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.disk == b.memDisk {
		m.flight = logs
	}
}

func (d *memDisk) put(logs []*raft.Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range logs {
		c := *l
		c.Data, c.Extensions = bytes.Clone(l.Data), bytes.Clone(l.Extensions)
		if i, ok := d.find(l.Index); ok {
			d.logs[i] = &c
		} else {
			d.logs = slices.Insert(d.logs, i, &c)
		}
	}
}

func (b *memBase) DeleteRange(from, to uint64) error {
	if err := b.mem.before("delete"); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := b.find(from)
	j, ok := b.find(to)
	if ok {
		j++
	}
	if i < j {
		b.logs = slices.Delete(b.logs, i, j)
	}
	return nil
}

func (b *memBase) Set(key, val []byte) error {
	if err := b.mem.before("set " + string(key)); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kv[string(key)] = bytes.Clone(val)
	return nil
}

func (b *memBase) Get(key []byte) ([]byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	val, ok := b.kv[string(key)]
	if !ok {
		return nil, raftboltdb.ErrKeyNotFound
	}
	return bytes.Clone(val), nil
}

func (b *memBase) SetUint64(key []byte, val uint64) error {
	return b.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

func (b *memBase) GetUint64(key []byte) (uint64, error) {
	val, err := b.Get(key)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(val), nil
}
