package agent

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// phase is where a life is on this node.
type phase int

const (
	starting phase = iota // begun, its start is not confirmed
	up                    // confirmed
	ended
)

func (p phase) String() string { return [...]string{"starting", "up", "ended"}[p] }

// life is one life that was begun, or answered for, on this node.
type life struct {
	epoch supervisor.Epoch
	phase phase
	pid   int
	// stopping: the process table was told to stop it.
	stopping bool
	// exclusive: it may run under the node's lease only. fenced: it was told to
	// stop because that runs out.
	exclusive, fenced bool
	// confirm: its start needs more than to execute, so Spawned is worth an event.
	confirm bool
	// exit is what was reported when it ended; seq the number it was sent under.
	exit supervisor.ChildEvent
	seq  uint64
	// pending: exit is not acknowledged yet.
	pending bool
	endedAt time.Time
	// disowned: it did not run here.
	disowned bool
	alone    alone
	// told: exit was sent, so the leader may have answered it.
	told bool
}

// order is what the leader wants of one life.
type order struct {
	epoch supervisor.Epoch
	halt  bool
	// due is when a run order's back-off has passed, counted from its first arrival.
	due time.Time
	// answered: an exit was reported since the order last arrived.
	answered bool

	program   *supervisor.Program
	reason    string
	attempt   int
	instance  string // of one of many of its kind
	exclusive bool
	// generation goes with the epoch, for the resources that the program uses.
	generation uint64
	// local is what the node may do alone about ends of this life, since when.
	local *supervisor.LocalBudget
	since time.Time
	// exits are the ends of which it is said what follows: by the log, and not here.
	exits *supervisor.ExitRules
}

// child is all that the agent knows of one path. Lives and orders stand in
// order of their epochs; mostly there is one of each.
type child struct {
	path   string
	orders []order
	lives  []life
	// last is the highest epoch begun or answered for here.
	last supervisor.Epoch
}

func (c *child) order(e supervisor.Epoch) *order {
	i, ok := slices.BinarySearchFunc(c.orders, e, func(o order, e supervisor.Epoch) int { return cmp.Compare(o.epoch, e) })
	if !ok {
		return nil
	}
	return &c.orders[i]
}

func (c *child) life(e supervisor.Epoch) *life {
	i, ok := slices.BinarySearchFunc(c.lives, e, func(l life, e supervisor.Epoch) int { return cmp.Compare(l.epoch, e) })
	if !ok {
		return nil
	}
	return &c.lives[i]
}

// newest is the highest epoch that an order names, 0 if there is none. Epochs
// only grow, so it is the one that counts and those below it are past.
func (c *child) newest() supervisor.Epoch {
	if len(c.orders) == 0 {
		return 0
	}
	return c.orders[len(c.orders)-1].epoch
}

func (c *child) empty() bool { return len(c.orders) == 0 && len(c.lives) == 0 }

// verb is what plan asks for.
type verb int

const (
	doStart  verb = iota // begin the life
	doAgain              // begin another process of the life, without a leader
	doStop               // stop the life
	doFence              // stop the life for want of a lease
	doReport             // report the exit of a life that ended here
	doDisown             // report the exit of a life that is not known here
	doForget             // drop what is kept of a life that ended
)

func (v verb) String() string {
	return [...]string{"start", "start again", "stop", "fence", "report", "disown", "forget"}[v]
}

// action is one step towards the orders, and why.
type action struct {
	verb  verb
	epoch supervisor.Epoch
	why   string
}

func (a action) String() string { return fmt.Sprintf("%v %v: %s", a.verb, a.epoch, a.why) }

// plan says what brings the lives of one path closer to its orders, and when to
// look again if only time is missing (zero: not before something changes).
// settled: the orders are known to be the whole of what the leader wants, so a
// life that none of them names must stop. Exclusive lives begin while
// the lease is held and end when it has lapsed.
func plan(c *child, settled bool, lease tenure, now time.Time) (acts []action, wake time.Time) {
	alive := false
	for i := range c.lives {
		l := &c.lives[i]
		if l.phase == ended {
			acts = append(acts, planEnded(l, c.order(l.epoch))...)
			continue
		}
		alive = true
		switch why := c.unwanted(l.epoch, settled); {
		case l.stopping:
		case why != "":
			acts = append(acts, action{doStop, l.epoch, why})
		case l.exclusive && lease == lapsed:
			acts = append(acts, action{doFence, l.epoch, "the node's lease runs out"})
		}
	}
	for i := range c.orders {
		o := &c.orders[i]
		if c.life(o.epoch) != nil {
			continue
		}
		switch {
		case o.halt || o.epoch <= c.last || o.epoch < c.newest():
			acts = append(acts, action{doDisown, o.epoch, c.disowned(o)})
		case alive:
			// Its turn comes when the other life is gone.
		case o.exclusive && lease != held && !bug.On("exclusive-starts-without-lease"):
			// It begins once the lease is granted.
		case now.Before(o.due):
			wake = o.due
		default:
			acts = append(acts, action{doStart, o.epoch, "ordered"})
		}
	}
	return acts, wake
}

// planEnded settles a life that has ended with the order for it, if there is one.
func planEnded(l *life, o *order) []action {
	switch {
	case o == nil && !l.pending:
		return []action{{doForget, l.epoch, "ended, acknowledged and not ordered"}}
	case o != nil && !o.answered && !l.pending:
		return []action{{doReport, l.epoch, "ordered again after its end"}}
	}
	return nil
}

// unwanted says why the running life e must stop, or "".
func (c *child) unwanted(e supervisor.Epoch, settled bool) string {
	o := c.order(e)
	switch {
	case o != nil && o.halt:
		return "ordered to stop"
	case c.newest() > e:
		return "replaced by " + c.newest().String()
	case o == nil && settled:
		return "no order names it"
	}
	return ""
}

// disowned says why a life that is not known here counts as ended: it must not
// run, or it can no longer begin because epochs only grow.
func (c *child) disowned(o *order) string {
	switch after := max(c.last, c.newest()); {
	case o.epoch == c.last:
		return "has already ended here"
	case o.epoch < after:
		return "was not running; " + after.String() + " came after it here"
	}
	return "was not running"
}
