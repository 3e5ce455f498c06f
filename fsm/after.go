package fsm

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/selfware/selfware/internal/bug"
	"github.com/selfware/selfware/supervisor"
)

// This file lets trees come after each other (supervisor.Spec.After). At the end of an
// entry, every tree whose neighbours have changed is told how they are now: first, in the
// order of the graph, what each comes after; then, of each, where all that comes after
// it has ended. Both are levels, told where they differ from what was told last, so there
// is nothing to remember, and nothing that a new leader would have to take up.

// graph says which trees come after which. It is derived from their specs, and has no
// circles: an apply that would make one is refused.
type graph struct {
	// after lists, for a tree, the trees of the paths that it comes after; followers, for
	// a tree, the trees that come after each of its paths. Both sorted.
	after     map[string][]string
	followers map[string]map[string][]string
	// rank is greater for a tree than for all that it comes after.
	rank map[string]int
}

// has tells whether a tree comes after another, or another after it.
func (g *graph) has(name string) bool {
	_, ok := g.rank[name]
	return ok
}

// graphOf reads the graph of some trees. Who comes after nothing, and is followed by
// nobody, is not in it.
func graphOf(trees map[string]*supervisor.Tree) graph {
	g := graph{after: make(map[string][]string), followers: make(map[string]map[string][]string), rank: make(map[string]int)}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		for _, path := range trees[name].Spec().After {
			of := supervisor.TreeName(path)
			g.after[name] = append(g.after[name], of)
			if g.followers[of] == nil {
				g.followers[of] = make(map[string][]string)
			}
			g.followers[of][path] = append(g.followers[of][path], name)
		}
		if len(g.after[name]) > 0 {
			slices.Sort(g.after[name])
			g.after[name] = slices.Compact(g.after[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.after)) {
		g.ranked(name)
	}
	return g
}

// ranked gives a tree its rank, after those that it comes after.
func (g *graph) ranked(name string) int {
	if rank, ok := g.rank[name]; ok {
		return rank
	}
	rank := 0
	g.rank[name] = 0 // a circle, which cannot be, would end here
	for _, of := range g.after[name] {
		rank = max(rank, g.ranked(of)+1)
	}
	g.rank[name] = rank
	return rank
}

// next lists the trees that come after a tree, sorted.
func (g *graph) next(name string) []string {
	var all []string
	for _, path := range slices.Sorted(maps.Keys(g.followers[name])) {
		all = append(all, g.followers[name][path]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// circle refuses a spec that would come after itself, by way of other trees.
func (s *state) circle(spec *supervisor.Spec) error {
	seen := make(map[string]bool)
	var back func(name string, after []string) []string
	back = func(name string, after []string) []string {
		for _, path := range after {
			of, step := supervisor.TreeName(path), name+" comes after "+path
			if of == spec.Name {
				return []string{step}
			}
			if t := s.trees[of]; t != nil && !seen[of] {
				seen[of] = true
				if rest := back(of, t.Spec().After); rest != nil {
					return append([]string{step}, rest...)
				}
			}
		}
		return nil
	}
	if steps := back(spec.Name, spec.After); steps != nil && !bug.On("circle-accepted") {
		return fmt.Errorf("%w: none of these trees could ever start: %s", supervisor.ErrRefused, strings.Join(steps, ", "))
	}
	return nil
}

// stir notes that the neighbours of a tree may have to be told of it.
func (s *state) stir(name string) {
	if s.graph.has(name) {
		s.stirred[name] = true
	}
}

// regraph follows a change of what trees come after; all of the old graph and of the new
// one are to be told.
func (s *state) regraph() {
	old := s.graph
	s.graph = graphOf(s.trees)
	for _, g := range []graph{old, s.graph} {
		for name := range g.rank { // order-free: a set
			s.stirred[name] = true
		}
	}
}

// propagate tells all trees that were stirred, and their neighbours, how the others are
// now. Each takes a position of its own of the entry, all trees together, since no tree
// is told of either twice. Where an entry leaves no room for that, the next one does it.
func (s *state) propagate(e *Entry) {
	if len(s.stirred) == 0 || e.inputs() > supervisor.MaxInputs-2 {
		return
	}
	s.dependAll()
	s.pos++
	s.followAll()
	s.pos++
	clear(s.stirred)
}

// dependAll tells each tree of what it comes after, in the order of the graph: a tree
// that begins anew takes those after it along.
func (s *state) dependAll() {
	var todo []string
	byRank := func(a, b string) int { return cmp.Or(cmp.Compare(s.graph.rank[a], s.graph.rank[b]), cmp.Compare(a, b)) }
	add := func(name string) {
		if i, found := slices.BinarySearchFunc(todo, name, byRank); !found {
			todo = slices.Insert(todo, i, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.stirred)) {
		add(name)
		for _, next := range s.graph.next(name) {
			add(next)
		}
	}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		t := s.trees[name]
		if t == nil || len(s.graph.after[name]) == 0 {
			continue
		}
		if on := s.dependencies(t); !slices.Equal(on, t.Dependencies()) {
			_, _ = s.stepHere(t, supervisor.Depend{On: on}) // it has no other error than stale
			for _, next := range s.graph.next(name) {
				add(next)
			}
		}
	}
}

// dependencies is how all that a tree comes after is now.
func (s *state) dependencies(t *supervisor.Tree) []supervisor.Dependency {
	var on []supervisor.Dependency
	for _, path := range t.Spec().After {
		d := supervisor.Dependency{Path: path}
		if of := s.trees[supervisor.TreeName(path)]; of != nil {
			d = of.Dependency(path)
		}
		on = append(on, d)
	}
	return on
}

// followAll tells each tree which of its paths others come after, and where they have
// ended, with all that comes after them in turn.
func (s *state) followAll() {
	todo, ending := make(map[string]bool), make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		if !todo[name] {
			todo[name] = true
			for _, of := range s.graph.after[name] {
				add(of)
			}
		}
	}
	for name := range s.stirred { // order-free: a set
		add(name)
	}
	for _, name := range slices.Sorted(maps.Keys(todo)) {
		t := s.trees[name]
		if t == nil {
			continue
		}
		if paths := s.followed(t, ending); !slices.Equal(paths, t.Follows()) {
			_, _ = s.stepHere(t, supervisor.Follow{Paths: paths}) // it has no other error than stale
		}
	}
}

// followed lists the paths of a tree that others come after. Where one of those has lives
// that have yet to end, what was clear stays.
func (s *state) followed(t *supervisor.Tree, ending map[string]bool) []supervisor.Followed {
	var paths []supervisor.Followed
	followers := s.graph.followers[t.Name()]
	for _, path := range slices.Sorted(maps.Keys(followers)) {
		f := supervisor.Followed{Path: path, Clear: t.Dependency(path).Begun}
		if slices.ContainsFunc(followers[path], func(name string) bool { return s.ending(name, ending) }) {
			f.Clear = 0
			if i := slices.IndexFunc(t.Follows(), func(was supervisor.Followed) bool { return was.Path == path }); i >= 0 {
				f.Clear = t.Follows()[i].Clear
			}
		}
		paths = append(paths, f)
	}
	return paths
}

// ending tells whether lives of a tree, or of one that comes after it, have yet to end.
// known holds the answers of before.
func (s *state) ending(name string, known map[string]bool) bool {
	if ends, ok := known[name]; ok {
		return ends
	}
	known[name] = false // a circle, which cannot be, would end here
	known[name] = s.trees[name].Ending() || slices.ContainsFunc(s.graph.next(name), func(next string) bool { return s.ending(next, known) })
	return known[name]
}

// Awaited is a path that a tree waits for, and why it is not up.
type Awaited struct {
	Path, Why string
	// Missing: there is no such path.
	Missing bool
}

// Awaits lists what keeps a tree from starting anything; empty if nothing does.
func (v View) Awaits(name string) []Awaited {
	t := v.s.trees[name]
	if t == nil {
		return nil
	}
	var all []Awaited
	for _, path := range t.WaitsFor() {
		a, of := Awaited{Path: path}, supervisor.TreeName(path)
		if p := v.s.trees[of]; p == nil {
			a.Why, a.Missing = "there is no tree "+of, true
		} else {
			a.Why, a.Missing = p.NotUp(path)
		}
		all = append(all, a)
	}
	return all
}

// Circle is the error that an apply of the spec would get for coming after itself, by way
// of other trees; nil if it does not.
func (v View) Circle(spec *supervisor.Spec) error { return v.s.circle(spec) }

// Dependents lists the trees that come after a tree or a path of it, sorted.
func (v View) Dependents(name string) []string { return v.s.graph.next(name) }
