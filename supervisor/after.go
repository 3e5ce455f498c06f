package supervisor

import (
	"fmt"
	"slices"
	"strings"
)

// This file is what a tree knows of other trees: those that it comes after (Spec.After),
// and those that come after it. Whoever steps the trees says it with Depend and Follow,
// which carry levels; the tree says what follows, with rest_for_one's meaning.

// MaxAfter bounds the paths that one tree comes after.
const MaxAfter = 64

// Dependency is how a path of another tree is. It has begun anew when Begun differs:
// a worker with each of its lives, a supervisor or a tree when all of it starts.
type Dependency struct {
	Path string `json:"path"`
	// Begun is the batch in which it last began; 0 if it is not there.
	Begun Epoch `json:"begun,omitempty"`
	// Alone counts the restarts of a worker's life by its node alone.
	Alone int `json:"alone,omitempty"`
	// Failed: it ended for good though it should run.
	Failed bool `json:"failed,omitempty"`
	// Up: every child at and below it runs, or has finished; temporary ones may have failed.
	Up bool `json:"up,omitempty"`
}

// Depend says how the paths that the tree comes after are. Until it was told of one, or
// while one is not up, no life of the tree starts; when one begins anew or fails, all of
// it stops and starts again.
type Depend struct {
	On []Dependency `json:"on"`
}

// Follow lists all paths of the tree that other trees come after. Of such a path nothing
// of the batch in which it began anew stops or starts before Clear is that batch.
type Follow struct {
	Paths []Followed `json:"paths,omitempty"`
}

// Followed is a path that others come after. Clear is the batch of its beginning for
// which all that comes after it has ended.
type Followed struct {
	Path  string `json:"path"`
	Clear Epoch  `json:"clear,omitempty"`
}

func (Depend) input() {}
func (Follow) input() {}

// anew: d, which was so before, has begun again or failed.
func (d Dependency) anew(was Dependency) bool {
	return d.Begun != 0 && d.Begun != was.Begun || d.Begun == was.Begun && d.Alone > was.Alone || d.Failed && !was.Failed
}

// Dependency tells how a path of this tree is, for a tree that comes after it.
func (t *Tree) Dependency(path string) Dependency {
	d := Dependency{Path: path}
	n := t.byPath[path]
	if n == nil || n.parent == nil && n != t.root {
		return d
	}
	d.Begun, d.Failed = n.began(), n.down == PhaseFailed
	if l := &n.life; n.worker() {
		d.Failed = l.Phase == PhaseFailed || l.Phase == PhaseStopping && l.Then == PhaseFailed
		if !l.returning() {
			d.Alone = l.Alone
		}
	}
	over := n.down != "" && n.down != PhaseFinished
	d.Up = n.unsettled == 0 && n.amiss == 0 && !over && !d.Failed && !t.deleting
	return d
}

// began is the batch in which n last began, or is about to.
func (n *node) began() Epoch {
	switch {
	case !n.worker():
		return n.born
	case n.life.returning():
		return n.life.Next
	}
	return n.life.Epoch
}

// wrong: a worker is at rest and not as others that come after it want it.
func (n *node) wrong(l *life) bool {
	return l.Phase == PhaseStopped || l.Phase == PhasePaused || l.Phase == PhaseFailed && n.spec.RestartType != Temporary
}

// Dependencies is what the tree was last told of the paths it comes after; Follows what
// it was told of its own paths. Not to be changed.
func (t *Tree) Dependencies() []Dependency { return t.deps }

// Follows belongs to Dependencies.
func (t *Tree) Follows() []Followed { return t.follows }

// Ending tells whether lives of the tree have yet to end.
func (t *Tree) Ending() bool { return t.root.ending > 0 }

// WaitsFor lists what the tree comes after and is not up: nothing of it starts before.
func (t *Tree) WaitsFor() []string {
	var paths []string
	for _, path := range t.spec.After {
		if d, ok := dependency(t.deps, path); !ok || !d.Up {
			paths = append(paths, path)
		}
	}
	return paths
}

func dependency(deps []Dependency, path string) (Dependency, bool) {
	i := slices.IndexFunc(deps, func(d Dependency) bool { return d.Path == path })
	if i < 0 {
		return Dependency{}, false
	}
	return deps[i], true
}

