package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cmd/selfware-node/show"
)

func yesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask", DisableDefaultText: true}
}

func (a *app) raftCommands() []*cli.Command {
	return []*cli.Command{{
		Name: "raft", Usage: "look at the log's voters, hand leadership over, save and restore the state", Category: catRaft,
		Subcommands: []*cli.Command{
			{
				Name: "peers", Usage: "list the servers of the log", Flags: []cli.Flag{jsonFlag(), staleFlag()},
				Action: speak(showPeers),
			},
			{
				Name: "transfer", Usage: "hand leadership to another voter", ArgsUsage: "[NODE]",
				Action: write(func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error) {
					return cl.Transfer(ctx, c.Args().First())
				}),
			},
			{
				Name: "snapshot", Usage: "save and restore the whole state",
				Subcommands: []*cli.Command{
					{Name: "save", Usage: "write the state to a file", ArgsUsage: "FILE", Action: speak(saveSnapshot)},
					{
						Name: "restore", Usage: "put a saved state back, on all nodes", ArgsUsage: "FILE",
						Flags: []cli.Flag{yesFlag()}, Action: speak(restoreSnapshot),
					},
				},
			},
		},
	}}
}

func showPeers(c *cli.Context, cl *client.Client) error {
	peers, err := cl.Peers(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, peers)
	}
	show.Peers(c.App.Writer, peers, style())
	return nil
}

func saveSnapshot(c *cli.Context, cl *client.Client) error {
	var b bytes.Buffer
	if err := cl.SaveSnapshot(c.Context, &b); err != nil {
		return err
	}
	file := c.Args().First()
	if file == "-" {
		_, err := b.WriteTo(c.App.Writer)
		return err
	}
	size := b.Len()
	if err := writeAtomically(file, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s holds the state of the cluster (%d bytes)\n", file, size)
	return nil
}

func restoreSnapshot(c *cli.Context, cl *client.Client) error {
	data, err := readFile(c, c.Args().First(), api.MaxSnapshot)
	if err != nil {
		return err
	}
	if _, err := api.OpenSnapshot(data); err != nil {
		return err
	}
	if err := confirm(c, "All nodes go back to the saved state; what happened since is forgotten. Go on?"); err != nil {
		return err
	}
	done, err := cl.RestoreSnapshot(c.Context, bytes.NewReader(data))
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, done.Message)
	return nil
}
