package cluster

import (
	"errors"
	"fmt"
)

var (
	// ErrNotLeader: this node does not lead, so the request was not tried. It is
	// safe to send it again, to the leader.
	ErrNotLeader = errors.New("this node is not the leader")
	// ErrUncertain: leadership was lost while the request was under way. It may
	// or may not have been done; the same request id asks again safely.
	ErrUncertain = errors.New("the leader changed while the request was under way")
	// ErrBusy: as many requests wait as may. Nothing was tried.
	ErrBusy = errors.New("the leader has too many requests waiting")
	// ErrTooLarge: the request does not fit in a log entry.
	ErrTooLarge = errors.New("the request is too large")
	// ErrStopping: the node is going down.
	ErrStopping = errors.New("the node is stopping")
)

// leaderError is ErrNotLeader with where to go.
type leaderError struct{ id, addr string }

func (e leaderError) Error() string {
	if e.id == "" {
		return ErrNotLeader.Error() + "; there is none at the moment"
	}
	return fmt.Sprintf("%v; it is %s at %s", ErrNotLeader, e.id, e.addr)
}

func (e leaderError) Is(target error) bool { return target == ErrNotLeader }
