package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// MaxErrors is how many errors Parse reports; it keeps the first by position.
const MaxErrors = 20

// manyErrors ends reading: a file with so many mistakes teaches no more.
const manyErrors = 1000

// Error is one mistake in a file.
type Error struct {
	File string
	// Line and Column count from 1; Column counts characters.
	Line, Column int
	// Path of the child that the mistake is in ("shop/web/api"), as far as known.
	Path string
	// Text is the offending text as written, shortened; "" if something is missing.
	Text string
	// Msg says what is wrong, Hint what to do about it; Hint may be empty.
	Msg, Hint string
}

// Error prints file:line:column: message; hint.
func (e Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Errors are the mistakes of a file, by position, at least 1 and at most MaxErrors.
type Errors []Error

// Error prints one error per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	if len(e) == MaxErrors {
		lines = append(lines, fmt.Sprintf("(the first %d errors; there may be more)", MaxErrors))
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by position, drops what is said twice (a value behind an alias
// is read once per use) and keeps the first MaxErrors.
func inOrder(errs []Error) Errors {
	slices.SortStableFunc(errs, func(a, b Error) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	errs = slices.CompactFunc(errs, func(a, b Error) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Msg == b.Msg
	})
	return Errors(errs[:min(len(errs), MaxErrors)])
}

// short cuts a text for a message.
func short(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most]) + "…"
}
