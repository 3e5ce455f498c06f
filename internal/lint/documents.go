package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// later are words that leave work for later; spelt apart, to not find themselves.
var later = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}, "|") + `)\b`)

// wellKnown are methods whose name says all there is to say.
var wellKnown = regexp.MustCompile(`^(String|Error|Unwrap|Format|Len|Less|Swap|(Unm|M)arshal[A-Z]\w*)$`)

// checkDocuments looks for a doc.go per package and a comment per exported name.
func checkDocuments(t *tree) []finding {
	var found []finding
	documented := make(map[string]bool)
	for _, s := range t.shipped() {
		if s.base() == "doc.go" && s.file.Doc != nil {
			documented[s.folder()] = true
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && isExported(d) && !(d.Recv != nil && wellKnown.MatchString(d.Name.Name)) {
					found = append(found, s.found(d.Pos(), "%s has no comment", d.Name.Name))
				}
			case *ast.GenDecl:
				found = append(found, undocumented(s, d)...)
			}
		}
	}
	for _, folder := range t.folders() {
		if !documented[folder] {
			found = append(found, finding{folder, "has no doc.go with the package's comment"})
		}
	}
	return found
}

// isExported tells whether a function, or a method of an exported type, can be
// used from outside.
func isExported(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() {
		return false
	}
	if f.Recv == nil {
		return true
	}
	expr := f.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

// undocumented finds exported types, constants and variables without a comment
// of their own, at the end of their line or on their group. The constants of a
// type of ours are listed and explained by the type's own comment.
func undocumented(s *source, d *ast.GenDecl) []finding {
	if d.Tok == token.IMPORT || d.Doc != nil {
		return nil
	}
	var found []finding
	enumeration := false
	for _, spec := range d.Specs {
		var names []*ast.Ident
		var doc, comment *ast.CommentGroup
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names, doc, comment = []*ast.Ident{spec.Name}, spec.Doc, spec.Comment
		case *ast.ValueSpec:
			names, doc, comment = spec.Names, spec.Doc, spec.Comment
			if spec.Type != nil || len(spec.Values) > 0 { // else it goes on like the one before
				id, ok := spec.Type.(*ast.Ident)
				enumeration = ok && d.Tok == token.CONST && id.IsExported()
			}
		}
		for _, name := range names {
			if name.IsExported() && doc == nil && comment == nil && !enumeration {
				found = append(found, s.found(name.Pos(), "%s has no comment", name.Name))
			}
		}
	}
	return found
}

// checkLeftUndone finds comments that leave work for later, tests included.
func checkLeftUndone(t *tree) []finding {
	var found []finding
	for _, s := range t.sources {
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if word := later.FindString(c.Text); word != "" {
					found = append(found, s.found(c.Pos(), "%s: do it, or write an issue", word))
				}
			}
		}
	}
	return found
}

// checkSleeps finds tests that sleep real time. In a bubble of testing/synctest
// a sleep costs nothing, and simulations live in such bubbles.
func checkSleeps(t *tree) []finding {
	var found []finding
	for _, s := range t.sources {
		names := s.imports()
		_, bubble := names["testing/synctest"]
		if !s.isTest() || bubble || slices.Contains(strings.Split(s.folder(), "/"), "simtest") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && calls(sel, names["time"], "Sleep") {
				found = append(found, s.found(n.Pos(), "a test waits for what happens, with a deadline; it does not sleep"))
			}
			return true
		})
	}
	return found
}
