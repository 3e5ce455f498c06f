package gossip

import (
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// Profile names a set of times for one kind of network. The cluster uses the same names for raft's times.
type Profile string

const (
	LAN  Profile = "lan"  // one site, round trips up to about 50 ms; tolerates pauses of 2 s. The default
	Fast Profile = "fast" // one rack, idle machines: finds a dead node in about 1 s; tolerates pauses of 0.4 s
	WAN  Profile = "wan"  // several sites, round trips up to about 400 ms
)

// ParseProfile turns a word of the user into a Profile; the empty word is lan.
func ParseProfile(s string) (Profile, error) {
	switch p := Profile(s); p {
	case "":
		return LAN, nil
	case LAN, Fast, WAN:
		return p, nil
	}
	return "", fmt.Errorf("cannot use profile %q: it is none of lan, fast, wan", s)
}

// Timings are the gossip times of a profile.
type Timings struct {
	ProbeInterval  time.Duration // between two probes by one node; a failed probe takes all of it
	ProbeTimeout   time.Duration // until a probe tries other ways
	SuspicionMult  int           // suspicion lasts at least this many probe intervals
	GossipInterval time.Duration // between two rounds of spreading news
	TCPTimeout     time.Duration // of one full exchange of state, and of a dial
	PushPull       time.Duration // between two full exchanges with a random member
	Confirm        time.Duration // a member that was given up stays suspect this long before it is dead
	Rejoin         time.Duration // between two rounds of the rejoin loop, less or more up to a fifth
	Conflict       time.Duration // two boots of a node alive together this long are two nodes with one id
	// Detect is the bound from a crash to dead in all views, for three nodes (none of 600 runs was later). With five
	// or ten, where a second prober comes by less regularly, one death in a hundred takes up to a third longer.
	Detect time.Duration
}

// Timing returns the times of a profile; those of lan for an unknown one.
//
// SuspicionMult is 3 where the cluster is small: with 4, three nodes are too few for memberlist's confirmations by
// others and it goes on one node's word alone.
//
// The bounds of lan follow from the probe interval p: the earliest death is 4p + Confirm (2.1 s) after the silence
// begins, so a pause of 2 s is survived; the latest is 7p + Confirm (3.45 s) among three nodes: the victim is probed
// after 3p at the latest, the probe takes p, the suspicion 3p. In fast the same sum is 1.36 s.
func Timing(p Profile) Timings {
	switch p {
	case Fast:
		return Timings{
			ProbeInterval: 180 * time.Millisecond, ProbeTimeout: 100 * time.Millisecond, SuspicionMult: 3,
			GossipInterval: 50 * time.Millisecond, TCPTimeout: 2 * time.Second, PushPull: 30 * time.Second,
			Confirm: 100 * time.Millisecond, Rejoin: 10 * time.Second, Conflict: 30 * time.Second,
			Detect: 1500 * time.Millisecond,
		}
	case WAN:
		return Timings{
			ProbeInterval: 2 * time.Second, ProbeTimeout: time.Second, SuspicionMult: 4,
			GossipInterval: 200 * time.Millisecond, TCPTimeout: 10 * time.Second, PushPull: 30 * time.Second,
			Confirm: time.Second, Rejoin: 10 * time.Second, Conflict: 90 * time.Second,
			Detect: 18 * time.Second,
		}
	}
	return Timings{
		ProbeInterval: 450 * time.Millisecond, ProbeTimeout: 200 * time.Millisecond, SuspicionMult: 3,
		GossipInterval: 100 * time.Millisecond, TCPTimeout: 2 * time.Second, PushPull: 30 * time.Second,
		Confirm: 300 * time.Millisecond, Rejoin: 10 * time.Second, Conflict: 30 * time.Second,
		Detect: 3500 * time.Millisecond,
	}
}

// apply writes the times into memberlist's configuration.
func (t Timings) apply(c *memberlist.Config) {
	c.ProbeInterval, c.ProbeTimeout = t.ProbeInterval, t.ProbeTimeout
	c.SuspicionMult = t.SuspicionMult
	c.GossipInterval = t.GossipInterval
	c.TCPTimeout = t.TCPTimeout
	c.PushPullInterval = t.PushPull
	c.GossipToTheDeadTime = 30 * time.Second
	// memberlist's 4 lets news miss a node now and then: acks to a burst of pings use the transmissions up. Up to
	// nine nodes this is 10 packets per news.
	c.RetransmitMult = 10
}
