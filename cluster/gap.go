package cluster

import (
	"fmt"
	"time"

	"github.com/selfware/selfware/gossip"
)

// Fault is what may end a child's process, or cut it off, beside its own failures.
type Fault string

const (
	NodeLost    Fault = "node lost"    // its machine is off, another node leads
	LeaderLost  Fault = "leader lost"  // its machine is off, and led
	AgentKilled Fault = "agent killed" // its node's agent is killed and does not come back
	DiskHangs   Fault = "disk hangs"   // its node led, and no write to its disk ends
	Partition   Fault = "partition"    // its node is cut off from the majority, and led
)

// Faults are all of them, in the order in which they are told.
var Faults = []Fault{NodeLost, LeaderLost, AgentKilled, DiskHangs, Partition}

// Gap is the longest time for which no process of a child runs because of a fault,
// while a majority of the voters is well. The time that a program takes to start or
// to stop is its own and comes on top.
type Gap struct {
	Fault Fault
	Terms []Term // what it is the sum of; none: it is 0
	Note  string
}

// Term is one part of a Gap. Some are taken off.
type Term struct {
	Time time.Duration
	What string
}

// Length is the sum.
func (g Gap) Length() (sum time.Duration) {
	for _, t := range g.Terms {
		sum += t.Time
	}
	return sum
}

// GapsOf gives the gaps of a child under each fault, from the times of a profile.
func GapsOf(profile string, exclusive bool) ([]Gap, error) {
	p, err := gossip.ParseProfile(profile)
	if err != nil {
		return nil, err
	}
	w := worst{t: TimesOf(p), detect: gossip.Timing(p).Detect, trip: roundTrip(p)}
	if exclusive {
		return w.exclusive(), nil
	}
	return w.shared(), nil
}

// roundTrip is the longest round trip, with a write to disk at its end, that a
// profile is meant for.
func roundTrip(p gossip.Profile) time.Duration {
	switch p {
	case gossip.Fast:
		return 10 * time.Millisecond
	case gossip.WAN:
		return 400 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// worst is what the worst cases are put together from.
type worst struct {
	t            Times
	detect, trip time.Duration
}

func (w worst) verdict() Term {
	if w.detect >= w.t.Silence {
		return Term{w.detect, "until gossip is sure that the node is dead"}
	}
	return Term{w.t.Silence, "silence"}
}

// act is what follows once the leader may act: it looks, commits what it saw, and
// then the new place.
func (w worst) act() []Term {
	return []Term{{w.t.Tick, "until the leader looks again"}, {2 * w.trip, "two log entries"}}
}

func (w worst) election() []Term {
	return []Term{
		{2 * w.t.Heartbeat, "until the voters miss the leader"}, {2 * w.t.Election, "for one vote that is split"},
		{w.trip, "until the new leader has caught up"},
	}
}

func (w worst) lease(from string) Term {
	return Term{w.t.W(), fmt.Sprintf("until the lease has surely run out: (%v + %v) x %v + %v from %s",
		w.t.Fence, w.t.Kill, 1+drift, w.t.Slack, from)}
}

// exclusive: nothing begins elsewhere before the lease has run out, and a new leader
// has to wait for all of it. A node that is cut off ends the child at the soft
// deadline; where its agent is gone, the keeper does at the hard one.
func (w worst) exclusive() []Gap {
	here := sum([]Term{{w.trip, "for a renewal that was on its way"}, w.lease("its receipt")}, w.act())
	if late := w.verdict(); late.Time > w.trip+w.t.W() {
		here = sum([]Term{late}, w.act())
	}
	elected := sum(w.election(), []Term{w.lease("the new leader's beginning")}, w.act())
	asked := Term{w.t.Renew, "since its node had last asked for its lease"}
	return []Gap{
		{NodeLost, here, ""},
		{LeaderLost, elected, ""},
		{AgentKilled, sum(here, []Term{{-w.t.Fence, "for which it still ran"}}),
			"0s if the agent is back within the lease: the keeper has kept the child"},
		{DiskHangs, sum([]Term{{w.t.Stall, "until the store gives the disk up"}}, elected,
			[]Term{asked, {-w.t.Fence, "for which it still ran"}}), "other nodes' children stop, too, if no leader is found before their leases end"},
		{Partition, sum(elected, []Term{asked, {-w.t.Soft, "for which it still ran"}}),
			fmt.Sprintf("it ends there before it begins elsewhere; it has %v to stop, whatever its grace", w.t.Fence-w.t.Soft)},
	}
}

// shared children are moved as soon as their node is held for dead, and run on
// wherever they can.
func (w worst) shared() []Gap {
	found := []Term{w.verdict(), {w.t.Grace, "for a session with the new leader"}}
	if e := w.election(); (Gap{Terms: e}).Length() > (Gap{Terms: found}).Length() {
		found = e
	}
	return []Gap{
		{NodeLost, sum([]Term{w.verdict()}, w.act()), ""},
		{LeaderLost, sum(found, w.act()), ""},
		{AgentKilled, nil, "the keeper has kept the child; it may run twice until the agent is back"},
		{DiskHangs, nil, "the keeper has kept the child; it may run twice until the agent is back"},
		{Partition, nil, "it runs on there, and may run twice until the partition heals"},
	}
}

func sum(parts ...[]Term) (terms []Term) {
	for _, p := range parts {
		terms = append(terms, p...)
	}
	return terms
}
