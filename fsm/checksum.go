package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/link"
)

// A checksum entry makes every replica remember the hash of its state right after
// it, and may carry what a majority of the voters remembered for an earlier one. A
// replica that remembers something else for that one is not what the others are:
// it must stop (P9). What is remembered is no part of the state: it is in no
// snapshot, and a restore forgets it.

// maxSums is how many hashes a replica remembers. The leader judges each one
// before it asks for the next, so two are in use.
const maxSums = 8

// sums are the hashes that a replica remembers, oldest first, and the verdict on
// one of them.
type sums struct {
	last   []link.Sum
	agreed uint64 // index of the newest that a majority held and this replica, too
}

// Diverged says that a replica is not equal to the majority.
type Diverged struct {
	Index        uint64
	Ours, Theirs string
}

func (e *Diverged) Error() string {
	return fmt.Sprintf("this replica is not equal to the majority's: after log entry %d its state has the hash %s, theirs has %s; "+
		"its data dir must not be used any more", e.Index, e.Ours, e.Theirs)
}

// Differ gives the error of a replica that remembers ours where a majority
// remembers theirs; nil if they are equal or cannot be compared.
func Differ(ours, theirs link.Sum) error {
	if bug.On("checksum-blind") || ours.Index != theirs.Index || ours.Form != theirs.Form || ours.Hash == theirs.Hash {
		return nil
	}
	return &Diverged{Index: ours.Index, Ours: ours.Hash, Theirs: theirs.Hash}
}

// compare judges what the commands carry of the majority.
func (s *sums) compare(cmds []Command) error {
	for i := range cmds {
		theirs := cmds[i].Sum
		if cmds[i].Type != TypeChecksum || theirs == nil {
			continue
		}
		ours, ok := s.at(theirs.Index)
		if !ok || ours.Form != theirs.Form {
			continue
		}
		if err := Differ(ours, *theirs); err != nil {
			return err
		}
		s.agreed = max(s.agreed, ours.Index)
	}
	return nil
}

func (s *sums) at(index uint64) (link.Sum, bool) {
	for _, sum := range s.last {
		if sum.Index == index {
			return sum, true
		}
	}
	return link.Sum{}, false
}

// remember notes the hash of the state if one of the commands asks for it.
func (m *Machine) remember(cmds []Command) error {
	if !slices.ContainsFunc(cmds, func(c Command) bool { return c.Type == TypeChecksum }) {
		return nil
	}
	hash, err := m.s.hash()
	if err != nil {
		return fmt.Errorf("cannot hash the state after log index %d: %w", m.s.index, err)
	}
	if len(m.sums.last) >= maxSums {
		m.sums.last = slices.Delete(m.sums.last, 0, len(m.sums.last)-maxSums+1)
	}
	m.sums.last = append(m.sums.last, link.Sum{Index: m.s.index, Hash: hash, Form: form})
	return nil
}

// Sum gives the hash that this replica remembered last; false if it has none.
func (m *Machine) Sum() (link.Sum, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if k := len(m.sums.last); k > 0 {
		return m.sums.last[k-1], true
	}
	return link.Sum{}, false
}

// Agreed is the newest checksum entry after which this replica was equal to a
// majority's; 0 if there is none since it was last restored.
func (m *Machine) Agreed() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.sums.agreed
}

// form names the encoding of this build's state.
var form = formOf(reflect.TypeFor[snapshot]())

// formOf digests the names, tags and types of all that a snapshot can hold.
func formOf(t reflect.Type) string {
	var b strings.Builder
	describe(&b, t, make(map[reflect.Type]bool))
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:4])
}

func describe(b *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprintf(b, "%s(", t.Kind())
	switch t.Kind() {
	case reflect.Map:
		describe(b, t.Key(), seen)
		describe(b, t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(b, t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			break
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(b, "%s %q ", f.Name, f.Tag)
			describe(b, f.Type, seen)
		}
	}
	b.WriteByte(')')
}
