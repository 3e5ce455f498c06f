package simtest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// Plan is all that a seed decides, drawn before the run.
type Plan struct {
	Seed      uint64
	Nodes     int
	Profile   gossip.Profile
	Snapshots uint64
	// Benign plans hold nothing that may cost a node (P16).
	Benign bool
	// Day plans are hours with few faults.
	Day     bool
	Latency time.Duration // one way
	// Loss, Twice and Late are the odds of a packet: lost, doubled, overtaken. Repeats
	// are those of a message of a session to be said again.
	Loss, Twice, Late, Repeats float64
	// Drift gives each machine a clock of its own. Fsync is how long a write may take.
	Drift   bool
	Fsync   time.Duration
	Safety  time.Duration
	Trees   []supervisor.Spec
	Scripts map[string]simproc.Script
	Faults  []Fault
}

// Fault is one thing that happens at a time, for a time. Who is a machine, or
// "leader" or "follower", chosen when it happens.
type Fault struct {
	At    time.Duration
	What  string
	Who   string
	For   time.Duration
	Path  string
	To    string
	Count int
	Tree  *supervisor.Spec
}

func (f Fault) String() string {
	out := fmt.Sprintf("%9.3fs %s", f.At.Seconds(), f.What)
	for _, word := range []string{f.Who, f.Path, f.To} {
		if word != "" {
			out += " " + word
		}
	}
	if f.Count > 0 {
		out += fmt.Sprintf(" x%d", f.Count)
	}
	if f.For > 0 {
		out += fmt.Sprintf(" for %v", f.For)
	}
	if f.Tree != nil {
		out += fmt.Sprintf(" %v", plain(*f.Tree))
	}
	return out
}

func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %s, snapshots every %d, latency %v, loss %.2f, twice %.2f, late %.2f, repeats %.2f, drift %v, fsync %v, benign %v, %v of faults\n",
		p.Seed, p.Nodes, p.Profile, p.Snapshots, p.Latency, p.Loss, p.Twice, p.Late, p.Repeats, p.Drift, p.Fsync, p.Benign, p.Safety)
	for _, t := range p.Trees {
		fmt.Fprintf(&b, "tree %v\n", plain(t))
		for _, path := range workers(t) {
			if s, ok := p.Scripts[path]; ok {
				fmt.Fprintf(&b, "  script %s %+v\n", path, s)
			}
		}
	}
	for _, f := range p.Faults {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// JSON is the plan as SELFWARE_PLAN and the corpus have it.
func (p Plan) JSON() []byte {
	data, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		panic(err) // a plan is plain data
	}
	return append(data, '\n')
}

func readPlan(t *testing.T, file string) (p Plan) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		t.Fatalf("cannot read a plan: %v", err)
	}
	return p
}

// calm is how long a healed cluster may take to be at rest (P5).
func (p Plan) calm() time.Duration {
	if p.Profile == gossip.WAN {
		return 150 * time.Second
	}
	return 60 * time.Second
}
