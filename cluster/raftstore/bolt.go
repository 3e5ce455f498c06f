package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/selfware/selfware/internal/bug"
)

// The buckets of the file. confBucket stays small enough for bolt to keep it in the
// root page, which the checksummed meta page points to: what it says of the log is
// as old as the file, whatever a flipped bit makes of a pointer further down.
var (
	logBucket  = []byte("log2")
	confBucket = []byte("conf2")
)

// keyTail, in confBucket, is the tail of the log.
const keyTail = "selfware.Log"

// known are the keys that confBucket may hold. Another one is a known one damaged.
var known = map[string]bool{
	"CurrentTerm": true, keyVoteTerm: true, keyVoteCand: true, keyVote: true, keyTail: true, keySnapshot: true,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errKeyNotFound is what raft expects for a missing key, by its text.
var errKeyNotFound = errors.New("not found")

// tail is where the log begins and ends, and the checksum of its last entry, which
// covers that of the entry before, and so on back to the first.
type tail struct {
	first, last uint64
	sum         uint32
}

// bolt is raft's log and stable store in one bbolt file. Every entry and every
// value carries a checksum that is verified whenever it is read; entries are
// chained, and confBucket has the chain's end. See verify.go.
type bolt struct {
	db *bbolt.DB
	mu sync.RWMutex
	at tail
}

// openBolt opens the file after it has verified all of it.
func openBolt(dir string, readOnly bool) (*bolt, contentsOf, error) {
	path := filepath.Join(dir, fileName)
	opt := &bbolt.Options{
		Timeout:        lockTimeout, // zero would wait for ever
		NoFreelistSync: true,        // else each commit rewrites the list of free pages
		FreelistType:   bbolt.FreelistMapType,
		ReadOnly:       true,
	}
	has, err := verifyLocked(path, opt)
	if err == nil {
		opt.ReadOnly = readOnly
		opt.NoSync = bug.On("nosync")
		var db *bbolt.DB
		if db, err = bbolt.Open(path, 0o600, opt); err == nil {
			b := &bolt{db: db, at: has.at}
			if readOnly {
				return b, has, nil
			}
			if err = b.create(); err == nil {
				return b, has, nil
			}
			db.Close()
		}
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, has, fmt.Errorf("data dir %s is in use by another process", dir)
	case errors.Is(err, errDamaged):
		return nil, has, fmt.Errorf("cannot use the raft log in %s: %w; move the directory away and join as a new node", dir, err)
	case readOnly:
		return nil, has, fmt.Errorf("cannot read raft log in %s: %w", dir, err)
	}
	return nil, has, explain("raft log", dir, err)
}

func (b *bolt) create() error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{confBucket, logBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
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
	return b.db.View(func(tx *bbolt.Tx) error {
		val := tx.Bucket(logBucket).Get(key(index))
		if val == nil {
			return raft.ErrLogNotFound
		}
		_, err := decodeEntry(index, val, l)
		return err
	})
}

// StoreLog implements raft.LogStore.
func (b *bolt) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. Raft deletes before it writes anew.
func (b *bolt) StoreLogs(logs []*raft.Log) error {
	return b.change(func(entries *bbolt.Bucket, at tail) (tail, error) {
		for _, l := range logs {
			prev := uint32(0) // after the gap that an installed snapshot leaves
			switch {
			case l.Index <= at.last:
				return at, fmt.Errorf("cannot write entry %d: the log reaches entry %d", l.Index, at.last)
			case l.Index == at.last+1:
				prev = at.sum
			}
			val := encodeEntry(l, prev)
			if err := entries.Put(key(l.Index), val); err != nil {
				return at, err
			}
			if at.first == 0 {
				at.first = l.Index
			}
			at.last, at.sum = l.Index, binary.BigEndian.Uint32(val)
		}
		return at, nil
	})
}

// DeleteRange implements raft.LogStore.
func (b *bolt) DeleteRange(from, to uint64) error {
	return b.change(func(entries *bbolt.Bucket, at tail) (tail, error) {
		c := entries.Cursor()
		for k, _ := c.Seek(key(from)); k != nil && binary.BigEndian.Uint64(k) <= to; k, _ = c.Seek(key(from)) {
			if err := entries.Delete(k); err != nil {
				return at, err
			}
		}
		first, _ := c.First()
		last, val := c.Last()
		if first == nil {
			return tail{}, nil
		}
		return tail{binary.BigEndian.Uint64(first), binary.BigEndian.Uint64(last), binary.BigEndian.Uint32(val)}, nil
	})
}

// change writes to the log and what confBucket says of it, in one transaction.
func (b *bolt) change(f func(*bbolt.Bucket, tail) (tail, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.at
	err := b.db.Update(func(tx *bbolt.Tx) (err error) {
		if next, err = f(tx.Bucket(logBucket), b.at); err != nil {
			return err
		}
		return tx.Bucket(confBucket).Put([]byte(keyTail), seal(keyTail, next.encode()))
	})
	if err == nil {
		b.at = next
	}
	return err
}

// Set implements raft.StableStore.
func (b *bolt) Set(k, val []byte) error {
	if !known[string(k)] {
		return fmt.Errorf("cannot store %q: it is no key of raft's", k)
	}
	return b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(confBucket).Put(k, seal(string(k), val)) })
}

// Get implements raft.StableStore.
func (b *bolt) Get(k []byte) (val []byte, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		sealed := tx.Bucket(confBucket).Get(k)
		if sealed == nil {
			return errKeyNotFound
		}
		val, err = unseal(string(k), sealed)
		return err
	})
	return val, err
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

// entryHead is: checksum of all that follows and of the index, 4 bytes; checksum
// of the entry before, 4; type, 1; term, 8; time of appending, 8; length of the
// extensions, 4. Then come extensions and data.
const entryHead = 29

func encodeEntry(l *raft.Log, prev uint32) []byte {
	b := make([]byte, 4, entryHead+len(l.Extensions)+len(l.Data))
	b = binary.BigEndian.AppendUint32(b, prev)
	b = append(b, byte(l.Type))
	b = binary.BigEndian.AppendUint64(b, l.Term)
	at := int64(0)
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Extensions)))
	b = append(append(b, l.Extensions...), l.Data...)
	binary.BigEndian.PutUint32(b, sumOf(key(l.Index), b[4:]))
	return b
}

// decodeEntry fills l and gives the checksum of the entry before.
func decodeEntry(index uint64, b []byte, l *raft.Log) (prev uint32, err error) {
	if len(b) < entryHead || binary.BigEndian.Uint32(b) != sumOf(key(index), b[4:]) {
		return 0, fmt.Errorf("%w: the checksum of entry %d is wrong", errDamaged, index)
	}
	ext := int(binary.BigEndian.Uint32(b[25:]))
	if ext > len(b)-entryHead {
		return 0, fmt.Errorf("%w: entry %d is cut short", errDamaged, index)
	}
	*l = raft.Log{Index: index, Type: raft.LogType(b[8]), Term: binary.BigEndian.Uint64(b[9:])}
	if at := int64(binary.BigEndian.Uint64(b[17:])); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	body := append([]byte(nil), b[entryHead:]...)
	if ext > 0 {
		l.Extensions = body[:ext:ext]
	}
	l.Data = body[ext:]
	return binary.BigEndian.Uint32(b[4:]), nil
}
