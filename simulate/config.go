package simulate

import (
	"errors"
	"fmt"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

// Limits of Run.
const (
	MaxNodes = 100
	MaxFor   = 24 * time.Hour
	// MaxEvents is how many decisions and faults are told; a tree that fails and
	// starts again for hours makes more.
	MaxEvents = 100_000
)

// Config is what Run plays.
type Config struct {
	Tree    supervisor.Spec
	Nodes   int
	Faults  []spec.Fault // in the order of their times
	Profile string       // of times: lan, fast or wan; empty is lan
	// Typical takes the delays of a quiet network instead of the worst ones.
	Typical bool
	For     time.Duration
	// Labels of nodes, by their names. Of processors and memory all have enough.
	Labels map[string]map[string]string
}

// Validate reports the first setting that cannot be meant.
func (c Config) Validate() error {
	_, err := gossip.ParseProfile(c.Profile)
	switch {
	case err != nil:
		return err
	case c.Nodes < 1 || c.Nodes > MaxNodes:
		return fmt.Errorf("cannot simulate %d nodes: 1 to %d", c.Nodes, MaxNodes)
	case c.For <= 0 || c.For > MaxFor:
		return fmt.Errorf("cannot simulate %v: more than 0 and at most %v", c.For, MaxFor)
	case len(members(&c.Tree)) == 0:
		return errors.New("cannot simulate a tree without a worker")
	}
	for _, f := range c.Faults {
		if f.At >= c.For {
			return fmt.Errorf("cannot simulate the fault %s: it comes after the end, %v; simulate for longer", f, c.For)
		}
	}
	return nil
}

// NodeNames are the names of so many nodes: n1, n2, …
func NodeNames(nodes int) []string {
	names := make([]string, nodes)
	for i := range names {
		names[i] = fmt.Sprintf("n%d", i+1)
	}
	return names
}

// Workers lists the paths of a tree's workers, in start order.
func Workers(tree supervisor.Spec) []string {
	var paths []string
	for _, m := range members(&tree) {
		paths = append(paths, m.path)
	}
	return paths
}

// Assumed are the times that a simulation takes from the profile.
type Assumed struct {
	Profile  string        `json:"profile"`
	Delays   string        `json:"delays"` // worst or typical
	Voters   int           `json:"voters"`
	Entry    time.Duration `json:"entry"`
	Silence  time.Duration `json:"silence"`
	Detect   time.Duration `json:"detect"`
	Election time.Duration `json:"election"`
	Soft     time.Duration `json:"soft"`
	Lease    time.Duration `json:"lease"`
}

func (c Config) assumed() Assumed {
	p, _ := gossip.ParseProfile(c.Profile) // Validate did
	t, d := cluster.TimesOf(p), cluster.DelaysOf(p, c.Typical)
	a := Assumed{
		Profile: string(p), Delays: "worst", Voters: cluster.VotersOf(c.Nodes), Entry: d.Trip, Silence: t.Silence,
		Detect: d.Detect, Election: d.Election.Round(time.Millisecond), Soft: t.Soft, Lease: t.W(),
	}
	if c.Typical {
		a.Delays = "typical"
	}
	return a
}
