package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/node"
)

const defaultData = "/var/lib/selfware"

const howToPoint = "give --data DIR (or SELFWARE_DATA) with the data dir of a node on this machine, or --api URL (or SELFWARE_API) of any node"

// target is the node a command is about: exactly one field is set.
type target struct{ data, api string }

// findTarget looks at the flags, then at the environment, then where a packaged
// node has its data.
func findTarget(c *cli.Context) (target, error) {
	return pointed(c.String("data"), c.String("api"))
}

func pointed(data, api string) (target, error) {
	t := target{data, api}
	if t.data != "" && t.api != "" {
		return t, usagef("cannot use --data and --api at once: they may name two nodes")
	}
	if t == (target{}) {
		t = target{os.Getenv("SELFWARE_DATA"), os.Getenv("SELFWARE_API")}
		if t.data != "" && t.api != "" {
			return t, usagef("cannot tell which node is meant: SELFWARE_DATA and SELFWARE_API are both set; give --data or --api")
		}
	}
	if t != (target{}) {
		return t, nil
	}
	if _, err := node.Load(defaultData); err == nil {
		return target{data: defaultData}, nil
	}
	return t, usagef("no node to speak to: %s", howToPoint)
}

// dataDir is the data dir of commands that need one.
func dataDir(c *cli.Context) (string, error) {
	if c.String("api") != "" {
		return "", usagef("cannot use --api here: this command works on a data dir; give --data DIR")
	}
	if dir := c.String("data"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("SELFWARE_DATA"); dir != "" {
		return dir, nil
	}
	if _, err := node.Load(defaultData); err == nil {
		return defaultData, nil
	}
	return "", usagef("no data dir: give --data DIR (or SELFWARE_DATA)")
}

// connect makes a client for the node that is meant.
func connect(c *cli.Context) (*client.Client, error) {
	t, err := findTarget(c)
	if err != nil {
		return nil, err
	}
	cl, err := clientOf(t)
	if err == nil && c.Bool("stale") {
		cl = cl.Stale()
	}
	return cl, err
}

func clientOf(t target) (*client.Client, error) {
	cfg := client.Config{API: t.api, By: whoAmI()}
	if t.data != "" {
		if _, err := node.Load(t.data); err != nil {
			return nil, explainDir(t.data, err)
		}
		cfg.Socket = node.Socket(t.data)
	}
	cl, err := client.New(cfg)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return cl, nil
}

// explainDir adds what to do to the error of a dir that is none of ours.
func explainDir(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no data dir (%w); %s", dir, err, howToPoint)
	}
	return err
}

func whoAmI() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// explain adds to an error what to do about it.
func explain(c *cli.Context, err error) error {
	var p *api.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return problem(p)
	case c.Context.Err() != nil:
		return context.Cause(c.Context)
	}
	t, _ := findTarget(c)
	var dial *net.OpError
	switch {
	case !errors.As(err, &dial):
		return err // not of the way to the node: a file, an answer
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED):
		if t.data != "" {
			return fmt.Errorf("the node of %s does not run: start it with `selfware-node run --data %s` (%w)", t.data, t.data, err)
		}
		return fmt.Errorf("no node answers at %s: is it running, and is that its API address? (%w)", t.api, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to use %s: become the user that runs the node, or give --api (%w)", node.Socket(t.data), err)
	}
	return err
}

// problem shows all that a node has to say against a request.
func problem(p *api.Problem) error {
	text := p.Detail
	for _, m := range p.Errors {
		if strings.Contains(text, m.Message) {
			continue
		}
		text += "\n"
		if m.Line > 0 {
			text += fmt.Sprintf("%d:%d: ", m.Line, m.Column)
		}
		text += m.Message
		if m.Hint != "" {
			text += "; " + m.Hint
		}
	}
	return errors.New(text)
}

// speak runs a command that asks the node.
func speak(run func(c *cli.Context, cl *client.Client) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		cl, err := connect(c)
		if err != nil {
			return err
		}
		defer cl.Close()
		return explain(c, run(c, cl))
	}
}

// write runs a command whose answer is one sentence.
func write(run func(ctx context.Context, c *cli.Context, cl *client.Client) (api.Done, error)) cli.ActionFunc {
	return speak(func(c *cli.Context, cl *client.Client) error {
		done, err := run(c.Context, c, cl)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.App.Writer, done.Message)
		return nil
	})
}
