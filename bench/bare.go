package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/selfware/selfware/gossip"
)

// bareCluster is the bare nodes, and a client of them.
type bareCluster struct {
	self    string
	dir     string
	profile gossip.Profile
	hosts   []string
	nodes   []*proc
	client  *bareClient
}

func startBare(ctx context.Context, self, dir string, block int, profile gossip.Profile) (*bareCluster, error) {
	c := &bareCluster{self: self, dir: dir, profile: profile}
	for i := range size {
		c.hosts = append(c.hosts, addrOf(block, i))
	}
	c.client = newBareClient(c.hosts)
	c.nodes = make([]*proc, size)
	for i := range size {
		if err := c.start(i); err != nil {
			return c, err
		}
	}
	_, err := c.whole(ctx)
	return c, err
}

func (c *bareCluster) start(i int) error {
	dir := filepath.Join(c.dir, fmt.Sprint("bare", i))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var err error
	c.nodes[i], err = startPart(c.self, roleBareNode, bareConfig{Dir: dir, Hosts: c.hosts, Self: i, Profile: c.profile})
	return err
}

func (c *bareCluster) stop() {
	for _, n := range c.nodes {
		if n != nil {
			n.kill()
		}
	}
	c.client.close()
}

// whole waits until all nodes see all others and one leads.
func (c *bareCluster) whole(ctx context.Context) (leader int, err error) {
	if err := c.client.untilAlive(ctx, -1, size); err != nil {
		return 0, err
	}
	return c.client.untilWrite(ctx, -1)
}

// bareSupervisor is a bare supervisor process, as the benchmark speaks to it.
type bareSupervisor struct {
	*proc
	lines *bufio.Scanner
}

func startBareSupervisor(self string, cfg superConfig) (*bareSupervisor, error) {
	p, err := startPart(self, roleSupervisor, cfg)
	if err != nil {
		return nil, err
	}
	return &bareSupervisor{p, bufio.NewScanner(p.out)}, nil
}

// tell sends a command; answered waits for its end.
func (s *bareSupervisor) tell(format string, args ...any) error {
	_, err := fmt.Fprintf(s.in, format+"\n", args...)
	return err
}

func (s *bareSupervisor) answered() error {
	if !s.lines.Scan() || s.lines.Text() != "ok" {
		return fmt.Errorf("cannot go on: the bare supervisor ended")
	}
	return nil
}

// startAll starts n children and waits for the births of all.
func (l *lab) startAll(ctx context.Context, s *bareSupervisor, prefix string, n int) (took time.Duration, names []string, err error) {
	for i := range n {
		names = append(names, fmt.Sprint(prefix, i))
	}
	w := l.births.expect(names...)
	t0 := now()
	if err := s.tell("start %d", n); err != nil {
		return 0, nil, err
	}
	got, err := w.wait(ctx, ready)
	if err != nil {
		return 0, nil, err
	}
	return lastOf(got) - t0, names, s.answered()
}

func (s *bareSupervisor) stopAll() error {
	if err := s.tell("stop"); err != nil {
		return err
	}
	return s.answered()
}

// killBack kills the present process of each name and gives the time until
// each is back.
func (l *lab) killBack(ctx context.Context, names ...string) ([]time.Duration, error) {
	w := l.births.expect(names...)
	killed := make([]time.Duration, len(names))
	for i, name := range names {
		pid := l.births.pid(name)
		killed[i] = now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return nil, fmt.Errorf("cannot kill %s (%d): %w", name, pid, err)
		}
	}
	got, err := w.wait(ctx, ready)
	if err != nil {
		return nil, err
	}
	back := make([]time.Duration, len(names))
	for i, name := range names {
		back[i] = got[name].at - killed[i]
	}
	return back, nil
}
