package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/selfware/selfware/internal/bug"
)

// The buckets of the file, as raft-boltdb names them. confBucket stays small enough
// for bolt to keep it in the root page.
var (
	logBucket  = []byte("logs")
	confBucket = []byte("conf")
)

// markIndex is the key of the mark, a log entry behind all others that says where
// the log ends. raft-boltdb writes all entries of a call in one transaction, so the
// mark is as new as the entry before it.
const markIndex = math.MaxUint64

// keyTail seals the mark.
const keyTail = "selfware.Log"

// known are the keys that confBucket may hold. Another one is a known one damaged.
var known = map[string]bool{
	"CurrentTerm": true, keyVoteTerm: true, keyVoteCand: true, keyVote: true, keySnapshot: true,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tail is where the log begins and ends, and the checksum of its last entry, which
// covers that of the entry before, and so on back to the first.
type tail struct {
	first, last uint64
	sum         uint32
}

// bolt is raft-boltdb with checksums: every entry and every value carries one that
// is verified whenever it is read; entries are chained, and the mark has the chain's
// end. See verify.go.
type bolt struct {
	db *raftboltdb.BoltStore
	mu sync.RWMutex
	at tail
}

// ErrInUse: a node has the store open.
var ErrInUse = errors.New("is in use by another process")

// openBolt opens the file after it has verified all of it.
func openBolt(dir string, readOnly bool) (*bolt, contentsOf, error) {
	path := filepath.Join(dir, fileName)
	opt := raftboltdb.Options{
		Path: path, MsgpackUseNewTimeFormat: true, NoSync: bug.On("nosync"),
		BoltOptions: &bbolt.Options{
			Timeout:        lockTimeout, // zero would wait for ever
			NoFreelistSync: true,        // else each commit rewrites the list of free pages
			FreelistType:   bbolt.FreelistMapType,
			ReadOnly:       true,
		},
	}
	has, err := verifyLocked(path, opt.BoltOptions)
	if err == nil {
		opt.BoltOptions.ReadOnly = readOnly
		var db *raftboltdb.BoltStore
		if db, err = raftboltdb.New(opt); err == nil {
			return &bolt{db: db, at: has.at}, has, nil
		}
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, has, fmt.Errorf("data dir %s %w", dir, ErrInUse)
	case errors.Is(err, errDamaged):
		return nil, has, fmt.Errorf("cannot use the raft log in %s: %w; move the directory away and join as a new node", dir, err)
	case readOnly:
		return nil, has, fmt.Errorf("cannot read raft log in %s: %w", dir, err)
	}
	return nil, has, explain("raft log", dir, err)
}

func (b *bolt) Close() error { return b.db.Close() }

func (b *bolt) tail() tail {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.at
}

// FirstIndex implements raft.LogStore.
func (b *bolt) FirstIndex() (uint64, error) { return b.tail().first, nil }

// LastIndex implements raft.LogStore.
func (b *bolt) LastIndex() (uint64, error) { return b.tail().last, nil }

// GetLog implements raft.LogStore.
func (b *bolt) GetLog(index uint64, l *raft.Log) error {
	if index == markIndex {
		return raft.ErrLogNotFound
	}
	_, err := b.get(index, l)
	return err
}

// get reads an entry and gives its checksum.
func (b *bolt) get(index uint64, l *raft.Log) (sum uint32, err error) {
	var stored raft.Log
	if err := b.db.GetLog(index, &stored); err != nil {
		return 0, err
	}
	_, sum, err = unchain(index, &stored)
	*l = stored
	return sum, err
}

// StoreLog implements raft.LogStore.
func (b *bolt) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. Raft deletes before it writes anew.
func (b *bolt) StoreLogs(logs []*raft.Log) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.at
	chained := make([]*raft.Log, 0, len(logs)+1)
	for _, l := range logs {
		prev := uint32(0) // after the gap that an installed snapshot leaves
		switch {
		case l.Index <= next.last:
			return fmt.Errorf("cannot write entry %d: the log reaches entry %d", l.Index, next.last)
		case l.Index == next.last+1:
			prev = next.sum
		}
		if next.first == 0 {
			next.first = l.Index
		}
		c := chain(l, prev)
		next.last, next.sum = l.Index, sumOfChained(c)
		chained = append(chained, c)
	}
	if err := b.db.StoreLogs(append(chained, next.mark())); err != nil {
		return err
	}
	b.at = next
	return nil
}

// DeleteRange implements raft.LogStore. The mark goes first: what a crash leaves
// behind is more than the mark says, and never less.
func (b *bolt) DeleteRange(from, to uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, err := b.without(from, to)
	if err == nil {
		err = b.db.StoreLog(next.mark())
	}
	if err == nil {
		err = b.db.DeleteRange(from, min(to, markIndex-1))
	}
	if err == nil {
		b.at = next
	}
	return err
}

