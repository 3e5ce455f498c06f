package cluster

import (
	"context"
	"fmt"

	"github.com/selfware/selfware/fsm"
)

// Submit puts a command through the log and gives its result. It works on the
// leader only; elsewhere it fails with ErrNotLeader and nothing was tried. After
// ErrUncertain, or when ctx ends, the command may have been done: the same
// request id asks again safely.
func (n *Node) Submit(ctx context.Context, cmd fsm.Command) (fsm.Result, error) {
	l := n.leading.Load()
	if l == nil {
		return fsm.Result{}, n.notLeader()
	}
	// A command that cannot be an entry must not take others' entry with it.
	if data, err := (fsm.Entry{Commands: []fsm.Command{cmd}}).Encode(); err != nil {
		return fsm.Result{}, err
	} else if len(data) > maxEntry {
		return fsm.Result{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(data), maxEntry)
	}
	done := make(chan outcome, 1)
	p := &proposal{cmd: cmd, then: func(r fsm.Result, err error) {
		done <- outcome{results: []fsm.Result{r}, err: err}
	}}
	select {
	case l.proposals <- p:
	case <-l.ctx.Done():
		return fsm.Result{}, n.notLeader()
	default:
		return fsm.Result{}, ErrBusy
	}
	select {
	case o := <-done:
		if o.err != nil {
			return fsm.Result{}, o.err
		}
		return o.results[0], o.results[0].Err
	case <-ctx.Done():
		return fsm.Result{}, fmt.Errorf("%w (%v)", ErrUncertain, ctx.Err())
	case <-n.over:
		return fsm.Result{}, ErrUncertain
	}
}

func (n *Node) notLeader() error {
	id, addr := n.Leader()
	if id == n.cfg.Self.ID {
		id, addr = "", "" // it leads soon, not yet
	}
	return leaderError{id, addr}
}
