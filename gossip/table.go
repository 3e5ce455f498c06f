package gossip

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxDown bounds the members kept that are not alive. The one that went first is forgotten first.
const maxDown = 256

// State of a member.
type State string

const (
	Alive   State = "alive"
	Suspect State = "suspect" // given up, not yet for Timings.Confirm
	Dead    State = "dead"
	Left    State = "left" // on its own will
)

// Member is one node as this node sees it.
type Member struct {
	Meta
	State    State
	Addr     string    // gossip address, ip:port
	Since    time.Time // when it came alive, or fell silent, or left
	Conflict bool      // two live processes have used this node id for long: a copied data dir
}

// boot is one process start of a node.
type boot struct {
	meta  Meta
	addr  string
	up    bool
	since time.Time // of the last change of up
}

// table is what memberlist's callbacks have told. They run under memberlist's locks, so the table calls nobody.
type table struct {
	confirm, conflict time.Duration

	mu      sync.Mutex
	boots   map[string]boot      // by gossip name
	clashes map[string]time.Time // node id -> last time that two addresses claimed one gossip name
	// calm is what members gave last, while time alone cannot change it: every
	// boot is up, none stands for another. Raft asks for every message.
	calm []Member
}

func newTable(t Timings) *table {
	return &table{confirm: t.Confirm, conflict: t.Conflict, boots: map[string]boot{}, clashes: map[string]time.Time{}}
}

// seen records that a boot is alive, or has new meta data.
func (t *table) seen(m Meta, addr string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calm = nil
	name := gossipName(m.NodeID, m.BootID)
	b, known := t.boots[name]
	if !known || !b.up {
		b.since = now
	}
	b.meta, b.addr, b.up = m, addr, true
	t.boots[name] = b
	t.forget()
}

// lost records that a boot was given up or has left.
func (t *table) lost(name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, known := t.boots[name]
	if !known || !b.up {
		return
	}
	t.calm = nil
	b.up, b.since = false, now
	t.boots[name] = b
	t.forget()
}

// clash records that two processes at different addresses claim one gossip name.
func (t *table) clash(nodeID string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calm = nil
	t.clashes[nodeID] = now
}

// forget drops boots that are down and replaced by a newer one, and the oldest of those beyond the limit. The
// caller holds mu.
func (t *table) forget() {
	newest := t.newest()
	var down []string
	for _, name := range slices.Sorted(maps.Keys(t.boots)) {
		switch b := t.boots[name]; {
		case b.up:
		case newest[b.meta.NodeID] != name:
			delete(t.boots, name)
		default:
			down = append(down, name)
		}
	}
	if len(down) <= maxDown {
		return
	}
	slices.SortStableFunc(down, func(a, b string) int { return t.boots[a].since.Compare(t.boots[b].since) })
	for _, name := range down[:len(down)-maxDown] {
		delete(t.clashes, t.boots[name].meta.NodeID)
		delete(t.boots, name)
	}
}

// newest maps each node id to the gossip name of its newest boot, one that is up before any that is down: a copy of a
// data dir that ran for a moment must not hide the node itself. The caller holds mu.
func (t *table) newest() map[string]string {
	best := map[string]string{}
	for name, b := range t.boots {
		old, known := best[b.meta.NodeID]
		if !known || better(b, t.boots[old]) {
			best[b.meta.NodeID] = name
		}
	}
	return best
}

// better tells whether a stands for its node rather than b.
func better(a, b boot) bool {
	if a.up != b.up {
		return a.up
	}
	return newer(a.meta, b.meta)
}

// newer tells whether a started after b; the boot id only breaks ties, so that all nodes agree.
func newer(a, b Meta) bool {
	return cmp.Or(cmp.Compare(a.BootSeq, b.BootSeq), cmp.Compare(a.BootID, b.BootID)) > 0
}

// members lists the newest boot of each node, by node id.
func (t *table) members(now time.Time) []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calm != nil {
		return slices.Clone(t.calm)
	}
	conflicts := t.conflicts(now)
	var all []Member
	for id, name := range t.newest() {
		b := t.boots[name]
		all = append(all, Member{Meta: b.meta, State: b.state(now, t.confirm), Addr: b.addr, Since: b.since, Conflict: conflicts[id]})
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.NodeID, b.NodeID) })
	if len(t.clashes) == 0 && len(all) == len(t.boots) && !slices.ContainsFunc(all, func(m Member) bool { return m.State != Alive }) {
		t.calm = slices.Clone(all)
	}
	return all
}

// state is what the outside is told of a boot.
func (b boot) state(now time.Time, confirm time.Duration) State {
	switch {
	case b.up:
		return Alive
	case b.meta.Leaving:
		return Left
	case now.Sub(b.since) < confirm:
		return Suspect
	}
	return Dead
}

// conflicts tells which node ids have had two live boots for long. The caller holds mu.
func (t *table) conflicts(now time.Time) map[string]bool {
	ups := map[string][]time.Time{}
	for _, b := range t.boots {
		if b.up {
			ups[b.meta.NodeID] = append(ups[b.meta.NodeID], b.since)
		}
	}
	found := map[string]bool{}
	for id, since := range ups {
		slices.SortFunc(since, time.Time.Compare)
		found[id] = len(since) > 1 && now.Sub(since[1]) >= t.conflict
	}
	for id, last := range t.clashes {
		found[id] = found[id] || now.Sub(last) < t.conflict
	}
	return found
}
