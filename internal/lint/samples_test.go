package lint

import (
	"fmt"
	"go/token"
	"strings"
	"testing"
)

// sample is a file in memory and what a check must find in it; nothing found is
// right where want is empty.
type sample struct {
	path string
	code string
	want string // part of the one finding
}

// run shows each sample, alone, to the check.
func run(t *testing.T, check func(*tree) []finding, samples []sample) {
	t.Helper()
	for i, s := range samples {
		t.Run(fmt.Sprintf("%d_%s", i, s.path), func(t *testing.T) {
			found := check(inMemory(t, s.path, s.code))
			switch {
			case s.want == "" && len(found) > 0:
				t.Errorf("found %v in\n%s", found, s.code)
			case s.want != "" && len(found) != 1:
				t.Errorf("found %v, want one with %q, in\n%s", found, s.want, s.code)
			case s.want != "" && !strings.Contains(found[0].String(), s.want):
				t.Errorf("found %v, want %q, in\n%s", found, s.want, s.code)
			}
		})
	}
}

// inMemory makes a tree of one file; the package clause is added.
func inMemory(t *testing.T, path, code string) *tree {
	src := &tree{fset: token.NewFileSet()}
	src.add(path, "package p\n"+code)
	if len(src.broken) > 0 {
		t.Fatalf("cannot use the sample: %v", src.broken)
	}
	return src
}

func TestBrokenFilesAreFound(t *testing.T) {
	src := &tree{fset: token.NewFileSet()}
	src.add("supervisor/tree.go", "package p\nfunc {")
	if len(src.broken) != 1 || len(src.sources) != 0 {
		t.Errorf("found %v", src.broken)
	}
}

func TestLayers(t *testing.T) {
	ours := func(p string) string { return `import _ "` + module + "/" + p + `"` }
	run(t, checkLayers, []sample{
		{"placement/a.go", ours("supervisor"), ""},
		{"placement/a.go", ours("fsm"), "placement may not import fsm"},
		{"supervisor/a.go", ours("placement"), "supervisor may not import placement"},
		{"agent/a.go", ours("fsm"), "agent may not import fsm"},
		{"agent/a_test.go", ours("fsm"), ""},
		{"cluster/a.go", ours("runner"), "cluster may not import runner"},
		{"cluster/raftnet/a.go", ours("cluster"), "cluster/raftnet may not import cluster"},
		{"node/a.go", ours("agent"), ""},
		{"runner/a.go", ours("supervisor"), "runner may not import supervisor"},
		{"plugins/a.go", "", "say where it belongs"},
		{"internal/other/a.go", "", "say where it belongs"},
		{"internal/simtest/disk/a.go", ours("runner"), ""},
		{"examples/shop/a.go", ours("api"), "examples/shop may not import api"},
		{"gossip/a.go", `import _ "github.com/hashicorp/memberlist"`, ""},
		{"gossip/a.go", `import _ "github.com/hashicorp/raft"`, "gossip may not import github.com/hashicorp/raft"},
		{"cluster/mux/a.go", `import _ "golang.org/x/sys/unix"`, ""},
		{"supervisor/a.go", `import _ "golang.org/x/sys/unix"`, "supervisor may not import golang.org"},
		{"spec/a.go", `import _ "example.com/other"`, "spec may not import example.com/other"},
		{"spec/a.go", `import _ "encoding/json"`, ""},
	})
}

func TestLayersByAnyWay(t *testing.T) {
	for name, c := range map[string]struct {
		graph map[string][]string
		want  int
	}{
		"apart":        {map[string][]string{"agent": {"link"}, "cluster": {"link"}, "link": {"supervisor"}}, 0},
		"by way of x":  {map[string][]string{"agent": {"x"}, "x": {"y"}, "y": {"cluster"}}, 1},
		"the other":    {map[string][]string{"cluster": {"agent"}}, 1},
		"in a circle":  {map[string][]string{"fsm": {"link"}, "link": {"fsm"}}, 2},
		"from outside": {map[string][]string{"node": {"agent", "cluster"}}, 0},
	} {
		if found := checkApart(c.graph); len(found) != c.want {
			t.Errorf("%s: found %v, want %d", name, found, c.want)
		}
	}
}

// TestLayersAreSound reads the list itself: what it allows may not let agent
// and cluster meet, nor anything reach itself, nor name what it does not know.
func TestLayersAreSound(t *testing.T) {
	for _, f := range checkApart(layers) {
		t.Error(f)
	}
	for folder, allowed := range layers {
		for _, p := range allowed {
			if _, known := rule(layers, p); !known {
				t.Errorf("%s may import %s, which is in no layer", folder, p)
			}
		}
	}
}

