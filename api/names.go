package api

import (
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// names turns node ids into names. The state and its sentences speak of ids,
// since a name may pass from a dead node to its successor; people know names.
type names map[string]string

func namesOf(v fsm.View) names {
	nodes := v.Nodes()
	n := make(names, len(nodes))
	for _, node := range nodes {
		n[node.ID] = node.Name
	}
	return n
}

func (s *Server) names() (n names) {
	s.cfg.Cluster.Machine().View(func(v fsm.View) { n = namesOf(v) })
	return n
}

// of is the name of a node, or what it is called here if it is not known.
func (n names) of(id string) string {
	if name, ok := n[id]; ok {
		return name
	}
	return id
}

// text replaces the ids that stand in a sentence as words.
func (n names) text(sentence string) string {
	var b strings.Builder
	changed := false
	for rest := sentence; rest != ""; {
		end := strings.IndexFunc(rest, func(r rune) bool { return !inWord(r) })
		if end == 0 {
			end = strings.IndexFunc(rest, inWord)
			if end < 0 {
				end = len(rest)
			}
			b.WriteString(rest[:end])
			rest = rest[end:]
			continue
		}
		if end < 0 {
			end = len(rest)
		}
		word := strings.TrimRight(rest[:end], ".")
		name := n.of(word)
		changed = changed || name != word
		b.WriteString(name)
		b.WriteString(rest[len(word):end])
		rest = rest[end:]
	}
	if !changed {
		return sentence
	}
	return b.String()
}

// inWord: what ids and paths consist of. A path is one word, so a child that is
// called like a node keeps its name.
func inWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r)
}

// decision gives a copy of d in which nodes have names.
func (n names) decision(d supervisor.Decision) supervisor.Decision {
	d.Node = n.of(d.Node)
	d.Sentence = n.text(d.Sentence)
	d.Cause.Path = n.of(d.Cause.Path)
	d.Cause.Detail = n.text(d.Cause.Detail)
	return d
}

func (n names) decisions(ds []supervisor.Decision) []supervisor.Decision {
	out := make([]supervisor.Decision, len(ds))
	for i, d := range ds {
		out[i] = n.decision(d)
	}
	return out
}
