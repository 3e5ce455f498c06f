package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/selfware/selfware/link"
	"github.com/selfware/selfware/runner"
	"github.com/selfware/selfware/supervisor"
)

// Defaults and fixed times of an agent.
const (
	DefaultRedial      = 100 * time.Millisecond
	DefaultDialTimeout = 5 * time.Second
	DefaultSendTimeout = 10 * time.Second
	// redialMax bounds the growth of the pause between dials: after an election,
	// nodes should find the new leader within a part of what the election took.
	redialMax = 250 * time.Millisecond
	// refusedPause is the pause after a leader has refused the node.
	refusedPause = 5 * time.Second
	// byeTime bounds how long the end waits for the last message to be sent.
	byeTime = time.Second
)

// Event is what a table of processes says of a life: runner's word for it.
type Event = runner.Event

// Launch is one life to begin.
type Launch struct {
	supervisor.Ref
	Program *supervisor.Program
	// Exclusive lives run only until the moment that Hold names.
	Exclusive bool
	// Restarts is how often the node restarted this life alone: a table may be asked
	// to begin a life again, with more of them, once its process has ended.
	Restarts int
	// Env is KEY=VALUE, sorted, one entry for each key.
	Env []string
}

// Processes is the table of processes of this node. Its calls return at once;
// what comes of them is told by events, whose Key is that of Key(ref).
type Processes interface {
	// Start begins a life. An error means that nothing was begun and no event
	// will come.
	Start(Launch) error
	// Stop begins to end a life, gracefully first; an unknown one is ignored.
	Stop(ref supervisor.Ref, reason string)
	// Hold lets exclusive lives run until a moment of the machine's clock (time
	// since it booted, suspension included); then they are killed, whatever has
	// become of the agent. The latest call counts. Before the first, none may run.
	Hold(until time.Duration)
	// Settle says that the leader knows of the end of a life. Until then the table
	// tells it to each agent that begins; starting the same life again settles it too.
	Settle(ref supervisor.Ref)
	// Live lists what has not ended, and for an agent that begins also what has ended
	// and is not settled: events tell how.
	Live() []link.Life
	// Events has one reader, the agent. Closed: there is no process table any more.
	Events() <-chan Event
}

// Config is what an agent needs.
type Config struct {
	// Node is what the agent says of its node. ID and Name are required.
	Node link.Node
	// Labels, if set, gives the labels of the node as they are now, instead of those in
	// Node. After they have changed, Introduce has the leader learn of it.
	Labels func() map[string]string
	// Runner holds the processes. Required.
	Runner Processes
	// Dial opens a session with the leader, or with a node that redirects; it is
	// called anew after each end of a session. The context lasts as long as the
	// session, and Dial must return when it ends. Close of the link must end a
	// Send or Recv that blocks. Required.
	Dial func(context.Context) (link.Link, error)

	// Redial is the first pause after a failed dial; it doubles up to a
	// quarter of a second (or Redial, if that is longer), and each pause is shortened by up
	// to half, at random. 0 = DefaultRedial.
	Redial time.Duration
	// DialTimeout bounds one dial. 0 = DefaultDialTimeout.
	DialTimeout time.Duration
	// SendTimeout ends a session whose peer does not take a message for so
	// long, or says nothing at all for so long at its beginning. 0 =
	// DefaultSendTimeout.
	SendTimeout time.Duration
	// Silence ends a session on which nothing arrived for so long; it must be
	// well above the period of the leader's pings. 0 = never: the link itself
	// must then notice a dead peer.
	Silence time.Duration
	// Alone is how long there must be no settled session before the agent restarts
	// children alone, within the budgets of their orders. 0 = never.
	Alone time.Duration
	// Seed makes the jitter of the pauses repeatable; give each node its own.
	Seed uint64

	// End, if set, ends the children on the way out, before Bye: whoever hears
	// Bye starts them elsewhere. What ends meanwhile is not reported.
	End func()

	// Lease are the times of the lease that exclusive children need. The zero
	// Lease is none.
	Lease Lease
	// Clock is the time since the machine booted, suspension included, by which
	// leases are counted. Nil = CLOCK_BOOTTIME.
	Clock func() time.Duration

	// Health, if set, brings how the node is whenever that has changed. The leader is told,
	// in each session once what is known by then.
	Health <-chan link.Health

	// Env is added to the environment of each child; the program's own keys win.
	Env map[string]string
	// Logger; nil = discard.
	Logger *slog.Logger
}

// Validate returns the first thing that makes c unusable.
func (c *Config) Validate() error {
	switch {
	case c.Node.ID == "" || c.Node.Name == "":
		return errors.New("cannot use agent config: Node needs ID and Name")
	case c.Runner == nil:
		return errors.New("cannot use agent config: Runner is missing")
	case c.Dial == nil:
		return errors.New("cannot use agent config: Dial is missing")
	case c.Redial < 0 || c.DialTimeout < 0 || c.SendTimeout < 0 || c.Silence < 0 || c.Alone < 0:
		return errors.New("cannot use agent config: a time is negative")
	}
	return c.Lease.check()
}

func (c *Config) fill() {
	c.Redial = cmp.Or(c.Redial, DefaultRedial)
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	c.SendTimeout = cmp.Or(c.SendTimeout, DefaultSendTimeout)
	if c.Clock == nil {
		c.Clock = runner.BootTime
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}
