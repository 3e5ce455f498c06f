package simtest

import (
	"fmt"
	"slices"
	"strings"
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
	Benign  bool
	Loss    float64
	Latency time.Duration // one way
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
	fmt.Fprintf(&b, "seed %d: %d nodes, %s, snapshots every %d, loss %.2f, latency %v, benign %v, %v of faults\n",
		p.Seed, p.Nodes, p.Profile, p.Snapshots, p.Loss, p.Latency, p.Benign, p.Safety)
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

// draw makes the plan of a seed.
func draw(seed uint64) Plan {
	r := chanceOf(seed)
	p := Plan{
		Seed: seed, Nodes: one(r, 3, 3, 5), Profile: one(r, gossip.LAN, gossip.Fast),
		Benign: seed%10 == 0, Latency: 300 * time.Microsecond,
		Safety:  r.between(60*time.Second, 120*time.Second).Round(time.Second),
		Scripts: make(map[string]simproc.Script),
	}
	if r.odds(30) {
		p.Snapshots = uint64(5 + r.IntN(30))
	}
	size := 3 + r.IntN(10)
	for i := range 1 + r.IntN(2) {
		p.Trees = append(p.Trees, r.tree(fmt.Sprintf("t%d", i+1), max(1, size/(i+1))))
	}
	p.scripts(r)
	if p.Benign {
		p.benign(r)
	} else {
		p.malign(r)
	}
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return p
}

// scripts says how the workers behave, mostly well.
func (p *Plan) scripts(r chance) {
	for _, t := range p.Trees {
		each(t, func(path string, c *supervisor.ChildSpec) {
			s := simproc.Script{
				Latency: r.between(time.Millisecond, 20*time.Millisecond), UpAfter: r.between(0, 50*time.Millisecond),
				StopTime: r.between(0, 200*time.Millisecond),
			}
			switch {
			case c.Program == nil:
				return
			case c.RestartType == supervisor.Transient && r.odds(50):
				s.Exit, s.ExitAfter = true, r.between(5*time.Second, 60*time.Second)
			case r.odds(5):
				s.Hang = true
			case r.odds(8) && !p.Benign: // trips its window
				s.Exit, s.ExitAfter, s.Code = true, r.between(50*time.Millisecond, 3*time.Second), 1
			case r.odds(5) && !p.Benign:
				s.Fail = "no such file"
			case r.odds(10):
				s.Crashes, s.CrashAfter = 1+r.IntN(3), r.between(10*time.Millisecond, 2*time.Second)
			}
			p.Scripts[path] = s
		})
	}
}

func (p *Plan) add(f Fault) { p.Faults = append(p.Faults, f) }

func (p *Plan) path(r chance) string { return one(r, workers(one(r, p.Trees...))...) }

// benign draws short pauses, losses and latency only.
func (p *Plan) benign(r chance) {
	p.Profile = gossip.LAN
	p.Latency = one(r, 300*time.Microsecond, 20*time.Millisecond, 100*time.Millisecond)
	p.Loss = one(r, 0, 0.05, 0.10)
	longest := 1900*time.Millisecond - 2*p.Latency // what others see of a pause is longer than it was
	for at := r.between(0, 10*time.Second); at < p.Safety; at += r.between(5*time.Second, 20*time.Second) {
		p.add(Fault{At: at, What: "pause", Who: p.anyone(r), For: r.between(100*time.Millisecond, longest)})
	}
	for at := r.between(0, 20*time.Second); at < p.Safety; at += r.between(5*time.Second, 40*time.Second) {
		p.add(Fault{At: at, What: "kill", Path: p.path(r), Count: 1})
	}
}

func (p *Plan) anyone(r chance) string {
	return one(r, "leader", "follower", "follower", fmt.Sprintf("n%d", 1+r.IntN(p.Nodes)))
}

// malign draws which kinds of fault a seed has, then when they happen.
func (p *Plan) malign(r chance) {
	if r.odds(20) {
		p.Loss = 0.02 + 0.1*r.Float64()
	}
	if r.odds(20) {
		p.Latency = r.between(time.Millisecond, 20*time.Millisecond)
	}
	var kinds []func(chance, *Plan, time.Duration)
	for _, k := range []func(chance, *Plan, time.Duration){crashes, crashes, stops, pauses, cuts, cuts, mutes, storms, everyone} {
		if r.odds(55) {
			kinds = append(kinds, k)
		}
	}
	for at := r.between(0, 5*time.Second); at < p.Safety && len(kinds) > 0; at += r.between(time.Second, 15*time.Second) {
		one(r, kinds...)(r, p, at)
	}
	for at := r.between(0, 5*time.Second); at < p.Safety; at += r.between(500*time.Millisecond, 10*time.Second) {
		one(r, kills, kills, verbs, verbs, edits, drains)(r, p, at)
	}
}

func (r chance) length() time.Duration {
	return one(r, r.between(50*time.Millisecond, time.Second), r.between(time.Second, 6*time.Second), r.between(5*time.Second, 40*time.Second))
}

func crashes(r chance, p *Plan, at time.Duration) {
	what := "crash"
	if r.odds(30) {
		what = "crash-move" // it comes back at another address
	}
	p.add(Fault{At: at, What: what, Who: p.anyone(r), For: r.length()})
}

func stops(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "stop", Who: p.anyone(r), For: r.length()})
}

func pauses(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "pause", Who: p.anyone(r), For: r.length()})
}

func cuts(r chance, p *Plan, at time.Duration) {
	what := one(r, "halves", "alone", "one-way-out", "one-way-in", "pair")
	if p.Nodes == 5 && r.odds(40) {
		what = one(r, "ring", "bridge")
	}
	p.add(Fault{At: at, What: what, Who: p.anyone(r), For: r.length()})
}

func mutes(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "mute", Who: p.anyone(r), For: r.length()})
}

func storms(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: one(r, "drop-session", "leader-flap"), Who: p.anyone(r), Count: 1 + r.IntN(4)})
}

func everyone(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "crash-all", Who: one(r, "", "", "move"), For: r.between(100*time.Millisecond, 5*time.Second)})
}

func kills(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "kill", Path: p.path(r), Count: one(r, 1, 1, 2, 4, 8)})
}

func verbs(r chance, p *Plan, at time.Duration) {
	what, path := one(r, "stop", "start", "start", "restart", "move"), p.path(r)
	if r.odds(20) {
		path = one(r, p.Trees...).Name
	}
	f := Fault{At: at, What: "verb-" + what, Path: path}
	if what == "move" && r.odds(50) {
		f.To = fmt.Sprintf("n%d", 1+r.IntN(p.Nodes))
	}
	p.add(f)
}

func edits(r chance, p *Plan, at time.Duration) {
	t := one(r, p.Trees...)
	if r.odds(15) {
		p.add(Fault{At: at, What: "delete", Path: t.Name})
		at += r.between(0, 10*time.Second)
	}
	next := r.tree(t.Name, 1+r.IntN(8))
	p.add(Fault{At: at, What: "apply", Tree: &next})
}

func drains(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "drain", Who: fmt.Sprintf("n%d", 1+r.IntN(p.Nodes)), For: r.length()})
}
