package fsm

import (
	"errors"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// Kind says what a record is about.
type Kind string

const (
	KindDecision Kind = "decision"
	KindNode     Kind = "node"
	KindTree     Kind = "tree"
)

// Record is one entry of the event stream. Records are ordered by (Index, N).
type Record struct {
	Index    uint64               `cbor:"1,keyasint" json:"index"`
	N        int                  `cbor:"2,keyasint" json:"n"`
	Time     time.Duration        `cbor:"3,keyasint" json:"time"`
	Wall     int64                `cbor:"4,keyasint" json:"wall"` // Unix milliseconds at the leader
	Kind     Kind                 `cbor:"5,keyasint" json:"kind"`
	Node     string               `cbor:"6,keyasint,omitempty" json:"node,omitempty"`
	Decision *supervisor.Decision `cbor:"7,keyasint,omitempty" json:"decision,omitempty"`
	Sentence string               `cbor:"8,keyasint" json:"sentence"`
}

func (s *state) record(r Record) {
	r.Index, r.Time, r.Wall, r.N = s.index, s.clock, s.wall, 0
	if k := len(s.records); k > 0 && s.records[k-1].Index == r.Index {
		r.N = s.records[k-1].N + 1
	}
	if len(s.records) >= 2*MaxRecords { // trimmed in bulk: amortised O(1)
		s.records = slices.Delete(s.records, 0, len(s.records)-MaxRecords)
		if bug.On("records-gap") {
			s.records = s.records[MaxRecords/2:]
		}
	}
	s.records = append(s.records, r)
}

func (s *state) recordNode(n *Node, what string) {
	s.record(Record{Kind: KindNode, Node: n.ID, Sentence: "node " + n.Name + " " + what})
}

// mark is a place in the event stream.
type mark struct {
	index uint64
	n     int
}

// before: m lies before the other place.
func (m mark) before(o mark) bool {
	return m.index < o.index || m.index == o.index && m.n < o.n
}

func (r Record) mark() mark { return mark{r.Index, r.N} }

// forgotten is the place of the last record that is promised no more; zero if
// the stream is whole.
func (s *state) forgotten() mark {
	if k := len(s.records) - MaxRecords; k > 0 {
		return s.records[k-1].mark()
	}
	return s.lost
}

// kept is the part of the stream that is promised; more may still be in memory.
func (s *state) kept() []Record {
	return s.records[max(0, len(s.records)-MaxRecords):]
}

// codes name the errors that a remembered request can be answered with.
var codes = map[string]error{
	"stale": supervisor.ErrStale, "unknown": supervisor.ErrUnknown, "refused": supervisor.ErrRefused,
	"unknown_node": ErrUnknownNode, "unknown_tree": ErrUnknownTree,
	"left": ErrLeft, "changed": ErrChanged,
}

// remembered is a repeated answer: its text, and the sentinel it stands for.
type remembered struct {
	text string
	kind error
}

func (e remembered) Error() string { return e.text }
func (e remembered) Unwrap() error { return e.kind }

func remember(id string, err error) request {
	r := request{ID: id}
	if err == nil {
		return r
	}
	r.Code, r.Text = "refused", err.Error()
	for code, kind := range codes { // order-free: at most one matches
		if errors.Is(err, kind) {
			r.Code = code
		}
	}
	return r
}

func (r request) err() error {
	if r.Code == "" {
		return nil
	}
	return remembered{text: r.Text, kind: codes[r.Code]}
}
