package supervisor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// parseSpec reads a tree as the scripts write it: the root on the first line,
// children below it by indentation.
//
//	shop rest_for_one max=3 in=10s backoff=fixed:0s retry_after=1m update=1:10s[:revert][:1m] after=base,net/db
//	  store move_after=2 max_restarts=1
//	  web supervisor one_for_one transient
//	    api temporary run=v2 needs=ssd exclusive replicas=3 spread=strict finish_on=0,SIGTERM
//	  job supervisor auto_shutdown=any
//	    once transient significant
//
// A worker is permanent and runs "v1" unless it says otherwise; a supervisor is
// permanent, one_for_one, 5 restarts in 60 s, without back-off.
func parseSpec(text string) (Spec, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	root, err := parseLine("supervisor " + lines[0])
	if err != nil {
		return Spec{}, err
	}
	rest := lines[1:]
	children, err := parseChildren(&rest, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("cannot read %q: it belongs to nothing", rest[0])
	}
	return Spec{
		Name: root.child.ID, Strategy: root.child.Supervisor.Strategy, RestartPolicy: root.child.Supervisor.RestartPolicy,
		RetryAfter: root.retryAfter, Exclusive: root.child.Exclusive, Update: root.child.Supervisor.Update,
		AutoShutdown: root.child.Supervisor.AutoShutdown, After: root.after, Children: children,
	}, err
}

// parseChildren takes the lines that are indented deeper than their parent's.
func parseChildren(lines *[]string, parent int) ([]ChildSpec, error) {
	var children []ChildSpec
	for len(*lines) > 0 {
		indent := indentOf((*lines)[0])
		if indent <= parent {
			break
		}
		l, err := parseLine((*lines)[0])
		if err != nil {
			return nil, err
		}
		*lines = (*lines)[1:]
		if l.child.Children, err = parseChildren(lines, indent); err != nil {
			return nil, err
		}
		children = append(children, l.child)
	}
	return children, nil
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

type parsed struct {
	child      ChildSpec
	retryAfter time.Duration
	after      []string
}

func parseLine(line string) (parsed, error) {
	p := parsed{child: ChildSpec{RestartType: Permanent, Program: &Program{Argv: []string{"v1"}}}}
	for _, word := range strings.Fields(line) {
		if err := p.word(word); err != nil {
			return p, fmt.Errorf("cannot read %q: %v", line, err)
		}
	}
	return p, nil
}

func (p *parsed) word(word string) error {
	c := &p.child
	key, value, isSetting := strings.Cut(word, "=")
	switch {
	case isSetting:
		return p.set(key, value)
	case word == "supervisor":
		c.Program = nil
		c.Supervisor = &SupervisorSpec{Strategy: OneForOne, RestartPolicy: RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute}}
	case word == "each_node":
		c.EachNode = true
	case word == "exclusive":
		c.Exclusive = true
	case word == "significant":
		c.Significant = true
	case word == string(Permanent) || word == string(Transient) || word == string(Temporary):
		c.RestartType = RestartType(word)
	case word == string(OneForOne) || word == string(OneForAll) || word == string(RestForOne):
		c.Supervisor.Strategy = Strategy(word)
	case c.ID == "":
		c.ID = word
	default:
		return fmt.Errorf("unknown word %q", word)
	}
	return nil
}

func (p *parsed) set(key, value string) (err error) {
	c := &p.child
	switch key {
	case "max":
		c.Supervisor.RestartPolicy.MaxRestarts, err = strconv.Atoi(value)
	case "in":
		c.Supervisor.RestartPolicy.MaxSeconds, err = time.ParseDuration(value)
	case "backoff":
		c.Supervisor.RestartPolicy.Backoff, err = parseBackoff(value)
	case "scope":
		c.Supervisor.RestartPolicy.Scope = Scope(value)
	case "update":
		if c.Supervisor == nil {
			c.Update, err = parseUpdate(value)
		} else {
			c.Supervisor.Update, err = parseUpdate(value)
		}
	case "auto_shutdown":
		c.Supervisor.AutoShutdown = AutoShutdown(value)
	case "retry_after":
		p.retryAfter, err = time.ParseDuration(value)
	case "after":
		p.after = strings.Split(value, ",")
	case "max_restarts":
		var n int
		n, err = strconv.Atoi(value)
		c.MaxRestarts = &n
	case "finish_on", "never_restart_on", "move_on", "escalate_on":
		err = c.rule(key, value)
	case "move_after":
		c.MoveAfter, err = strconv.Atoi(value)
	case "replicas":
		c.Replicas, err = strconv.Atoi(value)
	case "pool":
		c.Pool, err = parsePool(value)
	case "spread":
		c.Placement.Instances = Apartness(value)
	case "run":
		c.Program.Argv = []string{value}
	case "needs":
		c.Placement.Needs = map[string]string{"label": value}
	default:
		err = fmt.Errorf("unknown setting %q", key)
	}
	return err
}

// parseUpdate reads PARALLEL:MIN_READY, and after it revert, a deadline, or both.
func parseUpdate(text string) (*UpdatePolicy, error) {
	parts := strings.Split(text, ":")
	p := &UpdatePolicy{Deadline: DefaultUpdateTime}
	var err error
	if p.Parallel, err = strconv.Atoi(parts[0]); err == nil {
		p.MinReady, err = time.ParseDuration(parts[1])
	}
	for _, part := range parts[2:] {
		if part == "revert" {
			p.AutoRevert = true
		} else if err == nil {
			p.Deadline, err = time.ParseDuration(part)
		}
	}
	return p, err
}

// rule reads the exits of one list: 0,3,SIGTERM.
func (c *ChildSpec) rule(list, value string) error {
	if c.Exits == nil {
		c.Exits = &ExitRules{}
	}
	for text := range strings.SplitSeq(value, ",") {
		x, err := ParseExit(text)
		if err != nil {
			return err
		}
		into := map[string]*[]Exit{
			"finish_on": &c.Exits.FinishOn, "never_restart_on": &c.Exits.NeverRestartOn, "move_on": &c.Exits.MoveOn, "escalate_on": &c.Exits.EscalateOn,
		}[list]
		*into = append(*into, x)
	}
	return nil
}

// parsePool reads SIZE:MAX, and :N for N restarts in 60 s instead of 5.
func parsePool(text string) (*Pool, error) {
	p := &Pool{RestartPolicy: RestartPolicy{MaxRestarts: 5, MaxSeconds: time.Minute}}
	_, err := fmt.Sscanf(text+":5", "%d:%d:%d", &p.Size, &p.Max, &p.RestartPolicy.MaxRestarts)
	return p, err
}

// parseBackoff reads fixed:BASE and exponential:BASE:MAX.
func parseBackoff(text string) (b Backoff, err error) {
	parts := strings.Split(text, ":")
	b.Kind = BackoffKind(parts[0])
	if b.Base, err = time.ParseDuration(parts[1]); err == nil && b.Kind == Exponential {
		b.Max, err = time.ParseDuration(parts[2])
	}
	return b, err
}
