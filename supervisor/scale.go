package supervisor

import (
	"fmt"
	"maps"
	"slices"

	"github.com/selfware/selfware/internal/bug"
)

// Scale says how many instances a pool has from now on. New ones start, or the last
// ones stop and leave; the others are not touched.
type Scale struct {
	Path string `json:"path"`
	Size int    `json:"size"`
	By   string `json:"by,omitempty"`
}

func (Scale) input() {}

// Scaled is a pool whose size an operator has set. It holds until the size in the tree's
// file changes, so that to apply a file for other reasons does not undo it.
type Scaled struct {
	Path string `json:"path"`
	Size int    `json:"size"`
	// File is the size that the file had then.
	File int    `json:"file"`
	By   string `json:"by,omitempty"`
}

// Holds tells how many instances the pool has under another spec, and whether that is
// still the operator's word and not the spec's. No pool there: 0, false.
func (s Scaled) Holds(spec *Spec) (size int, holds bool) {
	p := spec.Pool(s.Path)
	switch {
	case p == nil:
		return 0, false
	case p.Size != s.File || bug.On("apply-undoes-scale"):
		return p.Size, false
	}
	return min(s.Size, p.Max), true
}

// Pool is the pool at a path; nil if there is none.
func (s *Spec) Pool(path string) *Pool { return s.pools()[path] }

// pools are those of a spec by path.
func (s *Spec) pools() map[string]*Pool {
	found := make(map[string]*Pool)
	var walk func(parent string, children []ChildSpec)
	walk = func(parent string, children []ChildSpec) {
		for i := range children {
			path := parent + "/" + children[i].ID
			if p := children[i].Pool; p != nil {
				found[path] = p
			}
			walk(path, children[i].Children)
		}
	}
	walk(s.Name, s.Children)
	return found
}

// Scaled lists the pools whose size is an operator's, by path.
func (t *Tree) Scaled() []Scaled {
	var all []Scaled
	for _, path := range slices.Sorted(maps.Keys(t.scaled)) {
		all = append(all, t.scaled[path])
	}
	return all
}

// Shape is the spec as it is supervised: each child that stands for many is a
// supervisor of the instances it has now. Not to be changed.
func (t *Tree) Shape() Spec {
	s := t.spec
	s.Children = t.shape
	return s
}

// shaping is what decides on the instances of the tree under a spec.
func (t *Tree) shaping(spec *Spec) shaping {
	kept := make(map[string]Scaled)
	for path, s := range t.scaled { // order-free: each is kept or not
		if size, holds := s.Holds(spec); holds {
			s.Size = size
			kept[path] = s
		}
	}
	return shaping{scaled: kept, members: t.known(spec)}
}

// onScale changes the size of a pool, whether it runs or not.
func (t *Tree) onScale(in Scale) error {
	n, err := t.member(in.Path)
	switch {
	case err != nil:
		return err
	case t.deleting:
		return fmt.Errorf("%w: tree %s is being deleted", ErrRefused, t.spec.Name)
	case n.spec == nil || n.spec.Pool == nil:
		return fmt.Errorf("%w: %s is no pool; the number of other children is changed in the tree's file", ErrRefused, in.Path)
	case in.Size < 0 || in.Size > n.spec.Pool.Max:
		return fmt.Errorf("%w: the pool %s can have 0 to %d instances, its max, not %d", ErrRefused, in.Path, n.spec.Pool.Max, in.Size)
	}
	was := len(n.children)
	if was == in.Size {
		return nil
	}
	cause := Cause{Kind: CauseOperator, Detail: in.By}
	sh := t.shaping(&t.spec)
	delete(sh.scaled, in.Path)
	if file := n.spec.Pool.Size; in.Size != file {
		sh.scaled[in.Path] = Scaled{Path: in.Path, Size: in.Size, File: file, By: in.By}
	}
	t.decide(n, VerdictScale, cause, fmt.Sprintf("%s is scaled from %d to %d instances (%s)", in.Path, was, in.Size, because(cause)))
	t.reshape(t.spec, sh, cause, nil).begin(false)
	t.regroup()
	return nil
}

// regroup follows a change of the tree's instances in the rollout under way: who came
// has the new spec, who left is not waited for.
func (t *Tree) regroup() {
	r := t.rollout
	if !r.active() {
		return
	}
	t.gather()
	r.Total = r.Done + t.queued
	for _, w := range t.waves {
		r.Total += len(w.watched)
	}
	switch t.touch(t.root); {
	case r.moves():
		t.proceed()
	case len(t.waves) == 0: // what it was halted for has left
		t.complete()
	}
}
