package check

import (
	"slices"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
)

// life is one process of a child.
type life struct {
	history.Beat              // born
	last         history.Time // it surely ran
	term         history.Time // it was asked to stop; 0 if never
	gone         history.Time // Never if it was not seen
	segments     []span       // in which it ran, without long stalls
}

// span is a time from one moment to another.
type span struct{ from, to history.Time }

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// meet is what two spans have in common; empty if to is before from.
func (s span) meet(o span) span { return span{max(s.from, o.from), min(s.to, o.to)} }

// stalled is how long a life must not have been heard of to be taken to have
// stood still: lives that run are written down every 200 ms.
const stalled = 400 * time.Millisecond

// lives are all processes of a run by their child, in the order of their birth.
func (in *Input) lives() map[string][]*life {
	byID := make(map[int]*life)
	byChild := make(map[string][]*life)
	for _, b := range in.Beats {
		if b.Type == history.Born {
			l := &life{Beat: b, last: b.Time, gone: history.Never, segments: []span{{b.Time, b.Time}}}
			byID[b.Life] = l
			byChild[b.Child] = append(byChild[b.Child], l)
			continue
		}
		if l := byID[b.Life]; l != nil {
			l.take(b)
		}
	}
	for _, lives := range byChild {
		slices.SortFunc(lives, func(a, b *life) int { return int(a.Time - b.Time) })
	}
	return byChild
}

func (l *life) take(b history.Beat) {
	switch b.Type {
	case history.Gone:
		l.gone = b.Time
		return
	case history.Term:
		if l.term == 0 {
			l.term = b.Time
		}
	}
	if b.Time.Sub(l.last) > stalled {
		l.segments = append(l.segments, span{b.Time, b.Time})
	}
	l.last = max(l.last, b.Time)
	l.segments[len(l.segments)-1].to = l.last
}

// whole is the life with its stalls.
func (l *life) whole() []span { return []span{{l.Time, l.last}} }

// frozen gives the segments of a life whose node was frozen, and the whole of it
// otherwise: no other fault excuses that a process stands still and goes on.
func (in *Input) frozen(l *life) []span {
	if in.frozenAs(l, func(history.Effect) bool { return true }) {
		return l.segments
	}
	return l.whole()
}

// child is what the workload says of a path.
func (in *Input) child(path string) history.Child {
	for _, c := range in.Run.Children {
		if c.Path == path {
			return c
		}
	}
	return history.Child{Path: path}
}
