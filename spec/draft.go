package spec

import (
	"cmp"

	"github.com/selfware/selfware/supervisor"
)

// treeDraft is a tree as the file says it. Its spec has no children.
type treeDraft struct {
	spec     supervisor.Spec
	children []*draft
}

// draft is a child as the file says it: what makes a worker and what makes a
// supervisor stand side by side until it is known which of them it is. Its
// spec has neither Program, Supervisor nor Children; sup is nil for a worker. Of a pool
// that was read the worker is its template; what is to be written has it in pool alone.
type draft struct {
	node     *node
	spec     supervisor.ChildSpec
	program  supervisor.Program
	exits    supervisor.ExitRules
	sup      *supervisor.SupervisorSpec
	pool     *poolDraft
	children []*draft
}

// place is where to point for a key: at its value, else at the child.
func (d *draft) place(key string) *node {
	if d.pool != nil && d.pool.template.node != nil {
		if p, ok := d.pool.template.node.get(key); ok {
			return p.value
		}
	}
	if p, ok := d.node.get(key); ok {
		return p.value
	}
	return d.node
}

// build joins the parts.
func (d *draft) build() supervisor.ChildSpec {
	c := d.spec
	if d.sup != nil {
		sup := *d.sup
		c.Supervisor, c.Placement = &sup, supervisor.Placement{}
		c.Children = buildAll(d.children)
		return c
	}
	program := d.program
	c.Program, c.Exits = &program, d.exitRules()
	if d.pool != nil {
		c.Pool = &supervisor.Pool{Size: d.pool.size, Max: d.pool.max, RestartPolicy: d.pool.policy}
	}
	return c
}

func buildAll(drafts []*draft) []supervisor.ChildSpec {
	var children []supervisor.ChildSpec
	for _, d := range drafts {
		children = append(children, d.build())
	}
	return children
}

// draftTree is the inverse of build, for writing and comparing. What a spec
// made by other hands leaves to defaults is filled in.
func draftTree(s supervisor.Spec) *treeDraft {
	t := &treeDraft{spec: s}
	t.spec.Strategy = cmp.Or(s.Strategy, supervisor.OneForOne)
	t.spec.Children = nil
	for _, c := range s.Children {
		t.children = append(t.children, draftChild(c))
	}
	return t
}

func draftChild(c supervisor.ChildSpec) *draft {
	d := &draft{spec: c}
	childTable.reset(d)
	if c.Pool != nil {
		template := c
		template.Pool, template.Update = nil, nil
		d.spec.ID, d.spec.Program, d.spec.Pool, d.spec.Exits = c.ID, nil, nil, nil
		d.pool = &poolDraft{template: draftChild(template), size: c.Pool.Size, max: c.Pool.Max, policy: c.Pool.RestartPolicy, update: c.Update}
		return d
	}
	d.spec = c
	d.spec.Program, d.spec.Supervisor, d.spec.Children = nil, nil, nil
	d.spec.RestartType = cmp.Or(c.RestartType, supervisor.Permanent)
	d.spec.Placement.Mode = cmp.Or(c.Placement.Mode, supervisor.SpreadOut)
	if d.spec.Exits = nil; c.Exits != nil {
		d.exits = *c.Exits
	}
	if c.Program != nil {
		d.program = *c.Program
		d.program.StopSignal = cmp.Or(d.program.StopSignal, defaultSignal)
		d.program.Grace = cmp.Or(d.program.Grace, supervisor.DefaultGrace)
	}
	d.program.Probe, d.program.Liveness = fullProbe(d.program.Probe), fullLiveness(d.program.Liveness)
	if c.Supervisor != nil {
		sup := *c.Supervisor
		sup.Strategy = cmp.Or(sup.Strategy, supervisor.OneForOne)
		d.sup = &sup
		for _, child := range c.Children {
			d.children = append(d.children, draftChild(child))
		}
	}
	return d
}

// fullProbe is a copy of p with its defaults; nil stays nil.
func fullProbe(p *supervisor.Probe) *supervisor.Probe {
	if p == nil {
		return nil
	}
	full := *p
	full.Interval = cmp.Or(p.Interval, DefaultProbeInterval)
	full.Timeout = cmp.Or(p.Timeout, DefaultProbeTimeout)
	full.StartTimeout = cmp.Or(p.StartTimeout, DefaultStartTimeout)
	full.SuccessThreshold = cmp.Or(p.SuccessThreshold, DefaultSuccessThreshold)
	return &full
}

// fullLiveness is a copy of l with its defaults; nil stays nil.
func fullLiveness(l *supervisor.Liveness) *supervisor.Liveness {
	if l == nil {
		return nil
	}
	full := *l
	full.Interval = cmp.Or(l.Interval, DefaultLivenessInterval)
	full.Timeout = cmp.Or(l.Timeout, DefaultLivenessTimeout)
	full.FailureThreshold = cmp.Or(l.FailureThreshold, DefaultFailureThreshold)
	full.SuccessThreshold = cmp.Or(l.SuccessThreshold, DefaultSuccessThreshold)
	full.Severity = cmp.Or(l.Severity, supervisor.SeverityCritical)
	return &full
}
