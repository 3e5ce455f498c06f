package leasemodel

// leads is what the leader of a term may do, whether or not it still leads.
func (x steps) leads(term uint8) {
	sees := x.from.sees(term)
	for id := range ID(2) {
		n := &x.from.Nodes[id]
		for i, m := range n.Renewal {
			switch {
			case m.Term != term:
			case m.Stage == sent:
				x.takeRenewal(term, id, i)
			case m.Stage == received:
				x.answer(term, id, i)
			}
		}
		here := n.Session == term && n.Phase == settled
		if here && sees.Owner == id && sees.Epoch > max(n.Ordered, n.Done, n.Runs) {
			x.order(term, id, sees.Epoch)
		}
		if c := x.from.Flight; x.sc.Without == OrderBeforeCommit && here && c.Verb == nodeFenced &&
			c.Node != id && sees.Owner == c.Node && sees.Epoch < x.sc.Lives {
			x.order(term, id, sees.Epoch+1)
		}
	}
	x.asks(term)
	if term < x.from.Term {
		s := *x.from
		*s.leader(term) = leader{}
		x.emit(act{Deed: stepDown, Term: term}, s)
		return
	}
	if x.from.Flight.Verb == nothing {
		x.proposals(term)
	}
}

func (x steps) order(term uint8, id ID, epoch uint8) {
	x.onNode(act{Deed: order, Node: id, Term: term, Arg: epoch}, func(n *node) { n.Ordered = epoch })
}

// takeRenewal: the leader gets a renewal and asks a majority whether it leads. It
// is told so if no other was elected before it asked; else it says nothing.
func (x steps) takeRenewal(term uint8, id ID, i int) {
	passes := term == x.from.Term || x.sc.Without == GrantWithoutVerify || x.from.leader(term).Asked
	if !passes {
		return
	}
	m := x.from.Nodes[id].Renewal[i]
	x.onNode(act{Deed: takeRenewal, Node: id, Term: term, Arg: m.Age}, func(n *node) {
		n.Renewal[i].Stage = received
		n.sort()
	})
}

// answer ends the verification for one renewal: it is granted, unless the node
// has not entered or is being condemned.
func (x steps) answer(term uint8, id ID, i int) {
	at := x.from.sees(term).Nodes[id]
	switch {
	case x.sc.Without == GrantWhileCondemning && at != fenced:
	case x.from.leader(term).Condemned[id] || at != alive:
		return
	}
	s := *x.from
	n, l := &s.Nodes[id], s.leader(term)
	m := &n.Renewal[i]
	if term == s.Term {
		l.Last[id] = min(l.Last[id], m.At)
	}
	m.Stage, m.At = answered, 0
	a := act{Deed: answer, Node: id, Term: term, Arg: m.Age}
	n.sort()
	x.emit(a, s)
}

// asks is of VerifyBeforeReceipt: a verification that any renewal may join.
func (x steps) asks(term uint8) {
	if x.sc.Without == VerifyBeforeReceipt && term == x.from.Term && !x.from.leader(term).Asked {
		s := *x.from
		s.leader(term).Asked = true
		x.emit(act{Deed: ask, Term: term}, s)
	}
}

// proposals are what the leader may put into the log.
func (x steps) proposals(term uint8) {
	s := x.from
	l := s.leader(term)
	for id := range ID(2) {
		n := &s.Nodes[id]
		if n.Session == term && n.Phase == greeting && n.Agent != dead {
			x.propose(term, command{Verb: nodeUp, Node: id, Epoch: n.Hello, Boot: n.Boot})
		}
		if s.view.Nodes[id] == alive && s.Owner == id { // who is silent is not modelled: it may be anyone
			x.propose(term, command{Verb: nodeLost, Node: id})
		}
		// One that is well but for its lease is fenced, too.
		if (s.view.Nodes[id] == lost || s.Owner == id && s.view.Nodes[id] == alive) && x.expired(term, l.Last[id]) {
			x.propose(term, command{Verb: nodeFenced, Node: id})
		}
		if s.Owner == nobody && s.view.Nodes[id] == alive {
			x.propose(term, command{Verb: assign, Node: id})
		}
	}
	for e := uint8(1); e <= x.sc.Lives; e++ {
		// A report of a life that is over changes nothing, so it is not looked at.
		if s.Reports&(1<<e) != 0 && (e == s.Epoch || x.sc.Without == DedupeOff) && s.Owner != nobody {
			x.propose(term, command{Verb: exited, Node: s.Owner, Epoch: e})
		}
	}
}

// expired: no renewal that this leader, or one before it, has granted is trusted
// any more.
func (x steps) expired(term uint8, last uint8) bool {
	switch {
	case x.sc.Without == ShortWait:
		return last >= lease
	case x.sc.Without == NewLeaderDoesNotWait && term == 2:
		return true
	}
	return last >= wait
}

func (x steps) propose(term uint8, c command) {
	s := *x.from
	s.Flight = c
	switch c.Verb {
	case nodeUp:
		s.Nodes[c.Node].Phase = entering
	case nodeFenced:
		s.leader(term).Condemned[c.Node] = true
	}
	x.emit(act{Deed: propose, Term: term, Node: c.Node, Cmd: c}, s)
}
