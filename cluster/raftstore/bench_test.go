package raftstore

import (
	"fmt"
	"testing"
)

// BenchmarkStoreLogs is one append with its fsync, to a log of some length.
func BenchmarkStoreLogs(b *testing.B) {
	for _, batch := range []uint64{1, 64} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			s, err := Open(Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			next := uint64(1)
			for b.Loop() {
				logs := entries(next, next+batch-1, 1)
				for _, l := range logs {
					l.Data = make([]byte, 300)
				}
				if err := s.StoreLogs(logs); err != nil {
					b.Fatal(err)
				}
				next += batch
			}
		})
	}
}

// BenchmarkOpen reads and verifies a log of 10,000 entries of 1 KiB.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	logs := entries(1, 10_000, 1)
	for _, l := range logs {
		l.Data = make([]byte, 1<<10)
	}
	if err := s.StoreLogs(logs); err != nil {
		b.Fatal(err)
	}
	s.Close()
	for b.Loop() {
		s, err := Open(Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
