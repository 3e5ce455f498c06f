package main

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/urfave/cli/v2"
)

// moreCommands are added by files of their own.
var moreCommands []*cli.Command

const (
	catNode  = "Nodes"
	catTree  = "Trees"
	catLook  = "Look"
	catRaft  = "Cluster"
	catOther = "Other"
)

const commandHelp = `{{.HelpName}} - {{.Usage}}

USAGE:
   {{.HelpName}}{{if .VisibleFlags}} [flags]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}{{if .VisibleFlags}}
FLAGS:{{range .VisibleFlags}}
   {{.}}{{end}}
{{end}}
Every command takes --data DIR or --api URL to say which node is meant.
`

// app is what the commands share.
type app struct {
	sig *signals
}

func newApp(sig *signals) *cli.App {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true}
	cli.HelpFlag = &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show help", DisableDefaultText: true}
	cli.VersionPrinter = func(c *cli.Context) { fmt.Fprintln(c.App.Writer, version) }
	a := &app{sig: sig}
	commands := slices.Concat(a.nodeCommands(), a.treeCommands(), a.policyCommands(), a.simulateCommands(), a.lookCommands(),
		a.changeCommands(), a.raftCommands(), a.replayCommands(), a.otherCommands(), moreCommands)
	prepare(commands)
	return &cli.App{
		Name: "selfware-node", HelpName: "selfware-node",
		Usage:   "keeps programs running on many machines, as OTP supervisors do",
		Version: version,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "data", Usage: "data `DIR` of the node on this machine [$SELFWARE_DATA]"},
			&cli.StringFlag{Name: "api", Usage: "API of any node, as `URL` or host:port [$SELFWARE_API]"},
		},
		Commands:                  commands,
		HideHelpCommand:           true,
		DisableSliceFlagSeparator: true,
		OnUsageError:              badUsage,
		ExitErrHandler:            func(*cli.Context, error) {}, // report does it
	}
}

// prepare gives every command what cli does not hand down.
func prepare(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = true
		c.OnUsageError = badUsage
		if len(c.Subcommands) == 0 {
			c.CustomHelpTemplate = commandHelp
		}
		prepare(c.Subcommands)
	}
}

// badUsage: a value that its flag does not take.
func badUsage(_ *cli.Context, err error, _ bool) error { return usageError{err.Error()} }

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON", DisableDefaultText: true}
}

func staleFlag() cli.Flag {
	return &cli.BoolFlag{Name: "stale", Usage: "ask the node's own replica alone: at once, perhaps out of date", DisableDefaultText: true}
}

func waitFlag(usage string) cli.Flag {
	return &cli.BoolFlag{Name: "wait", Usage: usage, DisableDefaultText: true}
}

func logLevelFlag() cli.Flag {
	return &cli.StringFlag{Name: "log-level", Value: "info", Usage: "`LEVEL` of the log on stderr: debug, info, warn or error"}
}

// logger is the log of a running node.
func logger(c *cli.Context) (*slog.Logger, error) { return loggerOf(c.String("log-level")) }
