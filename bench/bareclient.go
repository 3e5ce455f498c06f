package bench

import (
	"context"
	"fmt"
	"net"
	"time"
)

// bareClient asks bare nodes, over one connection to each. One goroutine.
type bareClient struct {
	hosts  []string
	conns  []net.Conn
	leader int // who last wrote
}

func newBareClient(hosts []string) *bareClient {
	return &bareClient{hosts: hosts, conns: make([]net.Conn, len(hosts))}
}

func (c *bareClient) close() {
	for i := range c.conns {
		c.drop(i)
	}
}

func (c *bareClient) drop(i int) {
	if c.conns[i] != nil {
		c.conns[i].Close()
		c.conns[i] = nil
	}
}

// ask sends one request to one node.
func (c *bareClient) ask(i int, op byte) (byte, error) {
	if c.conns[i] == nil {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", c.hosts[i], bareRPC), time.Second)
		if err != nil {
			return 0, err
		}
		c.conns[i] = conn
	}
	buf := [1]byte{op}
	conn := c.conns[i]
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Write(buf[:])
	if err == nil {
		_, err = conn.Read(buf[:])
	}
	if err != nil {
		c.drop(i)
		return 0, err
	}
	return buf[0], nil
}

// writeLeader commits one entry through the leader, wherever it is. An election
// on a busy machine costs time, and not the row.
func (c *bareClient) writeLeader() error {
	if ok, err := c.ask(c.leader, askWrite); err == nil && ok == 1 {
		return nil
	}
	var err error
	c.leader, err = c.untilWrite(context.Background(), -1)
	return err
}

// untilWrite asks all but one node for a write until one of them has done it.
func (c *bareClient) untilWrite(ctx context.Context, without int) (leader int, err error) {
	return c.until(ctx, without, askWrite, func(answer byte) bool { return answer == 1 })
}

// untilAlive waits until every node but one counts so many alive.
func (c *bareClient) untilAlive(ctx context.Context, without, count int) error {
	for i := range c.hosts {
		if i == without {
			continue
		}
		one := &bareClient{hosts: c.hosts[i : i+1], conns: make([]net.Conn, 1)}
		_, err := one.until(ctx, -1, askAlive, func(answer byte) bool { return int(answer) == count })
		one.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *bareClient) until(ctx context.Context, without int, op byte, good func(byte) bool) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		for i := range c.hosts {
			if i == without {
				continue
			}
			if answer, err := c.ask(i, op); err == nil && good(answer) {
				return i, nil
			}
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, fmt.Errorf("cannot go on: the bare cluster did not come to answer %q: %w", op, err)
		}
	}
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
