package workload

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// Limits of what one register may see, for the search to end in time.
const (
	registers   = 5
	perRegister = 1_400
	maxElements = 600 // the cluster takes 1,000 trees
)

// Clients are the clients of a run. Run runs them until its context ends.
type Clients struct {
	w     Workload
	seed  uint64
	asker *asker

	mu   sync.Mutex
	used map[string]int    // operations by key
	seen map[string]string // the value of each register that some client saw last
}

// NewClients makes the clients of a workload.
func NewClients(w Workload, l lab.Lab, seed uint64, ops *history.Stream[history.Op]) *Clients {
	return &Clients{w: w, seed: seed, asker: &asker{lab: l, ops: ops}, used: make(map[string]int), seen: make(map[string]string)}
}

// Run asks until ctx ends, and then lets every operation end.
func (c *Clients) Run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range c.w.Clients {
		all.Go(func() { c.client(ctx, i) })
	}
	all.Wait()
}

// client is one client: it draws, asks, waits, and is born again after an
// operation of which it does not know the outcome.
func (c *Clients) client(ctx context.Context, number int) {
	rng := rand.New(rand.NewPCG(c.seed, uint64(number)))
	process := int(c.asker.process.Add(1))
	for {
		pause := time.NewTimer(c.w.Pace/2 + rand.N(c.w.Pace))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		op, ok := c.draw(rng)
		n := c.node(rng)
		if !ok || n == nil {
			continue
		}
		// An operation that has begun ends by its own time, not by the run's.
		got := c.asker.do(context.WithoutCancel(ctx), n, process, op)
		if got.Type == history.Info {
			process = int(c.asker.process.Add(1))
		}
		c.see(got)
	}
}

// see notes the value that a register had.
func (c *Clients) see(op history.Op) {
	if op.Type != history.OK {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch op.Kind {
	case history.Write, history.Read, history.Delete, history.Swap:
		c.seen[op.Key] = op.Value
	}
}

// node is any node that has not left.
func (c *Clients) node(rng *rand.Rand) lab.Node {
	nodes := slices.DeleteFunc(slices.Clone(c.asker.lab.Nodes()), lab.Node.Left)
	if len(nodes) == 0 {
		return nil
	}
	return nodes[rng.IntN(len(nodes))]
}

// draw is the next operation; false if its key has seen enough.
func (c *Clients) draw(rng *rand.Rand) (history.Op, bool) {
	total := 0
	for _, n := range c.w.Mix {
		total += n
	}
	pick := rng.IntN(total)
	var op history.Op
	for _, kind := range slices.Sorted(maps.Keys(c.w.Mix)) {
		if pick -= c.w.Mix[kind]; pick < 0 {
			op.Kind = kind
			break
		}
	}
	limit := 1 << 30
	switch op.Kind {
	case history.Write, history.Read, history.Delete, history.Swap:
		op.Key, limit = fmt.Sprintf("reg-%d", rng.IntN(registers)), perRegister
	case history.Add:
		op.Key, limit = "set", maxElements
	case history.List:
		op.Key = "set"
	case history.Start, history.Stop:
		paths := c.w.toggled()
		op.Key = paths[rng.IntN(len(paths))]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used[string(op.Key)]++
	if op.Kind == history.Swap {
		op.Expect = c.seen[op.Key]
	}
	return op, c.used[op.Key] <= limit
}

// toggled are the paths that operators stop and start.
func (w Workload) toggled() (paths []string) {
	for _, t := range w.Trees {
		for _, m := range t.Children {
			if t.Toggled {
				paths = append(paths, t.Name+"/"+m.ID)
			}
		}
	}
	return paths
}

// Awaken starts what operators may have stopped, so that all runs at the end.
func (c *Clients) Awaken(ctx context.Context) error {
	for _, path := range c.w.toggled() {
		if err := c.surely(ctx, history.Op{Kind: history.Start, Key: path}); err != nil {
			return err
		}
	}
	return nil
}

// Final reads everything once more, at every node.
func (c *Clients) Final(ctx context.Context) error {
	for key := range c.used {
		op := history.Op{Kind: history.Read, Key: key, Final: true}
		switch {
		case key == "set":
			op.Kind = history.List
		case len(key) < 4 || key[:4] != "reg-":
			continue
		}
		if err := c.surely(ctx, op); err != nil {
			return err
		}
	}
	return nil
}

// surely does an operation at one node after the other until it is ok, or surely
// will not be.
func (c *Clients) surely(ctx context.Context, op history.Op) error {
	process := int(c.asker.process.Add(1))
	var last history.Op
	for range 3 {
		for _, n := range c.asker.lab.Nodes() {
			if n.Left() {
				continue
			}
			if last = c.asker.do(ctx, n, process, op); last.Type == history.OK || last.Error == "refused" {
				return nil
			}
			if last.Type == history.Info {
				process = int(c.asker.process.Add(1))
			}
		}
	}
	return fmt.Errorf("cannot %s %s at any node: %s", op.Kind, op.Key, last.Error)
}
