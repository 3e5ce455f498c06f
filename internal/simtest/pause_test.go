package simtest

import (
	"slices"
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// pausedPaths are the paths that the event stream tells to be paused.
type pausedPaths map[string]bool

// over tells whether a path is at or below one that is paused.
func (p pausedPaths) over(path string) bool {
	for top := range p {
		if path == top || strings.HasPrefix(path, top+"/") {
			return true
		}
	}
	return false
}

// forget drops what is known of a tree that was edited or is gone: a path may have left
// it, and come back without its pause. That of the tree itself outlives an edit.
func (p pausedPaths) forget(tree string, gone bool) {
	for path := range p {
		if supervisor.TreeName(path) == tree && (gone || path != tree) {
			delete(p, path)
		}
	}
}

// calm: below a pause nothing begins, moves, is placed or gives up.
func (o *oracle) calm(d *supervisor.Decision) {
	switch d.Verdict {
	case supervisor.VerdictPause:
		o.paused[d.Path] = true
		o.counts.pauses++
		return
	case supervisor.VerdictResume:
		delete(o.paused, d.Path)
		return
	case supervisor.VerdictStart, supervisor.VerdictRestart, supervisor.VerdictMove, supervisor.VerdictPlace, supervisor.VerdictEscalate:
	default:
		return
	}
	if o.paused.over(d.Path) && d.Cause.Kind != supervisor.CauseAutonomy {
		o.s.failf("%s is below a pause (%v), and at %d: %s", d.Path, o.paused, d.Index, d.Sentence)
	}
}

// resumeAll asks for the end of every pause, and names one of them; empty if there is
// none left.
func (s *sim) resumeAll() (path string) {
	var all []string
	s.view(func(v fsm.View) {
		for _, name := range v.TreeNames() {
			t := v.Tree(name)
			if root, ok := t.Child(name); ok && root.Paused != nil {
				all = append(all, name)
			}
			for _, c := range t.Children() {
				if c.Paused != nil && !slices.Contains(all, c.Paused.Path) {
					all = append(all, c.Paused.Path)
				}
			}
		}
	})
	for _, path := range all {
		s.client.send(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: "resume", Path: path}})
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
