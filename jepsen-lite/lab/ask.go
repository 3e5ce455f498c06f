package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/selfware/selfware/api"
)

// askTime bounds one question to a node.
const askTime = 3 * time.Second

// Ask gets a path of a node's API, such as "/v1/status", into a value.
func Ask(ctx context.Context, n Node, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL()+path, nil)
	if err != nil {
		return err
	}
	res, err := n.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512))
		return fmt.Errorf("%s answers %s with %s: %s", n.Name(), path, res.Status, text)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// Status asks nodes in turn until one answers for the whole cluster.
func Status(ctx context.Context, l Lab) (api.Status, error) {
	var last error = unable("no node runs")
	for _, n := range l.Nodes() {
		if _, err := n.Keeper(); err != nil || n.Left() {
			continue
		}
		var s api.Status
		if last = Ask(ctx, n, "/v1/status", &s); last == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return api.Status{}, last
}

// Leader is the node that leads, as one that is in touch with a majority says.
func Leader(ctx context.Context, l Lab) (Node, error) {
	s, err := Status(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("cannot ask who leads: %w", err)
	}
	for _, n := range l.Nodes() {
		if n.Name() == s.Cluster.Leader {
			return n, nil
		}
	}
	return nil, fmt.Errorf("cannot find the leader %q", s.Cluster.Leader)
}

// await polls until check has nothing to say.
func await(ctx context.Context, limit time.Duration, what string, check func() string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check()
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %s", what, limit, missing)
		case <-tick.C:
		}
	}
}

// Settle waits until all nodes that have not left have their agents and are alive,
// and enough of them vote. A cluster may hold a node for alive whose agent has ended
// and is not back yet.
func Settle(ctx context.Context, l Lab, limit time.Duration) error {
	here := Here(l)
	want := len(here)
	return await(ctx, limit, "all nodes are alive", func() string {
		if missing := WithoutAgent(here); missing != "" {
			return missing
		}
		s, err := Status(ctx, l)
		if err != nil {
			return err.Error()
		}
		alive, voters := 0, 0
		for _, n := range s.Nodes {
			if n.Status == "alive" {
				alive++
			}
			if n.Voter && n.Status == "alive" {
				voters++
			}
		}
		if alive < want || voters < Voters(want) || s.Cluster.Leader == "" {
			return fmt.Sprintf("%d of %d alive, %d of %d vote, leader %q", alive, want, voters, Voters(want), s.Cluster.Leader)
		}
		return ""
	})
}

// Here are the nodes that have not left.
func Here(l Lab) []Node {
	return slices.DeleteFunc(slices.Clone(l.Nodes()), Node.Left)
}

// WithoutAgent says which of some nodes has no agent now, or nothing if all have one.
func WithoutAgent(nodes []Node) string {
	for _, n := range nodes {
		if _, err := n.Agent(); err != nil {
			return fmt.Sprintf("%s: %v", n.Name(), err)
		}
	}
	return ""
}

// Voters is how many of so many nodes vote.
func Voters(nodes int) int {
	switch {
	case nodes >= 5:
		return 5
	case nodes >= 3:
		return 3
	}
	return 1
}
