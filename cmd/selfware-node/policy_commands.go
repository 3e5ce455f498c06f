package main

import (
	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/cmd/selfware-node/show"
	"github.com/selfware/selfware/simulate"
)

func (a *app) policyCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "policy", Usage: "look at restart policies, without a node", Category: catTree,
			Subcommands: []*cli.Command{{
				Name: "explain", Usage: "show when a child that keeps crashing restarts, moves and gives up, and what follows", ArgsUsage: "FILE [PATH]",
				Description: "   FILE is a tree file, - for standard input; PATH a child, or a supervisor for all below it.\n" +
					"   The schedule is what the real supervisor does, run on virtual time.",
				Flags: []cli.Flag{jsonFlag()}, Action: explainPolicy,
			}},
		},
	}
}

func explainPolicy(c *cli.Context) error {
	tree, _, err := treeOf(c, c.Args().First())
	if err != nil {
		return err
	}
	schedules, err := simulate.Explain(tree, c.Args().Get(1))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, schedules)
	}
	show.Schedules(c.App.Writer, schedules, style())
	return nil
}
