package simtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/cluster/mux"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
)

// image is a machine's data dir as it was at a moment: a backup, or what a snapshot of
// the machine holds.
type image struct {
	id   string
	disk *raftstore.Mem
	seq  uint64 // starts by then
}

func (m *machine) image() image { return image{m.id, m.disk.Copy(), m.seq} }

// rollback keeps an image of a machine's disk and gives what puts it back, as soon as
// the cluster can bear that.
func (s *sim) rollback(m *machine) (undo func()) {
	img := m.image()
	return func() { s.rollWhenBearable(m, img, time.Now().Add(rollPatience)) }
}

// rollPatience is how long whoever puts back an image waits until the cluster is whole.
const rollPatience = 30 * time.Second

func (s *sim) rollWhenBearable(m *machine, img image, until time.Time) {
	switch {
	case s.bears(m, img):
		m.putBack(img)
	case time.Now().Before(until):
		s.after(500*time.Millisecond, func() { s.rollWhenBearable(m, img, until) })
	}
}

// bears: the cluster is whole, and the disks of a majority of the voters suffice without
// this one, as they must for one that is wiped. One that is put back votes and counts
// on, though, with all that it forgot, so each of that majority must know of it
// (cluster/doc.go has what a node knows), or have all that it forgets.
func (s *sim) bears(m *machine, img image) bool {
	if len(s.machines) < 3 || img.id != m.id || !s.whole() || !img.lacks(m) {
		return false
	}
	voters, fit := s.leader().voters(), 0
	for _, x := range s.machines {
		if x != m && slices.Contains(voters, x.id) && (img.seq < m.seq && x.knows(m) || x.hasAllOf(m)) {
			fit++
		}
	}
	return 2*fit > len(voters)
}

// lacks: the machine's disk has more than the image.
func (i image) lacks(m *machine) bool {
	last := m.lastLog()
	return i.seq < m.seq || last > 0 && !i.disk.Holds(last)
}

// knows: this machine's replica names the present start of another.
func (m *machine) knows(x *machine) (known bool) {
	m.p.node.Machine().View(func(v fsm.View) {
		n, err := v.Node(x.id)
		known = err == nil && n.Boot == x.p.boot
	})
	return known
}

// hasAllOf: this machine has applied all that another has stored, and is in its term.
func (m *machine) hasAllOf(x *machine) bool {
	return m.index() >= x.lastLog() && m.p.node.Term() >= x.p.node.Term()
}

// lastLog is the index of the last entry of the machine's log.
func (m *machine) lastLog() (index uint64) {
	_, _ = fmt.Sscan(m.p.node.Stats()["last_log_index"], &index)
	return index
}

// putBack is what happens to a machine whose snapshot is put back: a power cut, and a
// boot from an older disk. What others counted on when they had its word for it counts
// (stored).
func (m *machine) putBack(img image) {
	s := m.s
	s.notef("%s gets back an older disk: start %d of %d", m.name, img.seq, m.seq)
	m.power()
	s.mu.Lock()
	s.retired[m.id] = m.disk
	m.newest, m.seq = max(m.newest, m.seq), img.seq
	s.mu.Unlock()
	m.plug(img.disk)
	s.bit("rollback")
	m.boot()
}

// accuse notes that one node refuses another, or itself is refused, for a data dir that
// is older than it was. Any goroutine may call it.
func (p *process) accuse(err error) {
	s := p.m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	m := p.m
	if !isStale(err) {
		id, found := between(err.Error(), "cannot speak with node ", ": its data dir is older")
		i := slices.IndexFunc(s.machines, func(x *machine) bool { return x.id == id && !x.twin })
		if !found || i < 0 {
			return
		}
		m = s.machines[i]
	}
	if now := time.Now(); now.Sub(m.refused) > refusedLately {
		m.refusedSince, m.refused = now, now
	} else {
		m.refused = now
	}
}

// isStale: the other end says that this node's data dir is older than it was.
func isStale(err error) bool {
	text := err.Error() // a refusal in a session is words alone
	return strings.Contains(text, mux.ErrStale.Error()) || strings.Contains(text, "has a newer start than this one") ||
		strings.Contains(text, "runs twice")
}

func between(text, before, after string) (string, bool) {
	_, rest, ok := strings.Cut(text, before)
	if !ok {
		return "", false
	}
	in, _, ok := strings.Cut(rest, after)
	return in, ok
}

const (
	// refusedLately is longer than an agent waits that was refused in its session.
	refusedLately = 15 * time.Second
	// operatorTime is how long a node is refused until somebody has read the log, where
	// it says that the node must join anew with an empty data dir.
	operatorTime = 10 * time.Second
)

// operate does what the log of a refused node asks for. A node whose disk never went
// back must not be refused.
func (s *sim) operate() {
	for _, m := range s.machines {
		s.mu.Lock()
		refused := time.Since(m.refused) < refusedLately && !m.refused.IsZero() && !m.twin
		waited := m.refused.Sub(m.refusedSince)
		s.mu.Unlock()
		switch {
		case !refused:
		case m.newest == 0:
			s.failf("%s is refused for a disk that is older than it was, and it never was newer", m.name)
		case waited >= operatorTime:
			s.notef("the operator gives %s an empty disk", m.name)
			s.bit("rollback refused")
			m.crash()
			m.wipe()
			m.boot()
		}
	}
}
