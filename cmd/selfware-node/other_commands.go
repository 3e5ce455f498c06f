package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/cmd/selfware-node/dev"
	"github.com/selfware/selfware/cmd/selfware-node/recovery"
)

func (a *app) otherCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "dev", Usage: "run several nodes on this machine, to try it out; Ctrl-C leaves nothing behind", Category: catNode,
			ArgsUsage: "[TREE.yaml]",
			Flags: []cli.Flag{
				&cli.IntFlag{Name: "nodes", Value: 3, Usage: "how `MANY` nodes"},
				&cli.StringFlag{Name: "profile", Value: "fast", Usage: "`NAME` of the times to use: lan, fast or wan"},
				&cli.StringFlag{Name: "data", Usage: "`DIR` to keep the nodes' data in (default: a temporary one)"},
				&cli.BoolFlag{Name: "no-restart", Usage: "leave nodes that end as they are", DisableDefaultText: true},
				logLevelFlag(),
			},
			Action: a.dev,
		},
		{
			Name: "recover", Usage: "go on after a majority of voters is lost for good, from a data dir of a stopped node", Category: catRaft,
			ArgsUsage: "[OTHER-DIR...]",
			Description: "   Shows what would be lost, asks, and makes the node of --data the only voter.\n" +
				"   Further data dirs (OTHER-DIR, or --data again) show which node reaches furthest.",
			Flags: []cli.Flag{
				&cli.StringSliceFlag{Name: "data", Usage: "data `DIR` of the node to recover; others may follow"},
				yesFlag(), &cli.BoolFlag{Name: "force", Usage: "even if it is not needed, or loses more than it must", DisableDefaultText: true},
				&cli.BoolFlag{Name: "json", Usage: "print what the dirs hold as JSON, and change nothing", DisableDefaultText: true},
			},
			Action: recoverCluster,
		},
		completionCommand(), completeCommand(),
		{
			Name: "version", Usage: "print the version", Category: catOther, Flags: []cli.Flag{jsonFlag()},
			Action: func(c *cli.Context) error {
				if c.Bool("json") {
					return printJSON(c, map[string]string{"version": version, "go": runtime.Version()})
				}
				_, err := fmt.Fprintln(c.App.Writer, version)
				return err
			},
		},
	}
}

func (a *app) dev(c *cli.Context) error {
	if _, err := logger(c); err != nil {
		return err
	}
	if p := c.String("profile"); !slices.Contains([]string{"lan", "fast", "wan"}, p) {
		return usagef("cannot use --profile %q: lan, fast or wan", p)
	}
	if n := c.Int("nodes"); n < 1 {
		return usagef("cannot use --nodes %d: at least 1", n)
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the own binary: %w", err)
	}
	cfg := dev.Config{
		Binary: binary, Called: called(), Nodes: c.Int("nodes"), Profile: c.String("profile"), Data: c.String("data"),
		NoRestart: c.Bool("no-restart"), LogLevel: c.String("log-level"), Out: c.App.Writer, Color: colour(),
		AtOnce: a.sig.second(),
	}
	if file := c.Args().First(); file != "" {
		tree, text, err := treeOf(c, file)
		if err != nil {
			return err
		}
		cfg.TreeName, cfg.Tree = tree.Name, text
	}
	return dev.Run(c.Context, cfg)
}

// called is how the user can call this program again.
func called() string {
	if name := os.Args[0]; filepath.Base(name) != name {
		return name
	}
	return "selfware-node"
}

func recoverCluster(c *cli.Context) error {
	dirs := c.StringSlice("data")
	if len(dirs) == 0 {
		dir, err := dataDir(c)
		if err != nil {
			return err
		}
		dirs = []string{dir}
	}
	r, err := recovery.Read(append(dirs, c.Args().Slice()...))
	if c.Bool("json") {
		return errors.Join(printJSON(c, r), err)
	}
	if err != nil {
		return err
	}
	r.Print(c.App.Writer)
	if err := r.Check(); err != nil && !c.Bool("force") {
		return fmt.Errorf("not recovered: %w", err)
	}
	if err := confirm(c, fmt.Sprintf("Make %s the only voter?", r.Dirs[0].Node)); err != nil {
		return err
	}
	if err := r.Write(); err != nil {
		return err
	}
	_, err = io.WriteString(c.App.Writer, "Recovered. Run it:\n  selfware-node run --data "+r.Dirs[0].Path+
		"\nThen let every other node join again, each with an empty data dir.\n")
	return err
}
