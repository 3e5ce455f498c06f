package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/cmd/selfware-node/replay"
	"github.com/selfware/selfware/cmd/selfware-node/show"
)

func (a *app) replayCommands() []*cli.Command {
	return []*cli.Command{{
		Name: "replay", Usage: "show what the log of a stopped node led to, or would have with other restart policies", Category: catRaft,
		ArgsUsage: "[DIR]",
		Description: "   DIR (or --data) is the data dir of a stopped node; it is not changed. With --policy the same events go through\n" +
			"   the tree with the policies of another file, and what would have been decided otherwise is marked.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "log", Usage: "read this `FILE` instead, a raft.db beside its snapshots"},
			&cli.Uint64Flag{Name: "index", Usage: "show the log entry `N` only"},
			&cli.StringFlag{Name: "path", Usage: "show the child or supervisor `PATH`, and what is below it, only"},
			&cli.StringFlag{Name: "policy", Usage: "compare with the restart policies of the tree in this `FILE`"},
			jsonFlag(),
		},
		Action: replayLog,
	}}
}

func replayLog(c *cli.Context) error {
	cfg, err := replayed(c)
	if err != nil {
		return err
	}
	if file := c.String("policy"); file != "" {
		tree, _, err := treeOf(c, file)
		if err != nil {
			return err
		}
		cfg.Policy = &tree
	}
	r, err := replay.Read(cfg)
	if err != nil {
		return err
	}
	r.Lines = slices.DeleteFunc(r.Lines, func(l replay.Line) bool {
		path := c.String("path")
		return c.IsSet("index") && l.Index != c.Uint64("index") ||
			path != "" && l.Path != path && !strings.HasPrefix(l.Path, path+"/")
	})
	if c.Bool("json") {
		return printJSON(c, r)
	}
	show.Replay(c.App.Writer, r, style())
	return nil
}

// replayed says which log is meant: DIR, --log, or the data dir that other commands
// would take.
func replayed(c *cli.Context) (cfg replay.Config, err error) {
	given := 0
	for _, text := range []string{c.Args().First(), c.String("log"), c.String("data")} {
		if text != "" {
			given++
		}
	}
	cfg = replay.Config{Dir: c.Args().First(), Log: c.String("log")}
	switch {
	case given > 1:
		return cfg, usagef("cannot use DIR, --log and --data at once: one says which log")
	case cfg.Dir == "" && cfg.Log == "":
		cfg.Dir, err = dataDir(c)
	}
	return cfg, err
}
