package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrRow: there is no row of that name.
var ErrRow = errors.New("cannot measure")

// Config says what to measure, and with what.
type Config struct {
	// Self is the selfware-node binary; empty is the one that runs.
	Self string
	// Rows are names of rows; none means all.
	Rows []string
	// Child is a program to supervise instead of the built-in one. It is called
	// with a unix datagram socket and a name. As its first act it sends seconds
	// and nanoseconds of CLOCK_MONOTONIC and its pid, 8 bytes each in the
	// machine's order, and the name; then it waits for ever.
	Child string
	// Progress gets a line for each step; nil discards.
	Progress io.Writer
}

// Validate says what cannot be measured; errors about rows are ErrRow.
func (c Config) Validate() error {
	if c.Child != "" {
		if _, err := os.Stat(c.Child); err != nil {
			return fmt.Errorf("cannot use the child: %w", err)
		}
	}
	_, err := choose(c.Rows)
	return err
}

// Run measures. What it started is gone when it returns, also after an error or
// when ctx ends.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	if cfg.Self == "" {
		if cfg.Self, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("cannot find this program: %w", err)
		}
	}
	chosen, err := choose(cfg.Rows)
	if err != nil {
		return nil, err
	}
	l, err := newLab(cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, r := range chosen {
		l.say("(%s) %s", r.id, r.title)
		if err := r.run(l, ctx); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("cannot measure row %s: %w", r.id, context.Cause(ctx))
			}
			return nil, fmt.Errorf("cannot measure row %s: %w", r.id, err)
		}
	}
	return newReport(l.results), nil
}

// List writes the rows with what each measures.
func List(w io.Writer) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%-4s %s\n", r.id, r.title); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%-4s %s\n", all, "all of them")
	return err
}

// Hidden is the name of the command under which Part is called.
const Hidden = hidden

// Part plays a part of a benchmark in a process of its own: a bare node, a bare
// supervisor, or the child where there is no better one.
func Part(args []string) error {
	role, args := args[0], append(args[1:], "", "")
	switch role {
	case roleChild:
		return beChild(args[0], args[1])
	case roleBareNode:
		return play(args[0], beBareNode)
	case roleSupervisor:
		return play(args[0], beBareSuper)
	}
	return fmt.Errorf("cannot play %q: no such part", role)
}

// play runs a part with the settings in its argument.
func play[C any](arg string, part func(C) error) error {
	var cfg C
	if err := json.Unmarshal([]byte(arg), &cfg); err != nil {
		return fmt.Errorf("cannot read the part's settings: %w", err)
	}
	return part(cfg)
}
