package lint

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the path all our packages begin with.
const module = "github.com/selfware/selfware"

// finding is one breach of a rule, at file:line.
type finding struct {
	where string
	what  string
}

func (f finding) String() string { return f.where + ": " + f.what }

// source is one parsed file.
type source struct {
	path  string // from the root of the module, with slashes
	text  string
	lines []string
	fset  *token.FileSet
	file  *ast.File
}

// tree is all files of a module, by path.
type tree struct {
	fset    *token.FileSet
	sources []*source
	broken  []finding // files that do not parse
}

// load reads all Go files below root, but for other modules, testdata and
// hidden folders.
func load(root string) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() {
			return skipFolder(name, rel)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		t.add(filepath.ToSlash(rel), string(text))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the module: %w", err)
	}
	return t, nil
}

func skipFolder(name, rel string) error {
	base := filepath.Base(rel)
	if rel == "." {
		return nil
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	if err == nil || base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}

// add parses a file into the tree.
func (t *tree) add(name, text string) {
	file, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, finding{name, "cannot parse: " + err.Error()})
		return
	}
	t.sources = append(t.sources, &source{
		path: name, text: text, lines: strings.Split(text, "\n"), fset: t.fset, file: file,
	})
	slices.SortFunc(t.sources, func(a, b *source) int { return cmp.Compare(a.path, b.path) })
}

// shipped are the files that are no tests.
func (t *tree) shipped() []*source {
	return slices.DeleteFunc(slices.Clone(t.sources), (*source).isTest)
}

// folders are the folders with shipped files, sorted.
func (t *tree) folders() []string {
	var names []string
	for _, s := range t.shipped() {
		names = append(names, s.folder())
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

func (s *source) isTest() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) folder() string { return path.Dir(s.path) }
func (s *source) base() string   { return path.Base(s.path) }

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// found makes a finding at a place in the file.
func (s *source) found(p token.Pos, format string, args ...any) finding {
	return finding{fmt.Sprintf("%s:%d", s.path, s.line(p)), fmt.Sprintf(format, args...)}
}

// imports are the paths that a file imports, with the names it knows them by.
func (s *source) imports() map[string]string {
	names := make(map[string]string, len(s.file.Imports))
	for _, spec := range s.file.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[p] = name
	}
	return names
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil { // the parser accepts only good strings
		panic(err)
	}
	return p
}

// calls tells whether e is name.fn for the package imported as name.
func calls(e ast.Expr, name string, fns ...string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || name == "" {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == name && slices.Contains(fns, sel.Sel.Name)
}

// within tells whether a folder is one of the roots or below one.
func within(folder string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return folder == root || strings.HasPrefix(folder, root+"/")
	})
}
