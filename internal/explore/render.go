package main

import (
	"fmt"
	"strings"

	"github.com/selfware/selfware/supervisor"
)

// render writes a spec as the scripts of supervisor/testdata do.
func render(s *supervisor.Spec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s", s.Name, s.Strategy, renderPolicy(s.RestartPolicy))
	if s.RetryAfter > 0 {
		fmt.Fprintf(&b, " retry_after=%v", s.RetryAfter)
	}
	if s.Exclusive {
		b.WriteString(" exclusive")
	}
	b.WriteString(renderAuto(s.AutoShutdown))
	if p := s.Update; p != nil {
		fmt.Fprintf(&b, " update=%d:%v", p.Parallel, p.MinReady)
		if p.AutoRevert {
			b.WriteString(":revert")
		}
		fmt.Fprintf(&b, ":%v", p.Deadline)
	}
	b.WriteString("\n")
	renderChildren(&b, "  ", s.Children)
	return b.String()
}

func renderPolicy(p supervisor.RestartPolicy) string {
	out := fmt.Sprintf(" max=%d in=%v", p.MaxRestarts, p.MaxSeconds)
	if p.Backoff.Base > 0 {
		out += fmt.Sprintf(" backoff=%s:%v", p.Backoff.Kind, p.Backoff.Base)
	}
	if p.Scope != "" {
		out += " scope=" + string(p.Scope)
	}
	return out
}

func renderChildren(b *strings.Builder, indent string, children []supervisor.ChildSpec) {
	for i := range children {
		c := &children[i]
		b.WriteString(indent + c.ID)
		if c.Supervisor != nil {
			fmt.Fprintf(b, " supervisor %s%s%s", c.Supervisor.Strategy, renderPolicy(c.Supervisor.RestartPolicy), renderAuto(c.Supervisor.AutoShutdown))
		}
		if c.RestartType != supervisor.Permanent {
			b.WriteString(" " + string(c.RestartType))
		}
		if c.Exclusive {
			b.WriteString(" exclusive")
		}
		if c.Significant {
			b.WriteString(" significant")
		}
		if c.MaxRestarts != nil {
			fmt.Fprintf(b, " max_restarts=%d", *c.MaxRestarts)
		}
		if c.MoveAfter > 0 {
			fmt.Fprintf(b, " move_after=%d", c.MoveAfter)
		}
		if c.Program != nil && c.Program.Argv[0] != "v1" {
			b.WriteString(" run=" + c.Program.Argv[0])
		}
		b.WriteString("\n")
		renderChildren(b, indent+"  ", c.Children)
	}
}

func renderAuto(a supervisor.AutoShutdown) string {
	if a == "" {
		return ""
	}
	return " auto_shutdown=" + string(a)
}
