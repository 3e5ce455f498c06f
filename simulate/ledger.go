package simulate

import (
	"maps"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Life is one process, from its beginning to its end; Open if it had not ended.
type Life struct {
	Path  string           `json:"path"`
	Node  string           `json:"node"`
	Epoch supervisor.Epoch `json:"epoch"`
	From  time.Duration    `json:"from"`
	To    time.Duration    `json:"to"`
	Open  bool             `json:"open,omitempty"`
}

// Gap is a time in which no process of a child ran, after the first; Open if it had
// not ended.
type Gap struct {
	Path string `json:"path"`
	// Fault is the number, from 1, of the fault that it goes back to; 0 if to none.
	Fault int           `json:"fault"`
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"`
	Open  bool          `json:"open,omitempty"`
}

// Length is how long it was.
func (g Gap) Length() time.Duration { return g.To - g.From }

// ledger books processes, and the times without and with more than one.
type ledger struct {
	lives   []Life
	life    map[*process]int // its place in lives
	running map[string]int
	gaps    []Gap
	open    map[string]int // path -> its gap that has not ended
	twice   map[string]time.Duration
	double  map[string]time.Duration // since when more than one runs
}

func newLedger() *ledger {
	return &ledger{
		life: make(map[*process]int), running: make(map[string]int), open: make(map[string]int),
		twice: make(map[string]time.Duration), double: make(map[string]time.Duration),
	}
}

func (b *ledger) begin(now time.Duration, h *host, p *process) {
	b.life[p] = len(b.lives)
	b.lives = append(b.lives, Life{Path: p.path, Node: h.id, Epoch: p.epoch, From: now})
	if i, ok := b.open[p.path]; ok {
		b.gaps[i].To = now
		delete(b.open, p.path)
	}
	if b.running[p.path]++; b.running[p.path] == 2 {
		b.double[p.path] = now
	}
}

// end books the end of a process; fault counts from 0, -1 is none.
func (b *ledger) end(now time.Duration, p *process, fault int) {
	b.lives[b.life[p]].To = now
	delete(b.life, p)
	switch b.running[p.path]--; b.running[p.path] {
	case 0:
		b.open[p.path] = len(b.gaps)
		b.gaps = append(b.gaps, Gap{Path: p.path, Fault: fault + 1, From: now})
	case 1:
		b.twice[p.path] += now - b.double[p.path]
		delete(b.double, p.path)
	}
}

// close books what has not ended, and forgets gaps of no length: where one process
// ends at the moment at which the next begins there is none.
func (b *ledger) close(now time.Duration) {
	for _, i := range b.life { // order-free: each is closed alone
		b.lives[i].To, b.lives[i].Open = now, true
	}
	for _, i := range b.open { // order-free: each is closed alone
		b.gaps[i].To, b.gaps[i].Open = now, true
	}
	for _, path := range slices.Collect(maps.Keys(b.double)) { // order-free: sums of their own
		b.twice[path] += now - b.double[path]
	}
	b.gaps = slices.DeleteFunc(b.gaps, func(g Gap) bool { return g.To == g.From })
}