func TestPurity(t *testing.T) {
	clock := func(code string) string { return "import \"time\"\n" + code }
	run(t, checkPurity, []sample{
		{"supervisor/a.go", `import _ "os"`, "may not import os"},
		{"supervisor/a.go", `import _ "io/fs"`, "may not import io/fs"},
		{"supervisor/a.go", `import _ "math/rand/v2"`, "may not import math/rand/v2"},
		{"placement/a.go", `import _ "sync/atomic"`, "may not import sync/atomic"},
		{"placement/a.go", `import _ "log/slog"`, "may not import log/slog"},
		{"placement/a.go", `import _ "net/http"`, "may not import net/http"},
		{"placement/a.go", `import . "time"`, "a dot import"},
		{"placement/a.go", `import _ "math/bits"`, ""},
		{"supervisor/local.go", `import _ "os"`, ""},
		{"supervisor/local_linux.go", `import _ "os"`, ""},
		{"placement/local.go", `import _ "os"`, "may not import os"},
		{"supervisor/a_test.go", `import _ "os"`, ""},
		{"supervisor/health/a.go", `import _ "net"`, ""},
		{"runner/a.go", `import _ "os"`, ""},
		{"fsm/a.go", `import _ "sync"`, ""},
		{"fsm/a.go", `import _ "sync/atomic"`, ""},
		{"fsm/a.go", `import _ "io"`, ""},
		{"fsm/a.go", `import _ "io/fs"`, "may not import io/fs"},
		{"fsm/a.go", `import _ "crypto/rand"`, "may not import crypto/rand"},
		{"fsm/a.go", clock("var x = time.Now()"), "is given the time (Now)"},
		{"supervisor/a.go", clock("var x = 3 * time.Second"), ""},
		{"supervisor/a.go", clock("var now = time.Now"), "is given the time (Now)"},
		{"supervisor/a.go", "import clock \"time\"\nfunc f() { clock.Sleep(1) }", "is given the time (Sleep)"},
		{"supervisor/a.go", "func f() { go f() }", "starts no goroutine"},
		{"supervisor/a.go", "type t struct{ c chan int }", "has no channel"},
		{"supervisor/a.go", "func f(c c) { c <- 1 }", "sends nothing"},
		{"supervisor/a.go", "func f(c c) { <-c }", "receives nothing"},
		{"supervisor/a.go", "func f() { select {} }", "waits for nothing"},
		{"supervisor/a.go", "func f() { println() }", "prints nothing"},
		{"fsm/a.go", "import \"fmt\"\nfunc f() { fmt.Println() }", "prints nothing (Println)"},
		{"fsm/a.go", "import \"fmt\"\nfunc f() string { return fmt.Sprint() }", ""},
	})
}

func TestMapOrder(t *testing.T) {
	fset := token.NewFileSet()
	imp, err := compiled(fset, ".", "maps", "slices")
	if err != nil {
		t.Fatal(err)
	}
	check := func(src *tree) []finding { return checkMapOrder(src, imp) }
	const head = "import (\"maps\"; \"slices\")\ntype set map[int]bool\nvar m set\nvar _, _ = maps.Keys[set], slices.Sort[[]int]\n"
	run(t, check, []sample{
		{"placement/a.go", head + "func f() { for range m {} }", "a range over a map"},
		{"fsm/a.go", head + "func f() { for k := range m { _ = k } }", "a range over a map"},
		{"supervisor/a.go", head + "func f() {\nfor range m {} // order-free: it only counts\n}", ""},
		{"supervisor/a.go", head + "func f() {\n// order-free: it only counts\nfor range m {}\n}", ""},
		{"supervisor/a.go", head + "func f() {\n// order-free: \nfor range m {}\n}", "a range over a map"},
		{"supervisor/a.go", head + "func f() {\n// order-free: too far\n\nfor range m {}\n}", "a range over a map"},
		{"supervisor/a.go", head + "func f() { for range slices.Sorted(maps.Keys(m)) {} }", ""},
		{"supervisor/a.go", head + "func f() { for range maps.Keys(m) {} }", "maps.Keys has no order"},
		{"supervisor/a.go", head + "var x = slices.Collect(maps.Values(map[int]int{}))", "maps.Values has no order"},
		{"supervisor/a.go", head + "func f(s []int) { for range s {}; for range 3 {} }", ""},
		{"supervisor/a.go", "func f() { for range unknown {} }", "cannot tell the type"},
		{"supervisor/local.go", head + "func f() { for range m {} }", ""},
		{"runner/a.go", head + "func f() { for range m {} }", ""},
	})
}

// TestMapOrderWithoutTypes: what cannot be imported cannot hide a map.
func TestMapOrderWithoutTypes(t *testing.T) {
	imp, err := compiled(token.NewFileSet(), ".", "slices")
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(src *tree) []finding { return checkMapOrder(src, imp) }, []sample{
		{"fsm/a.go", "import \"example.com/x\"\nfunc f() { for range x.Map {} }", "cannot tell the type"},
	})
}

