package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/cmd/selfware-node/knock"
	"github.com/selfware/selfware/node"
)

// tokenPatience is how long --token-file waits for the file.
const tokenPatience = 60 * time.Second

func (a *app) nodeCommands() []*cli.Command {
	tokenFile := func(usage string) cli.Flag { return &cli.StringFlag{Name: "token-file", Usage: usage} }
	return []*cli.Command{
		{
			Name: "init", Usage: "begin a cluster: prepare the data dir of its first node, and run it", Category: catNode,
			Description: "   A prepared data dir is taken as it is, so the same command resumes a node.",
			Flags:       append(settingsFlags(), tokenFile("write the join token to `FILE` too (mode 0600)")),
			Action:      a.initNode,
		},
		{
			Name: "join", Usage: "join a cluster through any node of it: prepare a data dir, and run the node", Category: catNode,
			ArgsUsage: "ADDR",
			Description: "   ADDR is a host, or host:port with the cluster port (7401) of a node there.\n" +
				"   A prepared data dir is taken as it is, so the same command resumes a node.",
			Flags: append(settingsFlags(),
				&cli.StringFlag{Name: "token", Usage: "join `TOKEN` that \"selfware-node token\" prints there [$SELFWARE_TOKEN]"},
				tokenFile("read the token from `FILE`, waiting up to a minute for it to appear"),
				&cli.DurationFlag{Name: "wait", Value: time.Minute, Usage: "how `LONG` to knock while nobody answers at ADDR"}),
			Action: a.joinNode,
		},
		{
			Name: "run", Usage: "run the node of a prepared data dir", Category: catNode,
			Flags:  []cli.Flag{logLevelFlag()},
			Action: func(c *cli.Context) error { return a.start(c) },
		},
		agentCommand(),
		upgradeCommand(),
		{
			Name: "token", Usage: "print the token that other nodes join with", Category: catNode,
			Flags: []cli.Flag{jsonFlag()}, Action: printToken,
		},
		{
			Name: "leave", Usage: "take a node out of the cluster for good (default: the node of --data)", Category: catNode,
			ArgsUsage: "[NODE]",
			Action:    speak(leave),
		},
	}
}

func settingsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "`NAME` of the node (default: the host's)"},
		&cli.StringFlag{Name: "bind", Usage: "`IP` to listen on (default: 127.0.0.1)"},
		&cli.StringFlag{Name: "advertise", Usage: "`ADDRESS` that other nodes use (default: --bind, or found at each start)"},
		&cli.StringFlag{Name: "profile", Usage: "`NAME` of the times to use: lan, fast or wan (default: lan)"},
		&cli.StringSliceFlag{Name: "label", Usage: "label `KEY=VALUE` that trees may ask for; may be repeated"},
		&cli.StringFlag{Name: "cpu", Usage: "`CORES` to give to children, such as 4 or 1500m (default: all)"},
		&cli.StringFlag{Name: "memory", Usage: "`BYTES` to give to children, such as 8GiB (default: all)"},
		&cli.IntFlag{Name: "port", Usage: "gossip `PORT`; the cluster's and the API's are the next two (default: 7400)"},
		&cli.BoolFlag{Name: "no-run", Usage: "prepare only", DisableDefaultText: true},
		logLevelFlag(),
	}
}

func settings(c *cli.Context) (node.Options, error) {
	o := node.Options{
		Name: c.String("name"), Bind: c.String("bind"), Advertise: c.String("advertise"),
		Profile: c.String("profile"), Port: c.Int("port"),
	}
	for _, l := range c.StringSlice("label") {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return o, usagef("cannot use --label %q: write KEY=VALUE", l)
		}
		if o.Labels == nil {
			o.Labels = make(map[string]string)
		}
		if _, twice := o.Labels[key]; twice {
			return o, usagef("cannot use --label %q: %s has a value already", l, key)
		}
		o.Labels[key] = value
	}
	var err error
	if o.CPU, err = parseCPU(c.String("cpu")); err != nil {
		return o, err
	}
	o.Memory, err = parseMemory(c.String("memory"))
	return o, err
}

func (a *app) initNode(c *cli.Context) error {
	dir, o, err := asked(c)
	if err != nil {
		return err
	}
	_, loadErr := node.Load(dir)
	fresh := errors.Is(loadErr, fs.ErrNotExist)
	s, err := node.Init(dir, o)
	if err != nil {
		return err
	}
	token, err := node.Token(dir)
	if err != nil {
		return err
	}
	if file := c.String("token-file"); file != "" {
		if err := writeAtomically(file, []byte(token+"\n")); err != nil {
			return err
		}
	}
	if fresh {
		fmt.Fprintf(c.App.Writer, "Cluster %s is prepared; %s holds its first node, %s.\n", s.ClusterID, dir, s.Name)
		fmt.Fprintf(c.App.Writer, "On each other machine:\n  selfware-node join %s --token %s --data %s --bind ITS-ADDRESS\n", doorOf(s), token, dir)
	} else {
		resume(c, dir, s)
	}
	return a.runUnless(c, dir)
}

