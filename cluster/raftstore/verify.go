package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// bbolt checksums its two meta pages and nothing else, and it trusts what it reads:
// a flipped bit in a page's count hides its last entries, one in a pointer shows an
// older version of a part of the tree, and one in a meta page rolls the last write
// back. A node that forgets what it acknowledged so can take a majority of the
// others with it. This file reads the bolt file by itself, before bolt does, and
// accepts only what a healthy bolt writes: each field of each page in use is fixed
// by the others, by a checksum, or by the chain of the entries.

// errDamaged is in every error about bytes that are not as they were written.
var errDamaged = errors.New("the file is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errDamaged}, args...)...)
}

// contentsOf is what a verified file holds.
type contentsOf struct {
	at   tail
	conf map[string][]byte
	// gaps are the indexes of entries, but the first, whose predecessor is not there.
	gaps []uint64
	made bool // it has its buckets
	old  bool // written by a version before 2
}

// verifyLocked verifies the file while no other process may write to it. A file
// that is not there yet, or empty, is in order.
func verifyLocked(path string, opt *bbolt.Options) (has contentsOf, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return has, nil
	}
	if err != nil {
		return has, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() == 0 {
		return has, err
	}
	// Read-only, bolt looks at nothing but the meta pages: it takes the lock.
	lock, err := bbolt.Open(path, 0, opt)
	if err != nil {
		if _, worse := verify(f); worse != nil && !errors.Is(err, bolterrors.ErrTimeout) {
			err = worse
		}
		return has, err
	}
	defer lock.Close()
	if has, err = verify(f); err == nil && has.old {
		err = errors.New("it was written by a version of selfware before this format; move the directory away and join as a new node")
	}
	return has, err
}

// Sizes and flags of bolt's pages.
const (
	pageHead   = 16
	elemSize   = 16
	metaSize   = 64 // that is checksummed; the checksum follows
	bucketHead = 16

	flagBranch = 1
	flagLeaf   = 2
	flagMeta   = 4

	boltMagic   = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)
	maxPageSize = 64 << 10
)

var native = binary.NativeEndian

// verifier walks one file.
type verifier struct {
	r        io.ReaderAt
	pageSize int
	pages    uint64 // that may be in use
	seen     map[uint64]bool
}

// verify reads all that a file holds.
func verify(r io.ReaderAt) (has contentsOf, err error) {
	v := &verifier{r: r, seen: make(map[uint64]bool)}
	root, err := v.meta()
	if err != nil {
		return has, err
	}
	buckets := make(map[string][]byte)
	if err := v.tree(root, nil, func(k, val []byte, bucket bool) error {
		if !bucket {
			return damaged("the root holds %q", k)
		}
		buckets[string(k)] = bytes.Clone(val)
		return nil
	}); err != nil {
		return has, err
	}
	conf, log := buckets[string(confBucket)], buckets[string(logBucket)]
	switch {
	case len(buckets) == 0:
		return has, nil // made, never used
	case conf == nil || log == nil || len(buckets) != 2:
		return has, damaged("its buckets are not the known ones")
	}
	has.made = true
	if err := v.log(log, &has); err != nil || has.old {
		return has, err
	}
	has.conf, err = v.conf(conf)
	return has, err
}

