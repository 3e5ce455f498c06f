package raftnet

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// acks remembers, for each server, when the newest request was sent that it has
// answered in its sender's term: proof that it followed nobody newer then.
//
// raft's own VerifyLeader counts any answer that arrives after the call, also to a
// request sent long before it. A leader that was paused finds such answers in its
// socket buffers when it goes on, and would verify by them although others have
// elected its successor meanwhile.
type acks struct {
	mu   sync.Mutex
	last map[raft.ServerID]ack
}

type ack struct {
	term uint64
	sent time.Time
}

// note records an answer. Answers of several requests may come in any order.
func (a *acks) note(id raft.ServerID, term uint64, sent time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.last[id]; term < old.term || term == old.term && sent.Before(old.sent) {
		return
	}
	if a.last == nil {
		a.last = make(map[raft.ServerID]ack)
	}
	a.last[id] = ack{term, sent}
}

// FollowedSince tells whether a server has answered a request that was sent by this
// one, in this term, at or after a moment: at some time since then it had not yet
// given its vote to a newer leader.
func (t *Transport) FollowedSince(id raft.ServerID, term uint64, since time.Time) bool {
	t.acks.mu.Lock()
	defer t.acks.mu.Unlock()
	a, ok := t.acks.last[id]
	return ok && a.term == term && !a.sent.Before(since)
}
