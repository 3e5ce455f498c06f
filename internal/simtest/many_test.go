package simtest

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

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

// sameInstances: a tree has the instances that were acknowledged, no more and no fewer.
func (s *sim) sameInstances(t *supervisor.Tree, shape supervisor.Spec) {
	var has []string
	for _, c := range t.Children() {
		if !c.Supervisor {
			has = append(has, c.Path)
		}
	}
	if want := workers(shape); !slices.Equal(has, want) {
		s.failf("P2: tree %s has the workers %v, what was acknowledged has %v", t.Name(), has, want)
	}
}
