package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/selfware/selfware/supervisor"
)

// TestScopes explores the nearest worlds of each scope, and with SELFWARE_EXPLORE then all
// that "make explore" does.
func TestScopes(t *testing.T) {
	limits := []int{300}
	if os.Getenv("SELFWARE_EXPLORE") != "" {
		limits = []int{300, 3000, 0}
	}
	for _, limit := range limits {
		var sum report
		explore(shallow(), limit, func(r report) {
			sum.states, sum.steps = sum.states+r.states, sum.steps+r.steps
			if r.broken != nil {
				t.Fatalf("%v\n%v\n%s", r.String(), r.broken, strings.Join(r.story, "\n"))
			}
		})
		t.Logf("%d states, %d transitions", sum.states, sum.steps)
	}
}

// TestScopesCoverAll: every strategy with every restart type, at each place of a group
// and of a supervisor in a supervisor.
func TestScopesCoverAll(t *testing.T) {
	seen := make(map[string]bool)
	for _, sc := range scopes(true, nil) {
		if seen[sc.name] {
			t.Errorf("two scopes have the name %q", sc.name)
		}
		seen[sc.name] = true
	}
	flat, inner := make(map[string]bool), make(map[string]bool)
	for _, sc := range shallow() {
		s := &sc.specs[0]
		key := string(s.Strategy)
		for _, c := range s.Children {
			key += " " + string(c.RestartType)
			if c.Supervisor != nil {
				inner[string(s.Strategy)+" "+string(c.Supervisor.Strategy)+" "+string(c.RestartType)] = true
			}
		}
		flat[key] = true
	}
	for _, s := range strategies {
		for _, ts := range typings(s, 3) {
			key := string(s)
			for _, rt := range ts {
				key += " " + string(rt)
			}
			if !flat[key] {
				t.Errorf("no scope has %s", key)
			}
		}
		for _, g := range strategies {
			for _, rt := range types {
				if key := string(s) + " " + string(g) + " " + string(rt); !inner[key] {
					t.Errorf("no scope has %s", key)
				}
			}
		}
	}
}

// TestSameKeySameFuture: worlds with the same key can come to worlds with the same keys.
// Else the search would leave some out.
func TestSameKeySameFuture(t *testing.T) {
	pairs := 0
	for _, sc := range shallow() {
		if !strings.HasPrefix(sc.name, "flat") && !strings.HasPrefix(sc.name, "three") {
			continue
		}
		sc.prepare()
		pairs += sameFuture(t, sc, 150)
	}
	if pairs < 1000 {
		t.Errorf("only %d pairs of worlds with the same key", pairs)
	}
}

// sameFuture compares what worlds with the same key can come to, among the first of a scope.
func sameFuture(t *testing.T, sc *scope, limit int) (pairs int) {
	first := sc.begin()
	futures := map[uint64][]uint64{first.key(true): future(first)}
	queue := []*world{first}
	for len(queue) > 0 && len(futures) < limit {
		w := queue[0]
		queue = queue[1:]
		w.moves(func(m move) {
			to := w.after(m)
			if to == nil {
				return
			}
			to.wake()
			key, comes := to.key(true), future(to)
			known, seen := futures[key]
			if !seen {
				futures[key], queue = comes, append(queue, to)
				return
			}
			if pairs++; !slices.Equal(known, comes) && !t.Failed() {
				t.Errorf("%s: two worlds have one key, and come to %d and %d others:%s", sc.name, len(known), len(comes), to.summary())
			}
		})
	}
	return pairs
}

// future gives the keys that a world can come to.
func future(w *world) (keys []uint64) {
	w.moves(func(m move) {
		if to := w.after(m); to != nil {
			keys = append(keys, to.key(true))
		}
	})
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestKeyTakesUnknownFields: a field that key.go does not know tells worlds apart, as far
// down as it goes.
func TestKeyTakesUnknownFields(t *testing.T) {
	type inner struct {
		Epoch supervisor.Epoch
		Names map[string]int
	}
	type outer struct {
		Known int
		On    bool
		Words []string
		In    *inner
	}
	fields := rest(reflect.TypeFor[outer](), "Known")
	if len(fields) != 3 {
		t.Fatalf("%d fields are unknown", len(fields))
	}
	seen := make(map[uint64]int)
	for i, o := range []outer{
		{}, {On: true}, {Words: []string{"a"}}, {Words: []string{"b"}}, {In: &inner{}},
		{In: &inner{Epoch: 7}}, {In: &inner{Names: map[string]int{"a": 1}}},
	} {
		k := keyer{w: &world{}, h: 1, epochs: []supervisor.Epoch{0, 7}}
		k.unknown(reflect.ValueOf(o), fields)
		if other, same := seen[k.h]; same {
			t.Errorf("%d and %d have one key", other, i)
		}
		seen[k.h] = i
	}
}

// TestStory: a violation is told from the start, as a script, on the shortest way.
func TestStory(t *testing.T) {
	sc := happen(limits{ends: 1}, 1, match(flats(2), "all PP"))[0]
	sc.prepare()
	w := sc.begin()
	from := map[uint64]uint64{w.key(true): w.key(true)}
	root, at := w.key(true), w.key(true)
	for _, name := range []string{"place", "begin", "up", "place", "begin", "up", "end"} {
		done := false
		w.moves(func(m move) {
			if done || deeds[m.deed].name != name {
				return
			}
			done = true
			w = w.after(m)
			w.wake()
			from[w.key(true)], at = at, w.key(true)
		})
	}
	story := strings.Join(sc.tell(from, root, at, nil), "\n")
	for _, line := range []string{"tree\nt one_for_all max=1 in=10s\n  a\n  b\n----\n", "\nstart\n", "\nplace t/a n1\n", "\nup t/b\n", "# end t/"} {
		if !strings.Contains(story, line) {
			t.Errorf("the story has no %q:\n%s", line, story)
		}
	}
}
