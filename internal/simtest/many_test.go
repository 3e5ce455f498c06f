package simtest

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// replicate gives some workers of a drawn tree instances. It draws from a stream of its
// own, so that what else a seed decides stays as it was. Such a worker has an id of its
// own: in the next tree of that name it may be alone again, and one cannot become many.
func (p *Plan) replicate(spec *supervisor.Spec) {
	h := fnv.New64a()
	h.Write([]byte(strings.Join(workers(*spec), " ")))
	r := chance{rand.New(rand.NewPCG(p.Seed, h.Sum64()))}
	crowds := make(map[string]bool) // that others could hardly be apart from
	each(*spec, func(path string, c *supervisor.ChildSpec) {
		if c.Program == nil || !r.odds(12) {
			return
		}
		crowds[path] = true
		c.ID = "r" + strings.TrimPrefix(c.ID, "w")
		c.Placement.ApartFrom = nil
		if r.odds(25) {
			if c.EachNode, c.MoveAfter = true, 0; c.Exits != nil {
				c.Exits.MoveOn = nil
			}
			return
		}
		if r.odds(40) {
			c.Pool = &supervisor.Pool{Size: r.IntN(3), Max: 4, RestartPolicy: r.policy()}
			return
		}
		if c.Replicas = 1 + r.IntN(3); c.Replicas < p.Nodes && r.odds(30) {
			c.Placement.Instances = supervisor.ApartStrictly
		}
	})
	each(*spec, func(_ string, c *supervisor.ChildSpec) {
		c.Placement.ApartFrom = slices.DeleteFunc(c.Placement.ApartFrom, func(path string) bool { return crowds[path] })
	})
}

// scales draws sizes for the pools of the plan's trees, those of later applies among
// them, from a stream of its own.
func (p *Plan) scales() {
	r := chance{rand.New(rand.NewPCG(p.Seed, 0x5ca1e))}
	trees := slices.Clone(p.Trees)
	for _, f := range p.Faults {
		if f.Tree != nil {
			trees = append(trees, *f.Tree)
		}
	}
	for _, t := range trees {
		for _, path := range poolsOf(t) {
			for at := r.between(0, p.Safety/3); at < p.Safety; at += r.between(p.Safety/10, p.Safety/2) {
				p.add(Fault{At: at, What: "scale", Path: path, Count: r.IntN(5)})
			}
		}
	}
}

// poolsOf lists the paths of a spec's pools.
func poolsOf(spec supervisor.Spec) (paths []string) {
	each(spec, func(path string, c *supervisor.ChildSpec) {
		if c.Pool != nil {
			paths = append(paths, path)
		}
	})
	return paths
}

func scaleCommand(f Fault) fsm.Command {
	return fsm.Command{Type: fsm.TypeScale, Scale: &fsm.Scale{Path: f.Path, Size: f.Count}}
}

// sized is a pool's size as the user set it, and the size that the file had then.
type sized struct{ size, file int }

// resized follows an acknowledged scale.
func (c *client) resized(path string, size int, index uint64) {
	name := supervisor.TreeName(path)
	spec := c.specs[name]
	if p := spec.Pool(path); p != nil {
		c.sizes[path] = sized{size, p.Size}
	}
	below := workers(c.shape(name))
	c.unstop(func(p string) bool { return strings.HasPrefix(p, path+"/") && !slices.Contains(below, p) })
	c.history[name] = append(c.history[name], applied{index, spec})
}

// reapplied follows an acknowledged apply: a size holds until the file's changes.
func (c *client) reapplied(spec supervisor.Spec) {
	for path, s := range c.sizes {
		if supervisor.TreeName(path) != spec.Name {
			continue
		}
		if p := spec.Pool(path); p == nil || p.Size != s.file {
			delete(c.sizes, path)
		} else {
			c.sizes[path] = sized{min(s.size, p.Max), s.file}
		}
	}
}

// shape is what was acknowledged of a tree: its spec, with the sizes that pools have.
func (c *client) shape(name string) supervisor.Spec {
	var data supervisor.Spec
	copied(c.specs[name], &data)
	each(data, func(path string, child *supervisor.ChildSpec) {
		if s, ok := c.sizes[path]; ok {
			child.Pool.Size = s.size
		}
	})
	return data
}

