package leasemodel

// consensus: the entry under way commits, or another leader is elected. The entry
// of the old one is then in the log before the new one's barrier, or never.
func (x steps) consensus() {
	if c := x.from.Flight; c.Verb != nothing {
		x.apply(func(s state) { x.emit(act{Deed: commit, Term: s.Term, Node: c.Node, Cmd: c}, s) })
	}
	if x.from.Elections == 0 {
		return
	}
	won := func(s state, c command) {
		s.Elections--
		s.Term++
		s.Flight = command{Node: nobody}
		old := s.leader(s.Term - 1)
		old.Last, old.Condemned = [2]uint8{}, [2]bool{old.Condemned[0], old.Condemned[1]}
		*s.leader(s.Term) = leader{Leads: true}
		x.emit(act{Deed: elect, Term: s.Term, Node: c.Node, Cmd: c}, s)
	}
	past := x.from.view
	s := *x.from
	s.Past = past
	won(s, command{Node: nobody})
	if c := x.from.Flight; c.Verb != nothing {
		x.apply(func(s state) {
			s.Past = past
			won(s, c)
		})
	}
}

// apply is the replicated state machine: it gives the states that the entry under
// way may lead to.
func (x steps) apply(then func(state)) {
	s := *x.from
	c := s.Flight
	s.Flight = command{Node: nobody}
	at := &s.view.Nodes[c.Node]
	switch c.Verb {
	case nodeUp:
		x.enter(s, c, then)
		return
	case nodeLost:
		if *at == alive {
			*at = lost
			if x.sc.Without == StartBeforeFence && s.Owner == c.Node {
				x.decide(s, then)
				return
			}
		}
	case nodeFenced:
		if *at != fenced {
			*at = fenced
			if s.Owner == c.Node {
				x.decide(s, then)
				return
			}
		}
	case exited:
		if c.Epoch == s.Epoch || x.sc.Without == DedupeOff {
			if c.Epoch != s.Epoch {
				x.sc.breaks(&s, P7) // that life is over, so its end was decided on before
			}
			x.decide(s, then)
			return
		}
	case assign:
		if s.Owner == nobody && *at == alive {
			x.sc.place(&s, c.Node)
		}
	}
	then(s)
}

// enter brings a node in, or back. A new agent that does not hold the node's life
// says with that that it is over.
func (x steps) enter(s state, c command, then func(state)) {
	s.view.Nodes[c.Node] = alive
	s.leader(s.Term).Condemned[c.Node] = false
	admit := func(s state) {
		if n := &s.Nodes[c.Node]; n.Phase == entering && n.Session == s.Term {
			n.Phase, n.Boot = admitted, false
			if s.Owner == c.Node {
				n.Full = s.Epoch
			}
		}
		then(s)
	}
	if c.Boot && s.Owner == c.Node && c.Epoch != s.Epoch {
		x.decide(s, admit)
		return
	}
	admit(s)
}

// decide ends the present life and creates the next, on any node that is there.
func (x steps) decide(s state, then func(state)) {
	if x.sc.Without != ReuseEpoch {
		if s.Epoch == x.sc.Lives {
			return // the scope's end
		}
		s.Epoch++
	}
	s.Owner = nobody
	free := false
	for id := range ID(2) {
		if s.view.Nodes[id] == alive {
			free = true
			next := s
			x.sc.place(&next, id)
			then(next)
		}
	}
	if !free {
		then(s)
	}
}

// place gives the present life to a node.
func (sc *Scope) place(s *state, id ID) {
	if s.Assigned[s.Epoch] != nobody {
		sc.breaks(s, P1)
	}
	s.Assigned[s.Epoch], s.Owner = id, id
}
