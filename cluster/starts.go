package cluster

import (
	"fmt"
	"hash/fnv"
	"sync"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/link"
)

// maxStarts bounds the nodes whose starts are remembered (P15); the replicated
// state knows the number of the others' last starts.
const maxStarts = 2 * fsm.MaxNodes

// starts is what this node knows of the starts of others, from handshakes, sessions
// and the replicated state. A node whose disk went back in time could vote a second
// time in a term, or forget entries that it helped to commit, and take a majority
// with it. It is recognised by a start that is not the newest, or by a term or a log
// that is shorter than it once was, and nobody speaks raft with it then.
type starts struct {
	m *fsm.Machine

	mu   sync.Mutex
	seen map[string]mux.Start // Term and Reach are the highest known since
}

func newStarts(m *fsm.Machine) *starts { return &starts{m: m, seen: make(map[string]mux.Start)} }

// startOf is this process's own.
func startOf(self link.Node, store *raftstore.Store) (mux.Start, error) {
	s := mux.Start{Seq: self.BootSeq, Boot: bootNumber(self.Boot)}
	var err error
	if s.Term, s.Reach, err = store.Holds(); err != nil {
		return s, fmt.Errorf("cannot tell what the raft log holds: %w", err)
	}
	return s, nil
}

func bootNumber(boot string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(boot))
	return h.Sum64()
}

// Check implements mux.Starts.
func (s *starts) Check(node string, now mux.Start) error {
	if now.Seq == 0 {
		return nil // no node of a cluster yet
	}
	last := s.known(node)
	var why string
	switch {
	case now.Seq < last.Seq:
		why = fmt.Sprintf("this is its start number %d, and number %d is known", now.Seq, last.Seq)
	case now.Seq == last.Seq && last.Boot != 0 && now.Boot != last.Boot:
		why = fmt.Sprintf("its start number %d is known as another one", now.Seq)
	case now.Seq > last.Seq && now.Term < last.Term:
		why = fmt.Sprintf("it was in term %d and says %d", last.Term, now.Term)
	case now.Seq > last.Seq && now.Reach < last.Reach:
		why = fmt.Sprintf("it had log entry %d and now ends at %d", last.Reach, now.Reach)
	default:
		return nil
	}
	return fmt.Errorf("cannot speak with node %s: its data dir is older than it was: %s", node, why)
}

// known is the newest start of a node.
func (s *starts) known(node string) mux.Start {
	s.mu.Lock()
	last := s.seen[node]
	s.mu.Unlock()
	s.m.View(func(v fsm.View) {
		if n, err := v.Node(node); err == nil && n.ID == node && n.BootSeq > last.Seq {
			last.Seq, last.Boot = n.BootSeq, 0
			if n.Boot != "" {
				last.Boot = bootNumber(n.Boot)
			}
		}
	})
	return last
}

// Note implements mux.Starts.
func (s *starts) Note(node string, now mux.Start) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.seen[node]
	if now.Seq == 0 || now.Seq < last.Seq || !ok && len(s.seen) >= maxStarts {
		return
	}
	now.Term, now.Reach = max(now.Term, last.Term), max(now.Reach, last.Reach)
	s.seen[node] = now
}

// progress notes how much of the log a node has applied, and so has on its disk,
// and the term in which it got it.
func (s *starts) progress(node string, term, applied uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.seen[node]; ok {
		last.Term, last.Reach = max(term, last.Term), max(applied, last.Reach)
		s.seen[node] = last
	}
}

// noteProgress takes a node's word on its replica. What it applied of this term it
// was sent in this term.
func (l *leader) noteProgress(node string, applied uint64) {
	term := uint64(0)
	if applied >= l.first {
		term = l.term
	}
	if applied > 0 {
		l.n.starts.progress(node, term, applied)
	}
}
