package simtest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// This file has children that say what should follow from their end, by a word or by
// their exit code.

// verdicts gives some workers of a plan exit rules, and has some say something. Its
// chance is its own: what else a seed draws stays as it is.
func (p *Plan) verdicts() {
	r := chance{rand.New(rand.NewPCG(p.Seed, 0x7e2d))}
	trees := slices.Clone(p.Trees)
	for _, f := range p.Faults {
		if f.Tree != nil {
			trees = append(trees, *f.Tree)
		}
	}
	for _, t := range trees {
		each(t, func(path string, c *supervisor.ChildSpec) {
			if c.Program != nil && r.odds(25) {
				p.speaks(r, path, c)
			}
		})
	}
}

// speaks has a worker end in one of the ways that mean something, or ask to be moved.
func (p *Plan) speaks(r chance, path string, c *supervisor.ChildSpec) {
	codes := rand.New(r).Perm(4)
	exit := func(i int) []supervisor.Exit {
		return []supervisor.Exit{[]supervisor.Exit{"0", "3", "4", "SIGKILL"}[codes[i]]}
	}
	c.Exits = &supervisor.ExitRules{FinishOn: exit(0), NeverRestartOn: exit(1), MoveOn: exit(2)}
	if r.odds(10) && !p.Benign && !p.Day {
		c.Exits.EscalateOn = exit(3)
	}
	s := p.Scripts[path]
	if s.Exit || s.Fail != "" || p.Benign || p.Day {
		return
	}
	switch {
	case r.odds(30):
		s.Asks = r.between(time.Second, 30*time.Second)
	case r.odds(60):
		s.Exit, s.ExitAfter, s.Code = true, r.between(time.Second, 40*time.Second), one(r, 0, 3, 4, 5)
		if r.odds(40) {
			s.Word = string(one(r, supervisor.VerdictFinish, supervisor.VerdictFail, supervisor.VerdictMove, "sing"))
		}
	}
	p.Scripts[path] = s
}

// final tells whether nothing was to follow from the end of a life: by its own word, else
// by rules.
func final(l simproc.Life, rules *supervisor.ExitRules) bool {
	switch supervisor.Verdict(l.Word) {
	case supervisor.VerdictFinish, supervisor.VerdictFail:
		return true
	case supervisor.VerdictMove, supervisor.VerdictEscalate:
		return false
	}
	exit := supervisor.Exit(l.Exit)
	return rules != nil && (slices.Contains(rules.FinishOn, exit) || slices.Contains(rules.NeverRestartOn, exit))
}

// endedForGood: the life that a worker is down after ended in a way after which nothing
// was to follow, and it had not been asked to stop.
func (s *sim) endedForGood(t *supervisor.Tree, c supervisor.Status) (good bool) {
	l, ran := s.procs.Life(supervisor.Ref{Path: c.Path, Epoch: c.Epoch})
	if !ran || l.End.IsZero() {
		return false
	}
	described := cmp.Or(t.Kin(c.Path), c.Path) // an instance by the child that it is one of
	each(t.Spec(), func(path string, spec *supervisor.ChildSpec) {
		good = good || path == described && final(l, spec.Exits)
	})
	return good
}

// heeded: no node begins a life again, alone, that said what should follow.
func (s *sim) heeded() {
	last := make(map[supervisor.Ref]simproc.Life)
	for _, l := range s.procs.Lives() {
		if was, again := last[l.Ref]; again && slices.Contains([]string{"finish", "fail", "move", "escalate"}, was.Word) {
			s.failf("%s@%v said %s, ended, and was begun again on %s", l.Path, l.Epoch, was.Word, l.Node)
		}
		last[l.Ref] = l
	}
}

