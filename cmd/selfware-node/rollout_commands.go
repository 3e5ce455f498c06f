package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cmd/selfware-node/show"
	"github.com/selfware/selfware/supervisor"
)

func (a *app) rolloutCommands() *cli.Command {
	word := func(verb supervisor.RolloutVerb, usage string) *cli.Command {
		return &cli.Command{
			Name: string(verb), Usage: usage, ArgsUsage: "TREE",
			Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
				return cl.Rollout(ctx, verb, c.Args().First())
			}),
		}
	}
	return &cli.Command{
		Name: "rollout", Usage: "pause, resume or take back an update under way (key update)", Category: catTree,
		Subcommands: []*cli.Command{
			word(supervisor.RolloutPause, "let no further child have its turn"),
			word(supervisor.RolloutResume, "go on with an update that is halted"),
			word(supervisor.RolloutRevert, "give the tree its former file back"),
		},
	}
}

// settle waits until a tree has settled. Without a --timeout of its own, the time
// while a rollout is under way does not count: its policy bounds each turn.
func settle(c *cli.Context, cl *client.Client, name string) error {
	limit := c.Duration("timeout")
	ctx, cancel := context.WithCancelCause(c.Context)
	defer cancel(nil)
	over := time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	defer over.Stop()
	return show.Settle(ctx, c.App.Writer, name, style(), func(ctx context.Context) (api.TreeStatus, error) {
		t, err := cl.Tree(ctx, name)
		if err == nil && t.Rollout != nil && len(t.Rollout.Trying) > 0 && !c.IsSet("timeout") {
			over.Reset(limit)
		}
		return t, err
	})
}
