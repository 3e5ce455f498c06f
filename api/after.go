package api

import (
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// Awaited is a path that a tree comes after and that is not up: nothing of the tree starts
// before it is.
type Awaited struct {
	Path string `json:"path"`
	Why  string `json:"why" doc:"What keeps it from being up"`
	// Missing: there is no such tree or child yet.
	Missing bool `json:"missing,omitempty"`
}

func (p *picture) awaits(tree string) []Awaited {
	var all []Awaited
	for _, a := range p.v.Awaits(tree) {
		all = append(all, Awaited(a))
	}
	return all
}

// held says of a child what its tree keeps it waiting for; empty if nothing. A child that
// was told to start already goes on.
func (p *picture) held(c supervisor.Status) string {
	switch c.Phase {
	case supervisor.PhasePending, supervisor.PhaseBackoff, supervisor.PhaseStarting:
	default:
		return ""
	}
	t := p.v.Tree(supervisor.TreeName(c.Path))
	if _, _, ordered := t.Order(c.Path); ordered || len(t.WaitsFor()) == 0 {
		return ""
	}
	return "waits for " + strings.Join(t.WaitsFor(), ", ")
}

// missing says what a tree will have to wait for, since it is not there; nil if all is.
func missing(v fsm.View, after []string) []string {
	var notes []string
	for _, path := range after {
		name := supervisor.TreeName(path)
		t := v.Tree(name)
		why, absent := "there is no tree "+name+" yet", true
		if t != nil {
			why, absent = t.NotUp(path)
		}
		if absent {
			notes = append(notes, "it will wait for "+path+": "+why)
		}
	}
	return notes
}

// notes tells, of a file that is not applied yet, what comes of its key after.
func (s *Server) notes(next *supervisor.Spec) (notes []string) {
	if len(next.After) == 0 {
		return nil
	}
	s.cfg.Cluster.Machine().View(func(v fsm.View) {
		if err := v.Circle(next); err != nil {
			notes = append(notes, "an apply will be "+err.Error())
		}
		notes = append(notes, missing(v, next.After)...)
	})
	return notes
}
