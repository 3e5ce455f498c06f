package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/selfware/selfware/internal/bug"
)

// The keys of a vote: raft's two, and the one that holds both.
const (
	keyVoteTerm = "LastVoteTerm"
	keyVoteCand = "LastVoteCand"
	keyVote     = "selfware.LastVote" // term, 8 bytes big endian; candidate
)

// Set implements raft.StableStore. The candidate of a vote is written together
// with the term that SetUint64 was given just before.
func (g *guard) Set(key, val []byte) error {
	if string(key) != keyVoteCand || bug.On("vote-two-writes") {
		return g.write("raft state", g.deadline, func() error { return g.base.Set(key, val) })
	}
	g.mu.Lock()
	term := g.voteTerm
	g.voteTerm = nil
	g.mu.Unlock()
	if term == nil {
		return errors.New("cannot write a vote: its term was not given first")
	}
	vote := append(binary.BigEndian.AppendUint64(nil, *term), val...)
	return g.write("raft vote", g.deadline, func() error { return g.base.Set([]byte(keyVote), vote) })
}

// SetUint64 implements raft.StableStore. The term of a vote is only remembered
// until the candidate comes; until then the vote before is the last one.
func (g *guard) SetUint64(key []byte, val uint64) error {
	if string(key) != keyVoteTerm || bug.On("vote-two-writes") {
		return g.write("raft state", g.deadline, func() error { return g.base.SetUint64(key, val) })
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.voteTerm = &val
	return g.failed
}

// Get implements raft.StableStore.
func (g *guard) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteCand {
		val, err := g.base.Get(key)
		return val, g.read("raft state", err)
	}
	_, cand, err := g.lastVote()
	return cand, g.read("raft vote", err)
}

// GetUint64 implements raft.StableStore.
func (g *guard) GetUint64(key []byte) (uint64, error) {
	if string(key) != keyVoteTerm {
		val, err := g.base.GetUint64(key)
		return val, g.read("raft state", err)
	}
	term, _, err := g.lastVote()
	return term, g.read("raft vote", err)
}

// lastVote reads both kinds of keys and takes the later vote; terms only grow.
func (g *guard) lastVote() (term uint64, cand []byte, err error) {
	vote, err := g.base.Get([]byte(keyVote))
	ours := err == nil
	switch {
	case ours && len(vote) < 8:
		return 0, nil, fmt.Errorf("cannot read the last vote in %s: %d bytes", g.dir, len(vote))
	case ours:
		term, cand = binary.BigEndian.Uint64(vote), vote[8:]
	case !notFound(err):
		return 0, nil, err
	}
	old, err := g.base.GetUint64([]byte(keyVoteTerm))
	switch {
	case ours && (err == nil && old <= term || err != nil && notFound(err)):
		return term, cand, nil
	case err != nil:
		return 0, nil, err
	}
	cand, err = g.base.Get([]byte(keyVoteCand))
	return old, cand, err
}

// notFound is how raft itself tells a missing key from a failed read.
func notFound(err error) bool { return err.Error() == raftboltdb.ErrKeyNotFound.Error() }
