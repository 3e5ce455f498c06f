package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scenarios is how many lessons of other systems docs/reliability.md tells.
const scenarios = 32

// TestRegressionScenarios: docs/reliability.md names a test for each lesson, and a
// test of that name is where it says.
func TestRegressionScenarios(t *testing.T) {
	root := moduleRoot(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Regression scenarios\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| `([^`]+)` \\|$").FindAllStringSubmatch(section, -1)
	if len(rows) != scenarios {
		t.Errorf("docs/reliability.md names %d regression scenarios, there are %d", len(rows), scenarios)
	}
	src, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		name, folder, found := row[1], row[2], false
		for _, s := range src.sources {
			found = found || s.folder() == folder && strings.HasSuffix(s.path, "_test.go") && strings.Contains(s.text, `"`+name+`"`)
		}
		if !found {
			t.Errorf("docs/reliability.md: no test in %s is called %q", folder, name)
		}
	}
}
