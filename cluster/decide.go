package cluster

import (
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
)

// Decider makes a leader's own decisions: who is lost or fenced, which tree starts
// again, and where lives go. What it remembers belongs to one term of one leader; a
// new leader begins with a new Decider. It has no clock: the leader, or a simulation,
// tells it what there is to see.
type Decider struct {
	times Times
	brake brake
	turn  int // how often it looked
}

// NewDecider begins a term with a profile's times.
func NewDecider(t Times) *Decider { return &Decider{times: t} }

// Seen is what a leader sees of a node that no agent has taken leave from.
type Seen struct {
	// Session: there is one. Apart is for how long there was none, Silent the time
	// since the last sign of life.
	Session       bool
	Silent, Apart time.Duration
	// Dead: gossip holds the node for dead, for so long already.
	Dead    bool
	DeadFor time.Duration
	// Leased: its lease may not have run out. Overdue: it is alive, and has held
	// exclusive children for W without asking for its lease.
	Leased, Overdue bool
}

// Next says what the leader must propose now, at a cluster time, given what it sees of
// each node.
func (d *Decider) Next(v fsm.View, now time.Duration, seen map[string]Seen) []fsm.Command {
	in := inputs{now: now, signs: make(map[string]sign), leased: make(map[string]bool), overdue: make(map[string]bool)}
	for id, s := range seen { // order-free: maps are filled
		state := gossip.Alive
		if s.Dead {
			state = gossip.Dead
		}
		in.signs[id] = sign{session: s.Session, silent: s.Silent, apart: s.Apart, gossip: state, dead: s.DeadFor}
		in.leased[id], in.overdue[id] = s.Leased, s.Overdue
	}
	return d.next(v, in)
}

// next looks once, at the pace that the losses allow.
func (d *Decider) next(v fsm.View, in inputs) []fsm.Command {
	in.turn, in.pace = d.turn, d.brake.pace(lostLately(v, in.now), in.now)
	d.turn++
	cmds := next(d.times, v, in)
	d.brake.moved += in.pace.moves(v, cmds)
	return cmds
}

// Delays are how long the world takes for what stands between a fault and its answer.
// The rest follows from Times.
type Delays struct {
	// Detect is from a node's end until gossip holds it for dead.
	Detect time.Duration
	// Trip is a round trip with a write to disk at its end: one log entry.
	Trip time.Duration
	// Election is from a leader's end until the next one has caught up.
	Election time.Duration
	// Asked is how long before it is cut off a node has asked for its lease for the last
	// time. Heard is how long after it is cut off the leader takes that it did: it may
	// be late, or, if negative, early.
	Asked, Heard time.Duration
	// Dial is from a leader's beginning until the nodes have their sessions with it.
	Dial time.Duration
}

// DelaysOf gives the worst delays of a profile, which package-wide bounds count on
// (GapsOf), or typical ones: of a quiet network, where the first vote is not split.
func DelaysOf(p gossip.Profile, typical bool) Delays {
	t, g, trip := TimesOf(p), gossip.Timing(p), roundTrip(p)
	if typical {
		// A probe finds the node at the middle of its round. Raft looks for its leader one
		// to two Heartbeats after it last did, and misses it if it has heard nothing for
		// one: of two voters that look, the first does after two or so.
		found := g.ProbeInterval*time.Duration(3+2*g.SuspicionMult)/2 + g.Confirm
		return Delays{
			Detect: min(found, g.Detect), Trip: trip / 10, Election: 2*t.Heartbeat + 2*trip/10,
			Asked: t.Renew / 2, Heard: -t.Renew / 2, Dial: trip / 5,
		}
	}
	d := Delays{Detect: g.Detect, Trip: trip, Asked: t.Renew, Heard: trip, Dial: t.Grace}
	for _, term := range (worst{t: t, trip: trip}).election() {
		d.Election += term.Time
	}
	return d
}

// VotersOf is how many of so many nodes vote.
func VotersOf(nodes int) int { return wanted(nodes) }
