package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/selfware/selfware/supervisor"
)

// difference is a trace on which the core and OTP disagree.
type difference struct {
	seed, number uint64
	trace        *trace
	theirs       []byte
}

// shrink cuts a trace down as long as it differs: steps, then children, then what is
// special about those that are left.
func (o *otp) shrink(t *trace) (difference, error) {
	d := difference{trace: t}
	for progress := true; progress; {
		progress = false
		for _, smaller := range d.trace.smaller() {
			answers, err := o.ask([]*trace{smaller})
			if err != nil {
				return d, err
			}
			if differs(smaller, answers[0]) {
				d.trace, progress = smaller, true
				break
			}
		}
	}
	answers, err := o.ask([]*trace{d.trace})
	if err == nil {
		d.theirs = answers[0]
	}
	return d, err
}

// smaller are the traces that are one cut away.
func (t *trace) smaller() (all []*trace) {
	for i := len(t.steps) - 1; i >= 0; i-- {
		c := t.clone()
		c.steps = slices.Delete(c.steps, i, i+1)
		all = append(all, c)
	}
	number := 0
	t.walk(func(int, string, child) { number++ })
	for n := number; n > 0; n-- {
		if c := t.without(n); c != nil {
			all = append(all, c)
		}
	}
	for i, s := range t.steps {
		for _, plain := range []step{{0, s.worker, s.why, s.fails}, {s.after, s.worker, 0, s.fails}, {s.after, s.worker, s.why, 0}} {
			if plain != s {
				c := t.clone()
				c.steps[i] = plain
				all = append(all, c)
			}
		}
	}
	return append(all, t.plainer()...)
}

// plainer are the traces in which one supervisor never shuts down, or one child is not
// significant.
func (t *trace) plainer() (all []*trace) {
	supers := []*super{&t.root}
	t.walk(func(_ int, _ string, c child) {
		if c.sup != nil {
			supers = append(supers, c.sup)
		}
	})
	for i, s := range supers {
		if s.auto != 0 {
			all = append(all, t.insignificant(i, -1))
		}
		for j, c := range s.children {
			if c.significant {
				all = append(all, t.insignificant(i, j))
			}
		}
	}
	return all
}

// insignificant is the trace where a child of a supervisor, by their numbers among
// supervisors and siblings, is not significant; -1: none is, and it never shuts down.
func (t *trace) insignificant(super, which int) *trace {
	c := t.clone()
	s, n := &c.root, 0
	c.walk(func(_ int, _ string, x child) {
		if x.sup != nil {
			if n++; n == super {
				s = x.sup
			}
		}
	})
	for i := range s.children {
		if which < 0 || i == which {
			s.children[i].significant = false
		}
	}
	if which < 0 {
		s.auto = 0
	}
	return c
}

// without drops a child and all below it; nil if a step is about one of them.
func (t *trace) without(dropped int) *trace {
	c := t.clone()
	renamed, number, next := make(map[int]int), 0, 1
	var cut func(s *super, gone bool)
	cut = func(s *super, gone bool) {
		kept := s.children[:0]
		for _, ch := range s.children {
			number++
			drop := gone || number == dropped
			if !drop {
				renamed[number] = next
				next++
				kept = append(kept, ch)
			}
			if ch.sup != nil {
				cut(ch.sup, drop)
			}
		}
		s.children = kept
	}
	cut(&c.root, false)
	for i := range c.steps {
		if c.steps[i].worker = renamed[c.steps[i].worker]; c.steps[i].worker == 0 {
			return nil
		}
	}
	return c
}

// String tells both stories, and gives the trace as a script for testdata of package
// supervisor (failed starts are a crash each).
func (d difference) String() string {
	out, loose := ours(d.trace)
	var b strings.Builder
	fmt.Fprintf(&b, "trace %d of seed %d, cut down\n  ours:   %s\n  theirs: %s\n  a script for supervisor/testdata:\n\n",
		d.number, d.seed, story(out), story(masked(d.theirs, loose)))
	b.WriteString(d.trace.script())
	return b.String()
}

// story words an answer.
func story(answer []byte) string {
	var b strings.Builder
	for i := 0; i < len(answer); i++ {
		switch answer[i] {
		case end:
			b.WriteString("| ")
		case dead:
			b.WriteString("the root ends")
		case absent:
			b.WriteString("(did not run) ")
		default:
			words := map[byte]string{started: "start", stopped: "stop", failed: "cannot start"}
			fmt.Fprintf(&b, "%s c%d ", words[answer[i]], answer[i+1])
			i++
		}
	}
	return b.String()
}

// script is the trace as the scripts of package supervisor have it.
func (t *trace) script() string {
	var b strings.Builder
	paths := []string{treeName}
	policy := func(s *super) string {
		return fmt.Sprintf("%s max=%d in=%ds scope=%s auto_shutdown=%s", strategies[s.strategy], s.intensity, s.period, supervisor.ScopeSupervisor, shutdowns[s.auto])
	}
	fmt.Fprintf(&b, "tree\n%s %s\n", treeName, policy(&t.root))
	t.walk(func(number int, path string, c child) {
		paths = append(paths, path)
		fmt.Fprintf(&b, "%sc%d %s", strings.Repeat("  ", strings.Count(path, "/")), number, restartTypes[c.restart])
		if c.significant {
			b.WriteString(" significant")
		}
		if c.sup != nil {
			fmt.Fprintf(&b, " supervisor %s", policy(c.sup))
		}
		b.WriteString("\n")
	})
	b.WriteString("----\n\nstart\nsettle nodes=(n1)\n")
	at := time.Duration(0)
	for _, s := range t.steps {
		at += time.Duration(s.after) * time.Second
		what := "crash"
		if s.why != 0 {
			what = "exit"
		}
		fmt.Fprintf(&b, "at %v\n%s %s\n", at, what, paths[s.worker])
		for range s.fails {
			fmt.Fprintf(&b, "crash %s\n", paths[s.worker])
		}
		b.WriteString("settle\n")
	}
	b.WriteString("status\n----\n")
	return b.String()
}
