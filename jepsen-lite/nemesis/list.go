package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

var none = kind{
	name: "none", line: "control: no fault at all; what fails now is not the fault's doing", target: All,
	strike: func(_ context.Context, s *strike) error {
		s.nodes = nil
		s.says("nothing")
		s.traits(func(t *Traits) { t.Benign = true })
		s.saw("controls", 1)
		return nil
	},
}

// kinds are all but mixed, which draws from them.
func kinds() []kind {
	return slices.Concat([]kind{none}, kills, pauses, partitions, slows, disks, clocks, restarts)
}

// List gives every nemesis there is, by name.
func List() []Nemesis {
	all := []Nemesis{mixed{}}
	for _, k := range kinds() {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Nemesis) int { return strings.Compare(a.Name(), b.Name()) })
	return all
}

// Find gives the nemesis of a name.
func Find(name string) (Nemesis, error) {
	for _, n := range List() {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no nemesis %q", name)
}

// Restore ends whatever may be in force in a lab, and starts what is down. It
// says which nodes were, for those that no fault had brought down.
func Restore(ctx context.Context, l lab.Lab) (started []string, err error) {
	var errs []error
	if net := l.Network(); net != nil {
		errs = append(errs, net.Heal())
	}
	for _, n := range l.Nodes() {
		if n.Left() {
			continue
		}
		if d := n.Disk(); d != nil {
			errs = append(errs, d.Free())
		}
		if c := n.Clock(); c != nil {
			errs = append(errs, c.Set(lab.ClockFault{}))
		}
		if _, down := n.Keeper(); down != nil {
			started = append(started, n.Name())
			errs = append(errs, n.Start(ctx))
			continue
		}
		errs = append(errs, n.Thaw())
	}
	return started, errors.Join(errs...)
}