func TestSizes(t *testing.T) {
	// function has n lines, from func to its brace.
	function := func(doc string, n int, line string) string {
		return doc + "func f(a int) {\n" + strings.Repeat(line+"\n", n-2) + "}\n"
	}
	short := strings.Repeat("func f() {}\n", 20)
	flat := "// f is flat: one case per event.\n"
	cases := "switch a {\n" + strings.Repeat("case 1:\n", 80) + "}\n"
	run(t, checkSizes, []sample{
		{"api/a.go", short + function("", 70, "a++"), ""},
		{"api/a.go", short + function("", 71, "a++"), "f has 71 lines, 70 at most"},
		{"api/a.go", short + function("// A comment is not counted.\n", 70, "a++"), ""},
		{"api/a_test.go", function("", 90, "a++"), ""},
		{"api/a.go", short + flat + "func f(a int) {\n" + cases + "}\n", ""},
		{"api/a.go", short + flat + "func f(a int) {\nif a > 0 {\n" + cases + "}\n}\n", "f has 86 lines"},
		{"api/a.go", short + "func f(a int) {\n" + cases + "}\n", "f has 84 lines"},
		{"api/a.go", function("", 41, "a++"), "95 of 100 functions have up to 41 lines"},
		{"api/a.go", function("", 40, "a++"), ""},
		{"api/a.go", strings.Repeat("\n", 499), ""},
		{"api/a.go", strings.Repeat("\n", 500), "the file has 501 lines, 500 at most"},
	})
}

func TestPercentile(t *testing.T) {
	var lengths []int
	for n := 100; n > 0; n-- {
		lengths = append(lengths, n)
	}
	if got := percentile(lengths, 95); got != 95 {
		t.Errorf("the 95th of 1 to 100 is %d", got)
	}
	if got := percentile([]int{7}, 95); got != 7 {
		t.Errorf("the 95th of one is %d", got)
	}
}

func TestGoroutines(t *testing.T) {
	run(t, goroutines, []sample{
		{"agent/a.go", "func f() { go f() }", "agent/a.go:2: a go statement"},
		{"agent/a.go", "func f() { g.Go(f) }", ""},
		{"agent/a_test.go", "func f() { go f() }", ""},
		{"internal/simtest/a.go", "func f() { go f() }", ""},
	})
	run(t, groupStarts, []sample{
		{"agent/a.go", "func f() { g.Go(f) }", "agent/a.go:2: a group's Go"},
		{"agent/a.go", "func f() { f.Go() }", ""},
	})
}

func TestDocuments(t *testing.T) {
	check := func(src *tree) []finding {
		src.add("api/doc.go", "// Package p is for samples.\npackage p")
		return checkDocuments(src)
	}
	run(t, check, []sample{
		{"api/a.go", "func F() {}", "F has no comment"},
		{"api/a.go", "// F is here.\nfunc F() {}", ""},
		{"api/a.go", "func f() {}", ""},
		{"api/a_test.go", "func F() {}", ""},
		{"api/a.go", "type T int", "T has no comment"},
		{"api/a.go", "type t int\nfunc (t) M() {}", ""},
		{"api/a.go", "// T is a type.\ntype T[K any] int\nfunc (*T[K]) M() {}", "M has no comment"},
		{"api/a.go", "// T is a type.\ntype T int\nfunc (T) String() string { return \"\" }\nfunc (*T) UnmarshalJSON() {}", ""},
		{"api/a.go", "// E are errors.\nvar (\n\tE1 = 1\n)", ""},
		{"api/a.go", "const (\n\tA = 1 // A is one.\n\t// B is two.\n\tB = 2\n)", ""},
		{"api/a.go", "const (\n\tA = 1\n)", "A has no comment"},
		{"api/a.go", "// T is one of A and B.\ntype T int\nconst (\n\tA T = iota\n\tB\n)", ""},
		{"api/a.go", "const (\n\tA time.Duration = 1\n)", "A has no comment"},
		{"api/a.go", "const (\n\tA string = \"a\"\n)", "A has no comment"},
		{"api/a.go", "// T is a type.\ntype T int\nvar V T", "V has no comment"},
	})
	run(t, checkDocuments, []sample{
		{"api/a.go", "", "api: has no doc.go"},
		{"api/doc.go", "", "api: has no doc.go"},
		{"api/a_test.go", "", ""},
	})
}

func TestLeftUndone(t *testing.T) {
	word := "TO" + "DO"
	run(t, checkLeftUndone, []sample{
		{"api/a.go", "// " + word + " later\n", word + ": do it"},
		{"api/a_test.go", "/* " + word + "(me) */\n", word + ": do it"},
		{"api/a.go", "var x = `" + word + "`\n// " + word + "S is another word.", ""},
	})
}

func TestSleeps(t *testing.T) {
	const sleep = "import \"time\"\nfunc f() { time.Sleep(1) }"
	run(t, checkSleeps, []sample{
		{"api/a_test.go", sleep, "a test waits"},
		{"api/a_test.go", "import t \"time\"\nvar wait = t.Sleep", "a test waits"},
		{"api/a_test.go", "import _ \"testing/synctest\"\n" + sleep, ""},
		{"internal/simtest/a_test.go", sleep, ""},
		{"internal/simtest/simnet/a_test.go", sleep, ""},
		{"api/a.go", sleep, ""},
	})
}
