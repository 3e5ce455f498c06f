package simtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// signify makes children significant, and has their supervisors end with them.
func (r chance) signify(children []supervisor.ChildSpec) supervisor.AutoShutdown {
	auto := one(r, supervisor.AutoNever, supervisor.AutoAny, supervisor.AutoAll, supervisor.AutoAll)
	for i := range children {
		c := &children[i]
		if c.Supervisor != nil {
			c.Supervisor.AutoShutdown = r.signify(c.Children)
		}
		if auto.Shuts() && r.odds(65) {
			c.RestartType, c.Significant = one(r, supervisor.Transient, supervisor.Transient, supervisor.Temporary), true
		}
	}
	return auto
}

// jobs draws a tree that may end when its work is done.
func (r chance) jobs(name string) supervisor.Spec {
	spec := r.tree(name, 3+r.IntN(5))
	spec.RetryAfter = 0
	spec.AutoShutdown = r.signify(spec.Children)
	return spec
}

// shutdowns counts what significant children have led to.
type shutdowns map[string]int

// TestAutoShutdown: significant children of drawn trees end as they should, while nodes
// and leaders are lost. A supervisor that this ends is down, or began anew: no life of
// before runs below it, and nothing was charged there.
func TestAutoShutdown(t *testing.T) {
	seen := make(shutdowns)
	for seed := range uint64(12) {
		bubble(t, options{seed: seed + 1, nodes: 3, profile: gossip.Fast, verbose: verbose()}, func(s *sim) {
			r := chanceOf(seed + 1)
			spec := r.jobs("shop")
			s.form()
			s.apply(spec)
			s.rests(20 * time.Second)
			for range 6 {
				s.round(r, spec, seen)
			}
			s.promised()
			s.judged(&outcome{})
		})
	}
	t.Logf("%v", seen)
	for _, what := range []string{"any", "all", "restart", "meanwhile", "started anew"} {
		if seen[what] == 0 {
			t.Errorf("%q never came: %v", what, seen)
		}
	}
}

// round lets one significant worker end, under a fault or none, and judges what follows.
func (s *sim) round(r chance, spec supervisor.Spec, seen shutdowns) {
	s.t.Helper()
	ends := s.significant(spec)
	if len(ends) == 0 {
		if err := s.verb("start", "shop", ""); err != nil {
			s.failf("cannot start: %v", err)
		}
		s.rests(20 * time.Second)
		if s.treeStatus("shop") == supervisor.TreeFinished {
			s.failf("the tree was started and is finished")
		}
		seen["started anew"]++
		return
	}
	path, since := ends[r.IntN(len(ends))], s.leader().index()
	var m *machine
	undo := func() {}
	switch r.IntN(4) {
	case 0:
		m = s.leader()
	case 1:
		m = s.followers()[0]
	case 2:
		l := s.leader()
		s.net.Pause(l.ip)
		undo = func() { s.net.Resume(l.ip) }
	}
	first := r.odds(50) // the node is lost, and then the child ends
	if m != nil && first {
		m.crash()
	}
	s.exitOnce(path)
	time.Sleep(r.between(0, 20*time.Millisecond))
	if m != nil && !first {
		m.crash()
	}
	time.Sleep(3 * time.Second)
	undo()
	if m != nil {
		m.boot()
		seen["meanwhile"]++
	}
	s.rests(30 * time.Second)
	s.checkShutdowns(spec, since, seen)
}

// exitOnce ends the running lives of a path by their own, as they should.
func (s *sim) exitOnce(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.machines {
		m.procs.Exit(path, 0)
	}
}

// significant lists the significant workers that run.
func (s *sim) significant(spec supervisor.Spec) (paths []string) {
	each(spec, func(path string, c *supervisor.ChildSpec) {
		if st, _ := s.status(path); c.Significant && c.Program != nil && st.Phase == supervisor.PhaseRunning {
			paths = append(paths, path)
		}
	})
	return paths
}

// checkShutdowns judges, at rest, the decisions made since an index.
func (s *sim) checkShutdowns(spec supervisor.Spec, since uint64, seen shutdowns) {
	s.t.Helper()
	s.viewTree("shop", func(t *supervisor.Tree) {
		for path, c := range named(spec) {
			auto := autoOf(spec, parent(path))
			for _, d := range t.History(path) {
				switch itself := d.Cause.Kind == supervisor.CauseExit; {
				case d.Index <= since:
				case d.Verdict == supervisor.VerdictShutdown:
					if seen[string(auto)]++; auto == supervisor.AutoAll {
						s.checkLast(spec, d)
					}
					s.checkShutdown(t, spec, d, seen)
				case itself && d.Verdict == supervisor.VerdictFinish && c.Significant && auto == supervisor.AutoAny:
					s.failf("%s ended and %s goes on: %s", path, parent(path), d.Sentence)
				}
			}
		}
	})
}

// checkLast: where all must have ended, no significant transient worker beside the one that
// ended ran at that moment. (A temporary one may, on a node that is taken for lost.)
func (s *sim) checkLast(spec supervisor.Spec, d supervisor.Decision) {
	s.t.Helper()
	s.oracle.mu.Lock()
	at, known := s.oracle.when[d.Index]
	s.oracle.mu.Unlock()
	for _, l := range s.procs.Lives() {
		c := named(spec)[l.Path]
		beside := l.Path != d.Path && parent(l.Path) == parent(d.Path) && c.Significant && c.RestartType == supervisor.Transient
		if known && beside && l.Epoch < d.Stamp.Epoch() && !l.Start.IsZero() && (l.End.IsZero() || l.End.After(at)) {
			s.failf("%s was not the last significant child: %v ran: %s", d.Path, &l, d.Sentence)
		}
	}
}