// without gives the tail that is left when a range is gone.
func (b *bolt) without(from, to uint64) (tail, error) {
	next := b.at
	switch {
	case from <= next.first && to >= next.last:
		return tail{}, nil
	case from <= next.first:
		for next.first = max(to+1, next.first); ; next.first++ {
			if _, err := b.get(next.first, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
				return next, err // found; before it is the gap that an installed snapshot leaves
			}
		}
	case to >= next.last:
		for next.last = min(from-1, next.last); ; next.last-- {
			var err error
			if next.sum, err = b.get(next.last, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
				return next, err
			}
		}
	}
	return next, nil
}

// Set implements raft.StableStore.
func (b *bolt) Set(k, val []byte) error {
	if !known[string(k)] {
		return fmt.Errorf("cannot store %q: it is no key of raft's", k)
	}
	return b.db.Set(k, seal(string(k), val))
}

// Get implements raft.StableStore.
func (b *bolt) Get(k []byte) ([]byte, error) {
	sealed, err := b.db.Get(k)
	if err != nil {
		return nil, err
	}
	return unseal(string(k), sealed)
}

// SetUint64 implements raft.StableStore.
func (b *bolt) SetUint64(k []byte, val uint64) error { return b.Set(k, key(val)) }

// GetUint64 implements raft.StableStore.
func (b *bolt) GetUint64(k []byte) (uint64, error) {
	val, err := b.Get(k)
	if err != nil {
		return 0, err
	}
	if len(val) != 8 {
		return 0, fmt.Errorf("%w: %s has %d bytes", errDamaged, k, len(val))
	}
	return binary.BigEndian.Uint64(val), nil
}

func key(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }

// seal puts a checksum over key and value before the value.
func seal(k string, val []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, sumOf([]byte(k), val)), val...)
}

// unseal gives a copy of the value.
func unseal(k string, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.BigEndian.Uint32(sealed) != sumOf([]byte(k), sealed[4:]) {
		return nil, fmt.Errorf("%w: the checksum of %s is wrong", errDamaged, k)
	}
	return append([]byte{}, sealed[4:]...), nil
}

func sumOf(parts ...[]byte) (sum uint32) {
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

func (t tail) encode() []byte {
	return binary.BigEndian.AppendUint32(append(key(t.first), key(t.last)...), t.sum)
}

func decodeTail(val []byte) (t tail, err error) {
	if len(val) != 20 {
		return t, fmt.Errorf("%w: the tail of the log has %d bytes", errDamaged, len(val))
	}
	return tail{binary.BigEndian.Uint64(val), binary.BigEndian.Uint64(val[8:]), binary.BigEndian.Uint32(val[16:])}, nil
}

// mark is the entry that says where the log ends.
func (t tail) mark() *raft.Log {
	return &raft.Log{Index: markIndex, Data: seal(keyTail, t.encode())}
}

// chainSize is what an entry carries behind its extensions: the checksum of the
// entry before, and its own, which covers that one.
const chainSize = 8

// chain gives a copy of an entry with the two checksums.
func chain(l *raft.Log, prev uint32) *raft.Log {
	c := *l
	ext := binary.BigEndian.AppendUint32(bytes.Clone(l.Extensions), prev)
	c.Extensions = binary.BigEndian.AppendUint32(ext, sumOfEntry(&c, ext))
	return &c
}

func sumOfChained(l *raft.Log) uint32 {
	return binary.BigEndian.Uint32(l.Extensions[len(l.Extensions)-4:])
}

// sumOfEntry covers all of an entry; ext is its extensions with the checksum of the
// entry before.
func sumOfEntry(l *raft.Log, ext []byte) uint32 {
	at := int64(0)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	head := append(key(l.Index), byte(l.Type))
	head = binary.BigEndian.AppendUint64(head, l.Term)
	head = binary.BigEndian.AppendUint64(head, uint64(at))
	return sumOf(binary.BigEndian.AppendUint32(head, uint32(len(ext))), ext, l.Data)
}

// unchain takes the checksums off a stored entry, verifies them, and gives that of
// the entry before and its own.
func unchain(index uint64, l *raft.Log) (prev, sum uint32, err error) {
	n := len(l.Extensions) - chainSize
	if n < 0 || l.Index != index || sumOfChained(l) != sumOfEntry(l, l.Extensions[:n+4]) {
		return 0, 0, fmt.Errorf("%w: the checksum of entry %d is wrong", errDamaged, index)
	}
	prev, sum = binary.BigEndian.Uint32(l.Extensions[n:]), sumOfChained(l)
	if l.Extensions = l.Extensions[:n:n]; n == 0 {
		l.Extensions = nil
	}
	return prev, sum, nil
}

// decodeEntry reads what raft-boltdb wrote of an entry.
func decodeEntry(val []byte, l *raft.Log) error {
	if err := codec.NewDecoderBytes(val, &codec.MsgpackHandle{}).Decode(l); err != nil {
		return fmt.Errorf("%w: an entry cannot be decoded (%v)", errDamaged, err)
	}
	return nil
}
