package leasemodel

import (
	"cmp"
	"slices"
)

// deed is what happens in a step.
type deed uint8

const (
	tick deed = iota
	// of an agent
	connect
	renew
	takeGrant
	takeOrders
	begin
	report
	// of a process or its keeper
	end
	write
	// of a leader
	takeRenewal
	ask
	answer
	order
	propose
	commit
	elect
	stepDown
	// faults
	crash
	reboot
	restart
	pause
	resume
	freeze
	thaw
)

// act is a deed with whom it concerns. What Arg says depends on the deed.
type act struct {
	Deed deed
	Node ID
	Term uint8
	Arg  uint8
	Cmd  command
}

// steps gives every state that can follow s, with what leads there. Everything
// that the parts wait for is a step of its own, so that anything may come between.
type steps struct {
	sc   *Scope
	from *state
	emit func(act, state)
}

func (sc *Scope) next(s *state, emit func(act, state)) {
	x := steps{sc, s, emit}
	x.time()
	for id := range ID(2) {
		x.faults(id)
		if s.Nodes[id].Frozen == frozen {
			continue
		}
		x.process(id)
		if s.Nodes[id].Agent == running {
			x.agent(id)
		}
	}
	x.consensus()
	for term := uint8(1); term <= s.Term; term++ {
		if s.leader(term).Leads {
			x.leads(term)
		}
	}
}

// time lets one tick pass, unless something must happen first: a keeper that is
// given processor time has killed in time. Nothing else is ever in time for sure.
func (x steps) time() {
	s := *x.from
	for i := range s.Nodes {
		n := &s.Nodes[i]
		late := n.Runs != 0 && n.Hold >= mortal
		keeper := x.sc.Without != KeeperMissing || n.Agent == running
		if late && keeper && n.Frozen != frozen {
			return
		}
	}
	for i := range s.Nodes {
		s.Nodes[i].age(x.sc.Blind)
	}
	for i := range s.Leaders {
		s.Leaders[i].age()
	}
	x.emit(act{Deed: tick}, s)
}

func (n *node) age(blind bool) {
	asleep := n.Frozen == frozen
	if !asleep || !blind {
		n.Hold = min(n.Hold+1, never)
	}
	n.Granted = min(n.Granted+1, never)
	if n.Frozen == thawed {
		n.Frozen = awake
	}
	for i := range n.Renewal {
		n.Renewal[i].age()
	}
	n.sort()
}

// age drops what can have no effect any more.
func (m *renewal) age() {
	if m.Term == 0 {
		return
	}
	if m.Age++; m.Age > trusted {
		*m = renewal{}
	} else if m.Stage == received {
		m.At++
	}
}

func (l *leader) age() {
	if l.Leads {
		for i := range l.Last {
			l.Last[i] = min(l.Last[i]+1, wait)
		}
	}
}

// sort puts the messages into one order, so that equal states look equal.
func (n *node) sort() {
	slices.SortFunc(n.Renewal[:], func(a, b renewal) int {
		return cmp.Or(cmp.Compare(min(a.Term, 1), min(b.Term, 1))*-1, cmp.Compare(a.Age, b.Age),
			cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Term, b.Term), cmp.Compare(a.At, b.At))
	})
}

// send adds a renewal; if there is no room, the oldest is lost.
func (n *node) send(bag int) {
	for _, m := range n.Renewal {
		if m == (renewal{Term: n.Session}) {
			return
		}
	}
	copy(n.Renewal[1:bag], n.Renewal[:bag])
	n.Renewal[0] = renewal{Term: n.Session}
	n.sort()
}
