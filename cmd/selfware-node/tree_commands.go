package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cmd/selfware-node/show"
	"github.com/selfware/selfware/spec"
	"github.com/selfware/selfware/supervisor"
)

func (a *app) treeCommands() []*cli.Command {
	timeout := func() cli.Flag {
		return &cli.DurationFlag{Name: "timeout", Value: time.Minute, Usage: "how `LONG` --wait waits"}
	}
	return []*cli.Command{
		{
			Name: "validate", Usage: "check tree files, without a node", Category: catTree, ArgsUsage: "FILE...",
			Flags: []cli.Flag{jsonFlag()}, Action: validate,
		},
		{
			Name: "plan", Usage: "show what applying a tree file would change", Category: catTree, ArgsUsage: "FILE",
			Flags: []cli.Flag{jsonFlag()}, Action: speak(plan),
		},
		{
			Name: "apply", Usage: "make the cluster run a tree file, or the changes in it", Category: catTree, ArgsUsage: "FILE",
			Description: "   FILE may be - for standard input.",
			Flags:       []cli.Flag{waitFlag("wait until the tree has settled, an update included; fail if it does not"), timeout(), tagFlag()},
			Action:      speak(apply),
		},
		{
			Name: "delete", Usage: "stop a tree and forget it", Category: catTree, ArgsUsage: "TREE",
			Flags:  []cli.Flag{waitFlag("wait until all of it has stopped"), timeout(), tagFlag()},
			Action: speak(deleteTree),
		},
		a.rolloutCommands(),
		{
			Name: "schema", Usage: "print the JSON Schema of tree files, for editors", Category: catTree,
			Action: func(c *cli.Context) error {
				_, err := fmt.Fprintf(c.App.Writer, "%s\n", spec.Schema())
				return err
			},
		},
	}
}

func tagFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "if-match", Usage: "do nothing, and fail, unless the tree is the one with this `TAG`, as plan prints it; none: unless there is no such tree",
	}
}

// checked is what validate --json says of one file.
type checked struct {
	File   string        `json:"file"`
	Valid  bool          `json:"valid"`
	Tree   string        `json:"tree,omitempty"`
	Errors []api.Mistake `json:"errors,omitempty"`
}

func validate(c *cli.Context) error {
	var all []checked
	var errs []error
	for _, file := range c.Args().Slice() {
		tree, _, err := treeOf(c, file)
		r := checked{File: file, Tree: tree.Name}
		if r.Valid = err == nil; !r.Valid {
			errs = append(errs, err)
			r.Errors = mistakes(err)
		} else if !c.Bool("json") {
			fmt.Fprintf(c.App.Writer, "%s: tree %s is valid\n", file, r.Tree)
		}
		all = append(all, r)
	}
	if c.Bool("json") {
		if err := printJSON(c, all); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

func mistakes(err error) (all []api.Mistake) {
	var errs spec.Errors
	if !errors.As(err, &errs) {
		return []api.Mistake{{Message: err.Error()}}
	}
	for _, e := range errs {
		all = append(all, api.Mistake{
			Message: e.Msg, Line: e.Line, Column: e.Column, Text: e.Text, Hint: e.Hint, Path: e.Path,
		})
	}
	return all
}

// treeOf reads and checks a tree file, without a node. text is the file as it is.
func treeOf(c *cli.Context, file string) (tree supervisor.Spec, text string, err error) {
	data, err := readFile(c, file, spec.MaxFile)
	if err != nil {
		return tree, "", err
	}
	tree, err = spec.Parse(file, data)
	return tree, string(data), err
}

func plan(c *cli.Context, cl *client.Client) error {
	_, text, err := treeOf(c, c.Args().First())
	if err != nil {
		return err
	}
	p, err := cl.Plan(c.Context, text)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, p)
	}
	show.Plan(c.App.Writer, p, style())
	return nil
}

func style() show.Style { return show.Style{Color: colour(), Now: time.Now()} }

func apply(c *cli.Context, cl *client.Client) error {
	if c.IsSet("timeout") && !c.Bool("wait") {
		return usagef("flag --timeout is of no use without --wait")
	}
	tree, text, err := treeOf(c, c.Args().First())
	if err != nil {
		return err
	}
	done, err := cl.If(c.String("if-match")).Apply(c.Context, tree.Name, text, "")
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, done.Message)
	if !c.Bool("wait") {
		return nil
	}
	return settle(c, cl, tree.Name)
}

func deleteTree(c *cli.Context, cl *client.Client) error {
	if c.IsSet("timeout") && !c.Bool("wait") {
		return usagef("flag --timeout is of no use without --wait")
	}
	name := c.Args().First()
	done, err := cl.If(c.String("if-match")).Delete(c.Context, name)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, done.Message)
	if !c.Bool("wait") {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	for {
		t, err := cl.Tree(ctx, name)
		var p *api.Problem
		if errors.As(err, &p) && p.Code == api.CodeNotFound {
			fmt.Fprintf(c.App.Writer, "tree %s is gone\n", name)
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !pause(ctx, 200*time.Millisecond) {
			return fmt.Errorf("tree %s is not gone after %v: %s", name, c.Duration("timeout"), show.Unsettled(t))
		}
	}
}