// meta gives the root page of the newest transaction. Bolt would go back to the
// one before if its meta page is damaged; that one lacks what was acknowledged.
func (v *verifier) meta() (root uint64, err error) {
	var head [pageHead + metaSize + 8]byte
	if _, err := v.r.ReadAt(head[:], 0); err != nil {
		return 0, damaged("the first page cannot be read (%v)", err)
	}
	v.pageSize = int(native.Uint32(head[pageHead+8:]))
	if v.pageSize < 512 || v.pageSize > maxPageSize || v.pageSize&(v.pageSize-1) != 0 {
		return 0, damaged("pages of %d bytes", v.pageSize)
	}
	var txids [2]uint64
	for i := range txids {
		if _, err := v.r.ReadAt(head[:], int64(i*v.pageSize)); err != nil {
			return 0, damaged("meta page %d cannot be read (%v)", i, err)
		}
		m := head[pageHead:]
		h := fnv.New64a()
		h.Write(m[:metaSize-8])
		if native.Uint64(m[metaSize-8:]) != h.Sum64() || native.Uint32(m) != boltMagic || native.Uint32(m[4:]) != boltVersion ||
			int(native.Uint32(m[8:])) != v.pageSize || native.Uint64(head[:]) != uint64(i) || native.Uint16(head[8:]) != flagMeta {
			return 0, damaged("the checksum of meta page %d is wrong", i)
		}
		if txids[i] = native.Uint64(m[48:]); i == 0 || txids[i] > txids[0] {
			root, v.pages = native.Uint64(m[16:]), native.Uint64(m[40:])
		}
	}
	if txids[0]+1 != txids[1] && txids[1]+1 != txids[0] {
		return 0, damaged("its meta pages are of transactions %d and %d", txids[0], txids[1])
	}
	return root, nil
}

// tree visits the elements of a tree in order. first is the key that the page
// above names for it; nil for a root.
func (v *verifier) tree(id uint64, first []byte, visit func(k, val []byte, bucket bool) error) error {
	if id < 2 || id >= v.pages || v.seen[id] {
		return damaged("a pointer to page %d", id)
	}
	page := make([]byte, v.pageSize)
	at := int64(id) * int64(v.pageSize)
	if _, err := v.r.ReadAt(page, at); err != nil {
		return damaged("page %d cannot be read (%v)", id, err)
	}
	more := uint64(native.Uint32(page[12:]))
	if native.Uint64(page) != id || more >= v.pages-id {
		return damaged("the head of page %d is wrong", id)
	}
	for p := id; p <= id+more; p++ {
		if v.seen[p] {
			return damaged("page %d is used twice", p)
		}
		v.seen[p] = true
	}
	if more > 0 {
		page = make([]byte, int(more+1)*v.pageSize)
		if _, err := v.r.ReadAt(page, at); err != nil {
			return damaged("page %d cannot be read (%v)", id, err)
		}
	}
	used, err := v.elements(page, id, first, visit)
	if err != nil {
		return err
	}
	if want := (used+v.pageSize-1)/v.pageSize - 1; int(more) != want {
		return damaged("page %d is followed by %d more, not %d", id, want, more)
	}
	return nil
}

// elements visits those of one page and gives the bytes it uses. Bolt writes keys
// and values without a gap, right behind the list of the elements.
func (v *verifier) elements(page []byte, id uint64, first []byte, visit func(k, val []byte, bucket bool) error) (used int, err error) {
	flags, n := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	if flags != flagLeaf && flags != flagBranch || flags == flagBranch && n < 1 {
		return 0, damaged("the head of page %d is wrong", id)
	}
	used = pageHead + n*elemSize
	if used > len(page) {
		return 0, damaged("page %d counts %d elements", id, n)
	}
	var last []byte
	for i := range n {
		at := pageHead + i*elemSize
		e, err := readElement(page, at, used, flags)
		if err != nil {
			return 0, damaged("element %d of page %d is wrong", i, id)
		}
		used = e.end
		if i > 0 && bytes.Compare(last, e.key) >= 0 || i == 0 && first != nil && !bytes.Equal(first, e.key) {
			return 0, damaged("the keys of page %d are out of order", id)
		}
		last = e.key
		if flags == flagBranch {
			err = v.tree(e.child, e.key, visit)
		} else {
			err = visit(e.key, e.val, e.bucket)
		}
		if err != nil {
			return 0, err
		}
	}
	return used, nil
}

// element is one of a page.
type element struct {
	key, val []byte
	child    uint64 // of a branch
	bucket   bool   // of a leaf
	end      int
}

