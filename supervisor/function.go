package supervisor

import (
	"fmt"
	"strings"
)

// A worker may be a function of the program that a node is embedded in, instead of a
// process (Program.Func). Which nodes can run it, they say by labels: they are not among
// those that users can give, so none can claim by mistake what it cannot do.
const (
	// EmbeddedLabel is that of a node within another program. It runs functions only.
	EmbeddedLabel = "selfware:embedded"
	funcPrefix    = "func:"
	// LabelYes is the value of these labels.
	LabelYes = "yes"
)

// FuncLabel is the label of the nodes whose program has registered a function.
func FuncLabel(name string) string { return funcPrefix + name }

// LabelFunc is the reverse of FuncLabel; ok is false for other labels.
func LabelFunc(label string) (name string, ok bool) { return strings.CutPrefix(label, funcPrefix) }

// ValidFunc refuses what cannot be the name of a function: 1 to 64 letters, digits, '-',
// '_' and '.'.
func ValidFunc(name string) error { return validID(name) }

// funcOf is the function of a program; "" if it is a process, or there is none.
func funcOf(p *Program) string {
	if p == nil {
		return ""
	}
	return p.Func
}

// validProgram refuses a worker that nothing can run.
func validProgram(path string, p *Program) error {
	switch {
	case p.Func == "" && len(p.Argv) == 0:
		return fmt.Errorf("cannot use %s: run is empty", path)
	case p.Func == "":
		return nil
	case len(p.Argv) > 0:
		return fmt.Errorf("cannot use %s: it has both run and func", path)
	}
	if err := ValidFunc(p.Func); err != nil {
		return fmt.Errorf("cannot use %s: func: %w", path, err)
	}
	if what := p.ofProcess(); what != "" {
		return fmt.Errorf("cannot use %s: %s is for processes, and it is a function", path, what)
	}
	return nil
}

// ofProcess is the first thing in p that means nothing to a function: it has no
// process of its own. It says itself whether it is up and well.
func (p *Program) ofProcess() string {
	probe, live := p.Probe, p.Liveness
	switch {
	case p.EnvFile != "":
		return "env_file"
	case p.Dir != "":
		return "dir"
	case p.User != "":
		return "user"
	case p.Group != "":
		return "group"
	case p.Umask != nil:
		return "umask"
	case len(p.Limits) > 0:
		return "ulimits"
	case probe != nil && !probe.Notify:
		return "a probe other than notify"
	case live != nil && live.Heartbeat == 0:
		return "a liveness check other than heartbeat"
	}
	return ""
}
