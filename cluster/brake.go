package cluster

import (
	"fmt"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// When many nodes are lost at once, it is more likely that the network, or this
// cluster's own judgement, is at fault than that they all broke, and their children,
// started all at once, could overload those that are left. So their moves are paced:
// brakeRate a second, twice as many every brakeDouble. The loss of one node is never
// paced, and no move waits longer than brakeWindow after the last loss.
const (
	brakeWindow = 60 * time.Second
	brakeRate   = 50
	brakeDouble = 10 * time.Second
)

// massLoss is which nodes were lost lately, of how many.
type massLoss struct {
	lost map[string]bool
	of   int
}

// lostLately looks at the nodes as of a cluster time. A node that is back is not
// lost, and one that was lost long ago is none of those that were there.
func lostLately(v fsm.View, now time.Duration) massLoss {
	m := massLoss{lost: make(map[string]bool)}
	for _, n := range v.Nodes() {
		switch {
		case n.State == fsm.NodeAlive:
			m.of++
		case n.State == fsm.NodeDown && now-n.Since < brakeWindow:
			m.of++
			m.lost[n.ID] = true
		}
	}
	return m
}

// brakes: more than a third of the nodes, and two at least.
func (m massLoss) brakes() bool { return len(m.lost) >= 2 && 3*len(m.lost) > m.of }

func (m massLoss) String() string {
	return fmt.Sprintf("moves are paced: %d of %d nodes lost within %v", len(m.lost), m.of, brakeWindow)
}

// allowed is how many moves may be made within d of a brake's begin.
func allowed(d time.Duration) int {
	n, rate := brakeRate, brakeRate // the first ones at once
	for ; d >= brakeDouble && rate < maxAssigns*brakeRate; d -= brakeDouble {
		n += rate * int(brakeDouble/time.Second)
		rate *= 2
	}
	return n + int(float64(rate)*d.Seconds())
}

// brake is the leader's: a new leader begins anew.
type brake struct {
	on    bool
	since time.Duration // cluster time
	moved int
}

// pace says how many children of nodes lost lately may be given a node now.
type pace struct {
	massLoss
	on   bool
	room int
}

// pace follows the losses.
func (b *brake) pace(m massLoss, now time.Duration) pace {
	if !m.brakes() {
		*b = brake{}
		return pace{massLoss: m}
	}
	if !b.on {
		*b = brake{on: true, since: now}
	}
	return pace{massLoss: m, on: true, room: max(0, allowed(now-b.since)-b.moved)}
}

// hold takes out the moves for which there is no room.
func (p pace) hold(reqs []supervisor.Request) []supervisor.Request {
	if bug.On("brake-off") {
		return reqs
	}
	if !p.on {
		return reqs
	}
	var out []supervisor.Request
	room := p.room
	for _, r := range reqs {
		if p.lost[r.Last] {
			if room == 0 {
				continue
			}
			room--
		}
		out = append(out, r)
	}
	return out
}

// moves counts what of the commands is paced.
func (p pace) moves(v fsm.View, cmds []fsm.Command) (n int) {
	if !p.on {
		return 0
	}
	for i := range cmds {
		for _, a := range cmds[i].Assign {
			if t := v.Tree(supervisor.TreeName(a.Path)); t != nil {
				r, ok := t.Request(a.Path)
				n += count(ok && p.lost[r.Last])
			}
		}
	}
	return n
}

// Paced says that moves are paced at the moment, and why; empty if they are not, or
// if nothing waits.
func Paced(v fsm.View) string {
	m := lostLately(v, v.Clock())
	if !m.brakes() {
		return ""
	}
	for _, r := range v.Pending(pacedPending) {
		if m.lost[r.Last] {
			return m.String()
		}
	}
	return ""
}

// pacedPending is how many lives that wait are looked at to tell whether moves are
// paced.
const pacedPending = 8 * maxAssigns
