package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

var (
	strategies = []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne}
	types      = []supervisor.RestartType{supervisor.Permanent, supervisor.Transient, supervisor.Temporary}
)

const (
	perm  = supervisor.Permanent
	trans = supervisor.Transient
	temp  = supervisor.Temporary
)

func policy(n int) supervisor.RestartPolicy {
	return supervisor.RestartPolicy{MaxRestarts: n, MaxSeconds: period}
}

func worker(id string, t supervisor.RestartType) supervisor.ChildSpec {
	return supervisor.ChildSpec{ID: id, RestartType: t, Program: &supervisor.Program{Argv: []string{"v1"}}}
}

func group(id string, s supervisor.Strategy, t supervisor.RestartType, children ...supervisor.ChildSpec) supervisor.ChildSpec {
	return supervisor.ChildSpec{
		ID: id, RestartType: t, Supervisor: &supervisor.SupervisorSpec{Strategy: s, RestartPolicy: policy(1)}, Children: children,
	}
}

func tree(s supervisor.Strategy, children ...supervisor.ChildSpec) supervisor.Spec {
	return supervisor.Spec{Name: "t", Strategy: s, RestartPolicy: policy(1), Children: children}
}

// initials are short names of strategies, letter those of restart types.
func initials(s supervisor.Strategy) string {
	return map[supervisor.Strategy]string{supervisor.OneForOne: "one", supervisor.OneForAll: "all", supervisor.RestForOne: "rest"}[s]
}

func letter(ts ...supervisor.RestartType) (s string) {
	for _, t := range ts {
		s += map[supervisor.RestartType]string{perm: "P", trans: "T", temp: "M"}[t]
	}
	return s
}

// typings are all restart types of n children. Children of a one_for_one supervisor do
// not wait for each other, so that their order does not matter there.
func typings(s supervisor.Strategy, n int) [][]supervisor.RestartType {
	all := [][]supervisor.RestartType{nil}
	for range n {
		var longer [][]supervisor.RestartType
		for _, ts := range all {
			for i, t := range types {
				if s != supervisor.OneForOne || len(ts) == 0 || slices.Index(types, ts[len(ts)-1]) <= i {
					longer = append(longer, append(slices.Clone(ts), t))
				}
			}
		}
		all = longer
	}
	return all
}

// flats are all trees of n workers.
func flats(n int) (all []*scope) {
	for _, s := range strategies {
		for _, ts := range typings(s, n) {
			var children []supervisor.ChildSpec
			for i, t := range ts {
				children = append(children, worker(string(rune('a'+i)), t))
			}
			all = append(all, &scope{name: "flat " + initials(s) + " " + letter(ts...), specs: []supervisor.Spec{tree(s, children...)}, hosts: 1})
		}
	}
	return all
}

// nested are all trees of a worker and a supervisor of two, in either order, with all
// strategies and restart types of the supervisor.
func nested(outer supervisor.RestartType, inside ...supervisor.RestartType) (all []*scope) {
	for _, s := range strategies {
		for _, g := range strategies {
			for _, t := range types {
				w := worker("a", outer)
				sup := group("s", g, t, worker("b", inside[0]), worker("c", inside[1]))
				inner := fmt.Sprintf("(%s %s %s)", initials(g), letter(t), letter(inside...))
				name := "nested " + initials(s) + " " + letter(outer) + inner
				all = append(all, &scope{name: name, specs: []supervisor.Spec{tree(s, w, sup)}, hosts: 1})
				if s != supervisor.OneForOne { // otherwise their order does not matter
					name = "nested " + initials(s) + " " + inner + letter(outer)
					all = append(all, &scope{name: name, specs: []supervisor.Spec{tree(s, sup, w)}, hosts: 1})
				}
			}
		}
	}
	return all
}

