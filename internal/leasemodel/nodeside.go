package leasemodel

// faults are what may befall a node, within the scope's limits.
func (x steps) faults(id ID) {
	try := func(left func(*state) *uint8, d deed, can bool, change func(*node)) {
		if !can || left != nil && *left(x.from) == 0 {
			return
		}
		s := *x.from
		if left != nil {
			*left(&s)--
		}
		change(&s.Nodes[id])
		x.emit(act{Deed: d, Node: id}, s)
	}
	n := &x.from.Nodes[id]
	here := n.Frozen != frozen
	crashes := func(s *state) *uint8 { return &s.Crashes }
	try(crashes, crash, here && n.Agent != dead, (*node).loseAgent)
	try(crashes, reboot, true, func(n *node) {
		n.loseAgent()
		n.Runs, n.Hold, n.Frozen = 0, never, awake
	})
	try(nil, restart, here && n.Agent == dead, func(n *node) {
		n.Agent, n.Boot = running, true
		if x.sc.Without == RestartTrustsNow {
			n.Hold, n.Leased = 0, true
		}
	})
	try(func(s *state) *uint8 { return &s.Pauses }, pause, here && n.Agent == running, func(n *node) { n.Agent = paused })
	try(nil, resume, here && n.Agent == paused, func(n *node) { n.Agent = running })
	try(func(s *state) *uint8 { return &s.Freezes }, freeze, n.Frozen == awake, func(n *node) { n.Frozen = frozen })
	try(nil, thaw, n.Frozen == frozen, func(n *node) { n.Frozen = thawed })
}

// loseAgent ends the agent process: what it knew, and its session, go with it.
func (n *node) loseAgent() {
	n.Agent, n.Leased, n.Session = dead, false, 0
	n.Phase, n.Hello, n.Full, n.Ordered, n.Done = apart, 0, 0, 0, 0
	n.Renewal = [bag]renewal{}
}

// process is what the child's process may do: end, whoever or whatever ends it,
// and use the outside resource.
func (x steps) process(id ID) {
	runs := x.from.Nodes[id].Runs
	if runs == 0 {
		return
	}
	s := *x.from
	n := &s.Nodes[id]
	n.Runs = 0
	if n.Agent != dead { // a new agent asks the keeper what is there
		n.Done = max(n.Done, runs)
	}
	x.emit(act{Deed: end, Node: id, Arg: runs}, s)
	if x.sc.Resource {
		x.write(id, runs)
	}
}

// write: the resource takes it unless it has seen a later epoch.
func (x steps) write(id ID, epoch uint8) {
	s := *x.from
	later := s.Written > epoch
	took := !later || x.sc.Without == ResourceDoesNotCheck
	if took {
		if later || s.Written == epoch && s.WrittenBy != id {
			x.sc.breaks(&s, P13Fence)
		}
		s.Written, s.WrittenBy = epoch, id
	}
	x.emit(act{Deed: write, Node: id, Arg: epoch}, s)
}

// agent is what the agent of a node may do.
func (x steps) agent(id ID) {
	n := &x.from.Nodes[id]
	for term := uint8(1); term <= x.from.Term; term++ {
		if x.from.leader(term).Leads && (n.Session != term || n.Phase != greeting) && x.from.Connects > 0 {
			s := *x.from
			s.Connects--
			n := &s.Nodes[id]
			n.Session, n.Phase, n.Hello, n.Full = term, greeting, n.Runs, 0
			if x.sc.Without != GrantOutlivesSession {
				n.Renewal = [bag]renewal{} // whatever was handed to a session dies with it
			}
			x.emit(act{Deed: connect, Node: id, Term: term}, s)
		}
	}
	wanted := n.Ordered != 0 || n.Runs != 0 // without an exclusive life the lease is of no use
	if wanted && (n.Phase == settled || x.sc.Without == RenewBeforeOrders && n.Phase == admitted) {
		x.onNode(act{Deed: renew, Node: id, Term: n.Session}, func(n *node) { n.send(x.sc.Bag) })
	}
	for _, m := range n.Renewal {
		if m.Term != 0 && m.Stage == answered {
			x.takeGrant(id, m)
		}
	}
	if n.Phase == admitted {
		x.onNode(act{Deed: takeOrders, Node: id, Term: n.Session, Arg: n.Full}, func(n *node) {
			if n.Full != 0 || x.sc.Without != OrdersOutliveSession {
				n.Ordered = n.Full
			}
			n.Phase, n.Full = settled, 0
		})
	}
	x.begin(id)
	if n.Done != 0 && x.from.Reports&(1<<n.Done) == 0 && x.sc.matters(n.Done, x.from) {
		s := *x.from
		s.Reports |= 1 << n.Done
		x.emit(act{Deed: report, Node: id, Arg: n.Done}, s)
	}
}

// takeGrant counts the lease from the moment that the grant echoes. One that is
// too old by the slowest clock has no effect.
func (x steps) takeGrant(id ID, g renewal) {
	age := g.Age
	if x.sc.Without == TrustFromReceipt {
		age = 0
	}
	if n := &x.from.Nodes[id]; n.Leased && n.Hold <= age && n.Granted <= g.Age {
		return
	}
	x.onNode(act{Deed: takeGrant, Node: id, Term: g.Term, Arg: g.Age}, func(n *node) {
		if n.Hold >= trusted && n.Runs != 0 && x.sc.Without != HoldRevives {
			n.Runs, n.Done = 0, max(n.Done, n.Runs) // it was to die, and does
		}
		n.Leased = true
		n.Hold = min(n.Hold, age)
		n.Granted = min(n.Granted, g.Age)
	})
}

// begin starts the process of the life that is ordered. The agent does so under a
// lease only; the keeper refuses it when its own deadline has passed.
func (x steps) begin(id ID) {
	n := &x.from.Nodes[id]
	covered := n.Leased && n.Hold < trusted || x.sc.Without == StartWithoutLease
	if n.Ordered <= n.Done || n.Runs != 0 || !covered {
		return
	}
	s := *x.from
	s.Nodes[id].Runs = n.Ordered
	if s.Assigned[n.Ordered] != id || n.Granted > mortal {
		x.sc.breaks(&s, P12)
	}
	x.emit(act{Deed: begin, Node: id, Arg: n.Ordered}, s)
}

// matters: the report of a life's end has an effect. Leaving the others out
// changes nothing and saves states.
func (sc *Scope) matters(epoch uint8, s *state) bool {
	return epoch >= s.Epoch || sc.Without == DedupeOff
}

// onNode emits a change of one node.
func (x steps) onNode(a act, change func(*node)) {
	s := *x.from
	change(&s.Nodes[a.Node])
	x.emit(a, s)
}
