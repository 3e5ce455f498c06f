package main

import (
	"context"
	"sync"
	"time"

	"github.com/selfware/selfware/api"
	"github.com/selfware/selfware/api/client"
)

const (
	// saysTime is how long is waited for nodes to tell what their children say: an
	// overview must come even if a node cannot be reached.
	saysTime = 1500 * time.Millisecond
	// saysNodes is how many nodes are asked; beyond, only `why` asks.
	saysNodes = 64
)

// hear adds what children say of themselves to those of trees. Nodes that do not answer
// in time, or are too old to know the question, are left out.
func hear(ctx context.Context, cl *client.Client, nodes []api.NodeStatus, trees []api.TreeStatus) {
	if len(nodes) > saysNodes {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saysTime)
	defer cancel()
	var mu sync.Mutex
	said := make(map[string]*api.Says) // by path and node
	var asking sync.WaitGroup
	for _, n := range nodes {
		if n.Children == 0 || n.Status == "lost" || n.Status == "left" {
			continue
		}
		asking.Go(func() {
			list, err := cl.Says(ctx, "", n.ID)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range list {
				said[list[i].Path+"\x00"+list[i].Node] = &list[i]
			}
		})
	}
	asking.Wait()
	for _, t := range trees {
		for i := range t.Children {
			ch := &t.Children[i]
			ch.Says = said[ch.Path+"\x00"+ch.Node]
		}
	}
}

// hearOne adds what one worker says of itself.
func hearOne(ctx context.Context, cl *client.Client, ch *api.ChildStatus) {
	if ch.Supervisor || ch.Node == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, saysTime)
	defer cancel()
	if list, err := cl.Says(ctx, ch.Path, ""); err == nil && len(list) > 0 {
		ch.Says = &list[0]
	}
}