// readElement reads the element described at at, whose data begins at data.
func readElement(page []byte, at, data int, flags uint16) (e element, err error) {
	d := page[at:]
	var pos, ksize, vsize int
	if flags == flagBranch {
		pos, ksize, e.child = int(native.Uint32(d)), int(native.Uint32(d[4:])), native.Uint64(d[8:])
	} else {
		pos, ksize, vsize = int(native.Uint32(d[4:])), int(native.Uint32(d[8:])), int(native.Uint32(d[12:]))
		kind := native.Uint32(d)
		if e.bucket = kind == 1; kind > 1 {
			return e, errDamaged
		}
	}
	if at+pos != data || ksize == 0 || ksize > len(page)-data || vsize > len(page)-data-ksize {
		return e, errDamaged
	}
	e.end = data + ksize + vsize
	e.key, e.val = page[data:data+ksize], page[data+ksize:e.end]
	return e, nil
}

// bucket visits the elements of a bucket, whose header is given.
func (v *verifier) bucket(head []byte, inline bool, visit func(k, val []byte, bucket bool) error) error {
	if len(head) < bucketHead || native.Uint64(head[8:]) != 0 {
		return damaged("the head of a bucket is wrong")
	}
	root := native.Uint64(head)
	switch {
	case root == 0 && len(head) >= bucketHead+pageHead:
		page := head[bucketHead:]
		used, err := v.elements(page, 0, nil, visit)
		if err == nil && (used != len(page) || native.Uint16(page[8:]) != flagLeaf) {
			err = damaged("a bucket in the root page has the wrong size")
		}
		return err
	case root == 0 || inline || len(head) != bucketHead:
		return damaged("the head of a bucket is wrong")
	}
	return v.tree(root, nil, visit)
}

// conf reads confBucket.
func (v *verifier) conf(head []byte) (map[string][]byte, error) {
	conf := make(map[string][]byte)
	err := v.bucket(head, true, func(k, val []byte, bucket bool) (err error) {
		if bucket || !known[string(k)] {
			return damaged("an unknown key %q", k)
		}
		conf[string(k)], err = unseal(string(k), val)
		return err
	})
	return conf, err
}

// log reads logBucket: every entry with its checksum, each chained to the one
// before, at least from and to where the mark says.
func (v *verifier) log(head []byte, has *contentsOf) error {
	w := chainWalk{has: has}
	if err := v.bucket(head, false, w.visit); err != nil {
		return err
	}
	got, mark := w.got, w.mark
	switch {
	case !w.marked && w.plain == 0 && got.first == 0:
		return nil // never used
	case !w.marked && got.first == 0:
		has.old = true
		return nil
	case !w.marked:
		return damaged("the log has no mark of its end")
	case w.plain > 0:
		return damaged("the checksum of entry %d is missing", w.plain)
	case mark.first > 0 && got.first > mark.first, got.last < mark.last, got.last == mark.last && got.sum != mark.sum:
		return damaged("the log has entries %d to %d, not %d to %d as it should", got.first, got.last, mark.first, mark.last)
	}
	has.at = got
	return nil
}

// chainWalk follows the entries of a log; the mark comes last.
type chainWalk struct {
	has       *contentsOf
	got, mark tail
	marked    bool
	plain     uint64 // an entry without checksums
}

func (w *chainWalk) visit(k, val []byte, bucket bool) error {
	if bucket || len(k) != 8 {
		return damaged("the log has a key %q", k)
	}
	var l raft.Log
	if err := decodeEntry(val, &l); err != nil {
		return err
	}
	index := binary.BigEndian.Uint64(k)
	if index == markIndex {
		w.marked = true
		text, err := unseal(keyTail, l.Data)
		if err == nil {
			w.mark, err = decodeTail(text)
		}
		return err
	}
	if len(l.Extensions) == 0 && w.got.first == 0 {
		w.plain = index
		return nil
	}
	return w.entry(index, &l)
}

func (w *chainWalk) entry(index uint64, l *raft.Log) error {
	prev, sum, err := unchain(index, l)
	switch {
	case err != nil:
		return err
	case w.got.first == 0:
		w.got.first = index
	case index != w.got.last+1:
		if w.has.gaps = append(w.has.gaps, index); prev != 0 {
			return damaged("entry %d is missing", index-1)
		}
	case prev != w.got.sum:
		return damaged("entry %d does not follow entry %d", index, w.got.last)
	}
	w.got.last, w.got.sum = index, sum
	return nil
}
