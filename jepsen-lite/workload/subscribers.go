package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
	"github.com/selfware/selfware/jepsen-lite/history"
	"github.com/selfware/selfware/jepsen-lite/lab"
)

// tour is how long a subscriber stays with one node before it resumes at the next.
const tour = 7 * time.Second

// Subscribe follows the event stream with several subscribers until ctx ends. Each
// goes from node to node, and resumes where it was.
func Subscribe(ctx context.Context, n int, l lab.Lab, seen *history.Stream[history.Seen]) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { subscribe(ctx, i, l, seen) })
	}
	all.Wait()
}

func subscribe(ctx context.Context, number int, l lab.Lab, seen *history.Stream[history.Seen]) {
	at := "0"
	for turn := number; ctx.Err() == nil; turn++ {
		nodes := l.Nodes()
		n := nodes[turn%len(nodes)]
		visit, over := context.WithTimeout(ctx, tour)
		follow(visit, number, n, &at, seen)
		over()
		// A node that refuses at once must not be asked in a loop.
		rest := time.NewTimer(200 * time.Millisecond)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
		}
	}
}

// follow stays with one node until ctx ends or the node lets it go.
func follow(ctx context.Context, number int, n lab.Node, at *string, seen *history.Stream[history.Seen]) {
	c, err := client.New(client.Config{API: n.URL(), HTTP: n.HTTP()})
	if err != nil {
		return
	}
	// How it ends does not matter: the next one resumes.
	_ = c.Follow(ctx, *at, func(ev api.Event) error {
		seen.Put(history.Seen{
			Time: history.Now(), Subscriber: number, Node: n.Name(), Index: ev.Index, N: ev.N,
			Kind: ev.Kind, Path: ev.Path, Verdict: ev.Verdict, Sentence: ev.Sentence,
		})
		*at = fmt.Sprintf("%d.%d", ev.Index, ev.N)
		return nil
	})
}
