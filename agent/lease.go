package agent

import (
	"errors"
	"time"

	"github.com/selfware/selfware/internal/bug"
)

// Lease are the times of the node's lease (cluster.Times has them by profile), all
// counted from the moment the agent sent the renewal that was granted.
type Lease struct {
	// Renew is the pause between two renewals.
	Renew time.Duration
	// After Soft no exclusive life begins and those that run are stopped; after
	// Fence the process table kills them.
	Soft, Fence time.Duration
}

// check says what is wrong with the times. The zero Lease is none: exclusive
// children then never run.
func (l Lease) check() error {
	if l != (Lease{}) && (l.Renew <= 0 || l.Soft <= l.Renew || l.Fence <= l.Soft) {
		return errors.New("cannot use agent config: a lease needs 0 < Renew < Soft < Fence")
	}
	return nil
}

// lease is the node's right to run exclusive children, as far as the agent can
// trust in it. All moments are of Config.Clock.
type lease struct {
	// wanted: some order of the present session is exclusive. Without one the
	// lease is of no use.
	wanted bool
	// from is when the newest renewal that was granted was sent, asked when the
	// newest one was; 0: never.
	from, asked time.Duration
	tenure      tenure
}

// tenure is what the lease means for exclusive lives.
type tenure int

const (
	// unproven: an agent that has just begun knows of no lease. It begins no
	// exclusive life; those it found go on as long as the former one's Hold lets them.
	unproven tenure = iota
	held            // they may begin, and go on
	lapsed          // they must end
)

// renewal is the moment to put into the next Up, 0 if it is too early for one. It
// is taken before the message is sent: what the leader counts begins later.
func (a *Agent) renewal() int64 {
	if !a.lease.wanted || a.ses == nil || !a.ses.settled || a.cfg.Lease == (Lease{}) {
		return 0
	}
	now := a.cfg.Clock()
	if a.lease.asked != 0 && now < a.lease.asked+a.cfg.Lease.Renew {
		return 0
	}
	a.lease.asked = now
	return int64(now)
}

// granted takes the leader's answer to a renewal. Answers may be late, doubled or
// in any order; each proves only what it echoes.
func (a *Agent) granted(from time.Duration) {
	now, l := a.cfg.Clock(), &a.lease
	if from <= l.from || from > now {
		return
	}
	if bug.On("trust-from-receipt") {
		from = now
	}
	l.from = from
	a.cfg.Runner.Hold(from + a.cfg.Lease.Fence)
	if l.tenure != held && now < from+a.cfg.Lease.Soft {
		l.tenure = held
		a.table.touchAll()
	}
}

// lapse ends the lease at its soft deadline, whatever the leader does: nobody else
// starts these children before they are surely gone.
func (a *Agent) lapse() {
	l := &a.lease
	if l.tenure != held || a.cfg.Clock() < l.from+a.cfg.Lease.Soft {
		return
	}
	l.tenure = lapsed
	a.log.Warn("the lease runs out: exclusive children end", "since", a.cfg.Clock()-l.from)
	a.table.touchAll()
}

// leaseTimes are the moments of Go's clock at which the lease needs a look.
func (a *Agent) leaseTimes() (at []time.Time) {
	in := func(moment time.Duration) time.Time {
		return time.Now().Add(max(0, moment-a.cfg.Clock()))
	}
	if a.lease.tenure == held {
		at = append(at, in(a.lease.from+a.cfg.Lease.Soft))
	}
	if s := a.ses; s != nil && s.settled && !s.writing && a.lease.wanted && a.cfg.Lease != (Lease{}) {
		at = append(at, in(a.lease.asked+a.cfg.Lease.Renew))
	}
	return at
}
