package simtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/selfware/selfware/cluster"
	"github.com/selfware/selfware/cluster/raftstore"
	"github.com/selfware/selfware/fsm"
	"github.com/selfware/selfware/supervisor"
)

// client is a user: it asks one thing after another, and asks again under the
// same request id until it gets a definite answer.
type client struct {
	s     *sim
	queue chan ask
	wg    sync.WaitGroup
	ctx   context.Context
	stop  context.CancelFunc

	mu   sync.Mutex
	next int
	open int // asks without an answer
	// What was acknowledged last: the spec of each tree, and whether a path was
	// stopped.
	specs   map[string]supervisor.Spec
	stopped map[string]bool
	sizes   map[string]sized // of pools that were scaled, by path
	// history is the specs of each tree; doubt names those that were asked for twice.
	history map[string][]applied
	doubt   map[string]bool
	acked   int
	refused int
	tries   int
	newest  uint64 // index of what was acknowledged last
	reads   int    // verified ones
}

// ask is one request.
type ask struct {
	cmd  fsm.Command
	done chan answer
}

type answer struct {
	res fsm.Result
	err error
}

func newClient(s *sim) *client {
	c := &client{s: s, queue: make(chan ask, 1024), specs: make(map[string]supervisor.Spec), stopped: make(map[string]bool), sizes: make(map[string]sized),
		history: make(map[string][]applied), doubt: make(map[string]bool)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.wg.Go(c.run)
	return c
}

func (c *client) close() {
	c.stop()
	c.wg.Wait()
}

func (c *client) run() {
	for {
		select {
		case a := <-c.queue:
			res, err := c.until(a.cmd)
			c.mu.Lock()
			c.open--
			c.mu.Unlock()
			a.done <- answer{res, err}
		case <-c.ctx.Done():
			return
		}
	}
}

// send queues a request and does not wait for its answer.
func (c *client) send(cmd fsm.Command) <-chan answer {
	c.mu.Lock()
	c.next++
	c.open++
	if cmd.Request == "" {
		cmd.Request = fmt.Sprintf("req-%d", c.next)
	}
	c.mu.Unlock()
	cmd.By = "user"
	done := make(chan answer, 1)
	c.queue <- ask{cmd, done}
	return done
}

// do sends a request and waits for the answer.
func (c *client) do(cmd fsm.Command) (fsm.Result, error) {
	a := <-c.send(cmd)
	return a.res, a.err
}

func (c *client) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open == 0
}

// answered counts the requests that were done.
func (c *client) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

