package cluster

import (
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/bug"
)

// Times are the cluster's times of a profile; gossip.Timing has those of gossip.
// They belong together, so nobody tunes them one by one.
type Times struct {
	// Raft's own (raft.Config).
	Heartbeat, Election, Lease, Commit time.Duration
	// Tick is how often the leader looks for what has become due.
	Tick time.Duration
	// Ping is how often the leader asks each session for a sign of life.
	Ping time.Duration
	// Grace is how long a node whose agent process is gone may take to come back.
	Grace time.Duration
	// Return is what it gets instead if its last word was that it comes back (an
	// upgrade).
	Return time.Duration
	// Silence is the least time without a sign of life after which a node that
	// gossip holds for dead is lost. In lan, a pause of 2 s and the round trips of a
	// dial after it, 200 ms each, must fit (P16).
	Silence time.Duration
	// Unreachable is the time without a session after which a node is lost
	// whatever gossip says: it can get no orders.
	Unreachable time.Duration
	// Alone is how long an agent waits for a leader before it restarts children alone.
	// An election must fit into it.
	Alone time.Duration
	// Stall is how long one write of raft's store may take before the process ends.
	// No node is granted a lease while the leader's disk hangs, so this and an
	// election must fit into W, and better into Soft.
	Stall time.Duration
	// Steward is how often the voters are reviewed, Stable how long a node must
	// be alive before it may vote.
	Steward, Stable time.Duration

	// Renew is how often an agent asks for its lease. Counted from when it asked,
	// it stops its exclusive children after Soft and has them killed after Fence;
	// Kill later they are dead. An election must fit between Renew and Soft.
	Renew, Soft, Fence, Kill time.Duration
	// Slack is added to W for what is not a matter of rates: the resolution of
	// clocks and timers.
	Slack time.Duration
}

// Hush is how long an agent bears a leader that says nothing, before it looks for
// another: an election that the leader's pause brought about must be over, with
// all that follows, before leases lapse.
func (t Times) Hush() time.Duration { return 5 * t.Ping }

// drift is the assumed bound on the difference of two machines' clock rates.
const drift = 0.05

// W is how long after the receipt of a node's last answered renewal its
// exclusive children may still run: until then nobody may take their place.
func (t Times) W() time.Duration {
	if bug.On("replaces-too-early") {
		return t.Fence
	}
	return time.Duration(float64(t.Fence+t.Kill)*(1+drift)) + t.Slack
}

// TimesOf gives the times of a profile; those of lan for an unknown one.
func TimesOf(p gossip.Profile) Times {
	switch p {
	case gossip.Fast:
		return Times{
			Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond, Lease: 100 * time.Millisecond,
			Commit: 20 * time.Millisecond, Tick: 50 * time.Millisecond, Ping: 100 * time.Millisecond,
			Grace: 150 * time.Millisecond, Return: 3 * time.Second, Silence: 600 * time.Millisecond, Unreachable: 10 * time.Second, Alone: 1500 * time.Millisecond, Stall: 1200 * time.Millisecond,
			Steward: 200 * time.Millisecond, Stable: 500 * time.Millisecond,
			Renew: 100 * time.Millisecond, Soft: 1100 * time.Millisecond, Fence: 1400 * time.Millisecond,
			Kill: 250 * time.Millisecond, Slack: 100 * time.Millisecond,
		}
	case gossip.WAN:
		return Times{
			Heartbeat: 2 * time.Second, Election: 2 * time.Second, Lease: time.Second,
			Commit: 100 * time.Millisecond, Tick: 250 * time.Millisecond, Ping: 2 * time.Second,
			Grace: time.Second, Return: 20 * time.Second, Silence: 8 * time.Second, Unreachable: 60 * time.Second, Alone: 15 * time.Second, Stall: 5 * time.Second,
			Steward: time.Second, Stable: 5 * time.Second,
			Renew: 2 * time.Second, Soft: 13 * time.Second, Fence: 16 * time.Second,
			Kill: 2 * time.Second, Slack: time.Second,
		}
	}
	return Times{
		Heartbeat: 400 * time.Millisecond, Election: 400 * time.Millisecond, Lease: 200 * time.Millisecond,
		Commit: 50 * time.Millisecond, Tick: 100 * time.Millisecond, Ping: 400 * time.Millisecond,
		Grace: 250 * time.Millisecond, Return: 5 * time.Second, Silence: 2900 * time.Millisecond, Unreachable: 20 * time.Second, Alone: 3 * time.Second, Stall: 2 * time.Second,
		Steward: 500 * time.Millisecond, Stable: time.Second,
		Renew: 400 * time.Millisecond, Soft: 3300 * time.Millisecond, Fence: 4 * time.Second,
		Kill: 500 * time.Millisecond, Slack: 300 * time.Millisecond,
	}
}
