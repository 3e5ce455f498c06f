package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cmd/selfware-node/show"
	"github.com/selfware/selfware/spec"
)

// eventPage is how many events are asked for at once.
const eventPage = 500

func (a *app) lookCommands() []*cli.Command {
	follow := func(usage string) cli.Flag {
		return &cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: usage, DisableDefaultText: true}
	}
	return []*cli.Command{
		{
			Name: "status", Usage: "show the cluster: its nodes and its trees", Category: catLook,
			Flags: []cli.Flag{jsonFlag(), staleFlag()}, Action: speak(showStatus),
		},
		{
			Name: "tree", Usage: "show supervision trees, with supervisors and strategies", Category: catLook, ArgsUsage: "[TREE]",
			Flags: []cli.Flag{jsonFlag(), staleFlag()}, Action: speak(showTree),
		},
		{
			Name: "nodes", Usage: "list the nodes", Category: catLook,
			Flags: []cli.Flag{jsonFlag(), staleFlag()}, Action: speak(showNodes),
		},
		{
			Name: "events", Usage: "list what was decided, or follow it as it happens", Category: catLook,
			Description: "   With --json each event is one line of JSON.",
			Flags: []cli.Flag{
				follow("go on with what happens from now on"),
				&cli.StringFlag{Name: "since", Usage: "begin after this log `INDEX` (or INDEX.N); 0 is the beginning (default: the latest 100)"},
				jsonFlag(), staleFlag(),
			},
			Action: speak(showEvents),
		},
		{
			Name: "why", Usage: "explain the state of a child: the decisions that led to it", Category: catLook, ArgsUsage: "PATH",
			Flags: []cli.Flag{jsonFlag(), staleFlag()}, Action: speak(showWhy),
		},
		{
			Name: "explain", Usage: "say how long each fault may keep children from running, and why", Category: catLook, ArgsUsage: "[PATH]",
			Description: "   PATH is a child, a supervisor or a tree; all trees if it is left out. With --file no\n" +
				"   node is asked: the tree is read from the file.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "file", Usage: "explain the tree in this `FILE`, without a node"},
				&cli.StringFlag{Name: "profile", Value: "lan", Usage: "`NAME` of the cluster's times, for --file: lan, fast or wan"},
				jsonFlag(), staleFlag(),
			},
			Action: showExplanation,
		},
		{
			Name: "logs", Usage: "print what a child has written, wherever it runs", Category: catLook, ArgsUsage: "PATH",
			Flags: []cli.Flag{
				follow("go on with what is written from now on"),
				&cli.IntFlag{Name: "tail", Value: 100, Usage: "`LINES` of each stream to begin with"},
				&cli.StringFlag{Name: "stream", Value: "both", Usage: "`NAME` of the stream: stdout, stderr or both"},
				&cli.StringFlag{Name: "node", Usage: "read what an earlier life left on that `NODE`"},
				jsonFlag(),
			},
			Action: speak(showLogs),
		},
	}
}

func showStatus(c *cli.Context, cl *client.Client) error {
	st, err := cl.Status(c.Context)
	if err != nil {
		return err
	}
	if !c.Bool("stale") {
		hear(c.Context, cl, st.Nodes, st.Trees)
	}
	if c.Bool("json") {
		return printJSON(c, st)
	}
	show.Status(c.App.Writer, st, style())
	return nil
}

func showTree(c *cli.Context, cl *client.Client) error {
	names := c.Args().Slice()
	if len(names) == 0 {
		trees, err := cl.Trees(c.Context)
		if err != nil {
			return err
		}
		for _, t := range trees {
			names = append(names, t.Name)
		}
	}
	trees := []api.TreeStatus{}
	for _, name := range names {
		t, err := cl.Tree(c.Context, name)
		var p *api.Problem
		if errors.As(err, &p) && p.Code == api.CodeNotFound && !c.Args().Present() {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		trees = append(trees, t)
	}
	if nodes, err := cl.Nodes(c.Context); err == nil && !c.Bool("stale") {
		hear(c.Context, cl, nodes, trees)
	}
	if c.Bool("json") {
		return printJSON(c, trees)
	}
	for i := range trees {
		trees[i].Children = slices.Insert(trees[i].Children, 0, root(c.Context, cl, trees[i]))
	}
	show.Trees(c.App.Writer, trees, style())
	return nil
}

// root is the tree's own supervisor. Its strategy stands in the tree's file.
func root(ctx context.Context, cl *client.Client, t api.TreeStatus) api.ChildStatus {
	r := api.ChildStatus{Path: t.Name, Supervisor: true, Status: t.Status}
	if text, err := cl.Spec(ctx, t.Name); err == nil {
		if s, err := spec.Parse(t.Name, []byte(text)); err == nil {
			r.Strategy = string(s.Strategy)
		}
	}
	return r
}

func showNodes(c *cli.Context, cl *client.Client) error {
	nodes, err := cl.Nodes(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, nodes)
	}
	show.Nodes(c.App.Writer, nodes, style())
	return nil
}

