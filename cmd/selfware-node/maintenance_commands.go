package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
)

func whyFlag() cli.Flag {
	return &cli.StringFlag{Name: "why", Usage: "`REASON`, for the record that why and events show"}
}

func pauseCommand() *cli.Command {
	return &cli.Command{
		Name: "pause", Usage: "begin nothing of a child, a supervisor or a tree until resume; what runs goes on", Category: catTree, ArgsUsage: "PATH",
		Description: "   What ends meanwhile, or is lost with its node, is neither restarted nor moved nor charged, and\n" +
			"   nothing gives up. stop, delete, apply and reset work on it; start, restart and move do not.",
		Flags: []cli.Flag{whyFlag()},
		Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
			return cl.Pause(ctx, c.Args().First(), c.String("why"))
		}),
	}
}

func resumeCommand() *cli.Command {
	return &cli.Command{
		Name: "resume", Usage: "end a pause: start what should run and does not, uncharged", Category: catTree, ArgsUsage: "PATH",
		Flags: []cli.Flag{whyFlag()},
		Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
			return cl.Resume(ctx, c.Args().First(), c.String("why"))
		}),
	}
}

func resetCommand() *cli.Command {
	return &cli.Command{
		Name: "reset", Usage: "forget the restarts charged to a child, or to all of a supervisor or a tree", Category: catTree, ArgsUsage: "PATH",
		Description: "   Its next crash counts as the first again, for max_restarts, back-off and move_after. What is\n" +
			"   held back for nodes that are cut off stays so, and nothing starts: see start.",
		Flags: []cli.Flag{whyFlag()},
		Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
			return cl.Reset(ctx, c.Args().First(), c.String("why"))
		}),
	}
}