// deepest are trees of three levels: supervisors of one, with a worker in each.
func deepest() (all []*scope) {
	for _, s := range strategies {
		for _, t := range types {
			inner := group("u", supervisor.OneForAll, t, worker("c", perm))
			all = append(all, &scope{
				name: "three levels " + initials(s) + " " + letter(t), hosts: 1,
				specs: []supervisor.Spec{tree(s, worker("a", perm), group("s", supervisor.RestForOne, perm, inner, worker("b", trans)))},
			})
		}
	}
	return all
}

// with gives copies of scopes under a longer name, changed. What change does to a spec
// it does to each.
func with(name string, all []*scope, change func(sc *scope, s *supervisor.Spec)) (copies []*scope) {
	for _, sc := range all {
		c := *sc
		c.name += ", " + name
		c.specs = slices.Clone(sc.specs)
		for i := range c.specs {
			s := &c.specs[i]
			s.Children = slices.Clone(s.Children)
			change(&c, s)
		}
		copies = append(copies, &c)
	}
	return copies
}

// happen gives copies in which so much may happen, on so many nodes.
func happen(l limits, hosts int, all []*scope) []*scope {
	var words []string
	for _, x := range []struct {
		n    uint8
		word string
	}{{l.ends, "ends"}, {l.fatals, "fatal"}, {l.words, "words"}, {l.verbs, "verbs"}, {l.losses, "losses"}} {
		if x.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	words = append(words, fmt.Sprintf("%d nodes", hosts))
	return with(strings.Join(words, " "), all, func(sc *scope, _ *supervisor.Spec) { sc.limits, sc.hosts = l, hosts })
}

// budget changes the root's.
func budget(n int, whose supervisor.Scope, all []*scope) []*scope {
	name := fmt.Sprintf("max %d", n)
	if whose != "" {
		name += " shared"
	}
	return with(name, all, func(_ *scope, s *supervisor.Spec) {
		s.RestartPolicy.MaxRestarts, s.RestartPolicy.Scope = n, whose
	})
}

func exclusive(all []*scope) []*scope {
	return with("exclusive", all, func(sc *scope, s *supervisor.Spec) { s.Exclusive = true })
}

// edited adds specs that an operator may give the tree: one child's program is another,
// and one child less.
func edited(all []*scope) []*scope {
	return with("edits", all, func(sc *scope, s *supervisor.Spec) {
		other := *s
		other.Children = slices.Clone(s.Children)
		other.Children[0].Program = &supervisor.Program{Argv: []string{"v2"}}
		less := *s
		less.Children = slices.Clone(s.Children[:len(s.Children)-1])
		sc.specs = append(sc.specs, other, less)
	})
}

// rolling has edits carried out child by child; revert: and taken back if one fails.
func rolling(revert bool, all []*scope) []*scope {
	name := "rolling"
	if revert {
		name = "rolling, revert"
	}
	return with(name, all, func(_ *scope, s *supervisor.Spec) {
		for i := range s.Children {
			s.Children[i].Program = &supervisor.Program{Argv: []string{s.Children[0].Program.Argv[0]}}
		}
		s.Update = &supervisor.UpdatePolicy{Parallel: 1, MinReady: period, Deadline: 2 * period, AutoRevert: revert}
	})
}

// significant makes all children significant that may be, in each supervisor.
func significant(auto supervisor.AutoShutdown, all []*scope) []*scope {
	return with("significant "+string(auto), all, func(_ *scope, s *supervisor.Spec) {
		s.AutoShutdown = auto
		signify(auto, s.Children)
	})
}

func signify(auto supervisor.AutoShutdown, children []supervisor.ChildSpec) {
	for i := range children {
		c := &children[i]
		c.Significant = c.RestartType != perm
		if c.Supervisor != nil {
			inner := *c.Supervisor
			inner.AutoShutdown = auto
			c.Supervisor, c.Children = &inner, slices.Clone(c.Children)
			signify(auto, c.Children)
		}
	}
}

// match gives those whose names have one of the parts.
func match(all []*scope, parts ...string) (some []*scope) {
	for _, sc := range all {
		if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(sc.name, p) }) {
			some = append(some, sc)
		}
	}
	return some
}
