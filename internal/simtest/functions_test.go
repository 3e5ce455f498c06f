package simtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/selfware/selfware/agent"
	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/function"
	"github.com/selfware/selfware/function/table"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/supervisor"
)

// table is what holds the children of a process: the machine's simulated keeper, or, of
// an embedded node, the real table of functions.
func (p *process) table(ctx context.Context) (agent.Processes, func() map[string]string) {
	s := p.m.s
	if s.opt.function == nil {
		return p.procs, nil
	}
	funcs := new(function.Registry)
	err := funcs.Register("f", func(ctx context.Context, life function.Life) error { return s.opt.function(p, ctx, life) })
	if err != nil {
		s.t.Fatal(err)
	}
	t, err := table.New(table.Config{
		Node: p.m.name, Functions: funcs, Clock: p.m.clock,
		Fatal: func(err error) {
			s.notef("%s ends itself: %v", p.m.name, err)
			s.bit("fail-stop")
			p.die()
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.wg.Go(func() {
		if err := t.Run(ctx); err != nil {
			s.failf("functions of %s: %v", p.m.name, err)
		}
	})
	return t, func() map[string]string { return funcs.Labels(nil) }
}

// cast is who is in a function, as the functions themselves know.
type cast struct {
	mu     sync.Mutex
	s      *sim
	inside map[string]string // by path: the machine
	deaf   map[string]bool   // by machine: its functions ignore their contexts
	begun  int
}

func (c *cast) act(p *process, ctx context.Context, life function.Life) error {
	c.mu.Lock()
	if on := c.inside[life.Path]; on != "" {
		c.s.failf("P13: %s runs on %s, and on %s", life.Path, on, p.m.name)
	}
	c.inside[life.Path] = p.m.name
	c.begun++
	deaf := c.deaf[p.m.name]
	c.mu.Unlock()
	told := ctx.Done()
	if deaf {
		told = nil
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inside[life.Path] = ""
	}()
	select {
	case <-told:
		return ctx.Err()
	case <-p.gone:
		return errors.New("its process has ended")
	}
}

// where is the machine that a path runs on, nil if none.
func (c *cast) where(path string) *machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	if on := c.inside[path]; on != "" {
		return c.s.named(on)
	}
	return nil
}

// awake counts the nodes that are alive.
func (s *sim) awake() (n int) {
	s.view(func(v fsm.View) {
		for _, node := range v.Nodes() {
			if node.State == fsm.NodeAlive {
				n++
			}
		}
	})
	return n
}

// TestExclusiveFunctions: exclusive functions of embedded nodes, which are cut off, crash
// and end themselves because a function ignores its context. At most one call of each
// runs at any time, and one runs again within the time of a lease.
func TestExclusiveFunctions(t *testing.T) {
	for _, profile := range []gossip.Profile{gossip.LAN, gossip.Fast} {
		for seed := range uint64(4) {
			c := &cast{inside: make(map[string]string), deaf: make(map[string]bool)}
			opt := options{seed: seed + 1, nodes: 5, profile: profile, function: c.act}
			bubble(t, opt, func(s *sim) {
				c.s = s
				s.form()
				spec := flat("one", supervisor.OneForOne, 3)
				spec.Exclusive = true
				for i := range spec.Children {
					spec.Children[i].Program = &supervisor.Program{Func: "f", Grace: 2 * time.Second}
				}
				s.apply(spec)
				r := chanceOf(seed)
				for round := range 9 {
					c.hurt(round, fmt.Sprint("one/c", r.IntN(3)+1))
				}
				if s.bites["fail-stop"] == 0 || c.begun < 12 {
					s.failf("%d fail-stops, %d lives: the test shows nothing", s.bites["fail-stop"], c.begun)
				}
			})
		}
	}
}

// hurt harms the machine that a path runs on, waits for another life and heals it.
func (c *cast) hurt(round int, path string) {
	s := c.s
	s.within(s.fenceBound(), path+" runs", func() bool { return c.where(path) != nil })
	s.within(20*time.Second, "all are alive", func() bool { return s.awake() == len(s.machines) })
	m := c.where(path)
	if m == nil { // it has ended since
		return
	}
	heal := m.boot
	switch round % 3 {
	case 0:
		heal = s.cut(m, "alone")
	case 1:
		m.crash()
	case 2: // it must begin anew to be deaf
		c.deafen(m, true)
		if err := s.verb("restart", path, ""); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(cluster.TimesOf(s.opt.profile).Fence)
		if m = c.where(path); m == nil {
			s.failf("%s does not run", path)
			return
		}
		mend := s.cut(m, "alone")
		heal = func() {
			mend()
			m.crash() // it has ended itself; take it out of the world
			c.deafen(m, false)
			m.boot()
		}
	}
	s.within(s.fenceBound()+time.Second, path+" runs elsewhere", func() bool {
		now := c.where(path)
		return now != nil && now != m
	})
	heal()
}

func (c *cast) deafen(m *machine, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf[m.name] = on
}
