package lint

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// Limits of size. Lines count from "func" to its closing brace.
const (
	maxFunction    = 70
	maxFunctionP95 = 40
	maxFile        = 500
	maxGoroutines  = 14
)

// checkSizes measures functions and files.
func checkSizes(t *tree) []finding {
	var found []finding
	var lengths []int
	for _, s := range t.shipped() {
		if n := strings.Count(s.text, "\n"); n > maxFile {
			found = append(found, s.found(s.file.Package, "the file has %d lines, %d at most", n, maxFile))
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.line(f.End()) - s.line(f.Pos()) + 1 // Pos is after the comment
			lengths = append(lengths, n)
			if n > maxFunction && !isFlat(f) {
				found = append(found, s.found(f.Pos(), "%s has %d lines, %d at most", f.Name.Name, n, maxFunction))
			}
		}
	}
	if p95 := percentile(lengths, 95); p95 > maxFunctionP95 {
		found = append(found, finding{"module", fmt.Sprintf(
			"95 of 100 functions have up to %d lines, %d at most", p95, maxFunctionP95)})
	}
	return found
}

// isFlat accepts a function that says so and has a switch to be flat about.
func isFlat(f *ast.FuncDecl) bool {
	if f.Doc == nil || f.Body == nil || !strings.Contains(f.Doc.Text(), "flat: ") {
		return false
	}
	return slices.ContainsFunc(f.Body.List, func(n ast.Stmt) bool {
		switch n.(type) {
		case *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			return true
		}
		return false
	})
}

// percentile is the smallest length that p in 100 do not exceed.
func percentile(lengths []int, p int) int {
	if len(lengths) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(lengths))
	return sorted[(len(sorted)*p+99)/100-1]
}

// goroutines are the go statements of what is shipped. Those that the tools and
// tests start are their own affair.
func goroutines(t *tree) []finding {
	return startsOf(t, func(n ast.Node) bool { _, ok := n.(*ast.GoStmt); return ok }, "a go statement")
}

// groupStarts are the goroutines started as group.Go(f), whose owner waits by
// construction. They have no limit; they are counted to be seen.
func groupStarts(t *tree) []finding {
	return startsOf(t, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return false
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Go"
	}, "a group's Go")
}

func startsOf(t *tree, match func(ast.Node) bool, what string) []finding {
	var found []finding
	for _, s := range t.shipped() {
		if within(s.folder(), "internal", "jepsen-lite", "examples") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if n != nil && match(n) {
				found = append(found, s.found(n.Pos(), "%s", what))
			}
			return true
		})
	}
	return found
}