// until asks until the answer is definite.
func (c *client) until(cmd fsm.Command) (fsm.Result, error) {
	for c.ctx.Err() == nil {
		res, err := c.try(cmd)
		switch {
		case errors.Is(err, cluster.ErrNotLeader), errors.Is(err, cluster.ErrUncertain), errors.Is(err, cluster.ErrBusy):
			if name := edited(cmd); name != "" && !errors.Is(err, cluster.ErrNotLeader) {
				c.mu.Lock()
				c.doubt[name] = true
				c.mu.Unlock()
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err == nil {
			c.s.stored(res.Index)
		}
		c.note(cmd, res.Index, err)
		return res, err
	}
	return fsm.Result{}, c.ctx.Err()
}

func (c *client) try(cmd fsm.Command) (fsm.Result, error) {
	c.mu.Lock()
	c.tries++
	turn := c.tries
	c.mu.Unlock()
	node := c.s.someLeader(turn)
	if node == nil {
		return fsm.Result{}, cluster.ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(c.ctx, 3*time.Second)
	defer cancel()
	return node.Submit(ctx, cmd)
}

// note keeps what was acknowledged.
func (c *client) note(cmd fsm.Command, index uint64, err error) {
	what := describe(cmd)
	c.s.notef("user: %s: %v", what, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.refused++
		return
	}
	c.acked++
	c.newest = max(c.newest, index)
	switch {
	case cmd.Tree != nil:
		old := workers(c.shape(cmd.Tree.Name))
		c.specs[cmd.Tree.Name] = *cmd.Tree
		c.reapplied(*cmd.Tree)
		c.history[cmd.Tree.Name] = append(c.history[cmd.Tree.Name], applied{index, *cmd.Tree})
		c.unstop(func(path string) bool { return !slices.Contains(old, path) })
	case cmd.Type == fsm.TypeDeleteTree:
		c.mark(cmd.Name, false)
		delete(c.specs, cmd.Name)
		maps.DeleteFunc(c.sizes, func(path string, _ sized) bool { return supervisor.TreeName(path) == cmd.Name })
	case cmd.Scale != nil:
		c.resized(cmd.Scale.Path, cmd.Scale.Size, index)
	case cmd.Type == fsm.TypeVerb && cmd.Verb.Verb != "move":
		c.mark(cmd.Verb.Path, cmd.Verb.Verb == "stop")
	}
}

// mark notes that all workers at and below a path were stopped, or may run again.
func (c *client) mark(path string, stopped bool) {
	c.unstop(func(p string) bool { return p == path || strings.HasPrefix(p, path+"/") })
	if !stopped {
		return
	}
	for _, p := range workers(c.shape(supervisor.TreeName(path))) {
		if p == path || strings.HasPrefix(p, path+"/") {
			c.stopped[p] = true
		}
	}
}

func (c *client) unstop(which func(path string) bool) {
	maps.DeleteFunc(c.stopped, func(path string, _ bool) bool { return which(path) })
}

// edited is the tree whose children a command may change.
func edited(cmd fsm.Command) string {
	switch {
	case cmd.Tree != nil:
		return cmd.Tree.Name
	case cmd.Scale != nil:
		return supervisor.TreeName(cmd.Scale.Path)
	}
	return ""
}

func describe(cmd fsm.Command) string {
	switch {
	case cmd.Tree != nil:
		return "apply " + cmd.Tree.Name
	case cmd.Verb != nil:
		return fmt.Sprintf("%s %s %s", cmd.Verb.Verb, cmd.Verb.Path, cmd.Verb.To)
	case cmd.Scale != nil:
		return fmt.Sprintf("scale %s %d", cmd.Scale.Path, cmd.Scale.Size)
	case cmd.Node != nil:
		return fmt.Sprintf("drain %s %v", cmd.Node.ID, cmd.Node.On)
	}
	return "delete " + cmd.Name
}

// stored checks that what was just acknowledged is on the disks of a majority of
// voters: neither a minority nor memory alone acknowledges anything (P2, P12).
func (s *sim) stored(index uint64) {
	s.mu.Lock()
	var voters []string
	newest := uint64(0)
	before := maps.Clone(s.retired)
	disks := make(map[string]*raftstore.Mem)
	for _, m := range s.machines {
		disks[m.id] = m.disk
		if m.p == nil {
			continue
		}
		if term, ok := m.p.node.Serves(); ok && term >= newest {
			newest, voters = term, m.voters()
		}
	}
	s.mu.Unlock()
	holders := 0
	for _, id := range voters {
		for _, d := range []*raftstore.Mem{disks[id], before[id]} {
			if d != nil && d.Holds(index) {
				holders++
				break
			}
		}
	}
	if len(voters) > 0 && 2*holders <= len(voters) {
		s.failf("P12: entry %d was acknowledged and is on the disks of %d of the voters %v", index, holders, voters)
	}
}

// read is a user's read on some node. What it sees holds all that was acknowledged,
// and all that another read saw, before it began (P6): states are equal at equal
// indexes (P9), so the index tells.
func (c *client) read() {
	c.mu.Lock()
	floor := c.newest
	c.tries++
	turn := c.tries
	c.mu.Unlock()
	c.s.mu.Lock()
	m := c.s.machines[turn%len(c.s.machines)]
	var node *cluster.Node
	if m.p != nil {
		node = m.p.node
	}
	c.s.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	if node == nil || node.Verify(ctx) != nil {
		return
	}
	node.Machine().View(func(v fsm.View) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads++
		if v.Index() < floor {
			c.s.failf("P6: a verified read on %s sees index %d; %d was acknowledged, or read, before it began", m.name, v.Index(), floor)
		}
		c.newest = max(c.newest, v.Index())
	})
}

// readEvery reads so often, several readers at once.
func (c *client) readEvery(pause time.Duration) {
	for range 2 {
		c.wg.Go(func() {
			for c.ctx.Err() == nil {
				select {
				case <-time.After(pause):
					c.read()
				case <-c.ctx.Done():
				}
			}
		})
	}
}

// someLeader gives one of the nodes that believe they lead.
func (s *sim) someLeader(turn int) *cluster.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	var leaders []*cluster.Node
	for _, m := range s.machines {
		if m.p != nil && m.p.node.Leads() {
			leaders = append(leaders, m.p.node)
		}
	}
	if len(leaders) == 0 {
		return nil
	}
	return leaders[turn%len(leaders)]
}

// apply gives the cluster a tree and waits for the answer.
func (s *sim) apply(spec supervisor.Spec) {
	s.t.Helper()
	if _, err := s.client.do(fsm.Command{Type: fsm.TypeApplyTree, Tree: &spec}); err != nil {
		s.t.Fatalf("cannot apply %s: %v", spec.Name, err)
	}
}

// verb asks for an operator's verb and waits for the answer.
func (s *sim) verb(verb, path, to string) error {
	_, err := s.client.do(fsm.Command{Type: fsm.TypeVerb, Verb: &fsm.Verb{Verb: verb, Path: path, To: to}})
	return err
}

func (s *sim) drain(node string, on bool) error {
	_, err := s.client.do(fsm.Command{Type: fsm.TypeDrain, Node: &fsm.NodeRef{ID: node, On: on}})
	return err
}
