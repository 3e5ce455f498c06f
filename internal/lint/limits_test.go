package lint

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLimitsNameTheirTests: every row of docs/limits.md names a package and tests in
// it that exist.
func TestLimitsNameTheirTests(t *testing.T) {
	root := moduleRoot(t)
	src, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]bool) // "folder TestName"
	for _, s := range src.sources {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.isTest() {
				tests[s.folder()+" "+f.Name.Name] = true
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows, name := 0, regexp.MustCompile("`([a-z/-]+)`|(Test[A-Za-z0-9]+)")
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| what |") {
			continue
		}
		rows++
		folder, found := "", 0
		for _, m := range name.FindAllStringSubmatch(cells[4], -1) {
			if m[1] != "" {
				folder = m[1]
				continue
			}
			if found++; !tests[folder+" "+m[2]] {
				t.Errorf("package %s has no %s: %s", folder, m[2], line)
			}
		}
		if found == 0 {
			t.Errorf("no test: %s", line)
		}
	}
	if rows < 40 {
		t.Errorf("%d rows", rows)
	}
}
