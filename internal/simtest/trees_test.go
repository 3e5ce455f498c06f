package simtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// worker is a permanent child.
func worker(id string) supervisor.ChildSpec {
	return supervisor.ChildSpec{
		ID: id, RestartType: supervisor.Permanent,
		Program: &supervisor.Program{Argv: []string{"sim"}, Grace: 2 * time.Second},
	}
}

// flat is a tree of permanent workers c1, c2, and so on, restarted at once.
func flat(name string, strategy supervisor.Strategy, workers int) supervisor.Spec {
	policy := supervisor.DefaultRestartPolicy()
	policy.Backoff = supervisor.Backoff{Kind: supervisor.Fixed}
	spec := supervisor.Spec{Name: name, Strategy: strategy, RestartPolicy: policy}
	for i := range workers {
		spec.Children = append(spec.Children, worker(fmt.Sprintf("c%d", i+1)))
	}
	return spec
}

// workers lists the paths of a spec's workers in start order.
func workers(spec supervisor.Spec) []string {
	var paths []string
	each(spec.Expand(), func(path string, c *supervisor.ChildSpec) {
		if c.Program != nil {
			paths = append(paths, path)
		}
	})
	return paths
}

// each visits all children of a spec in start order.
func each(spec supervisor.Spec, visit func(path string, c *supervisor.ChildSpec)) {
	var down func(prefix string, children []supervisor.ChildSpec)
	down = func(prefix string, children []supervisor.ChildSpec) {
		for i := range children {
			path := prefix + "/" + children[i].ID
			visit(path, &children[i])
			down(path, children[i].Children)
		}
	}
	down(spec.Name, spec.Children)
}

// chance draws the trees of a plan.
type chance struct{ *rand.Rand }

func chanceOf(seed uint64) chance { return chance{rand.New(rand.NewPCG(seed, 0x51e))} }

func (r chance) odds(percent int) bool { return r.IntN(100) < percent }

// between draws a duration.
func (r chance) between(a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)+1)).Round(time.Millisecond)
}

func one[T any](r chance, of ...T) T { return of[r.IntN(len(of))] }

func (r chance) strategy() supervisor.Strategy {
	return one(r, supervisor.OneForOne, supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne)
}

func (r chance) policy() supervisor.RestartPolicy {
	return supervisor.RestartPolicy{
		MaxRestarts: 2 + r.IntN(4), MaxSeconds: one(r, 20*time.Second, 60*time.Second),
		Backoff: one(r,
			supervisor.Backoff{Kind: supervisor.Fixed},
			supervisor.Backoff{Kind: supervisor.Fixed, Base: 200 * time.Millisecond},
			supervisor.Backoff{Kind: supervisor.Exponential, Base: 100 * time.Millisecond, Max: 2 * time.Second}),
	}
}

// tree draws a tree of so many workers.
func (r chance) tree(name string, size int) supervisor.Spec {
	spec := supervisor.Spec{Name: name, Strategy: r.strategy(), RestartPolicy: r.policy()}
	spec.Exclusive = r.odds(15)
	if r.odds(70) {
		spec.RetryAfter = r.between(2*time.Second, 15*time.Second)
	}
	next := 0
	spec.Children = r.children(name, &next, size, 0)
	return spec
}

func (r chance) children(path string, next *int, size, depth int) []supervisor.ChildSpec {
	var out []supervisor.ChildSpec
	for size > 0 {
		*next++
		if size < 2 || depth > 1 || r.odds(65) {
			c := r.worker(fmt.Sprintf("w%d", *next))
			if n := len(out); n > 0 && out[n-1].Program != nil && r.odds(15) {
				c.Placement.ApartFrom = []string{path + "/" + out[n-1].ID}
			}
			out = append(out, c)
			size--
			continue
		}
		below := 1 + r.IntN(size)
		id := fmt.Sprintf("s%d", *next)
		out = append(out, supervisor.ChildSpec{
			ID: id, RestartType: one(r, supervisor.Permanent, supervisor.Permanent, supervisor.Transient),
			Supervisor: &supervisor.SupervisorSpec{Strategy: r.strategy(), RestartPolicy: r.policy()},
			Exclusive:  r.odds(15),
			Children:   r.children(path+"/"+id, next, below, depth+1),
		})
		size -= below
	}
	return out
}

func (r chance) worker(id string) supervisor.ChildSpec {
	c := worker(id)
	switch {
	case r.odds(15):
		c.RestartType = supervisor.Transient
	case r.odds(10):
		c.RestartType = supervisor.Temporary
	}
	c.Exclusive = r.odds(30)
	if r.odds(20) {
		limit := 1 + r.IntN(4)
		c.MaxRestarts = &limit
	}
	if r.odds(25) {
		c.MoveAfter = 1 + r.IntN(3)
	}
	if r.odds(20) {
		c.Program.MinUptime = 50 * time.Millisecond
	}
	if r.odds(20) {
		c.Placement.Mode = supervisor.Pack
	}
	if r.odds(15) {
		c.Placement.Nodes = []string{fmt.Sprintf("n%d", 1+r.IntN(3))}
	}
	return c
}
