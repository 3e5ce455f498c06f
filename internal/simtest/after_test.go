package simtest

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/internal/simtest/simproc"
	"github.com/selfware/selfware/supervisor"
)

// link has a drawn tree come after another one of the plan that was drawn before, or some
// path of it. It draws from a stream of its own, as replicate does.
func (p *Plan) link(spec *supervisor.Spec) {
	h := fnv.New64a()
	h.Write([]byte("after " + spec.Name + strings.Join(workers(*spec), " ")))
	r := chance{rand.New(rand.NewPCG(p.Seed, h.Sum64()))}
	for _, t := range p.Trees {
		if t.Name >= spec.Name || !r.odds(40) { // of the later by name only: no circle
			continue
		}
		paths := []string{t.Name, t.Name}
		each(t, func(path string, _ *supervisor.ChildSpec) { paths = append(paths, path) })
		spec.After = []string{one(r, paths...)}
	}
}

// isUp: at rest, every worker at and below the path runs or has finished; temporary
// ones below may have failed.
func isUp(v fsm.View, path string) bool {
	t := v.Tree(supervisor.TreeName(path))
	if t == nil {
		return false
	}
	top, ok := t.Child(path)
	if !ok || top.Phase == supervisor.PhaseFailed || top.Phase == supervisor.PhaseStopped {
		return false
	}
	up := true
	each(t.Shape(), func(p string, c *supervisor.ChildSpec) {
		st, _ := t.Child(p)
		switch {
		case c.Program == nil || p != path && !strings.HasPrefix(p, path+"/"):
		case st.Phase == supervisor.PhaseRunning, st.Phase == supervisor.PhaseFinished:
		case st.Phase == supervisor.PhaseFailed && c.RestartType == supervisor.Temporary:
		default:
			up = false
		}
	})
	return up
}

// waitsFor gives a path that keeps a child from starting, rightly; empty if there is none.
func waitsFor(v fsm.View, t *supervisor.Tree, c supervisor.Status) string {
	if c.Phase != supervisor.PhasePending && c.Phase != supervisor.PhaseStarting && c.Phase != supervisor.PhaseBackoff {
		return ""
	}
	if _, _, ordered := t.Order(c.Path); ordered {
		return ""
	}
	for _, path := range t.Spec().After {
		if !isUp(v, path) {
			return path
		}
	}
	return ""
}

// inTurn: no life of a tree after a worker began before the life of that worker, which
// stood when it was decided on, or a later one, had come up. What a node restarted alone
// is left out, and so are trees that were edited so that they come after others now.
func (s *sim) inTurn() (compared int) {
	lives := make(map[string][]*simproc.Life)
	for _, l := range s.procs.Lives() {
		lives[l.Path] = append(lives[l.Path], &l)
	}
	for _, all := range lives {
		for _, l := range all {
			for _, path := range s.afterAllAlong(l) {
				of := lives[path]
				if len(of) > 0 && l.Alone == 0 && !l.Start.IsZero() {
					compared++
					s.cameAfter(l, of)
				}
			}
		}
	}
	return compared
}

// afterAllAlong lists what the tree of a life came after when it was decided on, and ever
// since.
func (s *sim) afterAllAlong(l *simproc.Life) []string {
	name := supervisor.TreeName(l.Path)
	spec, ok := s.client.specAt(name, l.Epoch.Index())
	if !ok {
		return nil
	}
	after := slices.Clone(spec.After)
	for _, index := range s.client.edits(name) {
		if index >= l.Epoch.Index() {
			later, _ := s.client.specAt(name, index)
			after = slices.DeleteFunc(after, func(path string) bool { return !slices.Contains(later.After, path) })
		}
	}
	return after
}

func (s *sim) cameAfter(l *simproc.Life, of []*simproc.Life) {
	var stood supervisor.Epoch
	for _, p := range of {
		if p.Epoch <= l.Epoch {
			stood = max(stood, p.Epoch)
		}
	}
	for _, p := range of {
		if p.Epoch >= stood && !p.Up.IsZero() && !p.Up.After(l.Begun) {
			return
		}
	}
	s.failf("P4: %v was begun, and no life of what its tree comes after, from %v on, was up: %v", l, stood, of)
}

// endedBefore: when a life of a worker was begun, none of the trees after it ran.
func (s *sim) endedBefore(path string, trees ...string) (compared int) {
	for _, p := range s.procs.Lives() {
		if p.Path != path || p.Start.IsZero() {
			continue
		}
		for _, l := range s.procs.Lives() {
			if !slices.Contains(trees, supervisor.TreeName(l.Path)) || !l.Begun.Before(p.Begun) || l.Start.IsZero() {
				continue
			}
			if compared++; l.End.IsZero() || l.End.After(p.Begun) {
				s.failf("P4: %v was begun before %v, of a tree after it, had ended", &p, &l)
			}
		}
	}
	return compared
}

