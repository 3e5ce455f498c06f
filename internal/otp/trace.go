package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// Limits of a trace. Small trees and few choices: what there is to find shows in them,
// and the same child is hit again and again.
const (
	maxChildren = 9 // supervisors among them
	maxDepth    = 3
	maxSteps    = 14
)

// trace is a tree and what happens in it. Its children are numbered in start order,
// from 1; 0 is the root.
type trace struct {
	root  super
	steps []step
}

// super is a supervisor: all its children share one window, as in OTP.
type super struct {
	strategy          int // of strategies
	intensity, period int
	auto              int // of shutdowns
	children          []child
}

// child is a worker, or a supervisor if sup is set.
type child struct {
	restart     int // of restartTypes
	significant bool
	sup         *super
}

// step is the end of a worker, some time after the step before, and how many of its
// next starts fail.
type step struct {
	after, worker, why, fails int
}

var (
	strategies   = []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne}
	restartTypes = []supervisor.RestartType{supervisor.Permanent, supervisor.Transient, supervisor.Temporary}
	shutdowns    = []supervisor.AutoShutdown{supervisor.AutoNever, supervisor.AutoAny, supervisor.AutoAll}
	reasons      = []string{"crash", "normal", "shutdown"}
)

// draw gives the trace of a seed.
func draw(seed, number uint64) *trace {
	r := rand.New(rand.NewPCG(seed, number))
	left := 1 + r.IntN(maxChildren)
	t := &trace{root: drawSuper(r, &left, 1)}
	workers := t.workers()
	for range 1 + r.IntN(maxSteps) {
		if len(workers) == 0 {
			break
		}
		s := step{after: r.IntN(3), worker: workers[r.IntN(len(workers))]}
		if r.IntN(3) == 0 {
			s.why = 1 + r.IntN(2)
		}
		if r.IntN(6) == 0 {
			s.fails = 1 + r.IntN(3)
		}
		if r.IntN(4) == 0 { // just at the boundary of some window, and beside it
			s.after = t.root.period + r.IntN(3) - 1
		}
		t.steps = append(t.steps, s)
	}
	return t
}

func drawSuper(r *rand.Rand, left *int, depth int) super {
	s := super{strategy: r.IntN(len(strategies)), intensity: r.IntN(4), period: 1 + r.IntN(5)}
	if r.IntN(2) == 0 {
		s.auto = 1 + r.IntN(2)
	}
	for range 1 + r.IntN(4) {
		if *left == 0 {
			break
		}
		*left--
		c := child{restart: r.IntN(len(restartTypes))}
		if s.auto == 0 && r.IntN(2) == 0 {
			c.restart = 0
		}
		c.significant = s.auto != 0 && c.restart != 0 && r.IntN(3) > 0
		if depth < maxDepth && r.IntN(3) == 0 {
			sup := drawSuper(r, left, depth+1)
			c.sup = &sup
		}
		s.children = append(s.children, c)
	}
	return s
}

// walk visits the children in start order, with their numbers and paths.
func (t *trace) walk(visit func(number int, path string, c child)) {
	number := 0
	var below func(s *super, path string)
	below = func(s *super, path string) {
		for _, c := range s.children {
			number++
			p := fmt.Sprintf("%s/c%d", path, number)
			visit(number, p, c)
			if c.sup != nil {
				below(c.sup, p)
			}
		}
	}
	below(&t.root, treeName)
}

func (t *trace) workers() (numbers []int) {
	t.walk(func(number int, _ string, c child) {
		if c.sup == nil {
			numbers = append(numbers, number)
		}
	})
	return numbers
}

const treeName = "t"

// spec is the tree as the core takes it: without back-off, which OTP has not.
func (t *trace) spec() supervisor.Spec {
	number := 0
	return supervisor.Spec{
		Name: treeName, Strategy: strategies[t.root.strategy], RestartPolicy: t.root.policy(), AutoShutdown: shutdowns[t.root.auto],
		Children: t.root.specs(&number),
	}
}

func (s *super) policy() supervisor.RestartPolicy {
	return supervisor.RestartPolicy{
		MaxRestarts: s.intensity, MaxSeconds: time.Duration(s.period) * time.Second, Scope: supervisor.ScopeSupervisor,
	}
}

func (s *super) specs(number *int) (specs []supervisor.ChildSpec) {
	for _, c := range s.children {
		*number++
		cs := supervisor.ChildSpec{ID: fmt.Sprintf("c%d", *number), RestartType: restartTypes[c.restart], Significant: c.significant}
		if c.sup == nil {
			cs.Program = &program
		} else {
			cs.Supervisor = &supervisor.SupervisorSpec{Strategy: strategies[c.sup.strategy], RestartPolicy: c.sup.policy(), AutoShutdown: shutdowns[c.sup.auto]}
			cs.Children = c.sup.specs(number)
		}
		specs = append(specs, cs)
	}
	return specs
}

var program = supervisor.Program{Argv: []string{"v1"}}

// encode writes the trace as selfware_otp.erl reads it.
func (t *trace) encode() []byte {
	var b []byte
	b = t.root.encode(b)
	for _, s := range t.steps {
		b = append(b, byte(s.after), byte(s.worker), byte(s.why), byte(s.fails))
	}
	return b
}

func (s *super) encode(b []byte) []byte {
	b = append(b, byte(s.strategy), byte(s.intensity), byte(s.period), byte(s.auto), byte(len(s.children)))
	for _, c := range s.children {
		if c.sup == nil {
			b = append(b, 0, byte(c.restart), one(c.significant))
		} else {
			b = c.sup.encode(append(b, 1, byte(c.restart), one(c.significant)))
		}
	}
	return b
}

func one(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// clone is a copy that may be cut down.
func (t *trace) clone() *trace {
	return &trace{root: t.root.clone(), steps: slices.Clone(t.steps)}
}

func (s *super) clone() super {
	c := *s
	c.children = slices.Clone(s.children)
	for i := range c.children {
		if below := c.children[i].sup; below != nil {
			copied := below.clone()
			c.children[i].sup = &copied
		}
	}
	return c
}