func (a *app) joinNode(c *cli.Context) error {
	dir, o, err := asked(c)
	if err != nil {
		return err
	}
	_, loadErr := node.Load(dir)
	fresh := errors.Is(loadErr, fs.ErrNotExist)
	token, err := joinToken(c, dir, fresh)
	if err != nil {
		return err
	}
	if fresh {
		say := func(line string) { fmt.Fprintln(c.App.ErrWriter, line) }
		if err := knock.Knock(c.Context, c.Args().First(), token, c.Duration("wait"), say); err != nil {
			return err
		}
	}
	s, err := node.Join(dir, c.Args().First(), token, o)
	if err != nil {
		return err
	}
	if fresh {
		fmt.Fprintf(c.App.Writer, "Node %s of cluster %s is prepared in %s.\n", s.Name, s.ClusterID, dir)
	} else {
		resume(c, dir, s)
	}
	return a.runUnless(c, dir)
}

// asked are the data dir and the settings on the command line.
func asked(c *cli.Context) (dir string, o node.Options, err error) {
	if dir, err = dataDir(c); err != nil {
		return dir, o, err
	}
	if _, err = logger(c); err != nil {
		return dir, o, err
	}
	o, err = settings(c)
	return dir, o, err
}

func resume(c *cli.Context, dir string, s node.Settings) {
	fmt.Fprintf(c.App.Writer, "%s is prepared already: node %s of cluster %s.\n", dir, s.Name, s.ClusterID)
}

func (a *app) runUnless(c *cli.Context, dir string) error {
	if c.Bool("no-run") {
		fmt.Fprintf(c.App.Writer, "Run it with:\n  selfware-node run --data %s\n", dir)
		return nil
	}
	return a.start(c)
}

// start runs a node in the foreground until a signal: this process is its keeper.
func (a *app) start(c *cli.Context) error {
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	if _, err := logger(c); err != nil {
		return err
	}
	if _, err := node.Load(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; prepare it with `selfware-node init` or `selfware-node join`", err)
	}
	return keep(c.Context, []string{dir, c.String("log-level")})
}

// doorOf is where others join a cluster: this node's cluster port.
func doorOf(s node.Settings) string {
	host := s.Advertise
	if host == "" {
		host = s.Bind
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host, _ = os.Hostname()
	}
	return net.JoinHostPort(host, strconv.Itoa(s.Port+1))
}

// joinToken finds the token to join with. A prepared dir has one of its own.
func joinToken(c *cli.Context, dir string, fresh bool) (string, error) {
	token, file := c.String("token"), c.String("token-file")
	if token == "" && file == "" {
		token = os.Getenv("SELFWARE_TOKEN")
	}
	switch {
	case token != "" && file != "":
		return "", usagef("cannot use --token and --token-file at once")
	case file != "":
		patience := tokenPatience
		if !fresh {
			patience = 0
		}
		text, err := waitForFile(c.Context, file, patience, func(line string) { fmt.Fprintln(c.App.ErrWriter, line) })
		if err == nil || fresh {
			return text, err
		}
	case token != "":
		return token, nil
	case fresh:
		return "", usagef("no token: give --token TOKEN (or SELFWARE_TOKEN), or --token-file FILE; `selfware-node token` prints it on a node of the cluster")
	}
	return node.Token(dir)
}

func printToken(c *cli.Context) error {
	dir, err := dataDir(c)
	if err != nil {
		return err
	}
	if _, err := node.Load(dir); err != nil {
		return explainDir(dir, err)
	}
	token, err := node.Token(dir)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c, map[string]string{"token": token})
	}
	fmt.Fprintln(c.App.Writer, token)
	return nil
}

func leave(c *cli.Context, cl *client.Client) error {
	name := c.Args().First()
	if name == "" {
		t, err := findTarget(c)
		if err != nil {
			return err
		}
		if t.data == "" {
			return usagef("NODE is missing: selfware-node leave NODE")
		}
		s, err := node.Load(t.data)
		if err != nil {
			return err
		}
		name = s.ID
	}
	done, err := cl.Leave(c.Context, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "%s\nIts data dir is of no use any more.\n", done.Message)
	return nil
}
