package supervisor

import (
	"fmt"
	"time"
)

// Bounds of an UpdatePolicy.
const (
	MaxUpdateWait     = 24 * time.Hour
	DefaultParallel   = 1
	DefaultMinReady   = 10 * time.Second
	DefaultUpdateTime = 5 * time.Minute
)

// UpdatePolicy says how an Edit renews the workers below a supervisor that it gives
// another program or place.
type UpdatePolicy struct {
	// Parallel of them at most have their turn at a time, in start order.
	Parallel int `json:"parallel"`
	// MinReady is for how long, in cluster time, a child must have run without an end
	// before the next one's turn.
	MinReady time.Duration `json:"min_ready"`
	// Deadline is by when a child must be confirmed running, from its turn, or from the
	// loss of its node, on.
	Deadline time.Duration `json:"deadline"`
	// AutoRevert: if a child fails in its turn, the tree gets its former spec back;
	// otherwise the rollout halts.
	AutoRevert bool `json:"auto_revert,omitempty"`
}

// validUpdate refuses what no rollout could follow.
func validUpdate(path string, p *UpdatePolicy) error {
	switch {
	case p == nil:
	case p.Parallel < 1 || p.Parallel > MaxChildren:
		return fmt.Errorf("cannot use %s: update.parallel must be 1 to %d", path, MaxChildren)
	case p.MinReady < 0 || p.MinReady > MaxUpdateWait:
		return fmt.Errorf("cannot use %s: update.min_ready must be 0 to %v", path, MaxUpdateWait)
	case p.Deadline <= 0 || p.Deadline > MaxUpdateWait:
		return fmt.Errorf("cannot use %s: update.deadline must be more than 0 and at most %v", path, MaxUpdateWait)
	}
	return nil
}

// policies are those of a plain tree, by path.
func (s Spec) policies() map[string]UpdatePolicy {
	all := make(map[string]UpdatePolicy)
	if s.Update != nil {
		all[s.Name] = *s.Update
	}
	addPolicies(s.Name, s.Children, all)
	return all
}

func addPolicies(parent string, children []ChildSpec, into map[string]UpdatePolicy) {
	for i := range children {
		c := &children[i]
		path := parent + "/" + c.ID
		if c.Supervisor != nil && c.Supervisor.Update != nil {
			into[path] = *c.Supervisor.Update
		}
		addPolicies(path, c.Children, into)
	}
}
