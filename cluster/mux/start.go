package mux

import "encoding/binary"

// Start says which start of a node's process speaks, and how much its disk held
// then. A disk that was put back to an older state shows by it.
type Start struct {
	// Seq numbers the starts on one data dir, from 1; 0 says nothing.
	Seq uint64
	// Boot tells two starts of the same number apart.
	Boot uint64
	// Term and Reach are raft's term and the last index of its log.
	Term, Reach uint64
}

// Starts judges the starts of peers.
type Starts interface {
	// Check says why a node in that start must not be spoken with. The claim may
	// not be authenticated yet: it must not be remembered.
	Check(node string, s Start) error
	// Note remembers a start that is authenticated and passed Check.
	Note(node string, s Start)
}

func (s Start) append(b []byte) []byte {
	for _, v := range [...]uint64{s.Seq, s.Boot, s.Term, s.Reach} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// readStart reads the first startSize bytes.
func readStart(b []byte) Start {
	at := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return Start{at(0), at(1), at(2), at(3)}
}

// anyStart accepts all.
type anyStart struct{}

func (anyStart) Check(string, Start) error { return nil }
func (anyStart) Note(string, Start)        {}
