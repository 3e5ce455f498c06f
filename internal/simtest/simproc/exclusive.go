package simproc

import (
	"fmt"
	"time"
)

// span is a time in which a machine stood still; to is zero while it does.
type span struct{ from, to time.Time }

func (w *World) freeze(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.freezes[node] = append(w.freezes[node], span{from: time.Now()})
}

func (w *World) thaw(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if spans := w.freezes[node]; spans[len(spans)-1].to.IsZero() {
		spans[len(spans)-1].to = time.Now()
	}
}

// Overlap is a time in which two lives of an exclusive child both ran (P13).
type Overlap struct {
	A, B Life
	// For is how long, without the time that either stood still.
	For time.Duration
	// Thawed: the machine of the older one had been frozen since before the other began,
	// and the overlap was over soon after its thaw. Only then may there be one.
	Thawed bool
}

// Thaw is how long after its machine's thaw an exclusive life may run that should have
// ended meanwhile: what falls due in a freeze happens when the keeper gets to run.
const Thaw = 100 * time.Millisecond

func (o Overlap) String() string {
	return fmt.Sprintf("for %v (after a thaw: %v): %v and %v", o.For, o.Thawed, &o.A, &o.B)
}

// Doubles lists the overlaps of exclusive lives, anywhere.
func (w *World) Doubles() (found []Overlap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	byPath := make(map[string][]*Life)
	for _, l := range w.lives {
		if !l.Exclusive || l.Start.IsZero() {
			continue
		}
		for _, m := range byPath[l.Path] {
			if o, both := w.double(m, l); both {
				found = append(found, o)
			}
		}
		byPath[l.Path] = append(byPath[l.Path], l)
	}
	return found
}

// double judges two lives, of which a was asked for first.
func (w *World) double(a, b *Life) (Overlap, bool) {
	from, to := later(a.Start, b.Start), time.Now()
	for _, end := range []time.Time{a.End, b.End} {
		if !end.IsZero() && end.Before(to) {
			to = end
		}
	}
	o := Overlap{A: *a, B: *b}
	for _, s := range w.awake(a.Node, b.Node, from, to) {
		o.For += s.to.Sub(s.from)
	}
	for _, f := range w.freezes[a.Node] {
		if f.from.Before(b.Start) && !f.to.IsZero() && to.Sub(f.to) < Thaw {
			o.Thawed = true
		}
	}
	return o, o.For > 0
}

// awake cuts the freezes of two machines out of a time.
func (w *World) awake(a, b string, from, to time.Time) []span {
	left := []span{{from, to}}
	for _, node := range []string{a, b} {
		for _, f := range w.freezes[node] {
			until := f.to
			if until.IsZero() {
				until = to
			}
			var next []span
			for _, s := range left {
				if before := (span{s.from, earlier(s.to, f.from)}); before.from.Before(before.to) {
					next = append(next, before)
				}
				if after := (span{later(s.from, until), s.to}); after.from.Before(after.to) {
					next = append(next, after)
				}
			}
			left = next
		}
	}
	return left
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