// onDepend takes how the dependencies are now. What it is told of for the first time
// changes nothing that runs.
func (t *Tree) onDepend(in Depend) error {
	var deps []Dependency
	var cause Cause
	for _, path := range t.spec.After {
		was, known := dependency(t.deps, path)
		now, told := dependency(in.On, path)
		switch {
		case told && known && now.anew(was) && cause.Kind == "":
			cause = Cause{Kind: CauseDependency, Path: path, Detail: "it began anew"}
			if now.Failed {
				cause.Detail = "it failed"
			}
		case !told && known:
			now = was
		case !told:
			continue
		}
		deps = append(deps, now)
	}
	if slices.Equal(deps, t.deps) {
		return ErrStale
	}
	t.deps = deps
	t.touch(t.root)
	t.gate()
	if cause.Kind != "" {
		t.followOn(cause)
	}
	return nil
}

// forgetDeps follows an edit: what the tree does not come after any more is nothing to it.
func (t *Tree) forgetDeps() {
	t.deps = slices.DeleteFunc(slices.Clone(t.deps), func(d Dependency) bool { return !slices.Contains(t.spec.After, d.Path) })
	t.gate()
}

// gate follows the dependencies: it is shut while one of them is not up.
func (t *Tree) gate() {
	t.shut = len(t.WaitsFor()) > 0
	if !t.shut {
		t.unbegun = false
	}
}

// followOn restarts the whole tree with what it comes after, as a supervisor is restarted
// with an elder sibling (recycleSupervisor). If nothing of it has begun since it was
// last made to wait, there is nothing to restart.
func (t *Tree) followOn(cause Cause) {
	switch {
	case t.unbegun, t.deleting, t.root.pause != nil:
		return
	case t.root.down == PhaseStopped, t.root.down == PhaseFinished: // until somebody starts it
		t.rejoin(t.root)
		return
	}
	t.failed = false
	t.restartSupervisor(t.root, renewal{stay: true, start: string(CauseDependency)}, cause)
	t.unbegun = t.shut
}

// onFollow takes which paths others come after, and where the way is clear.
func (t *Tree) onFollow(in Follow) error {
	if slices.Equal(in.Paths, t.follows) {
		return ErrStale
	}
	t.follows = slices.Clone(in.Paths)
	return nil
}

// obstructed: n, of this batch, has begun anew or is at or below what has, and lives of
// trees that come after it have yet to end.
func (t *Tree) obstructed(n *node, b Epoch) bool {
	if len(t.follows) == 0 {
		return false
	}
	for x := n; x != nil; x = x.parent {
		if x.began() != b {
			continue
		}
		for _, f := range t.follows {
			if f.Path == x.path && f.Clear != b {
				return true
			}
		}
	}
	return false
}

// validAfter checks the names of what a tree comes after. Whether they are there, and do
// not come after this tree themselves, only the cluster knows.
func validAfter(name string, paths []string) error {
	if len(paths) > MaxAfter {
		return fmt.Errorf("cannot use tree %s: it comes after %d paths, the limit is %d", name, len(paths), MaxAfter)
	}
	for i, path := range paths {
		for part := range strings.SplitSeq(path, "/") {
			if err := validID(part); err != nil {
				return fmt.Errorf("cannot use tree %s: after: %q is no path: %w", name, path, err)
			}
		}
		switch {
		case TreeName(path) == name:
			return fmt.Errorf("cannot use tree %s: after: %q is of the tree itself", name, path)
		case slices.Contains(paths[:i], path):
			return fmt.Errorf("cannot use tree %s: after: %q stands twice", name, path)
		}
	}
	return nil
}

// NotUp says of a path of this tree why it is not up; missing, if it is not there.
func (t *Tree) NotUp(path string) (why string, missing bool) {
	n := t.byPath[path]
	if n == nil || n.parent == nil && n != t.root {
		return fmt.Sprintf("tree %s has no %s", t.spec.Name, path), true
	}
	if n.worker() || n.down != "" {
		return path + " is " + string(n.status().Phase), false
	}
	first := true
	why = path + " was not up when it was last asked for"
	n.walk(func(x *node) {
		if x.worker() && (!x.life.settled() || x.wrong(&x.life)) && first {
			first = false
			why = x.path + " is " + string(x.status().Phase)
		}
	})
	return why, false
}
