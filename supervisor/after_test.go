package supervisor

import (
	"fmt"
	"slices"
	"strconv"

	"pgregory.net/rapid"
)

// dependency tells of one path what the script says, and of the others nothing new.
func (s *script) dependency(path string, a arguments) Input {
	now := Dependency{Path: path, Failed: a.has("failed"), Up: a.has("up")}
	if begun := a.one("begun"); begun != "" {
		n, _ := strconv.Atoi(begun)
		now.Begun = Stamp{Index: uint64(n)}.Epoch()
	}
	now.Alone, _ = strconv.Atoi(a.one("alone"))
	in := Depend{On: []Dependency{now}}
	for _, d := range s.tree.Dependencies() {
		if d.Path != path {
			in.On = append(in.On, d)
		}
	}
	return in
}

// followed names the paths that others come after; with clear, nothing of them has yet
// to end.
func (s *script) followed(a arguments) Input {
	var in Follow
	for _, arg := range a {
		if arg.Key == "clear" {
			for i := range in.Paths {
				in.Paths[i].Clear = s.tree.Dependency(in.Paths[i].Path).Begun
			}
			continue
		}
		in.Paths = append(in.Paths, Followed{Path: arg.Key})
	}
	return in
}

// drawDepend draws how the paths are that the tree may come after.
func (r *rig) drawDepend(rt *rapid.T) Input {
	var in Depend
	for _, path := range []string{"base", "net/db"} {
		d, _ := dependency(r.tree.Dependencies(), path)
		d.Path = path
		switch rapid.IntRange(0, 6).Draw(rt, "dependency") {
		case 0: // nothing is said of it
			continue
		case 1:
			d.Begun, d.Alone, d.Failed = Stamp{Index: r.index + 1}.Epoch(), 0, false
		case 2:
			d.Begun, d.Up = 0, false
		case 3:
			d.Failed, d.Up = !d.Failed, false
		case 4:
			d.Alone = rapid.IntRange(0, 3).Draw(rt, "alone")
		default:
			d.Up = !d.Failed
		}
		in.On = append(in.On, d)
	}
	return in
}

func (r *rig) drawFollow(rt *rapid.T) Input {
	var in Follow
	for _, path := range []string{"t", r.drawPath(rt)} {
		known := slices.ContainsFunc(in.Paths, func(f Followed) bool { return f.Path == path })
		if known || rapid.IntRange(0, 2).Draw(rt, "followed") == 0 {
			continue
		}
		f := Followed{Path: path}
		if rapid.IntRange(0, 2).Draw(rt, "clear") > 0 {
			f.Clear = r.tree.Dependency(path).Begun
		}
		in.Paths = append(in.Paths, f)
	}
	return in
}

// neighbours is what a walk has told its tree of other trees.
type neighbours struct {
	told    map[string]Dependency
	follows []Followed
}

// presentLives are all lives, leaving ones left out.
func (w *walk) presentLives() map[string]life {
	lives := make(map[string]life)
	for path, n := range w.tree.byPath {
		if n.worker() && n.parent != nil {
			lives[path] = n.life
		}
	}
	return lives
}

// checkAfter: a dependency that begins anew, or fails, takes every life of the tree along,
// at nobody's charge; nothing else that is told of other trees touches what runs.
func (w *walk) checkAfter(in Input, ds []Decision, before map[string]life) {
	w.Helper()
	after := w.tree.Spec().After
	switch in := in.(type) {
	case Edit:
		for path := range w.after.told {
			if !slices.Contains(after, path) {
				delete(w.after.told, path)
			}
		}
	case Follow:
		w.after.follows = in.Paths
		w.checkUntouched(in, ds, before)
	case Depend:
		anew := false
		for _, now := range in.On {
			if !slices.Contains(after, now.Path) {
				continue
			}
			was, known := w.after.told[now.Path]
			begun := now.Begun != 0 && now.Begun != was.Begun
			again := now.Begun == was.Begun && now.Alone > was.Alone
			anew = anew || known && (begun || again || now.Failed && !was.Failed)
			w.after.told[now.Path] = now
		}
		if !anew {
			w.checkUntouched(in, ds, before)
			return
		}
		for path, n := range w.tree.byPath {
			l := &n.life
			if n.worker() && n.parent != nil && n.paused() == nil && l.held() && l.Phase != PhaseStopping && l.Epoch.Index() < w.index {
				w.Fatalf("%s goes on as %s after %+v", path, l.Phase, in)
			}
		}
		for _, d := range ds {
			if d.Before != d.After || d.Cause.Kind != CauseDependency {
				w.Fatalf("%+v is no restart after a dependency", d)
			}
		}
	}
}

func (w *walk) checkUntouched(in Input, ds []Decision, before map[string]life) {
	w.Helper()
	for path, l := range w.presentLives() {
		was := before[path]
		was.Released, was.Halted, was.Generation = l.Released, l.Halted, l.Generation
		if fmt.Sprint(l) != fmt.Sprint(was) || len(ds) > 0 {
			w.Fatalf("%+v touched %s: %+v, before %+v; %+v", in, path, l, was, ds)
		}
	}
}

// freeToStart: all that the tree comes after is known to be up, and nothing that comes
// after n's beginning has yet to end.
func (w *walk) freeToStart(n *node) bool {
	for _, path := range w.tree.Spec().After {
		if !w.after.told[path].Up {
			return false
		}
	}
	return w.freeOf(n, n.life.Epoch)
}

// freeOf: of n's batch no path at or above it, that others come after, waits for them.
func (w *walk) freeOf(n *node, batch Epoch) bool {
	if n.parent == nil {
		return true // it leaves the tree, and ends in an order of its own
	}
	for _, f := range w.after.follows {
		if begun := w.tree.Dependency(f.Path).Begun; begun == batch && f.Clear != batch && underPath(n.path, f.Path) {
			return false
		}
	}
	return true
}

// allWell: what the tree comes after is up, and what comes after it has ended. Lives of
// a dependency stay what they are.
func (w *walk) allWell() {
	w.Helper()
	var on Depend
	for _, path := range w.tree.Spec().After {
		d := w.after.told[path]
		d.Path, d.Up = path, true
		on.On = append(on.On, d)
	}
	_ = w.try(on) // stale, if it was told before
	follow := Follow{Paths: slices.Clone(w.after.follows)}
	for i := range follow.Paths {
		follow.Paths[i].Clear = w.tree.Dependency(follow.Paths[i].Path).Begun
	}
	_ = w.try(follow)
}
