package simtest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// longestRollout is how long a rollout of a drawn tree may take: each turn has its
// deadline.
const longestRollout = 10 * time.Minute

// roll gives some supervisors of a drawn tree a policy for updates, and its workers a
// version, so that an edit rolls. It draws from a stream of its own, so that what else a
// seed decides stays as it was.
func (p *Plan) roll(spec *supervisor.Spec) {
	h := fnv.New64a()
	fmt.Fprint(h, "update ", workers(*spec), spec.RestartPolicy)
	r := chance{rand.New(rand.NewPCG(p.Seed, h.Sum64()))}
	policy := func() *supervisor.UpdatePolicy {
		if !r.odds(30) {
			return nil
		}
		return &supervisor.UpdatePolicy{Parallel: 1 + r.IntN(2), MinReady: r.between(0, 2*time.Second), Deadline: 20 * time.Second}
	}
	spec.Update = policy()
	each(*spec, func(_ string, c *supervisor.ChildSpec) {
		if c.Supervisor != nil {
			c.Supervisor.Update = policy()
			return
		}
		if c.Many() {
			c.Update = policy()
		}
		c.Program.Argv = []string{"sim", one(r, "v1", "v2", "v3")}
	})
}

// rolling tells whether a rollout goes on by itself.
func (s *sim) rolling() (moves bool) {
	s.view(func(v fsm.View) {
		for _, name := range v.TreeNames() {
			_, next := v.Tree(name).NextAt()
			moves = moves || next
		}
	})
	return moves
}

// fleet is a tree of six workers of a version, two of which may be down for an update.
func fleet(version string) supervisor.Spec {
	spec := flat("shop", supervisor.OneForOne, 6)
	spec.Update = &supervisor.UpdatePolicy{Parallel: 2, MinReady: 3 * time.Second, Deadline: time.Minute, AutoRevert: true}
	for i := range spec.Children {
		spec.Children[i].Program.Argv = []string{"sim", version}
	}
	return spec
}

// versions counts what runs, and is up, by version.
func (s *sim) versions() map[string]int {
	n := make(map[string]int)
	for _, l := range s.procs.Running() {
		if !l.Up.IsZero() {
			n[l.Argv[1]]++
		}
	}
	return n
}

func (s *sim) rollout() (r supervisor.RolloutStatus) {
	s.viewTree("shop", func(t *supervisor.Tree) { r, _ = t.Rollout() })
	return r
}

// rolls makes a formed cluster whose fleet of v1 is at rest.
func rolls(t *testing.T, seed uint64, profile gossip.Profile, f func(s *sim)) {
	t.Helper()
	bubble(t, options{seed: seed, nodes: 3, profile: profile, verbose: verbose()}, func(s *sim) {
		s.form()
		s.apply(fleet("v1"))
		s.rests(10 * time.Second)
		f(s)
		s.judged(&outcome{})
	})
}

// TestUpdateKeepsServing: without a fault no more than two are down at any moment, there
// and, from a bad version, back again; and a bad version runs nowhere but in its turn.
func TestUpdateKeepsServing(t *testing.T) {
	for _, version := range []string{"v2", simproc.Bad} {
		rolls(t, 1, gossip.LAN, func(s *sim) {
			s.procs.Otherwise(simproc.Script{StopTime: 300 * time.Millisecond, UpAfter: 400 * time.Millisecond})
			s.apply(fleet(version))
			least := 6
			s.within(time.Minute, "the update ends", func() bool {
				up := 0
				for _, n := range s.versions() {
					up += n
				}
				least = min(least, up)
				s.oracle.look()
				return !s.rolling()
			})
			s.rests(10 * time.Second)
			want := version
			if version == simproc.Bad {
				want = "v1"
			}
			if n := s.versions(); least != 4 || n[want] != 6 {
				s.failf("at worst %d were up, in the end %v", least, n)
			}
			s.onlyInTurn(2)
		})
	}
}

// onlyInTurn: lives of the bad version were begun for so many children at most.
func (s *sim) onlyInTurn(most int) {
	had := make(map[string]bool)
	for _, l := range s.procs.Lives() {
		if strings.Contains(fmt.Sprint(l.Argv), simproc.Bad) {
			had[l.Path] = true
		}
	}
	if len(had) > most {
		s.failf("the bad version ran as %v", had)
	}
}

// TestUpdateUnderFaults: leaders die, nodes go and children are killed in the midst of
// updates. A rollout never has more than two turns at a time, and in the end all
// children run the new version or all the former, as the tree says.
func TestUpdateUnderFaults(t *testing.T) {
	for seed := range uint64(6) {
		version := one(chanceOf(seed), "v2", "v2", simproc.Bad)
		rolls(t, seed+1, gossip.Fast, func(s *sim) {
			r := chanceOf(seed + 100)
			s.client.send(fsm.Command{Type: fsm.TypeApplyTree, Tree: ptr(fleet(version))})
			for range 4 {
				s.waitTurns(r.between(500*time.Millisecond, 4*time.Second))
				m := s.machines[r.IntN(3)]
				if l := s.leader(); l != nil && r.odds(50) {
					m = l
				}
				switch {
				case r.odds(30):
					s.killOnce(fmt.Sprintf("shop/c%d", 1+r.IntN(6)))
				case m.p != nil:
					m.crash()
					s.waitTurns(r.between(100*time.Millisecond, 6*time.Second))
					m.boot()
				}
			}
			s.within(3*time.Minute, "the update ends", func() bool { s.turns(); return s.leader() != nil && s.client.idle() && !s.rolling() })
			s.rests(30 * time.Second)
			s.uniform(version)
		})
	}
}

func ptr[T any](v T) *T { return &v }

// waitTurns watches for a while that no more than two children have a turn.
func (s *sim) waitTurns(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		s.turns()
	}
}

func (s *sim) turns() {
	s.oracle.look()
	if r := s.rollout(); len(r.Trying) > 2 {
		s.failf("%v have their turn", r.Trying)
	}
}

// uniform: all run one version, that of the tree.
func (s *sim) uniform(version string) {
	want := ""
	s.viewTree("shop", func(t *supervisor.Tree) { want = t.Spec().Children[0].Program.Argv[1] })
	if n := s.versions(); n[want] != 6 || len(n) != 1 {
		s.failf("the tree says %s, and %v runs", want, n)
	}
	switch r := s.rollout(); {
	case want != version && r.Phase != supervisor.RolloutReverted:
		s.failf("the tree says %s and the rollout is %+v", want, r)
	case version == simproc.Bad && want == version:
		s.failf("the bad version is in force")
	case version == simproc.Bad:
		s.onlyInTurn(2)
	}
	s.t.Logf("seed %d: %s, then %s: %s", s.opt.seed, version, want, s.rollout().Why)
}
