package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/gossip"
	"github.com/selfware/selfware/node"
)

// size is how many nodes each cluster has.
const size = 3

// ready bounds the wait for a cluster to be whole.
const ready = 60 * time.Second

// machine is one node of ours.
type machine struct {
	name, dir, ip string
	proc          *proc // its keeper, which has forked all else
	client        *client.Client
}

// agent is the pid of the node's agent.
func (m *machine) agent() (int, error) {
	text, err := os.ReadFile(filepath.Join(m.dir, "run", "agent.pid"))
	if err != nil {
		return 0, fmt.Errorf("cannot find the agent of node %s: %w", m.name, err)
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// resident is the memory of a node, keeper and agent, in KiB.
func (m *machine) resident() (float64, error) {
	agent, err := m.agent()
	if err != nil {
		return 0, err
	}
	a, err := resident(agent)
	if err != nil {
		return 0, err
	}
	k, err := resident(m.proc.pid())
	return a + k, err
}

// ours is a cluster of real node processes.
type ours struct {
	self  string
	nodes []*machine
}

// startOurs prepares data dirs in dir and starts a node on each.
func startOurs(ctx context.Context, self, dir string, block int, profile gossip.Profile) (*ours, error) {
	c := &ours{self: self}
	token := ""
	for i := range size {
		name := fmt.Sprintf("n%d", i+1)
		m := &machine{name: name, dir: filepath.Join(dir, name), ip: addrOf(block, i)}
		opt := node.Options{Name: name, Bind: m.ip, Profile: string(profile)}
		var err error
		if i == 0 {
			_, err = node.Init(m.dir, opt)
		} else {
			_, err = node.Join(m.dir, c.nodes[0].ip, token, opt)
		}
		if err != nil {
			return c, err
		}
		if token, err = node.Token(m.dir); err != nil {
			return c, err
		}
		if m.client, err = client.New(client.Config{API: fmt.Sprintf("%s:%d", m.ip, node.APIPort), By: "bench"}); err != nil {
			return c, err
		}
		c.nodes = append(c.nodes, m)
		if err := c.start(m); err != nil {
			return c, err
		}
	}
	_, err := c.whole(ctx)
	return c, err
}

func (c *ours) start(m *machine) error {
	var err error
	m.proc, err = start(m.dir+".log", c.self, "run", "--data", m.dir)
	return err
}

func (c *ours) stop() {
	for _, m := range c.nodes {
		if m.proc != nil {
			m.proc.kill()
		}
		m.client.Close()
	}
}

// whole waits until all nodes are alive and vote, and some node leads.
func (c *ours) whole(ctx context.Context) (api.Status, error) {
	return c.until(ctx, "all nodes are alive and vote", func(s api.Status) bool {
		good := 0
		for _, n := range s.Nodes {
			if n.Status == "alive" && n.Voter {
				good++
			}
		}
		return good == size && s.Cluster.Leader != ""
	})
}

// until asks whichever node answers until check is content.
func (c *ours) until(ctx context.Context, what string, check func(api.Status) bool) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	last := "no node answers"
	for {
		for _, m := range c.nodes {
			if m.proc.ended() {
				return api.Status{}, fmt.Errorf("cannot go on: node %s has ended: %s", m.name, tail(m.dir+".log"))
			}
			one, end := context.WithTimeout(ctx, time.Second)
			s, err := m.client.Status(one)
			end()
			switch {
			case err == nil && check(s):
				return s, nil
			case err == nil:
				last = brief(s)
			case ctx.Err() == nil:
				last = err.Error()
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return api.Status{}, fmt.Errorf("cannot go on: %w; not so within %v: %s; %s", err, ready, what, last)
		}
	}
}

// brief says in a line how a cluster is.
func brief(s api.Status) string {
	text := fmt.Sprintf("leader %q", s.Cluster.Leader)
	for _, n := range s.Nodes {
		text += fmt.Sprintf(", %s %s", n.Name, n.Status)
	}
	for _, t := range s.Trees {
		text += fmt.Sprintf(", tree %s %s", t.Name, t.Status)
	}
	return text
}

// tail is the end of a log, for messages.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

// machineOf finds a node by name.
func (c *ours) machineOf(name string) *machine {
	i := slices.IndexFunc(c.nodes, func(m *machine) bool { return m.name == name })
	return c.nodes[max(0, i)]
}

// roles gives the leader and some follower.
func (c *ours) roles(s api.Status) (leader, follower *machine) {
	leader = c.machineOf(s.Cluster.Leader)
	for _, m := range c.nodes {
		if m != leader {
			return leader, m
		}
	}
	return leader, nil
}

// tree is the file of a tree of n equal children that restart at once and for
// ever. on names the node that is preferred; empty spreads them.
func tree(name string, argv []string, n int, on string) (text string, paths []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nrestart_policy: {max_restarts: 10000, max_seconds: 1, backoff: {fixed: 0s}}\nchildren:\n", name)
	for i := range n {
		path := fmt.Sprintf("%s/c%d", name, i)
		paths = append(paths, path)
		fmt.Fprintf(&b, "  - {id: c%d, min_uptime: 0s, run: [", i)
		for _, word := range argv {
			fmt.Fprintf(&b, "%q, ", word)
		}
		fmt.Fprintf(&b, "%q]", path)
		if on != "" {
			fmt.Fprintf(&b, ", nodes: [%s]", on)
		}
		b.WriteString("}\n")
	}
	return b.String(), paths
}

// forget deletes a tree and waits until it is gone.
func (c *ours) forget(ctx context.Context, name string) error {
	s, err := c.whole(ctx)
	if err != nil {
		return err
	}
	has := func(s api.Status) bool {
		return slices.ContainsFunc(s.Trees, func(t api.TreeStatus) bool { return t.Name == name })
	}
	if !has(s) {
		return nil
	}
	if _, err := c.machineOf(s.Cluster.Leader).client.Delete(ctx, name); err != nil {
		return err
	}
	_, err = c.until(ctx, "tree "+name+" is gone", func(s api.Status) bool { return !has(s) })
	return err
}

// running waits until every child of a tree runs, and tells where each does.
func (c *ours) running(ctx context.Context, name string) (where map[string][]string, err error) {
	_, err = c.until(ctx, "tree "+name+" runs", func(s api.Status) bool {
		where = make(map[string][]string)
		for _, t := range s.Trees {
			for _, child := range t.Children {
				if t.Name != name || child.Supervisor {
					continue
				}
				if child.Status != "running" {
					return false
				}
				where[child.Node] = append(where[child.Node], child.Path)
			}
		}
		return len(where) > 0
	})
	return where, err
}
