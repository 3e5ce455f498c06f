package raftstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// used makes a store that has seen everything: votes, a conflict, a snapshot and a
// compaction, enough entries for a tree of pages, and one that fills many.
func used(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	big := entries(61, 61, 2)
	big[0].Data = bytes.Repeat([]byte("x"), 3*os.Getpagesize())
	rich := entries(62, 62, 2)
	rich[0].Type, rich[0].Extensions = raft.LogConfiguration, []byte("ext")
	var errs []error
	do := func(err error) { errs = append(errs, err) }
	do(vote(s, 1, "a"))
	do(s.SetUint64([]byte("CurrentTerm"), 1))
	for i := uint64(1); i <= 60; i += 4 {
		logs := entries(i, i+3, 1)
		for _, l := range logs {
			l.Data = append(l.Data, bytes.Repeat([]byte("y"), 150)...)
		}
		do(s.StoreLogs(logs))
	}
	do(s.DeleteRange(58, 60)) // another leader's entries come instead
	do(vote(s, 2, "b"))
	do(s.SetUint64([]byte("CurrentTerm"), 2))
	do(s.StoreLogs(entries(58, 60, 2)))
	do(s.StoreLogs(append(big, rich...)))
	do(snapshot(s, 20, 1, "twenty"))
	do(s.DeleteRange(1, 10))
	do(s.StoreLogs(entries(63, 64, 2)))
	do(s.Close())
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// same opens a store and gives all that raft can read of it, or the refusal.
func same(t *testing.T, dir string) (string, error) {
	t.Helper()
	s, err := Open(Config{Dir: dir, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		return "", err
	}
	defer s.Close()
	return contents(t, s), nil
}

// bitflips flips a bit of each byte of the bolt file, and of the snapshot's files:
// the store is refused, or holds exactly what it held. Unflipped, it is not refused.
func bitflips(t *testing.T) {
	dir := t.TempDir()
	used(t, dir)
	want, err := same(t, dir)
	if err != nil || !strings.Contains(want, "11..64") {
		t.Fatalf("unharmed: %v, %s", err, want)
	}
	file := filepath.Join(dir, fileName)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, err := verify(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	refused, opened, step := 0, 0, 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(data); i += step {
		bit := byte(1) << (i % 8)
		data[i] ^= bit
		has, err := verify(bytes.NewReader(data))
		switch {
		case err != nil && !errors.Is(err, errDamaged):
			t.Errorf("byte %d: %v", i, err)
		case err != nil:
			refused++
		case fmt.Sprint(has) != fmt.Sprint(before):
			t.Fatalf("byte %d is flipped, and the file passes for one that holds something else: %+v", i, has)
		}
		// Bolt itself is asked now and then, and where it is most likely to be misled.
		if err == nil && i%997 == 0 || i%pageSizeOf(data) < 96 && i%31 == 0 {
			opened++
			os.WriteFile(file, data, 0o600)
			if got, err2 := same(t, dir); err2 == nil && got != want || (err == nil) != (err2 == nil) {
				t.Fatalf("byte %d is flipped: verify says %v, Open %v; it holds\n%s\nwant\n%s", i, err, err2, got, want)
			}
		}
		data[i] ^= bit
	}
	t.Logf("%d of %d flips were in use and refused; %d opened", refused, len(data), opened)
	if refused < 20_000/step || opened < 20/step {
		t.Error("hardly anything was tried")
	}
	os.WriteFile(file, data, 0o600)
	flipSnapshot(t, dir, want)
}

func pageSizeOf(data []byte) int { return int(native.Uint32(data[pageHead+8:])) }

func flipSnapshot(t *testing.T, dir, want string) {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, snapDir, "*", "*"))
	if len(names) != 2 {
		t.Fatalf("the snapshot has the files %s", names)
	}
	for _, name := range names {
		data, _ := os.ReadFile(name)
		refused := 0
		for i := range data {
			data[i] ^= 1 << (i % 8)
			os.WriteFile(name, data, 0o600)
			got, err := same(t, dir)
			if err != nil {
				refused++
			} else if got != want {
				t.Fatalf("byte %d of %s is flipped, and the store holds\n%s\nwant\n%s", i, name, got, want)
			}
			data[i] ^= 1 << (i % 8)
		}
		if refused < len(data)/2 {
			t.Errorf("%s: %d of %d flips were refused", name, refused, len(data))
		}
		os.WriteFile(name, data, 0o600)
	}
	if got, err := same(t, dir); err != nil || got != want {
		t.Errorf("all put back: %v, %s", err, got)
	}
}

// TestTornFile: cut at any offset, the file is refused, but for an empty one, which
// never was in use, and for the end that no page uses.
func TestTornFile(t *testing.T) {
	dir := t.TempDir()
	used(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	before, err := verify(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := 0; n < len(data); n += 61 {
		has, err := verify(bytes.NewReader(data[:n]))
		if err != nil {
			refused++
		} else if fmt.Sprint(has) != fmt.Sprint(before) {
			t.Errorf("cut at %d it passes for one that holds %+v", n, has)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	for _, n := range []int{1, 100, pageSizeOf(data), 3*pageSizeOf(data) + 7} {
		cut := t.TempDir()
		os.WriteFile(filepath.Join(cut, fileName), data[:n], 0o600)
		if _, err := same(t, cut); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

// TestHealthyFilesPass: whatever raft does to a store, verify accepts it and reads
// from it what the store says.
func TestHealthyFilesPass(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		dir := t.TempDir()
		s, err := Open(Config{Dir: dir, Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		for step := range 120 {
			if err := randomStep(r, s); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(filepath.Join(dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			has, err := verify(f)
			f.Close()
			first, _ := s.FirstIndex()
			last, _ := s.LastIndex()
			if err != nil || has.at.first != first || has.at.last != last {
				t.Fatalf("seed %d, step %d: %v; verified %+v, the store has %d to %d", seed, step, err, has.at, first, last)
			}
		}
		s.Close()
		if _, err := same(t, dir); err != nil {
			t.Fatal(err)
		}
	}
}

func randomStep(r *rand.Rand, s *Store) error {
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	switch r.IntN(6) {
	case 0: // a conflict
		if last > first+3 {
			return s.DeleteRange(last-uint64(r.IntN(3)), last)
		}
	case 1: // a compaction
		if last > first+20 && first > 0 {
			cut := first + uint64(r.IntN(int(last-first)))
			return errors.Join(snapshot(s, cut, 1, "s"), s.DeleteRange(first, cut))
		}
	case 2:
		return errors.Join(vote(s, r.Uint64N(1000), strings.Repeat("n", 1+r.IntN(60))), s.SetUint64([]byte("CurrentTerm"), r.Uint64()))
	}
	logs := entries(last+1, last+1+uint64(r.IntN(12)), 1)
	for _, l := range logs {
		l.Data = bytes.Repeat([]byte("d"), r.IntN(1<<r.IntN(15)))
	}
	return s.StoreLogs(logs)
}
