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
