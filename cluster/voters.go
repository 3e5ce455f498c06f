package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/selfware/selfware/fsm"
)

// candidate is a node as the review of voters sees it.
type candidate struct {
	id, addr string
	// healthy: alive, and in session for at least Times.Stable.
	healthy bool
	left    bool
	known   bool // it has a record in the state
	server  bool // it is in raft's configuration
	voter   bool
	caught  bool // its replica is close to the leader's
	moved   bool // raft knows it at another address
	self    bool
}

// change is one step of raft's configuration.
type change struct {
	verb string // "add", "promote", "address", "demote", "remove"
	id   string
	addr string
	why  string
}

func (c change) String() string { return fmt.Sprintf("%s %s: %s", c.verb, c.id, c.why) }

// advise gives the next step towards the right voters: an odd number of them, 1,
// 3 or 5, all healthy. One step at a time, and never one that takes a voter away
// before its successor votes (vault#18004, rqlite#1293): a dead voter that may come
// back stays while nobody can replace it.
func advise(cands []candidate) (change, bool) {
	slices.SortFunc(cands, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	nodes, voters, sound := 0, 0, 0
	for _, c := range cands {
		nodes += count(c.known && !c.left)
		voters += count(c.voter)
		sound += count(c.voter && c.healthy)
	}
	want := wanted(nodes)
	if c, ok := correct(cands, sound > (voters-1)/2); ok {
		return c, ok
	}
	if sound < want {
		return admit(cands)
	}
	for _, c := range cands {
		if c.voter && !c.healthy && !c.self && voters > want {
			return change{"remove", c.id, "", "another voter has taken its place"}, true
		}
	}
	for _, c := range slices.Backward(cands) {
		if c.voter && !c.self && voters > want {
			return change{"remove", c.id, "", fmt.Sprintf("%d voters are enough", want)}, true
		}
	}
	return change{}, false
}

// correct brings the configuration in line with what is certain: new addresses,
// and servers that can never come back as what they were, because they left, were
// succeeded by a fresh node of their name, or another node has their address (raft
// would refuse that one). spare: a majority of the others is sound; a dead voter
// less then makes nothing worse.
func correct(cands []candidate, spare bool) (change, bool) {
	taken := make(map[string]bool)
	for _, c := range cands {
		taken[c.addr] = taken[c.addr] || c.healthy && !c.server
	}
	for _, c := range cands {
		gone := !c.known || !c.healthy && taken[c.addr]
		switch {
		case !c.server || c.self:
		case c.moved && c.healthy:
			return change{"address", c.id, c.addr, "it has moved"}, true
		case c.left && (spare || !c.voter):
			return change{"remove", c.id, "", "it has left"}, true
		case gone && (spare || !c.voter):
			return change{"remove", c.id, "", "it is no node of the cluster any more"}, true
		}
	}
	return change{}, false
}

// admit brings one more node in: first as a non-voter that copies the log, then
// with a vote.
func admit(cands []candidate) (change, bool) {
	for _, c := range cands {
		if c.healthy && c.server && !c.voter && c.caught {
			return change{"promote", c.id, c.addr, "it has caught up"}, true
		}
	}
	for _, c := range cands {
		if c.healthy && c.server && !c.voter {
			return change{}, false // wait for it to catch up
		}
	}
	for _, c := range cands {
		if c.healthy && !c.server {
			return change{"add", c.id, c.addr, "a voter is needed"}, true
		}
	}
	return change{}, false
}

// wanted is how many voters so many nodes should have, well or not: a node
// that is down for a while is no reason to want fewer voters.
func wanted(nodes int) int {
	switch {
	case nodes >= 5:
		return 5
	case nodes >= 3:
		return 3
	}
	return 1
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// steward reviews the voters from time to time. It is apart from the loop
// because a change of the configuration waits for its commit.
func (l *leader) steward() {
	tick := time.NewTicker(l.n.times.Steward)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		c, ok := advise(l.candidates())
		if !ok {
			continue
		}
		l.n.log.Info("voters", "change", c)
		if err := l.carryOut(c); err != nil && l.ctx.Err() == nil {
			l.n.log.Warn("cannot change the voters", "change", c, "why", err)
		}
	}
}

func (l *leader) carryOut(c change) error {
	id, addr := raft.ServerID(c.id), raft.ServerAddress(c.addr)
	switch c.verb {
	case "add":
		return l.log.AddNonvoter(id, addr, 0, 5*time.Second).Error()
	case "promote", "address":
		// AddVoter of a known voter changes its address in place.
		return l.log.AddVoter(id, addr, 0, 5*time.Second).Error()
	}
	return l.log.RemoveServer(id, 0, 5*time.Second).Error()
}

// candidates gathers what advise needs.
func (l *leader) candidates() []candidate {
	all := make(map[string]*candidate)
	for _, n := range l.nodes() {
		if n.Succeeded {
			continue // kept for its exclusive children alone
		}
		all[n.ID] = &candidate{id: n.ID, addr: n.Address, known: true, left: n.State == fsm.NodeGone}
	}
	for _, s := range l.n.Servers() {
		c := all[string(s.ID)]
		if c == nil {
			c = &candidate{id: string(s.ID), addr: string(s.Address)}
			all[c.id] = c
		}
		c.server, c.voter = true, s.Suffrage == raft.Voter
		c.moved = c.addr != string(s.Address) && c.voter
		c.self = c.id == l.n.cfg.Self.ID
	}
	l.vitals.Range(func(k, v any) bool {
		if c := all[k.(string)]; c != nil {
			vital := v.(vital)
			c.healthy = c.known && !c.left && time.Since(vital.since) >= l.n.times.Stable
			c.caught = vital.applied+256 >= l.log.AppliedIndex() && vital.applied > 0
		}
		return true
	})
	cands := make([]candidate, 0, len(all))
	for _, c := range all {
		cands = append(cands, *c)
	}
	return cands
}

func (l *leader) nodes() []*fsm.Node {
	var nodes []*fsm.Node
	l.n.rep.m.View(func(v fsm.View) { nodes = v.Nodes() })
	return nodes
}

// vital is what the loop tells the steward of a node in session.
type vital struct {
	since   time.Time
	applied uint64
}
