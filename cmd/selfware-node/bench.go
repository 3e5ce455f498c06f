package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/bench"
)

func init() {
	moreCommands = append(moreCommands, &cli.Command{
		Name: "bench", Usage: "measure three nodes on this machine, each figure beside a floor", Category: catOther,
		ArgsUsage: "[ROW...]",
		Description: "ROW is one of the letters that `selfware-node bench list` explains, or all, which takes some\n" +
			"minutes. It starts processes on loopback addresses (127.0.91.1 and on, ports 7400 to 7402) and ends\n" +
			"them all.",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.StringFlag{Name: "markdown", Usage: "put the table into `FILE`, between its marks"},
			&cli.StringFlag{Name: "child", Usage: "supervise `PROGRAM` instead of the built-in child (its protocol: package bench)"},
		},
		Action: runBench,
	}, &cli.Command{
		Name: bench.Hidden, Hidden: true, ArgsUsage: "ROLE [ARG...]",
		Action: func(c *cli.Context) error { return bench.Part(c.Args().Slice()) },
	})
}

func runBench(c *cli.Context) error {
	if c.NArg() == 1 && c.Args().First() == "list" {
		return bench.List(c.App.Writer)
	}
	report, err := bench.Run(c.Context, bench.Config{Rows: c.Args().Slice(), Child: c.String("child"), Progress: os.Stderr})
	switch {
	case errors.Is(err, bench.ErrRow):
		return usageError{err.Error()}
	case err != nil:
		return err
	}
	if path := c.String("markdown"); path != "" {
		if err := report.WriteMarkdown(path); err != nil {
			return err
		}
	}
	show := report.Text
	if c.Bool("json") {
		show = report.JSON
	}
	if err := show(c.App.Writer); err != nil {
		return err
	}
	if n := report.Missed(); n > 0 {
		fmt.Fprintf(os.Stderr, "goals missed: %d\n", n)
	}
	return nil
}
