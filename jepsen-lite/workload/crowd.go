package workload

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

const (
	// mostAtOnce is the largest burst: a node takes 4,096 connections.
	mostAtOnce = 3_600
	// breath is the time between two bursts.
	breath = 500 * time.Millisecond
)

// Crowd asks in bursts until ctx ends, each at one node and all of it at once: half
// look, half add to the set. A burst of which nothing was refused is followed by a
// larger one, as how many requests are under way at a time depends on the machine.
// It gives how many were refused.
func (c *Clients) Crowd(ctx context.Context) (refused uint64) {
	rng := rand.New(rand.NewPCG(c.seed, 1000))
	c.mu.Lock()
	c.used["set"]++ // so that it is read at the end
	c.mu.Unlock()
	size := c.w.Crowd
	for ctx.Err() == nil {
		n := c.node(rng)
		if n == nil {
			return refused
		}
		more := c.burst(ctx, n, size)
		if refused += more; more == 0 {
			size = min(size*3/2, mostAtOnce)
		}
		wait := time.NewTimer(breath)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
		}
	}
	return refused
}

// burst asks a node so many times at once.
func (c *Clients) burst(ctx context.Context, n lab.Node, size int) uint64 {
	var all sync.WaitGroup
	var refused atomic.Uint64
	ctx = context.WithoutCancel(ctx) // what was asked ends by its own time
	for i := range size {
		all.Go(func() {
			op := history.Op{Kind: history.Look, Key: "crowd"}
			if i%2 == 0 {
				op = history.Op{Kind: history.Add, Key: "set"}
			}
			if got := c.asker.do(ctx, n, int(c.asker.process.Add(1)), op); got.Type == history.Fail && history.Limits[got.Error] {
				refused.Add(1)
			}
		})
	}
	all.Wait()
	return refused.Load()
}
