package main

import (
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/cmd/selfware-node/show"
	"github.com/selfware/selfware/simulate"
	"github.com/selfware/selfware/spec"
)

func (a *app) simulateCommands() []*cli.Command {
	return []*cli.Command{{
		Name: "simulate", Usage: "show what a tree would do when things go wrong, without a node", Category: catTree, ArgsUsage: "FILE",
		Description: "   Runs the real supervisors and the real placement on virtual time. FILE is a tree file. A plan of\n" +
			"   faults is a list such as\n" +
			"     - {at: 10s, node: n2, down: 30s}\n" +
			"     - {at: 20s, crash: shop/web/*, times: 3, every: 100ms}\n" +
			"     - {at: 1m, partition: [n1, n2], for: 20s}\n" +
			"     - {at: 2m, leader: down, for: 10s}\n" +
			"     - {at: 3m, drain: n3}",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "nodes", Value: 3, Usage: "how `MANY` nodes: n1, n2, …"},
			&cli.StringFlag{Name: "faults", Usage: "the `FILE` with the plan of faults"},
			&cli.IntFlag{Name: "random", Usage: "draw `N` faults instead"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "`NUMBER` to draw the faults from"},
			&cli.BoolFlag{Name: "plan", Usage: "print the plan of --random as a file for --faults, and do no more", DisableDefaultText: true},
			&cli.StringFlag{Name: "profile", Value: "lan", Usage: "`NAME` of the cluster's times: lan, fast or wan"},
			&cli.StringFlag{Name: "delays", Value: "worst", Usage: "`WHICH` delays of the profile: worst or typical"},
			&cli.DurationFlag{Name: "for", Value: 10 * time.Minute, Usage: "how `LONG`"},
			&cli.StringSliceFlag{Name: "label", Usage: "`NODE:KEY=VALUE` that placement looks at; may be repeated"},
			jsonFlag(),
		},
		Action: runSimulation,
	}}
}

func runSimulation(c *cli.Context) error {
	cfg, err := simulationOf(c)
	if err != nil {
		return err
	}
	if cfg.Faults, err = faultsOf(c, cfg); err != nil {
		return err
	}
	if c.Bool("plan") {
		_, err := c.App.Writer.Write(spec.FormatFaults(cfg.Faults))
		return err
	}
	r, err := simulate.Run(cfg)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, r)
	}
	show.Simulation(c.App.Writer, r, style())
	return nil
}

func simulationOf(c *cli.Context) (simulate.Config, error) {
	cfg := simulate.Config{Nodes: c.Int("nodes"), Profile: c.String("profile"), For: c.Duration("for")}
	switch c.String("delays") {
	case "worst":
	case "typical":
		cfg.Typical = true
	default:
		return cfg, usagef("cannot use --delays %q: worst or typical", c.String("delays"))
	}
	var err error
	if cfg.Tree, _, err = treeOf(c, c.Args().First()); err != nil {
		return cfg, err
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usagef("%v", err)
	}
	cfg.Labels, err = nodeLabels(c.StringSlice("label"), simulate.NodeNames(cfg.Nodes))
	return cfg, err
}

// nodeLabels reads labels of nodes, NODE:KEY=VALUE each.
func nodeLabels(texts, nodes []string) (map[string]map[string]string, error) {
	labels := make(map[string]map[string]string)
	for _, text := range texts {
		node, label, ok := strings.Cut(text, ":")
		key, value, has := strings.Cut(label, "=")
		switch {
		case !ok || !has || key == "":
			return nil, usagef("cannot use --label %q: write NODE:KEY=VALUE, such as n1:disk=ssd", text)
		case !slices.Contains(nodes, node):
			return nil, usagef("cannot use --label %q: there are the nodes %s", text, strings.Join(nodes, ", "))
		case labels[node] == nil:
			labels[node] = make(map[string]string)
		}
		labels[node][key] = value
	}
	return labels, nil
}

// faultsOf reads the plan, or draws it.
func faultsOf(c *cli.Context, cfg simulate.Config) ([]spec.Fault, error) {
	file, n := c.String("faults"), c.Int("random")
	switch {
	case file != "" && c.IsSet("random"):
		return nil, usagef("cannot use --faults and --random at once: the plan is either read or drawn")
	case !c.IsSet("random") && (c.IsSet("seed") || c.Bool("plan")):
		return nil, usagef("flags --seed and --plan are of no use without --random N")
	case c.IsSet("random") && (n < 1 || n > spec.MaxFaults):
		return nil, usagef("cannot draw %d faults: 1 to %d", n, spec.MaxFaults)
	case c.IsSet("random"):
		return simulate.Draw(cfg, c.Uint64("seed"), n), nil
	case file == "":
		return nil, usagef("no faults: give --faults FILE, or --random N to draw some")
	}
	data, err := readFile(c, file, spec.MaxFile)
	if err != nil {
		return nil, err
	}
	return spec.ParseFaults(file, data, simulate.NodeNames(cfg.Nodes), simulate.Workers(cfg.Tree))
}
