package lint

import (
	"os"
	"path/filepath"
	"testing"
)

// TestModule reads the module this test is in.
func TestModule(t *testing.T) {
	root := moduleRoot(t)
	src, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(src.shipped()) == 0 || len(src.shipped()) == len(src.sources) {
		t.Fatalf("found %d files of %d that are no tests", len(src.shipped()), len(src.sources))
	}
	checks := []struct {
		name  string
		check func(*tree) []finding
	}{
		{"Parses", func(src *tree) []finding { return src.broken }},
		{"Layers", checkLayers},
		{"Purity", checkPurity},
		{"MapOrder", func(src *tree) []finding { return moduleMapOrder(t, root, src) }},
		{"Sizes", checkSizes},
		{"Goroutines", func(src *tree) []finding { return tooManyGoroutines(t, src) }},
		{"Documents", checkDocuments},
		{"LeftUndone", checkLeftUndone},
		{"Sleeps", checkSleeps},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range c.check(src) {
				t.Error(f)
			}
		})
	}
}

// moduleMapOrder checks the pure packages that there are.
func moduleMapOrder(t *testing.T, root string, src *tree) []finding {
	var patterns []string
	for _, r := range pure {
		if len(r.files(src)) > 0 {
			patterns = append(patterns, "./"+r.folder)
		}
	}
	if len(patterns) == 0 {
		t.Fatal("there is no pure package")
	}
	imp, err := compiled(src.fset, root, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	return checkMapOrder(src, imp)
}

// tooManyGoroutines tells where goroutines start, and all places if too many.
func tooManyGoroutines(t *testing.T, src *tree) []finding {
	found := goroutines(src)
	groups := groupStarts(src)
	t.Logf("%d go statements (%d at most), %d starts by a group", len(found), maxGoroutines, len(groups))
	for _, f := range append(found, groups...) {
		t.Log(f)
	}
	if len(found) <= maxGoroutines {
		return nil
	}
	return found
}

func moduleRoot(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("cannot find go.mod above the test")
		}
		dir = parent
	}
}