// checkShutdown judges one end of a supervisor, because of d.
func (s *sim) checkShutdown(t *supervisor.Tree, spec supervisor.Spec, d supervisor.Decision, seen shutdowns) {
	s.t.Helper()
	top, followed := parent(d.Path), ""
	for path := range named(spec) {
		for _, x := range t.History(path) {
			if x.Index == d.Index && strings.HasPrefix(path, top+"/") && x.Before != x.After {
				s.failf("%s shut down, and %s was charged: %s", top, path, x.Sentence)
			}
		}
	}
	for _, x := range t.History(top) {
		if x.Index == d.Index {
			followed = string(x.Verdict)
		}
	}
	seen[followed]++
	if top == spec.Name {
		seen["tree"]++
	}
	st, _ := t.Child(top)
	if followed == "" || followed == string(supervisor.VerdictFinish) && top == spec.Name && t.Status() != supervisor.TreeFinished && !begun(t, spec, top, d.Index) {
		s.failf("%s shut down (%s); it is %s and what followed is %q", top, d.Sentence, st.Phase, followed)
	}
	for _, l := range s.procs.Running() {
		if strings.HasPrefix(l.Path, top+"/") && l.Epoch < d.Stamp.Epoch() {
			s.failf("%s shut down at %d, and %v, of before, runs on", top, d.Index, &l)
		}
	}
}

// begun: something below a supervisor began anew after an index.
func begun(t *supervisor.Tree, spec supervisor.Spec, top string, index uint64) bool {
	for path := range named(spec) {
		for _, d := range t.History(path) {
			if d.Index > index && d.Verdict == supervisor.VerdictStart && strings.HasPrefix(path, top+"/") {
				return true
			}
		}
	}
	return false
}

// named are the children of a spec by path.
func named(spec supervisor.Spec) map[string]*supervisor.ChildSpec {
	all := make(map[string]*supervisor.ChildSpec)
	each(spec, func(path string, c *supervisor.ChildSpec) { all[path] = c })
	return all
}

// autoOf is a supervisor's auto_shutdown.
func autoOf(spec supervisor.Spec, path string) supervisor.AutoShutdown {
	if path == spec.Name {
		return spec.AutoShutdown
	}
	return named(spec)[path].Supervisor.AutoShutdown
}

// TestFinishedTree: a tree whose work is done has finished, through the loss of its leader
// and a restart of everybody, and begins anew when it is started, and not before.
func TestFinishedTree(t *testing.T) {
	bubble(t, options{seed: 1, nodes: 3, profile: gossip.LAN, snapshots: 5, verbose: verbose()}, func(s *sim) {
		spec := flat("shop", supervisor.RestForOne, 3)
		spec.AutoShutdown, spec.RetryAfter = supervisor.AutoAll, time.Second
		job := supervisor.ChildSpec{
			ID: "job", RestartType: supervisor.Transient, Significant: true, Children: flat("job", supervisor.OneForOne, 2).Children,
			Supervisor: &supervisor.SupervisorSpec{
				Strategy: supervisor.OneForAll, RestartPolicy: spec.RestartPolicy, AutoShutdown: supervisor.AutoAny,
			},
		}
		job.Children[0].RestartType, job.Children[0].Significant = supervisor.Transient, true
		spec.Children[2].RestartType, spec.Children[2].Significant = supervisor.Transient, true
		spec.Children = append(spec.Children, job)
		seen := make(shutdowns)
		s.form()
		s.apply(spec)
		for range 2 {
			s.rests(20 * time.Second)
			since := s.leader().index()
			s.exitOnce("shop/job/c1")
			s.within(5*time.Second, "the job has finished", func() bool {
				st, _ := s.status("shop/job")
				return st.Phase == supervisor.PhaseFinished
			})
			if st := s.treeStatus("shop"); st == supervisor.TreeFinished {
				s.failf("the tree has finished too early")
			}
			s.exitOnce("shop/c3")
			s.within(5*time.Second, "the tree has finished", func() bool { return s.treeStatus("shop") == supervisor.TreeFinished })
			s.checkShutdowns(spec, since, seen)
			old := s.leader()
			old.crash()
			time.Sleep(5 * time.Second)
			old.boot()
			s.rests(30 * time.Second)
			s.everyone("crash-all")
			time.Sleep(5 * time.Second)
			s.bootAll()
			s.rests(60 * time.Second)
			if st := s.treeStatus("shop"); st != supervisor.TreeFinished || len(s.procs.Running()) > 0 {
				s.failf("the tree had finished and is %s; %d run", st, len(s.procs.Running()))
			}
			if err := s.verb("start", "shop", ""); err != nil {
				s.failf("cannot start: %v", err)
			}
		}
		s.rests(20 * time.Second)
		if st := s.treeStatus("shop"); st != supervisor.TreeRunning || seen["tree"] != 2 {
			s.failf("it is %s after %v", st, seen)
		}
		s.promised()
	})
}

// TestJobsAreTrees: what is drawn is valid, and has significant children.
func TestJobsAreTrees(t *testing.T) {
	kinds := make(map[string]int)
	for seed := range uint64(200) {
		spec := chanceOf(seed).jobs("shop")
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		each(spec, func(_ string, c *supervisor.ChildSpec) {
			if c.Significant {
				kinds[fmt.Sprint(c.RestartType, c.Supervisor != nil)]++
			}
		})
	}
	if len(kinds) != 4 {
		t.Errorf("significant are %v", kinds)
	}
}
