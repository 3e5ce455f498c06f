package leasemodel

// Situation is one that an exploration must come through to mean anything.
type Situation int

// The situations.
const (
	MovesAfterFence Situation = iota
	BeginsElsewhere
	ComesBack
	Adopts
	HasNothing
	GrantedLate
	SecondGrants
	DeposedGrants
	KilledLast
	KilledPaused
	KilledAlone
	Refused
	TwoRun
	situations
)

var situationNames = [situations]string{
	MovesAfterFence: "a life moves after its node was fenced",
	BeginsElsewhere: "the next life begins on the other node",
	ComesBack:       "a lost node comes back with its life",
	Adopts:          "a new agent adopts the life",
	HasNothing:      "a new agent has nothing to adopt",
	GrantedLate:     "a grant arrives late",
	SecondGrants:    "the second leader grants",
	DeposedGrants:   "a deposed leader grants what it verified in its time",
	KilledLast:      "the keeper kills at the last moment",
	KilledPaused:    "the keeper kills while the agent is stopped",
	KilledAlone:     "the keeper kills while there is no agent",
	Refused:         "the resource refuses an older life",
	TwoRun:          "two lives run after a thaw",
}

func (s Situation) String() string { return situationNames[s] }

// witness counts a step that is one of the situations.
func (r *Report) witness(from *state, a act, to *state) {
	note := func(s Situation, is bool) {
		if is {
			r.Seen[s]++
		}
	}
	switch c := a.Cmd; {
	case a.Deed == commit && c.Verb == nodeFenced:
		note(MovesAfterFence, from.Owner == c.Node && to.Owner == c.Node.other())
	case a.Deed == commit && c.Verb == nodeUp:
		note(ComesBack, from.view.Nodes[c.Node] == lost && c.Epoch == from.Epoch)
		note(Adopts, c.Boot && c.Epoch == from.Epoch)
		note(HasNothing, c.Boot && to.Epoch > from.Epoch)
	case a.Deed == begin:
		note(BeginsElsewhere, a.Arg > 1 && from.Assigned[a.Arg-1] == a.Node.other())
	case a.Deed == takeGrant:
		note(GrantedLate, a.Arg >= lease)
		note(SecondGrants, a.Term == 2)
	case a.Deed == answer:
		note(DeposedGrants, a.Term < from.Term)
	case a.Deed == end && from.Nodes[a.Node].Hold >= mortal:
		note(KilledLast, true)
		note(KilledPaused, from.Nodes[a.Node].Agent == paused)
		note(KilledAlone, from.Nodes[a.Node].Agent == dead)
	case a.Deed == write:
		note(Refused, from.Written > a.Arg)
	}
	note(TwoRun, to.overlaps() && !from.overlaps())
}
