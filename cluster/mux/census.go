package mux

import (
	"fmt"
	"sync"
)

// census counts the connections that were handed over and are open.
type census struct {
	mu     sync.Mutex
	all    int
	byPeer map[string]int
}

// enter counts a connection until it is closed, or refuses it. The newest is the one
// refused: those that are open may be in use, and dead ones end by themselves.
func (n *census) enter(c *Conn, perPeer, all int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.byPeer[c.peer] >= perPeer:
		return fmt.Errorf("node %s has %d connections open, the limit", c.peer, perPeer)
	case n.all >= all:
		return fmt.Errorf("%d connections are open, the limit", all)
	}
	if n.byPeer == nil {
		n.byPeer = make(map[string]int)
	}
	n.all++
	n.byPeer[c.peer]++
	c.leave = sync.OnceFunc(func() { n.leave(c.peer) })
	return nil
}

func (n *census) leave(peer string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all--
	if n.byPeer[peer]--; n.byPeer[peer] == 0 {
		delete(n.byPeer, peer)
	}
}

func (n *census) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all
}