// spoken is a tree of independent children, each of which ends after a second in a way of
// its own, once or always.
func spoken() (supervisor.Spec, map[string]simproc.Script) {
	spec := flat("t", supervisor.OneForOne, 6)
	spec.RestartPolicy.MaxSeconds = 10 * time.Minute
	rules := &supervisor.ExitRules{
		FinishOn: []supervisor.Exit{"0", "SIGTERM"}, NeverRestartOn: []supervisor.Exit{"2", "SIGABRT"}, MoveOn: []supervisor.Exit{"75"},
	}
	for i := range spec.Children {
		spec.Children[i].Exits = rules
	}
	ends := func(code int, signal, word string) simproc.Script {
		return simproc.Script{Exit: true, ExitAfter: time.Second, Code: code, Signal: signal, Word: word}
	}
	return spec, map[string]simproc.Script{
		"t/c1": ends(0, "", ""), "t/c2": ends(-1, "SIGABRT", ""), "t/c3": ends(1, "", "finish"),
		"t/c4": {Asks: 3 * time.Second}, "t/c5": {},
	}
}

// TestVerdicts: what children say holds, whoever leads when.
func TestVerdicts(t *testing.T) {
	for seed := range uint64(4) {
		bubble(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN, verbose: verbose(), snapshots: 20 * (seed % 2)}, func(s *sim) {
			s.form()
			spec, scripts := spoken()
			for path, script := range scripts {
				s.procs.Script(path, script)
			}
			s.apply(spec)
			if seed > 1 {
				time.Sleep(900 * time.Millisecond)
				s.flap("leader-flap", 1)
			}
			s.rests(30 * time.Second)
			time.Sleep(10 * time.Second)
			s.rests(30 * time.Second)
			phases := map[string]supervisor.Phase{
				"t/c1": supervisor.PhaseFinished, "t/c2": supervisor.PhaseFailed, "t/c3": supervisor.PhaseFinished, "t/c4": supervisor.PhaseRunning,
			}
			for path, phase := range phases {
				st, _ := s.status(path)
				if st.Phase != phase || st.Budget.Used != 0 || st.Restarts != 0 {
					s.failf("%s is %s, restarts %d, budget %v; want %s for nothing", path, st.Phase, st.Restarts, st.Budget, phase)
				}
			}
			if st, _ := s.status("t/c4"); st.Moves != 1 || s.lives("t/c4") != 2 {
				s.failf("t/c4 asks to be moved in each life: %d moves, %d lives", st.Moves, s.lives("t/c4"))
			}
			st, _ := s.status("t/c5")
			for _, m := range s.machines {
				m.p.procs.Exit("t/c5", 75)
			}
			s.within(10*time.Second, "it runs elsewhere, charged", func() bool {
				now, _ := s.status("t/c5")
				return now.Phase == supervisor.PhaseRunning && now.Node != st.Node && now.Budget.Used == 1 && now.Moves == 1
			})
			s.rests(10 * time.Second)
			s.promised()
		})
	}
}

// TestVerdictsAlone: a node that is cut off answers no end that says what follows: it tells
// of it when it is back. Elsewhere the child has another life, which has said nothing.
func TestVerdictsAlone(t *testing.T) {
	for seed := range uint64(4) {
		cutScene(t, seed+1, 3, gossip.Fast, func(s *sim) {
			spec := flat("t", supervisor.OneForOne, 6)
			spec.RestartPolicy.MaxSeconds = 10 * time.Minute
			for i := range spec.Children {
				spec.Children[i].Exits = &supervisor.ExitRules{FinishOn: []supervisor.Exit{"3"}}
			}
			s.apply(spec)
			s.rests(10 * time.Second)
			m := s.machines[0]
			s.cut(s.machines[0], "alone") // without a quorum nobody moves what ends
			s.cut(s.machines[1], "pair")
			s.cut(s.machines[2], "alone")
			time.Sleep(10 * time.Second)
			path := s.anyOn(m)
			m.p.procs.Exit(path, 3)
			time.Sleep(20 * time.Second)
			if n := s.lives(path); n != 1 || s.aloneOf(path) != 0 {
				s.failf("%s ended with a code of finish_on and was begun again: %d lives", path, n)
			}
			s.net.HealAll()
			s.rests(60 * time.Second)
			if st, _ := s.status(path); st.Phase != supervisor.PhaseFinished || st.Budget.Used != 0 {
				s.failf("%s is %s, budget %v", path, st.Phase, st.Budget)
			}
		})
	}
}
