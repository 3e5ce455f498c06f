package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// compare sets what was decided in one entry against what would have been.
func (p *player) compare(index uint64, was, would []fsm.Record) {
	before, after := byPath(was), byPath(would)
	var departs []string
	for _, path := range paths(was, would) {
		if supervisor.TreeName(path) == p.Tree && !p.isApart(path) && !slices.Equal(before[path], after[path]) {
			departs = append(departs, path)
		}
	}
	differs := func(r fsm.Record) bool { return r.Decision != nil && slices.Contains(departs, r.Decision.Path) }
	for _, r := range was {
		switch {
		case differs(r):
			p.Lines = append(p.Lines, lineOf(r, Was))
		case r.Decision != nil && p.isApart(r.Decision.Path):
			p.Lines = append(p.Lines, lineOf(r, Beyond))
		default:
			p.Lines = append(p.Lines, lineOf(r, Same))
		}
	}
	for _, r := range would {
		if differs(r) {
			p.Lines = append(p.Lines, lineOf(r, Would))
		}
	}
	for _, path := range departs {
		p.Departures = append(p.Departures, Departure{path, index})
		p.apart[path] = true
	}
	for _, r := range slices.Concat(was, would) {
		if differs(r) && r.Decision.Verdict == supervisor.VerdictEscalate {
			p.apart[above(r.Decision.Path)] = true // its supervisor gives up, and stops all
		}
	}
}

// isApart: the child, or a supervisor above, is compared no more.
func (p *player) isApart(path string) bool {
	for at := path; at != ""; at = above(at) {
		if p.apart[at] {
			return true
		}
	}
	return false
}

func above(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

// byPath tells of each child what was decided, as far as it has effects.
func byPath(records []fsm.Record) map[string][]string {
	all := make(map[string][]string)
	for _, r := range records {
		if d := r.Decision; d != nil {
			all[d.Path] = append(all[d.Path], fmt.Sprint(d.Verdict, d.Node, d.Delay))
		}
	}
	return all
}

// paths lists the children that were decided on, in the order of the decisions.
func paths(all ...[]fsm.Record) (list []string) {
	for _, r := range slices.Concat(all...) {
		if r.Decision != nil && !slices.Contains(list, r.Decision.Path) {
			list = append(list, r.Decision.Path)
		}
	}
	return list
}