// after gives a tree of two workers what it comes after.
func after(name string, paths ...string) supervisor.Spec {
	spec := flat(name, supervisor.RestForOne, 2)
	spec.RestartPolicy.MaxRestarts, spec.After = 100, paths
	return spec
}

// everyEpoch is the epochs of all workers of all trees.
func (s *sim) everyEpoch() map[string]supervisor.Epoch {
	all := make(map[string]supervisor.Epoch)
	s.view(func(v fsm.View) {
		for _, name := range v.TreeNames() {
			for _, c := range v.Tree(name).Children() {
				if !c.Supervisor {
					all[c.Path] = c.Epoch
				}
			}
		}
	})
	return all
}

// TestTreesAfterTrees: three trees that build on each other, applied in the wrong order:
// they start from the bottom, and stop from the top, over all machines, when the bottom
// crashes, moves or is restarted, and whoever leads.
func TestTreesAfterTrees(t *testing.T) {
	for seed := range uint64(4) {
		bubble(t, options{seed: seed + 1, nodes: 3, profile: gossip.LAN, verbose: verbose(), snapshots: 10 * (seed % 2)}, func(s *sim) {
			s.form()
			s.apply(after("top", "mid"))
			s.apply(after("mid", "base/c1"))
			s.apply(after("base"))
			s.rests(20 * time.Second)
			r := chanceOf(seed)
			for i := range 8 {
				before := s.everyEpoch()
				switch i % 4 {
				case 0:
					s.within(10*time.Second, "there is a life to kill", func() bool { return s.killOnce("base/c1") })
				case 1:
					if err := s.verb("move", "base/c1", ""); err != nil {
						s.failf("%v", err)
					}
				case 2:
					s.within(10*time.Second, "there is a life to kill", func() bool { return s.killOnce("base/c1") })
					time.Sleep(r.between(0, 100*time.Millisecond))
					s.flap("leader-flap", 1)
				case 3:
					if err := s.verb("restart", "base/c1", ""); err != nil {
						s.failf("%v", err)
					}
				}
				s.within(20*time.Second, "the trees after it begin anew", func() bool {
					s.oracle.look()
					return s.everyEpoch()["top/c2"] > before["top/c2"] && s.everyEpoch()["mid/c1"] > before["mid/c1"]
				})
				s.rests(20 * time.Second)
			}
			before := s.everyEpoch()
			s.within(10*time.Second, "there is a life to kill", func() bool { return s.killOnce("base/c2") })
			s.within(10*time.Second, "it restarts", func() bool { return s.everyEpoch()["base/c2"] > before["base/c2"] })
			s.rests(20 * time.Second)
			if now := s.everyEpoch(); now["mid/c1"] != before["mid/c1"] || now["top/c1"] != before["top/c1"] {
				s.failf("a worker that nobody comes after restarted, and the trees did too: %v, before %v", now, before)
			}
			if a, b := s.inTurn(), s.endedBefore("base/c1", "mid", "top"); a == 0 || b == 0 {
				s.failf("nothing was compared: %d, %d", a, b)
			}
			s.promised()
			s.judged(&outcome{})
		})
	}
}

// TestTreesAfterALostMachine: a machine with the bottom dies; with all that comes after it,
// it begins anew elsewhere.
func TestTreesAfterALostMachine(t *testing.T) {
	for seed := range uint64(3) {
		bubble(t, options{seed: seed + 1, nodes: 3, profile: gossip.Fast, verbose: verbose()}, func(s *sim) {
			s.form()
			s.apply(after("base"))
			s.apply(after("top", "base/c1"))
			s.rests(20 * time.Second)
			st, _ := s.status("base/c1")
			before := s.everyEpoch()
			m := s.named(st.Node)
			m.crash()
			s.within(20*time.Second, "all begin anew elsewhere", func() bool {
				s.oracle.look()
				for path, epoch := range s.everyEpoch() {
					now, _ := s.status(path)
					if (strings.HasPrefix(path, "top/") || path == "base/c1") && (epoch == before[path] || now.Phase != supervisor.PhaseRunning || now.Node == m.id) {
						return false
					}
				}
				return true
			})
			m.boot()
			s.rests(30 * time.Second)
			if n := s.inTurn(); n == 0 {
				s.failf("nothing was compared")
			}
			s.promised()
			s.judged(&outcome{})
		})
	}
}