func showWhy(c *cli.Context, cl *client.Client) error {
	y, err := cl.Why(c.Context, c.Args().First())
	if err != nil {
		return err
	}
	if !c.Bool("stale") {
		hearOne(c.Context, cl, &y.Child)
	}
	if c.Bool("json") {
		return printJSON(c, y)
	}
	show.Why(c.App.Writer, y, style())
	return nil
}

func showExplanation(c *cli.Context) error {
	if c.String("file") != "" {
		e, err := explainFile(c)
		if err != nil {
			return err
		}
		return printExplanation(c, e)
	}
	if c.IsSet("profile") {
		return usagef("cannot use --profile without --file: the cluster has its own")
	}
	return speak(func(c *cli.Context, cl *client.Client) error {
		e, err := cl.Explain(c.Context, c.Args().First())
		if err != nil {
			return err
		}
		return printExplanation(c, e)
	})(c)
}

// explainFile explains a tree that no cluster runs.
func explainFile(c *cli.Context) (e api.Explanation, err error) {
	tree, _, err := treeOf(c, c.String("file"))
	if err != nil {
		return e, err
	}
	under := cmp.Or(c.Args().First(), tree.Name)
	if e, err = api.Explain(c.String("profile"), tree, under); err == nil && len(e.Children) == 0 {
		err = fmt.Errorf("cannot explain %s: the tree in %s has no worker there", under, c.String("file"))
	}
	return e, err
}

func printExplanation(c *cli.Context, e api.Explanation) error {
	if c.Bool("json") {
		return printJSON(c, e)
	}
	show.Explanation(c.App.Writer, e, style())
	return nil
}

func showEvents(c *cli.Context, cl *client.Client) error {
	since := c.String("since")
	if since != "" && !isPosition(since) {
		return usagef("cannot use --since %q: write a log index, such as 1042, or INDEX.N", since)
	}
	s := style()
	emit := func(e api.Event) error {
		if c.Bool("json") {
			return printLine(c, e)
		}
		show.Event(c.App.Writer, e, s)
		return nil
	}
	if since != "" && c.Bool("follow") {
		return ended(c, cl.Follow(c.Context, since, emit))
	}
	last, err := pastEvents(c.Context, cl, since, emit)
	if err != nil || !c.Bool("follow") {
		return err
	}
	return ended(c, cl.Follow(c.Context, last, emit))
}

// pastEvents gives the events after a position (empty: the latest hundred) and
// the position of the last.
func pastEvents(ctx context.Context, cl *client.Client, since string, emit func(api.Event) error) (last string, err error) {
	limit := eventPage
	if last = since; since == "" {
		limit = 0
	}
	for {
		events, err := cl.Events(ctx, last, limit)
		if err != nil {
			return last, err
		}
		for _, e := range events {
			if err := emit(e); err != nil {
				return last, err
			}
			last = fmt.Sprintf("%d.%d", e.Index, e.N)
		}
		if since == "" || len(events) < limit {
			return last, nil
		}
	}
}

func isPosition(s string) bool {
	index, n, dotted := strings.Cut(s, ".")
	if _, err := strconv.ParseUint(index, 10, 64); err != nil {
		return false
	}
	_, err := strconv.ParseUint(n, 10, 31)
	return !dotted || err == nil
}

// ended: following until the user ends it is what was asked for.
func ended(c *cli.Context, err error) error {
	if c.Context.Err() != nil {
		return nil
	}
	return err
}

func showLogs(c *cli.Context, cl *client.Client) error {
	opt := client.LogOptions{Follow: c.Bool("follow"), Tail: c.Int("tail"), Stream: c.String("stream"), Node: c.String("node")}
	switch {
	case opt.Stream != "stdout" && opt.Stream != "stderr" && opt.Stream != "both":
		return usagef("cannot use --stream %q: stdout, stderr or both", opt.Stream)
	case opt.Tail < 0:
		return usagef("cannot use --tail %d: a number of lines, at least 0", opt.Tail)
	case opt.Tail == 0:
		opt.Tail = -1 // none, where 0 would mean the default
	}
	err := cl.Logs(c.Context, c.Args().First(), opt, func(l api.LogLine) error {
		if c.Bool("json") {
			return printLine(c, l)
		}
		_, err := fmt.Fprintln(c.App.Writer, l.Text)
		return err
	})
	if opt.Follow {
		return ended(c, err)
	}
	return err
}
