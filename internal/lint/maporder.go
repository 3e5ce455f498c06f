package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
)

// orderFree is the comment that excuses a walk over a map; a reason follows it.
const orderFree = "// order-free: "

// checkMapOrder finds walks over maps in the pure packages.
func checkMapOrder(t *tree, imp types.Importer) []finding {
	var found []finding
	for _, r := range pure {
		info := typesOf(t, r.folder, imp)
		for _, s := range r.files(t) {
			found = append(found, mapWalks(s, info)...)
		}
	}
	return found
}

// typesOf checks the types of a folder's shipped files. Errors are left to the
// compiler; what could not be told is a finding where it matters.
func typesOf(t *tree, folder string, imp types.Importer) *types.Info {
	var files []*ast.File
	for _, s := range t.shipped() {
		if s.folder() == folder {
			files = append(files, s.file)
		}
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object)}
	conf := types.Config{Importer: imp, Error: func(error) {}}
	_, _ = conf.Check(module+"/"+folder, t.fset, files, info)
	return info
}

// mapWalks finds ranges over maps, and uses of maps.Keys, Values and All other
// than as the argument of a sort, that say nothing of their order.
func mapWalks(s *source, info *types.Info) []finding {
	var found []finding
	var parents []ast.Node
	ast.Inspect(s.file, func(n ast.Node) bool {
		if n == nil {
			parents = parents[:len(parents)-1]
			return true
		}
		what := ""
		switch n := n.(type) {
		case *ast.RangeStmt:
			what = rangesOverMap(n, info)
		case *ast.CallExpr:
			if name, ok := mapsWalk(n, info); ok && !sorts(parents, info) {
				what = "maps." + name + " has no order: sort it, as in slices.Sorted(maps.Keys(m))"
			}
		}
		if what != "" && !s.excused(n.Pos()) {
			found = append(found, s.found(n.Pos(), "%s, or say why it does not matter after %q", what, orderFree))
		}
		parents = append(parents, n)
		return true
	})
	return found
}

func rangesOverMap(n *ast.RangeStmt, info *types.Info) string {
	tv, ok := info.Types[n.X]
	if !ok || tv.Type == types.Typ[types.Invalid] {
		return "cannot tell the type of what is ranged over"
	}
	if _, ok := tv.Type.Underlying().(*types.Map); ok {
		return "a range over a map has no order: sort the keys first"
	}
	return ""
}

// mapsWalk tells whether a call walks a map by package maps.
func mapsWalk(call *ast.CallExpr, info *types.Info) (string, bool) {
	pkg, name := callee(call, info)
	return name, pkg == "maps" && (name == "Keys" || name == "Values" || name == "All")
}

// sorts tells whether the innermost parent is a call that sorts its argument.
func sorts(parents []ast.Node, info *types.Info) bool {
	if len(parents) == 0 {
		return false
	}
	call, ok := parents[len(parents)-1].(*ast.CallExpr)
	if !ok {
		return false
	}
	pkg, name := callee(call, info)
	return pkg == "slices" && strings.HasPrefix(name, "Sorted")
}

// callee is the package and name of a called package function.
func callee(call *ast.CallExpr, info *types.Info) (pkg, name string) {
	fun := call.Fun
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	obj := info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil {
		return "", ""
	}
	return obj.Pkg().Path(), obj.Name()
}

// excused tells whether the line or the one above says why order is no matter.
func (s *source) excused(p token.Pos) bool {
	line := s.line(p) // counted from 1
	for _, text := range s.lines[max(line-2, 0):line] {
		if _, why, ok := strings.Cut(text, orderFree); ok && strings.TrimSpace(why) != "" {
			return true
		}
	}
	return false
}

// compiled imports packages from what the go command has built for them.
func compiled(fset *token.FileSet, dir string, patterns ...string) (types.Importer, error) {
	args := append([]string{"list", "-e", "-export", "-deps", "-json=ImportPath,Export"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list packages: %w", err)
	}
	exports := make(map[string]string)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("cannot read the list of packages: %w", err)
		}
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("cannot import %s: it is not built", path)
		}
		return os.Open(exports[path])
	}), nil
}
