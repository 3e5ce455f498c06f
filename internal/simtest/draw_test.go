package simtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// draw makes the plan of a seed.
func draw(seed uint64) Plan {
	r := chanceOf(seed)
	p := Plan{
		Seed: seed, Nodes: one(r, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 6, 7), Profile: one(r, gossip.LAN, gossip.LAN, gossip.Fast, gossip.Fast, gossip.WAN),
		Benign: seed%10 == 0, Latency: 300 * time.Microsecond,
		Safety:  r.between(60*time.Second, 120*time.Second).Round(time.Second),
		Scripts: make(map[string]simproc.Script),
	}
	if r.odds(30) {
		p.Snapshots = uint64(5 + r.IntN(30))
	}
	p.knobs(r)
	size := 3 + r.IntN(10)
	for i := range 1 + r.IntN(2) {
		p.Trees = append(p.Trees, p.tree(r, fmt.Sprintf("t%d", i+1), max(1, size/(i+1))))
	}
	p.scripts(r)
	if p.Benign {
		p.benign(r)
	} else {
		p.malign(r)
	}
	p.scales()
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	p.verdicts()
	return p
}

// tree draws a tree that finds room on the plan's nodes.
func (p *Plan) tree(r chance, name string, size int) supervisor.Spec {
	spec := r.tree(name, size)
	p.replicate(&spec)
	p.link(&spec)
	p.roll(&spec)
	each(spec, func(_ string, c *supervisor.ChildSpec) {
		if p.Nodes < 3 {
			c.Placement.ApartFrom = nil
		}
	})
	return spec
}

// knobs draws what lasts as long as the plan.
func (p *Plan) knobs(r chance) {
	p.Drift = r.odds(70)
	if r.odds(40) {
		p.Repeats = 0.05 + 0.3*r.Float64()
	}
	if r.odds(30) {
		p.Twice, p.Late = 0.3*r.Float64(), 0.3*r.Float64()
	}
	if r.odds(30) {
		p.Fsync = r.between(time.Millisecond, 30*time.Millisecond)
	}
}

