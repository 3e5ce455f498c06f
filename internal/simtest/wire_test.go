package simtest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/selfware/selfware/link"
)

// wire is a session whose messages may arrive twice, the second time late, and which
// stands still while its machine's agent is paused. A stream does not reorder, but an
// agent or a leader that says something again does.
type wire struct {
	link.Link
	p *process

	mu    sync.Mutex
	rng   *rand.Rand
	again []link.Up // said before, to be said again
	due   time.Time
	downs []link.Down
}

func newWire(l link.Link, p *process) *wire {
	return &wire{Link: l, p: p, rng: rand.New(rand.NewPCG(p.m.s.opt.seed, p.m.seq<<8|uint64(len(p.m.name))))}
}

func (w *wire) odds() bool {
	return w.p.m.s.opt.repeats > 0 && w.rng.Float64() < w.p.m.s.opt.repeats
}

// Send implements link.Link.
func (w *wire) Send(up link.Up) error {
	w.p.m.gate.wait()
	w.mu.Lock()
	say := []link.Up{up}
	if len(w.again) > 0 && !time.Now().Before(w.due) {
		say, w.again = append(w.again, up), nil // the old word arrives before the new one
	}
	if up.Hello == nil && w.odds() {
		switch w.rng.IntN(3) {
		case 0:
			say = append(say, up)
		default:
			w.again = append(w.again, up)
			w.due = time.Now().Add(time.Duration(w.rng.Int64N(int64(2 * time.Second))))
		}
	}
	w.mu.Unlock()
	if n := len(say) - 1; n > 0 {
		w.p.m.s.count(func(c *faultCounts) { c.repeated += n })
	}
	for _, u := range say {
		if err := w.Link.Send(u); err != nil {
			return err
		}
	}
	return nil
}

// Recv implements link.Link.
func (w *wire) Recv() (link.Down, error) {
	w.mu.Lock()
	if len(w.downs) > 0 {
		d := w.downs[0]
		w.downs = w.downs[1:]
		w.mu.Unlock()
		w.p.m.s.count(func(c *faultCounts) { c.repeated++ })
		return d, nil
	}
	w.mu.Unlock()
	d, err := w.Link.Recv()
	w.p.m.gate.wait()
	if d.Refused != "" {
		w.p.accuse(errors.New(d.Refused))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && !d.Redirect && d.Refused == "" && w.odds() {
		w.downs = append(w.downs, d)
	}
	return d, err
}
