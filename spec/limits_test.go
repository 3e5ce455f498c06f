package spec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// deepTree is a tree of nested supervisors with a worker at the bottom, in
// block style with one space of indent, the least that YAML allows.
func deepTree(levels int) string {
	var b strings.Builder
	b.WriteString("name: deep\nchildren:\n")
	for i := range levels - 1 {
		pad := strings.Repeat("  ", i)
		fmt.Fprintf(&b, "%s- id: s\n%s  supervisor: {}\n%s  children:\n", pad, pad, pad)
	}
	pad := strings.Repeat("  ", levels-1)
	fmt.Fprintf(&b, "%s- id: w\n%s  run: ./w\n", pad, pad)
	return b.String()
}

// flowTree is the same on one line, where depth costs no indentation.
func flowTree(levels int) string {
	return "name: deep\nchildren: [" + strings.Repeat("{id: s, supervisor: {}, children: [", levels-1) +
		"{id: w, run: ./w}" + strings.Repeat("]}", levels-1) + "]\n"
}

func TestDepth(t *testing.T) {
	for name, make := range map[string]func(int) string{"block": deepTree, "flow": flowTree} {
		s, err := Parse("deep.yaml", []byte(make(supervisor.MaxDepth)))
		if err != nil {
			t.Errorf("%s: the deepest tree is refused: %v", name, err)
		}
		if again, err := Parse("again.yaml", Format(s)); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%s: the deepest tree does not survive Format: %v", name, err)
		}
		_, err = Parse("deep.yaml", []byte(make(supervisor.MaxDepth+1)))
		if err == nil || !strings.Contains(err.Error(), "supervisors are nested deeper than 64") {
			t.Errorf("%s: one level more: %v", name, err)
		}
	}
}

// TestHostile feeds files that are cheap to write and dear to read. Each must
// be refused with a clear error, in a time far from what its cost would be.
func TestHostile(t *testing.T) {
	const big = MaxFile / 16 // cost is linear; the full length takes seconds
	bomb := "name: bomb\nchildren: &l0 [{id: a, run: ./a}]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("x%d: &l%d [%s*l%d]\n", i, i+1, strings.Repeat(fmt.Sprintf("*l%d, ", i), 9), i)
	}
	lists := "a: &l0 [" + strings.Repeat("x, ", 10_000) + "x]\nname: bomb\nchildren:\n" +
		strings.Repeat("  - {id: a, run: *l0}\n", 10_000)
	merges := "a: &m {" + keys(900) + "}\nname: bomb\nchildren:\n" + strings.Repeat("  - {<<: *m}\n", 20_000)
	for _, test := range []struct{ name, file, want string }{
		{"10,000 deep in block style", deepTree(2000)[:big], "nested deeper"},
		{"10,000 deep in flow style", flowTree(10_000), "nested deeper"},
		{"half of such a tree", flowTree(10_000)[:100_000], "nested deeper"},
		{"brackets", strings.Repeat("[", big), "nested deeper"},
		{"braces", strings.Repeat("{a: ", big/4), "nested deeper"},
		{"dashes", strings.Repeat("- ", big/2), "nested deeper"},
		{"keys on one line", strings.Repeat("a: ", big/3), "nested deeper"},
		{"keys on one line in brackets", "[" + strings.Repeat("a: ", big/3), "nested deeper"},
		{"question marks", strings.Repeat("? ", big/2), `after "?"`},
		{"anchors", strings.Repeat("&a ", big/3), "at most one anchor"},
		{"tags", strings.Repeat("!a ", big/3), "tag"},
		{"keys in one map", strings.Repeat("a: b\n", big/5), "at most 1000 keys"},
		{"keys in one map in brackets", "[" + strings.Repeat("a: b\n", big/5), "nested deeper"},
		{"documents", strings.Repeat("---\na: b\n", big/9), "second document"},
		{"quotes", strings.Repeat(`"`, big), "cannot read"},
		{"too long", strings.Repeat(" ", MaxFile+1), "at most 4194304"},
		{"alias bomb", bomb, "unknown key"},
		{"alias bomb of words", lists, "more than 1000000 values"},
		{"merge bomb", merges, "merge keys add more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("hostile.yaml", []byte(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want %q, got %.500v", test.want, err)
			}
			t.Logf("%d bytes in %v", len(test.file), time.Since(start).Round(time.Millisecond))
		})
	}
}

func keys(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("k%d: v", i))
	}
	return strings.Join(all, ", ")
}

// TestManyChildren reads as large a tree as there may be, and one more.
func TestManyChildren(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: many\nchildren:\n")
	for i := range supervisor.MaxChildren {
		fmt.Fprintf(&b, "- {id: c%d, run: ./c, cpu: 1}\n", i)
	}
	s, err := Parse("many.yaml", []byte(b.String()))
	if err != nil || len(s.Children) != supervisor.MaxChildren {
		t.Fatalf("%d children, %v", len(s.Children), err)
	}
	b.WriteString("- {id: more, run: ./c}\n")
	if _, err = Parse("many.yaml", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "at most 100000 children") {
		t.Errorf("one more: %v", err)
	}
}

// TestWindow compares the arithmetic with a sliding window that is played
// through: a child that fails as soon as it is started.
func TestWindow(t *testing.T) {
	policies := []supervisor.Backoff{
		{Kind: supervisor.Fixed}, {Kind: supervisor.Fixed, Base: 3 * time.Second}, {Kind: supervisor.Fixed, Base: 7 * time.Second},
		{Kind: supervisor.Exponential, Base: time.Second, Max: 8 * time.Second},
		{Kind: supervisor.Exponential, Base: 300 * time.Millisecond, Max: time.Minute},
		{Kind: supervisor.Exponential, Base: 5 * time.Second, Max: 5 * time.Second},
	}
	outcomes := make(map[bool]int)
	for _, b := range policies {
		for restarts := range 12 {
			for period := time.Second; period <= 40*time.Second; period += time.Second {
				p := supervisor.RestartPolicy{MaxRestarts: restarts, MaxSeconds: period, Backoff: b}
				got := new(reader).checkWindow(&node{}, p, restarts)
				if want := canTrip(p); got != want {
					t.Errorf("%+v: said %v, is %v", p, got, want)
				}
				outcomes[got]++
			}
		}
	}
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("one-sided: %v", outcomes)
	}
}

func canTrip(p supervisor.RestartPolicy) bool {
	var window []time.Duration
	now := time.Duration(0)
	for range 200 {
		for len(window) > 0 && window[0] < now-p.MaxSeconds {
			window = window[1:]
		}
		if len(window) == p.MaxRestarts {
			return true
		}
		window = append(window, now)
		now += p.Backoff.Duration(len(window) - 1)
	}
	return false
}

func TestManyAfter(t *testing.T) {
	var paths []string
	for i := range supervisor.MaxAfter {
		paths = append(paths, fmt.Sprintf("t%d", i))
	}
	file := func() []byte {
		return fmt.Appendf(nil, "name: many\nafter: [%s]\nchildren: [{id: a, run: ./a}]\n", strings.Join(paths, ", "))
	}
	s, err := Parse("many.yaml", file())
	if err != nil || len(s.After) != supervisor.MaxAfter {
		t.Fatalf("after %d paths: %v", len(s.After), err)
	}
	paths = append(paths, "more")
	if _, err = Parse("many.yaml", file()); err == nil || !strings.Contains(err.Error(), "at most 64 paths") {
		t.Errorf("one more: %v", err)
	}
	s.After = paths
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "the limit is 64") {
		t.Errorf("one more, without a file: %v", err)
	}
}