// scripts says how the workers behave, mostly well.
func (p *Plan) scripts(r chance) {
	for _, t := range p.Trees {
		each(t.Expand(), func(path string, c *supervisor.ChildSpec) {
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
			case r.odds(8) && !p.Benign && !p.Day: // trips its window
				s.Exit, s.ExitAfter, s.Code = true, r.between(50*time.Millisecond, 3*time.Second), 1
			case r.odds(5) && !p.Benign && !p.Day:
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
	const longest = 1950 * time.Millisecond
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
	var kinds []kind
	for _, k := range allKinds {
		if r.odds(35) {
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

// everyKind names all faults that are drawn.
var everyKind = []string{
	"crash", "crash-move", "crash-all", "crash-all-move", "power", "power-all", "agent-kill", "agent-kill-all", "stop",
	"pause", "pause-winner", "freeze", "mute", "drop-session", "leader-flap", "reset", "half-open",
	"halves", "majority", "alone", "one-way-out", "one-way-in", "pair", "ring", "bridge", "flapping",
	"raft-cut", "raft-cut-out", "raft-cut-in", "session-cut", "session-cut-out", "session-cut-in", "gossip-cut", "gossip-cut-out", "gossip-cut-in",
	"disk-stall", "disk-error", "disk-full", "disk-slow", "wipe", "rollback",
	"kill", "verb-stop", "verb-start", "verb-restart", "verb-move", "verb-reset", "verb-pause", "verb-resume", "apply", "delete", "drain", "scale",
}

// kind draws one fault of its kind.
type kind func(chance, *Plan, time.Duration)

var allKinds = []kind{crashes, crashes, powers, agents, agents, stops, pauses, pauses, winners, freezes, cuts, cuts, parts, breaks, flaps, mutes, storms, disks, disks, tears, wipes, rollbacks, everyone}

func (r chance) length() time.Duration {
	return one(r, r.between(50*time.Millisecond, time.Second), r.between(time.Second, 6*time.Second), r.between(5*time.Second, 40*time.Second))
}

// on makes a kind of one kind of fault of one machine, for a time.
func on(what ...string) kind {
	return func(r chance, p *Plan, at time.Duration) {
		p.add(Fault{At: at, What: one(r, what...), Who: p.anyone(r), For: r.length()})
	}
}

// crash is the death of the keeper, with crash-move the node comes back elsewhere;
// agents die alone, and their children go on.
var (
	crashes = on("crash", "crash", "crash-move")
	powers  = on("power")
	agents  = on("agent-kill")
	stops   = on("stop")
	pauses  = on("pause")
	winners = on("pause-winner") // just when it has won an election, see process.won
	freezes = on("freeze")
	flaps   = on("flapping")
	parts   = on("raft-cut", "raft-cut-out", "raft-cut-in", "session-cut", "session-cut-out", "session-cut-in", "gossip-cut", "gossip-cut-out", "gossip-cut-in")
	breaks  = on("reset", "half-open")
	disks   = on("disk-stall", "disk-stall", "disk-error", "disk-full", "disk-slow")
	wipes   = on("wipe")
)

// tears is the end of a process whose disk is slow, while it writes.
func tears(r chance, p *Plan, at time.Duration) {
	who := p.anyone(r)
	p.add(Fault{At: at, What: "disk-slow", Who: who, For: r.between(2*time.Second, 6*time.Second)})
	for range 4 {
		p.add(Fault{At: at + r.between(0, 800*time.Millisecond), What: "kill", Path: p.path(r), Count: 2})
	}
	p.add(Fault{At: at + r.between(200*time.Millisecond, time.Second), What: one(r, "crash", "power", "agent-kill"), Who: who, For: r.length()})
}

// rollbacks puts back an image, mostly of before the machine's present start: every node
// then finds it. With it go what makes the image old, and a leader that stands still when
// the others might take the forgetful one's vote.
func rollbacks(r chance, p *Plan, at time.Duration) {
	who, age := fmt.Sprintf("n%d", 1+r.IntN(p.Nodes)), r.between(3*time.Second, 30*time.Second)
	p.add(Fault{At: at, What: "rollback", Who: who, For: age})
	if r.odds(70) {
		p.add(Fault{At: at + age/4, What: one(r, "crash", "power", "agent-kill", "stop"), Who: who, For: r.between(0, age/4)})
	}
	kills(r, p, at+age/2)
	if r.odds(50) {
		p.add(Fault{At: at + age + r.between(0, time.Second), What: one(r, "pause", "alone", "crash"), Who: "leader", For: r.length()})
	}
}

func cuts(r chance, p *Plan, at time.Duration) {
	what := one(r, "halves", "majority", "alone", "one-way-out", "one-way-in", "pair")
	if p.Nodes > 3 && r.odds(40) {
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
	p.add(Fault{At: at, What: one(r, "crash-all", "crash-all", "crash-all-move", "power-all", "agent-kill-all"), For: r.between(100*time.Millisecond, 5*time.Second)})
}

func kills(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "kill", Path: p.path(r), Count: one(r, 1, 1, 2, 4, 8)})
}

func verbs(r chance, p *Plan, at time.Duration) {
	what, path := one(r, "stop", "start", "start", "restart", "move", "reset", "pause", "resume"), p.path(r)
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
	next := p.tree(r, t.Name, 1+r.IntN(8))
	p.add(Fault{At: at, What: "apply", Tree: &next})
}

func drains(r chance, p *Plan, at time.Duration) {
	p.add(Fault{At: at, What: "drain", Who: fmt.Sprintf("n%d", 1+r.IntN(p.Nodes)), For: r.length()})
}

// hours is how long a day plan lasts: so long that it costs about as much real time as
// others. Raft's heartbeats are what costs; lan has four times as many as wan, five
// voters twice as many as three, and one has none.
func (p *Plan) hours() time.Duration {
	small, wan := p.Nodes < 3, p.Profile == gossip.WAN
	switch {
	case small && wan:
		return 16 * time.Hour
	case small:
		return 8 * time.Hour
	case p.Nodes < 5 && wan:
		return 12 * time.Hour
	case p.Nodes < 5:
		return 2 * time.Hour
	case wan:
		return 4 * time.Hour
	}
	return time.Hour
}

// stir has something happen while a fault lasts: in quiet hours nothing is written that
// a bad disk could spoil, and nothing is said that a cut could stop.
func (p *Plan) stir(r chance, at time.Duration) {
	for range 2 {
		one(r, kills, kills, verbs)(r, p, at+r.between(0, time.Second))
	}
	if r.odds(30) {
		p.add(Fault{At: at + r.between(0, 2*time.Second), What: "leader-flap", Who: "leader", Count: 1})
	}
}

// rare are the faults of which random draws leave some out: a set of day plans has few.
var rare = []string{
	"crash-all", "crash-all-move", "power-all", "agent-kill-all", "reset", "half-open",
	"halves", "majority", "alone", "one-way-out", "one-way-in", "pair", "ring", "bridge", "flapping",
	"raft-cut", "raft-cut-out", "raft-cut-in", "session-cut", "session-cut-out", "session-cut-in", "gossip-cut", "gossip-cut-out", "gossip-cut-in",
	"disk-stall", "disk-error", "disk-full", "pause-winner", "drop-session",
}

// some gives a day plan, if it has peers to lose, some of them.
func (p *Plan) some(r chance) {
	for _, what := range rare {
		if p.Nodes < 3 || !r.odds(30) || p.Nodes < 4 && (what == "ring" || what == "bridge") {
			continue
		}
		at := r.between(0, p.Safety-10*time.Minute)
		p.add(Fault{At: at, What: what, Who: p.anyone(r), For: r.between(2*time.Second, 30*time.Second), Count: 1})
		p.stir(r, at)
	}
}

// drawDay makes the day plan of a seed: quiet hours with a fault now and then, and
// something for it to spoil.
func drawDay(seed uint64) Plan {
	r := chance{rand.New(rand.NewPCG(seed, 0xda1))}
	p := Plan{
		Seed: seed, Day: true, Latency: r.between(300*time.Microsecond, 20*time.Millisecond),
		Nodes: one(r, 1, 2, 2, 3, 3, 3, 4, 5, 6, 7), Profile: one(r, gossip.LAN, gossip.WAN, gossip.WAN, gossip.WAN, gossip.WAN),
		Scripts: make(map[string]simproc.Script),
	}
	p.Safety = p.hours()
	p.knobs(r)
	p.Trees = append(p.Trees, p.tree(r, "t1", 3+r.IntN(6)))
	p.scripts(r)
	for at := r.between(0, 10*time.Minute); at < p.Safety; at += r.between(time.Minute, 30*time.Minute) {
		if r.odds(60) {
			one(r, allKinds...)(r, &p, at)
			p.stir(r, at)
		} else {
			one(r, kills, verbs, edits, drains)(r, &p, at)
		}
	}
	p.some(r)
	p.scales()
	slices.SortStableFunc(p.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return p
}
