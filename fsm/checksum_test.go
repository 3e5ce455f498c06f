package fsm

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/link"
)

func checksum(sum *link.Sum) Command { return Command{Type: TypeChecksum, Sum: sum} }

func (h *harness) sum() *link.Sum {
	h.Helper()
	sum, ok := h.m.Sum()
	if !ok {
		h.Fatalf("no hash is remembered")
	}
	return &sum
}

// both applies an entry to two machines, and gives what the second says.
func (h *harness) both(other *harness, cmd Command) error {
	h.Helper()
	h.must(cmd)
	other.index = h.index
	_, err := other.m.Apply(h.index, encoded(h, Entry{
		Time: time.Duration(h.index) * time.Second, Wall: int64(h.index), Commands: []Command{cmd},
	}))
	return err
}

// TestChecksum: replicas that are equal stay; one that is not stops at the next
// checksum entry, before it applies anything of it.
func TestChecksum(t *testing.T) {
	h := running(t)
	other := h.restored()
	if _, ok := h.m.Sum(); ok || h.m.Agreed() != 0 {
		t.Error("a hash is remembered that nobody asked for")
	}
	if err := h.both(other, checksum(nil)); err != nil || *h.sum() != *other.sum() || h.sum().Index != h.index {
		t.Fatalf("two equal replicas: %v; %+v and %+v", err, h.sum(), other.sum())
	}
	first := h.sum()
	if err := h.both(other, checksum(first)); err != nil || h.m.Agreed() != first.Index || other.m.Agreed() != first.Index {
		t.Fatalf("equal at %d: %v, agreed at %d and %d", first.Index, err, h.m.Agreed(), other.m.Agreed())
	}
	other.m.Raise(0) // a bit that flipped in memory
	if err := h.both(other, checksum(h.sum())); err != nil {
		t.Fatalf("the hash of before it differed: %v", err)
	}
	before, sum := other.snapshot(), h.sum()
	err := h.both(other, checksum(sum))
	var d *Diverged
	if !errors.As(err, &d) || d.Index != sum.Index || d.Ours != other.sum().Hash || d.Theirs != sum.Hash {
		t.Fatalf("a replica that differs: %v", err)
	}
	for _, want := range []string{d.Ours, d.Theirs, "must not be used any more"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	if string(other.snapshot()) != string(before) || h.m.Agreed() != sum.Index {
		t.Error("the entry was applied all the same, or the good replica lost count")
	}
}

// TestChecksumSaysNothing: of an entry that is not remembered, of another build's
// encoding, and after a restore.
func TestChecksumSaysNothing(t *testing.T) {
	h := running(t)
	h.must(checksum(nil))
	wrong := *h.sum()
	wrong.Hash = "0"
	for name, sum := range map[string]link.Sum{
		"an older entry": {Index: 1, Hash: "0", Form: wrong.Form},
		"another form":   {Index: wrong.Index, Hash: "0", Form: "other"},
	} {
		if err := h.both(h.restored(), checksum(&sum)); err != nil || h.m.Agreed() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 * maxSums {
		h.must(checksum(nil))
	}
	if len(h.m.sums.last) != maxSums {
		t.Errorf("%d hashes are remembered", len(h.m.sums.last))
	}
	if err := h.m.Restore(h.snapshot()); err != nil {
		t.Fatal(err)
	}
	h.must(checksum(&wrong))
	if sum, ok := h.m.Sum(); !ok || sum.Index != h.index {
		t.Errorf("after a restore: %+v", sum)
	}
}

// TestChecksumIsNoState: whoever applied checksums, or did not remember them, has
// the same bytes.
func TestChecksumIsNoState(t *testing.T) {
	h := running(t)
	h.must(checksum(nil))
	if other := h.restored(); !bytes.Equal(other.snapshot(), h.snapshot()) || len(other.m.sums.last) != 0 {
		t.Error("what is remembered is in the snapshot")
	}
}

// TestForm: it changes when a field does.
func TestForm(t *testing.T) {
	if form == "" || form != formOf(reflect.TypeFor[snapshot]()) {
		t.Error("the form is not stable")
	}
	type a struct {
		X int `cbor:"1"`
	}
	type b struct {
		X int `cbor:"2"`
	}
	type c struct {
		X []*a
	}
	type d struct {
		X []*b
	}
	if formOf(reflect.TypeFor[a]()) == formOf(reflect.TypeFor[b]()) || formOf(reflect.TypeFor[c]()) == formOf(reflect.TypeFor[d]()) {
		t.Error("another tag gives the same form")
	}
}
