package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// pureRule is what one package may not touch.
type pureRule struct {
	folder string
	except string // files of this prefix are free
	allow  []string
}

// pure are the packages whose answers depend on their inputs alone. fsm may
// hold a lock for its readers, and must read and write snapshots.
var pure = []pureRule{
	{folder: "supervisor", except: "local"},
	{folder: "supervisor/breaker", except: "breaker"},
	{folder: "placement"},
	{folder: "fsm", allow: []string{"sync", "context", "io"}},
}

// impure are the roots of packages that bring a clock, chance, I/O or
// concurrency with them. io/fs goes with io.
var impure = []string{
	"os", "net", "sync", "context", "log", "io", "math/rand", "crypto/rand", "syscall",
	"runtime", "unsafe", "testing", "embed", "plugin", "golang.org/x/sys",
}

// clocks are what must not be used of package time.
var clocks = []string{
	"Now", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker", "Since", "Until",
}

// files are the files of the tree that the rule is for.
func (r pureRule) files(t *tree) []*source {
	return slices.DeleteFunc(t.shipped(), func(s *source) bool {
		return s.folder() != r.folder || r.except != "" && strings.HasPrefix(s.base(), r.except)
	})
}

// forbids tells whether the rule refuses an import. What is allowed is allowed
// itself, not what is below it: io, but not io/fs.
func (r pureRule) forbids(p string) bool {
	return within(p, impure...) && !slices.Contains(r.allow, p) &&
		(!within(p, "sync") || !slices.Contains(r.allow, "sync"))
}

// checkPurity reads imports and statements of the pure packages.
func checkPurity(t *tree) []finding {
	var found []finding
	for _, r := range pure {
		for _, s := range r.files(t) {
			for _, spec := range s.file.Imports {
				if p := importPath(spec); r.forbids(p) {
					found = append(found, s.found(spec.Pos(), "%s is pure and may not import %s", r.folder, p))
				} else if spec.Name != nil && spec.Name.Name == "." {
					found = append(found, s.found(spec.Pos(), "a dot import hides what is used of %s", p))
				}
			}
			found = append(found, impureCode(s)...)
		}
	}
	return found
}

// impureCode finds clocks, goroutines, channels and printing in a file.
func impureCode(s *source) []finding {
	var found []finding
	names := s.imports()
	say := func(n ast.Node, what string) { found = append(found, s.found(n.Pos(), "a pure package %s", what)) }
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n, "starts no goroutine")
		case *ast.ChanType:
			say(n, "has no channel")
		case *ast.SelectStmt:
			say(n, "waits for nothing")
		case *ast.SendStmt:
			say(n, "sends nothing")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				say(n, "receives nothing")
			}
		case *ast.SelectorExpr:
			switch {
			case calls(n, names["time"], clocks...):
				say(n, "takes no time: it is given the time ("+n.Sel.Name+")")
			case calls(n, names["fmt"], "Print", "Printf", "Println", "Scan", "Scanf", "Scanln"):
				say(n, "prints nothing ("+n.Sel.Name+")")
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
				say(n, "prints nothing ("+id.Name+")")
			}
		}
		return true
	})
	return found
}
