package runner

import (
	"fmt"
	"strings"
)

// SplitCommand splits a command line into words as a POSIX shell would:
// spaces, tabs and newlines part words; single quotes keep everything; double
// quotes keep everything but \\ \" \$ \` and an escaped newline; outside of
// quotes a backslash keeps the next character. Nothing is expanded: $HOME, *,
// ; | and # are ordinary characters. The error of an unbalanced quote or a
// backslash at the end names its place, counted in bytes from 1.
func SplitCommand(line string) ([]string, error) {
	s := splitter{line: line}
	for s.pos < len(line) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.endWord()
	return s.words, nil
}

type splitter struct {
	line   string
	pos    int
	words  []string
	word   strings.Builder
	inWord bool // "" is a word too, so the length of word cannot tell
}

func (s *splitter) step() error {
	c := s.line[s.pos]
	switch c {
	case ' ', '\t', '\n':
		s.endWord()
	case '\'', '"':
		s.inWord = true
		return s.quoted(c)
	case '\\':
		return s.escape()
	default:
		s.inWord = true
		s.word.WriteByte(c)
	}
	s.pos++
	return nil
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *splitter) escape() error {
	if s.pos+1 >= len(s.line) {
		return fmt.Errorf("cannot split command: nothing follows the backslash at position %d", s.pos+1)
	}
	if next := s.line[s.pos+1]; next != '\n' { // an escaped newline joins two lines
		s.inWord = true
		s.word.WriteByte(next)
	}
	s.pos += 2
	return nil
}

func (s *splitter) quoted(quote byte) error {
	start := s.pos
	for s.pos++; s.pos < len(s.line); s.pos++ {
		c := s.line[s.pos]
		if c == quote {
			s.pos++
			return nil
		}
		if quote == '"' && c == '\\' && s.pos+1 < len(s.line) && strings.IndexByte("\\\"$`\n", s.line[s.pos+1]) >= 0 {
			s.pos++
			if c = s.line[s.pos]; c == '\n' {
				continue
			}
		}
		s.word.WriteByte(c)
	}
	return fmt.Errorf("cannot split command: the quote %c at position %d is never closed", quote, start+1)
}
