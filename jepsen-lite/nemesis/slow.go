package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/selfware/selfware/jepsen-lite/lab"
)

var slows = []kind{
	{name: "slow-delay", line: "benign: round trips of up to 200 ms between all nodes", needs: lab.CanShape, target: All, uses: theLinks, strike: slowDelay},
	{name: "slow-loss", line: "benign: 10 % of all packets lost", needs: lab.CanShape, target: All, uses: theLinks, strike: slowLoss},
	{name: "slow-duplicate", line: "benign: 20 % of all packets doubled, 10 % held back", needs: lab.CanShape, target: All, uses: theLinks, strike: slowDuplicate},
	{name: "slow-node", line: "one node behind 300 to 800 ms each way and 20 % loss", needs: lab.CanShape, target: One, uses: theLinks, strike: slowNode},
	{name: "slow-rate", line: "one node behind a line of 64 to 256 KiB/s", needs: lab.CanShape, target: One, uses: theLinks, strike: slowRate},
}

// shape applies a rule between nodes and all others.
func (s *strike) shape(rule lab.Rule) error {
	ways := both(s.nodes, s.all)
	if len(ways) == 0 {
		return errors.New("there is no link to slow down")
	}
	return errors.Join(s.watch(ways), s.apply(ways, lab.AllPorts, rule))
}

func (s *strike) benign(what string, rule lab.Rule) error {
	s.says("%s between all nodes", what)
	s.traits(func(t *Traits) { t.Benign, t.Quorum = true, false })
	return s.shape(rule)
}

func slowDelay(_ context.Context, s *strike) error {
	d := s.between(30*time.Millisecond, 90*time.Millisecond).Round(time.Millisecond)
	return s.benign(fmt.Sprintf("%v to %v of delay each way", d, d+10*time.Millisecond), lab.Rule{Delay: d, Jitter: 10 * time.Millisecond})
}

func slowLoss(_ context.Context, s *strike) error {
	return s.benign("10 % loss", lab.Rule{Loss: 0.1})
}

func slowDuplicate(_ context.Context, s *strike) error {
	return s.benign("20 % duplicates and 10 % out of order", lab.Rule{Duplicate: 0.2, Reorder: 0.1})
}

func slowNode(_ context.Context, s *strike) error {
	d := s.between(300*time.Millisecond, 800*time.Millisecond).Round(time.Millisecond)
	s.says("%s behind %v each way and 20 %% loss", list(s.nodes), d)
	return s.shape(lab.Rule{Delay: d, Jitter: d / 4, Loss: 0.2})
}

func slowRate(_ context.Context, s *strike) error {
	kib := 64 + s.rng.Int64N(192)
	s.says("%s behind a line of %d KiB/s", list(s.nodes), kib)
	return s.shape(lab.Rule{Rate: kib << 10})
}
