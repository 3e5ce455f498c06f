package spec

import (
	"fmt"
	"slices"
	"strings"
)

// operators are words that only a shell understands. Given to a program as
// arguments they would silently do something else than what the user meant.
var operators = []string{"|", "||", "&", "&&", ";", ";;", "<", ">", ">>", "<<", "2>", "2>>", "2>&1", "&>", ">&2"}

// splitWords splits a command as a POSIX shell does, without any expansion: in
// single quotes everything stands for itself; in double quotes a backslash
// escapes \ " $ ` and a line break; elsewhere it escapes any character.
func splitWords(line string) ([]string, error) {
	var s splitter
	for rest := line; rest != ""; {
		var err error
		if rest, err = s.next(rest); err != nil {
			return nil, err
		}
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	return s.words, nil
}

type splitter struct {
	words []string
	word  strings.Builder
	open  bool // a word has begun; it may be ""
	plain bool // no character of it was quoted
}

func (s *splitter) begin(quoted bool) {
	if !s.open {
		s.open, s.plain = true, true
	}
	s.plain = s.plain && !quoted
}

func (s *splitter) end() error {
	if !s.open {
		return nil
	}
	w := s.word.String()
	if s.plain && slices.Contains(operators, w) {
		return fmt.Errorf("%q means something to a shell only, and no shell runs this", w)
	}
	s.words = append(s.words, w)
	s.word.Reset()
	s.open = false
	return nil
}

// next takes one character, or one quoted part, off the line.
func (s *splitter) next(line string) (rest string, err error) {
	switch c := line[0]; c {
	case ' ', '\t', '\n':
		return line[1:], s.end()
	case '\'':
		s.begin(true)
		text, rest, closed := strings.Cut(line[1:], "'")
		if !closed {
			return "", fmt.Errorf("the single quote before %q is never closed", short(line[1:]))
		}
		s.word.WriteString(text)
		return rest, nil
	case '"':
		s.begin(true)
		return s.double(line[1:])
	case '\\':
		if len(line) == 1 {
			return "", fmt.Errorf("nothing follows the last backslash")
		}
		if line[1] != '\n' {
			s.begin(true)
			s.word.WriteByte(line[1])
		}
		return line[2:], nil
	default:
		s.begin(false)
		s.word.WriteByte(c)
		return line[1:], nil
	}
}

func (s *splitter) double(line string) (rest string, err error) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return line[i+1:], nil
		case c == '\\' && i+1 < len(line) && strings.IndexByte("\\\"$`\n", line[i+1]) >= 0:
			if i++; line[i] != '\n' {
				s.word.WriteByte(line[i])
			}
		default:
			s.word.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the double quote before %q is never closed", short(line))
}

// runKind is a command: a list of words, or one text that is split.
func runKind() kind[[]string] {
	k := listKind(`a list of words or one text, such as [redis-server, --port, "6379"]`)
	one := k.read
	k.read = func(r *reader, n *node) ([]string, bool) {
		if n.is == listValue {
			return readArgv(r, n)
		}
		if _, ok := one(r, n); !ok {
			return nil, false
		}
		words, err := splitWords(n.text)
		switch {
		case err != nil:
			r.fail(n, `quote it, or run a shell: [sh, -c, "…"]`, "%s: cannot split %q into words: %v", r.key, short(n.text), err)
		case len(words) == 0 || words[0] == "":
			r.fail(n, "", "%s is empty", r.key)
		default:
			return words, true
		}
		return nil, false
	}
	return k
}

func readArgv(r *reader, n *node) ([]string, bool) {
	words, ok := readList(r, n, "", scalarKind().read)
	if ok && (len(words) == 0 || words[0] == "") {
		r.fail(n, `write the program and its arguments, such as [redis-server, --port, "6379"]`, "%s is empty", r.key)
		return nil, false
	}
	return words, ok
}
