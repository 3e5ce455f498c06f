package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
)

func (a *app) changeCommands() []*cli.Command {
	verb := func(name, usage string, flags ...cli.Flag) *cli.Command {
		return &cli.Command{
			Name: name, Usage: usage, Category: catTree, ArgsUsage: "PATH", Flags: flags,
			Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
				return cl.Verb(ctx, name, c.Args().First(), c.String("to"))
			}),
		}
	}
	return []*cli.Command{
		verb("start", "start a child, a supervisor or a tree that was stopped, or has failed or finished"),
		verb("stop", "stop a child, a supervisor or a tree until it is started again"),
		verb("restart", "stop a child, a supervisor or a tree and start it again"),
		verb("move", "move a child, or what a supervisor holds, to another node",
			&cli.StringFlag{Name: "to", Usage: "`NODE` to move to (default: the best other one)"}),
		pauseCommand(),
		resumeCommand(),
		resetCommand(),
		{
			Name: "scale", Usage: "change the number of instances of a pool", Category: catTree, ArgsUsage: "PATH SIZE",
			Description: "   The last instances stop, or new ones start; the others run on. It holds until the\n" +
				"   size in the tree's file changes: to apply the file for other reasons does not undo it.",
			Action: write(scale),
		},
		{
			Name: "drain", Usage: "move every child off a node, and wait until it is empty", Category: catNode, ArgsUsage: "NODE",
			Flags: []cli.Flag{&cli.DurationFlag{
				Name: "deadline", Value: time.Minute, Usage: "how `LONG` to wait; 0 does not wait",
			}},
			Action: speak(drain),
		},
		{
			Name: "undrain", Usage: "let a drained node take children again", Category: catNode, ArgsUsage: "NODE",
			Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
				return cl.Undrain(ctx, c.Args().First())
			}),
		},
	}
}

func scale(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
	size, err := strconv.Atoi(c.Args().Get(1))
	if err != nil || size < 0 {
		return api.Done{}, usagef("%q is no number of instances", c.Args().Get(1))
	}
	return cl.Scale(ctx, c.Args().First(), size)
}

func drain(c *cli.Context, cl *client.Client) error {
	name, deadline := c.Args().First(), c.Duration("deadline")
	done, err := cl.Drain(c.Context, name)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, done.Message)
	if deadline <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, deadline)
	defer cancel()
	var before []string
	for {
		left, gone, err := childrenOn(ctx, cl, name)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && gone:
			fmt.Fprintf(c.App.Writer, "%s holds no child any more\n", name)
			return nil
		case err == nil && len(left) > 0 && !slices.Equal(left, before):
			fmt.Fprintf(c.App.Writer, "  %d left: %s\n", len(left), brief(left))
			before = left
		}
		if pause(ctx, 200*time.Millisecond) {
			continue
		}
		if c.Context.Err() != nil {
			return context.Cause(c.Context)
		}
		return fmt.Errorf("node %s is not empty after %v, and goes on draining; left there:\n%s", name, deadline, strings.Join(before, "\n"))
	}
}

// childrenOn lists what a node, given by name or id, still holds.
func childrenOn(ctx context.Context, cl *client.Client, key string) (left []string, none bool, err error) {
	st, err := cl.Status(ctx)
	if err != nil {
		return nil, false, err
	}
	none = true
	for _, n := range st.Nodes {
		if n.Name == key || n.ID == key {
			key, none = n.Name, n.Children == 0
			break
		}
	}
	for _, t := range st.Trees {
		for _, ch := range t.Children {
			if !ch.Supervisor && ch.Node == key && ch.PID != 0 {
				left = append(left, fmt.Sprintf("%s (%s)", ch.Path, ch.Status))
			}
		}
	}
	return left, none && len(left) == 0, nil
}

func brief(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
