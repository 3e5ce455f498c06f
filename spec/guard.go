package spec

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"

	"github.com/selfware/selfware/supervisor"
)

const (
	// MaxFile is the greatest length of a file, in bytes.
	MaxFile = 4 << 20
	// maxNesting bounds the recursion of the YAML parser. A level of the tree
	// takes two, a list and a map; the rest is for what stands in a child.
	maxNesting = 4 * supervisor.MaxDepth
	// maxKeys in one map: the YAML parser calls itself for each next key and
	// copies those before, so its time is quadratic.
	maxKeys = 1000
)

// clean checks the bytes of a file and returns them without a byte order mark
// and with \n as the only line break, which is how YAML reads them anyway.
func clean(data []byte) (string, *Error) {
	if len(data) > MaxFile {
		return "", &Error{Line: 1, Column: 1, Msg: fmt.Sprintf(
			"the file has %d bytes; a tree file has at most %d (4 MiB)", len(data), MaxFile)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	line, col := 1, 0
	for i, r := range text {
		col++
		switch {
		case r == '\n':
			line, col = line+1, 0
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			return "", &Error{Line: line, Column: col, Text: fmt.Sprintf("%#x", text[i]), Msg: fmt.Sprintf(
				"the byte %#x is not valid UTF-8", text[i]), Hint: "save the file as UTF-8"}
		case r < ' ' && r != '\t', r == 0x7f, r == 0xFEFF:
			return "", &Error{Line: line, Column: col, Text: fmt.Sprintf("%U", r), Msg: fmt.Sprintf(
				"the control character %U is not allowed", r), Hint: `write it as an escape in double quotes, such as "\t"`}
		}
	}
	return text, nil
}

// guard looks at the tokens of a file for what must not reach the YAML parser,
// which is recursive and has no limits.
type guard struct {
	flow  int // open [ and {
	chain int // keys since the last [ { or , in flow style: "[a: b: c: …"
	stack []indent
	marks map[token.Type]bool // of the document: --- and ...
}

// indent is one open list or map in block style.
type indent struct {
	column, keys int
	list         bool
}

// tokenize splits a file into tokens and stops at the first offence.
func (g *guard) tokenize(text string) (tokens token.Tokens, fault *Error) {
	var s scanner.Scanner
	s.Init(text)
	for {
		next, err := s.Scan()
		from := len(tokens)
		tokens.Add(next...)
		if fault := g.check(tokens, from); fault != nil {
			return nil, fault
		}
		if err == io.EOF {
			return tokens, nil
		}
		if err != nil { // it comes as an invalid token too; make sure
			return nil, &Error{Line: 1, Column: 1, Msg: "cannot read this as YAML: " + short(err.Error())}
		}
	}
}

// check returns the first offence among the tokens from an index on.
func (g *guard) check(tokens token.Tokens, from int) *Error {
	for i := from; i < len(tokens); i++ {
		tk := tokens[i]
		if err := g.refuse(tokens, i); err != nil {
			return err
		}
		g.follow(tokens, i)
		if g.flow+len(g.stack) > maxNesting || g.chain > maxNesting {
			return at(tk, fmt.Sprintf("lists and maps are nested deeper than %d", maxNesting),
				fmt.Sprintf("a tree has at most %d levels", supervisor.MaxDepth))
		}
		if n := len(g.stack); n > 0 && g.stack[n-1].keys > maxKeys || g.flow > 0 && g.chain > maxKeys {
			return at(tk, fmt.Sprintf("a map has at most %d keys", maxKeys), "")
		}
	}
	return nil
}

func at(tk *token.Token, msg, hint string) *Error {
	return &Error{Line: tk.Position.Line, Column: tk.Position.Column, Text: short(tk.Value), Msg: msg, Hint: hint}
}

// refuse names YAML that a tree file does not use.
func (g *guard) refuse(tokens token.Tokens, i int) *Error {
	tk := tokens[i]
	switch tk.Type {
	case token.InvalidType:
		return badYAML(tk, tk.Error)
	case token.DocumentHeaderType, token.DocumentEndType:
		if g.marks[tk.Type] {
			return at(tk, "a second document begins here", "a file holds one tree")
		}
		*g = guard{marks: map[token.Type]bool{tk.Type: true, token.DocumentHeaderType: true}}
	case token.TagType:
		return at(tk, fmt.Sprintf("the tag %q is not supported", short(tk.Value)), `leave it out; put the value in quotes if it is a text`)
	case token.DirectiveType:
		return at(tk, "directives (%) are not supported", "")
	case token.MappingKeyType:
		return at(tk, `a key after "?" is not supported`, "write key: value")
	case token.AnchorType:
		if i >= 2 && tokens[i-2].Type == token.AnchorType {
			return at(tk, "a value has at most one anchor", "")
		}
	}
	return nil
}

// follow keeps count of what is open after token i.
func (g *guard) follow(tokens token.Tokens, i int) {
	tk := tokens[i]
	switch tk.Type {
	case token.SequenceStartType, token.MappingStartType:
		g.flow, g.chain = g.flow+1, 0
	case token.SequenceEndType, token.MappingEndType:
		g.flow, g.chain = max(0, g.flow-1), 0
	case token.CollectEntryType:
		g.chain = 0
	case token.SequenceEntryType:
		g.enter(indent{column: tk.Position.Column, list: true})
	case token.MappingValueType:
		if i > 0 {
			tk = tokens[i-1]
		}
		g.enter(indent{column: tk.Position.Column})
	}
}

// enter notes an entry of a list or map at a column: what is further right ends.
func (g *guard) enter(in indent) {
	if g.flow > 0 {
		g.chain++
		return
	}
	n := len(g.stack)
	for n > 0 && (g.stack[n-1].column > in.column || g.stack[n-1].column == in.column && g.stack[n-1].list && !in.list) {
		n--
	}
	g.stack = g.stack[:n]
	if n > 0 && g.stack[n-1].column == in.column && g.stack[n-1].list == in.list {
		if !in.list {
			g.stack[n-1].keys++
		}
		return
	}
	g.stack = append(g.stack, in)
}

// badYAML is what the YAML library says, with a hint.
func badYAML(tk *token.Token, msg string) *Error {
	msg = strings.ReplaceAll(msg, "\t", `\t`)
	return at(tk, "cannot read this as YAML: "+msg, yamlHint(msg))
}

// yamlHint explains the commonest mistakes in YAML.
func yamlHint(msg string) string {
	switch {
	case strings.Contains(msg, "tab character"), strings.Contains(msg, `\t`):
		return "indent with spaces"
	case strings.Contains(msg, "non-map value"), strings.Contains(msg, "value is not allowed"):
		return "a key needs a colon and a space after it, and the keys of one map start at one column"
	case strings.Contains(msg, "could not find flow map"), strings.Contains(msg, "could not find flow sequence"),
		strings.Contains(msg, "sequence end token"), strings.Contains(msg, "flow map"):
		return "look for a bracket that is never closed, or a comma too few"
	}
	return ""
}
