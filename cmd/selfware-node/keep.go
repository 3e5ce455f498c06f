package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/keeper"
	"github.com/selfware/selfware/node"
	"github.com/selfware/selfware/runner"
)

// exitCode is that of a node whose agent has told why it ended.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("the node has ended with code %d", int(e)) }

// keep runs the keeper of a node, of which everything else is an agent. words are
// the data dir and the log level: what the binary of an upgrade must know.
func keep(ctx context.Context, words []string) error {
	if len(words) < 2 {
		return errors.New("cannot go on as keeper: the binary before said too little")
	}
	dir, level := words[0], words[1]
	log, err := loggerOf(level)
	if err != nil {
		return err
	}
	code, err := keeper.Run(ctx, keeper.Config{
		Dir: dir, Version: version, Words: words, Agent: []string{os.Args[0], "agent", "--data", dir, "--log-level", level},
		Logger: log.With("part", "keeper"),
	})
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

func agentCommand() *cli.Command {
	return &cli.Command{
		Name: "agent", Usage: "be the agent of a node, whose keeper starts it", Hidden: true,
		Flags: []cli.Flag{logLevelFlag()}, Action: runAgent,
	}
}

// runAgent runs all of a node but its keeper, until a signal.
func runAgent(c *cli.Context) error {
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	log, err := logger(c)
	if err != nil {
		return err
	}
	fd, ok := keeper.Connection()
	if !ok {
		return usagef("an agent is started by its keeper alone: use `selfware-node run`")
	}
	k, err := runner.Attach(fd)
	if err != nil {
		return err
	}
	n, err := node.Open(dir, node.Config{Logger: log, Version: version, Keeper: k})
	if err == nil {
		err = n.Run(c.Context)
	}
	if err != nil {
		k.LastWord(err)
	}
	return err
}

func upgradeCommand() *cli.Command {
	return &cli.Command{
		Name: "upgrade", Usage: "replace the running program of a node by another version of it, under its children", Category: catNode,
		Description: "   The node takes over the new binary in place: the same process, and no child is\n" +
			"   restarted or signalled. For a few hundred milliseconds it takes no orders.\n" +
			"   If the new program does not start, or not for long, the node goes back to the one\n   before.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "binary", Usage: "`PATH` of the new program (default: this one)"}},
		Action: func(c *cli.Context) error {
			dir, err := dataDir(c)
			if err != nil {
				return err
			}
			if _, err := node.Load(dir); err != nil {
				return explainDir(dir, err)
			}
			binary := c.String("binary")
			if binary == "" {
				if binary, err = os.Executable(); err != nil {
					return fmt.Errorf("cannot find the own binary: %w", err)
				}
			}
			if err := keeper.Upgrade(dir, binary); err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "The node of %s runs %s now.\n", dir, binary)
			return nil
		},
	}
}

// loggerOf is the log of a running node.
func loggerOf(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("cannot use --log-level %s: debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}