// copied makes a copy that shares nothing.
func copied(spec supervisor.Spec, into *supervisor.Spec) {
	data, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		panic(err) // a spec is plain data
	}
}

// eachOf lists the paths of the children that have an instance on each node.
func eachOf(spec supervisor.Spec) (paths []string) {
	each(spec, func(path string, c *supervisor.ChildSpec) {
		if c.EachNode {
			paths = append(paths, path)
		}
	})
	return paths
}

// oneOnEach: there is one instance for each node of the cluster that fits, and each is
// on its node, or on none while that is not there.
func (s *sim) oneOnEach(t *supervisor.Tree, shape supervisor.Spec, has []string) {
	var want []string
	each(shape, func(path string, c *supervisor.ChildSpec) {
		if !c.EachNode {
			return
		}
		for _, m := range s.machines {
			if len(c.Placement.Nodes) == 0 || slices.Contains(c.Placement.Nodes, m.name) {
				want = append(want, path+"/"+m.name)
			}
		}
	})
	slices.Sort(want)
	slices.Sort(has)
	if has = slices.Compact(has); !slices.Equal(has, want) {
		s.failf("tree %s has the instances %v of nodes, the machines are %v", t.Name(), has, want)
	}
	for _, path := range has {
		name := path[strings.LastIndex(path, "/")+1:]
		if st, _ := t.Child(path); st.Node != "" && s.named(name).id != st.Node {
			s.failf("%s is on %s", path, st.Node)
		}
	}
}

// sameInstances: a tree has the instances that were acknowledged, no more and no fewer.
func (s *sim) sameInstances(t *supervisor.Tree, shape supervisor.Spec) {
	var has, each []string
	for _, c := range t.Children() {
		if r := t.Kin(c.Path); r != "" && slices.Contains(eachOf(shape), r) {
			each = append(each, c.Path)
		} else if !c.Supervisor {
			has = append(has, c.Path)
		}
	}
	s.oneOnEach(t, shape, each)
	if want := workers(shape); !slices.Equal(has, want) {
		s.failf("P2: tree %s has the workers %v, what was acknowledged has %v", t.Name(), has, want)
	}
}

// TestEachNodeFollowsTheCluster: an instance on each node; a node that is killed has none
// until it is back, nobody else notices, and one that leaves takes its instance away.
func TestEachNodeFollowsTheCluster(t *testing.T) {
	over(t, 4, func(s *sim) {
		spec := flat("each", supervisor.RestForOne, 2)
		spec.Children[0].EachNode = true
		s.apply(spec)
		agent := func(m *machine) string { return "each/c1/" + m.name }
		runs := func(m *machine) bool {
			st, ok := s.status(agent(m))
			return ok && st.Phase == supervisor.PhaseRunning && st.Node == m.id
		}
		s.within(20*time.Second, "an instance runs on each node", func() bool {
			return !slices.ContainsFunc(s.machines, func(m *machine) bool { return !runs(m) })
		})
		s.rests(20 * time.Second)
		others, lives := s.followers(), s.lives("each/c2")
		m := others[len(others)-1]
		m.crash()
		s.within(20*time.Second, "its instance waits for it", func() bool {
			st, ok := s.status(agent(m))
			return ok && st.Phase == supervisor.PhaseAway && st.Node == ""
		})
		if st, _ := s.status("each/c1"); st.Phase != supervisor.PhaseRunning || st.Budget.Used != 0 {
			s.failf("the loss of a node is felt by all instances: %+v", st)
		}
		m.boot()
		s.within(30*time.Second, "the node has its instance again", func() bool { return runs(m) })
		s.rests(30 * time.Second)
		if c2, _ := s.status("each/c2"); s.lives("each/c2") > lives+1 {
			s.failf("%+v was restarted because of an instance before it", c2)
		}
		for _, other := range s.machines {
			if n := s.lives(agent(other)); other != m && n != 1 {
				s.failf("%s had %d lives", agent(other), n)
			}
		}
		s.promised()
	})
}
